//! What became of an action, said once on the next page, with the way back where there is one.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::form;
use super::icon::{Icon, icon};

/// A short word after an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toast {
    pub text: String,
    #[serde(default)]
    pub is_bad: bool,
    #[serde(default)]
    pub undo: Option<Undo>,
    /// Where the outcome is seen: the words and the address.
    #[serde(default)]
    pub link: Option<(String, String)>,
}

impl Toast {
    pub fn good(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_bad: false, undo: None, link: None }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Self { is_bad: true, ..Self::good(text) }
    }

    #[must_use]
    pub fn undo(self, undo: Undo) -> Self {
        Self { undo: Some(undo), ..self }
    }

    #[must_use]
    pub fn link(self, words: impl Into<String>, address: impl Into<String>) -> Self {
        Self { link: Some((words.into(), address.into())), ..self }
    }
}

/// What can be undone: a closed list, because a toast travels in a cookie and must not name a form of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Switches these DAGs to `paused`.
    Pause { dags: Vec<String>, paused: bool },
}

/// The toasts of a page.
pub fn toasts(toasts: &[Toast], token: &str) -> Markup {
    html! {
        div.toasts role="status" aria-live="polite" {
            @for toast in toasts {
                div.toast.bad[toast.is_bad] {
                    (icon(if toast.is_bad { Icon::Warning } else { Icon::Check }))
                    span { (toast.text) }
                    @if let Some((words, address)) = &toast.link { a href=(address) { (words) } }
                    @if let Some(undo) = &toast.undo { (undo_form(undo, token)) }
                }
            }
        }
    }
}

fn undo_form(undo: &Undo, token: &str) -> Markup {
    match undo {
        Undo::Pause { dags, paused } => {
            let paused = if *paused { "true" } else { "false" };
            let fields: Vec<(&str, &str)> =
                dags.iter().map(|dag| ("chosen", dag.as_str())).chain([("paused", paused)]).collect();
            form::action("/pause", token, &fields, &html! { button.button type="submit" { "Undo" } })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toast_brings_the_way_back() {
        let toast = Toast::good("Paused etl").undo(Undo::Pause { dags: vec!["etl".to_owned()], paused: false });
        let html = toasts(&[toast], "token").into_string();
        assert!(html.contains(r#"action="/pause""#) && html.contains(r#"name="paused" value="false""#), "{html}");
    }
}
