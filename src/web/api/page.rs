//! A page of a short list that is known by its names alone: what a person configures, never the history.

use crate::web::Error;

use super::asked::Asked;
use super::lists::{Kind, Param};

/// The names of all, and by what they may be sorted: for each of these the order is the names'.
pub struct Sorted<'a> {
    pub keys: Vec<String>,
    /// What `order_by` may say.
    pub names: &'a [&'a str],
    /// What the filters by name begin with.
    pub what: &'a str,
}

/// A page of names.
pub struct Names {
    pub keys: Vec<String>,
    pub total: usize,
}

/// The parameters of such a list.
pub fn page_params() -> [Param; 3] {
    [
        Param::new("limit", Kind::Integer, "At most so many, 50 unless said; never more than 100."),
        Param::new("offset", Kind::Integer, "Leaves out so many."),
        Param::new("order_by", Kind::Text, "A field; with `-` in front of it, descending.").repeated(),
    ]
}

/// Filters by `<what>_pattern` and `<what>_prefix_pattern`, sorts and cuts.
pub fn page_of(asked: &Asked, sorted: Sorted<'_>, limit: u64, offset: u64) -> Result<Names, Error> {
    let Sorted { mut keys, names, what } = sorted;
    for word in asked.all("order_by") {
        let name = word.strip_prefix('-').unwrap_or(word);
        if !names.contains(&name) {
            return Err(Error::Bad(format!(
                "Ordering with '{name}' is disallowed or the attribute does not exist on the model"
            )));
        }
    }
    if let Some(pattern) = given(asked, &format!("{what}_pattern")) {
        let parts: Vec<String> = pattern.split('|').map(|part| part.trim_matches('%').to_lowercase()).collect();
        keys.retain(|key| parts.iter().any(|part| key.to_lowercase().contains(part)));
    }
    if let Some(prefix) = given(asked, &format!("{what}_prefix_pattern")) {
        keys.retain(|key| prefix.split('|').any(|prefix| key.starts_with(prefix)));
    }
    keys.sort_unstable();
    if asked.all("order_by").next().is_some_and(|word| word.starts_with('-')) {
        keys.reverse();
    }
    let total = keys.len();
    let (from, many) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Names { keys: keys.into_iter().skip(from).take(many).collect(), total })
}

fn given(asked: &Asked, name: &str) -> Option<String> {
    asked.one(name).filter(|text| !text.is_empty() && *text != "~").map(str::to_owned)
}
