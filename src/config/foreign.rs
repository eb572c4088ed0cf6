//! The options that Airflow has, in any of its versions, and that mean nothing here. They are known so that an
//! `airflow.cfg` reads as it stands: such an option is neither an error nor taken for a misspelling.
//!
//! `foreign.txt` holds `section: option option …`, continued on indented lines.

use std::collections::HashSet;
use std::sync::LazyLock;

static FOREIGN: LazyLock<HashSet<(&'static str, &'static str)>> = LazyLock::new(|| pairs().collect());

/// Every pair of section and option in the list.
pub(super) fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut section = "";
    include_str!("foreign.txt").lines().flat_map(move |line| {
        let options = match line.split_once(": ") {
            Some((name, options)) => {
                section = name;
                options
            }
            None => line,
        };
        let section = section;
        options.split_whitespace().map(move |option| (section, option))
    })
}

/// Whether Airflow has this option.
pub(super) fn knows(section: &str, key: &str) -> bool {
    FOREIGN.contains(&(section.to_lowercase().as_str(), key.to_lowercase().as_str()))
}

/// Whether Airflow has a section of this name that is not ours.
pub(super) fn knows_section(section: &str) -> bool {
    let section = section.to_lowercase();
    FOREIGN.iter().any(|(known, _)| *known == section)
}
