//! The part XCom: the values that it left.

use maud::{Markup, html};

use super::Subject;
use crate::domain::time::Time;
use crate::web::view::{number, time};
use crate::web::{Error, Web};

/// A longer value is cut: it belongs into a file.
const MOST: usize = 20_000;

pub(super) async fn show(web: &Web, subject: &Subject, now: Time) -> Result<Markup, Error> {
    let values = web.store.xcoms(subject.run.key, Some(&subject.task)).await?;
    let own: Vec<_> = values.into_iter().filter(|value| value.map_index == subject.map_index).collect();
    if own.is_empty() {
        return Ok(html! {
            p.quiet { "It left no value. What a Python task returns, and the last line that a Bash task prints, is kept under " code { "return_value" } "." }
        });
    }
    Ok(html! {
        @for value in &own {
            @let text = serde_json::to_string_pretty(&value.value).unwrap_or_default();
            h3 id=(format!("xcom-{}", value.key)) { code { (value.key) } " " span.quiet { (time::ago(value.at, now)) } }
            @match text.char_indices().nth(MOST) {
                None => { pre.break { (text) } }
                Some((end, _)) => { pre.break { (text[..end]) "…" } p.quiet { "The first part of " (number::bytes(text.len() as u64)) "." } }
            }
        }
    })
}
