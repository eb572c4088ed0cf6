//! Forms: every change is one, with a token that proves that the page was ours. They work without script.

use maud::{Markup, html};

/// The name of the field that carries the token.
pub const CSRF_FIELD: &str = "csrf_token";

/// The hidden field that proves that a form is of our page.
pub fn csrf(token: &str) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=(token); }
}

/// A form that changes something.
pub fn form(action: &str, token: &str, body: &Markup) -> Markup {
    html! { form.form method="post" action=(action) { (csrf(token)) (body) } }
}

/// A button that is a form of its own: no fields but hidden ones.
pub fn action(action: &str, token: &str, fields: &[(&str, &str)], button: &Markup) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (csrf(token))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            (button)
        }
    }
}

/// A text field with its label, help, and what was wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field<'a> {
    pub name: &'a str,
    pub label: &'a str,
    pub help: &'a str,
    pub value: &'a str,
    pub wrong: Option<&'a str>,
    /// `text` where empty.
    pub kind: &'a str,
    pub required: bool,
    /// What a browser may fill in: `current-password`. Nothing where empty.
    pub autocomplete: &'a str,
    /// More than one line.
    pub lines: Option<u32>,
    pub mono: bool,
}

impl Field<'_> {
    fn id(&self) -> String {
        format!("field-{}", self.name)
    }
}

pub fn field(field: &Field<'_>) -> Markup {
    let id = field.id();
    let help = format!("{id}-help");
    let described = (!field.help.is_empty() || field.wrong.is_some()).then_some(&help);
    let class = field.mono.then_some("mono");
    let kind = if field.kind.is_empty() { "text" } else { field.kind };
    let autocomplete = if field.autocomplete.is_empty() { "off" } else { field.autocomplete };
    let invalid = field.wrong.map(|_| "true");
    html! {
        div.field {
            label for=(id) { (field.label) }
            @if let Some(lines) = field.lines {
                textarea id=(id) name=(field.name) rows=(lines) class=[class] required[field.required]
                    aria-describedby=[described] aria-invalid=[invalid] spellcheck="false" { (field.value) }
            } @else {
                input id=(id) name=(field.name) type=(kind) value=(field.value) class=[class] required[field.required]
                    aria-describedby=[described] aria-invalid=[invalid] autocomplete=(autocomplete) spellcheck="false";
            }
            @if described.is_some() {
                div id=(help) {
                    @if let Some(wrong) = field.wrong { div.wrong { (wrong) } }
                    @if !field.help.is_empty() { div.help { (field.help) } }
                }
            }
        }
    }
}

/// One of several words.
pub fn select(name: &str, label: &str, help: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    let id = format!("field-{name}");
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(name) {
                @for (value, word) in options { option value=(value) selected[*value == chosen] { (word) } }
            }
            @if !help.is_empty() { div.help { (help) } }
        }
    }
}

/// Yes or no.
pub fn checkbox(name: &str, label: &str, help: &str, checked: bool) -> Markup {
    let id = format!("field-{name}");
    html! {
        div.field.check {
            input id=(id) name=(name) type="checkbox" value="true" checked[checked];
            label for=(id) { (label) }
            @if !help.is_empty() { div.help { (help) } }
        }
    }
}

/// A switch that is a button: a press sends its form.
pub fn switch(label: &str, on: bool) -> Markup {
    html! { button.switch type="submit" role="switch" aria-checked=(on) aria-label=(label) title=(label) {} }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_and_says_what_is_wrong() {
        let html =
            field(&Field { name: "slots", label: "Slots", wrong: Some("expected a number"), ..Field::default() });
        let html = html.into_string();
        assert!(html.contains(r#"<label for="field-slots">Slots</label>"#), "{html}");
        assert!(html.contains(r#"aria-describedby="field-slots-help""#) && html.contains(r#"aria-invalid="true""#));
    }

    #[test]
    fn what_people_typed_is_escaped() {
        let html = action("/x", "t\"", &[("dag", "<b>")], &switch("on \"it\"", true)).into_string();
        assert!(html.contains("t&quot;") && html.contains("&lt;b&gt;") && !html.contains("<b>"), "{html}");
    }
}
