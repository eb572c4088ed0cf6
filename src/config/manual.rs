//! `config/default.toml` as the manual: the default and the explanation of every key, read out of the file that
//! people read. It is embedded in the program.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::key::Name;

/// The built-in defaults, as `config/default.toml` holds them.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// What the era of Airflow 2 changes in them.
pub(super) const AIRFLOW2_TOML: &str = include_str!("../../config/airflow2.toml");

/// What a default writes for the home folder.
pub(super) const HOME_PLACEHOLDER: &str = "{UPDRAFT_HOME}";

static EXPLANATIONS: LazyLock<BTreeMap<(String, String), String>> = LazyLock::new(|| explanations(DEFAULT_TOML));

/// The explanation of a key, one paragraph of full sentences.
pub fn explain(name: Name) -> &'static str {
    EXPLANATIONS.get(&(name.section.to_owned(), name.key.to_owned())).map_or("", String::as_str)
}

/// The comment that stands right above each key.
fn explanations(toml: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    let mut section = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in toml.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            comment.clear();
        } else if let Some((key, _)) = line.split_once(" = ") {
            found.insert((section.clone(), key.to_owned()), comment.join(" "));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KEYS;
    use crate::config::key::{Effect, find};

    #[test]
    fn the_table_and_the_manual_agree_in_both_directions() {
        let written: Vec<Name> = crate::config::toml_file::read(DEFAULT_TOML)
            .0
            .iter()
            .map(|setting| find(&setting.section, &setting.key).unwrap_or_else(|| panic!("no row: {setting:?}")).name)
            .collect();
        let table: Vec<Name> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(written, table, "every key of the table has a default, in the same order, and none is left over");
    }

    #[test]
    fn every_key_is_explained_in_sentences_that_say_honestly_whether_it_has_an_effect() {
        assert_eq!(EXPLANATIONS.len(), KEYS.len());
        for key in KEYS {
            let text = explain(key.name);
            assert!(text.len() > 20 && text.ends_with('.'), "{}: {text:?}", key.name);
            let later = text.ends_with("Accepted; it takes effect in a later release.");
            let never = text.ends_with("reads without complaint; it has no effect.");
            let said = match (later, never) {
                (true, false) => Effect::Later,
                (false, true) => Effect::Never,
                (false, false) => Effect::Used,
                (true, true) => panic!("{}: {text}", key.name),
            };
            assert_eq!(said, key.effect, "{}", key.name);
            assert!(key.since.starts_with("Airflow ") || key.since.starts_with("updraft "), "{}", key.name);
        }
    }

    #[test]
    fn the_defaults_of_airflow_2_are_keys_of_the_table() {
        let (settings, errors) = crate::config::toml_file::read(AIRFLOW2_TOML);
        assert_eq!(errors, []);
        assert!(settings.len() >= 7);
        for setting in settings {
            assert!(find(&setting.section, &setting.key).is_some(), "{setting:?}");
        }
    }
}
