//! What is known about one configuration key, and how a person's spelling of it is looked up.
//!
//! A key knows its names of all times, the kind of its values and whether it has an effect; it never knows a value.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::table::KEYS;

/// A key as it is addressed: `[section] key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    pub section: &'static str,
    pub key: &'static str,
}

impl Name {
    pub const fn new(section: &'static str, key: &'static str) -> Self {
        Self { section, key }
    }

    /// The environment variable that sets this key, for example `AIRFLOW__CORE__EXECUTOR`.
    pub fn variable(&self, prefix: &str) -> String {
        variable(prefix, self.section, self.key)
    }

    /// The path of this key in the `config` crate's tree.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.section, self.key)
    }
}

/// The environment variable of any section and key, known or not (`.` and `-` of a section become `_`).
pub(super) fn variable(prefix: &str, section: &str, key: &str) -> String {
    format!("{prefix}__{}__{}", section.replace(['.', '-'], "_").to_uppercase(), key.to_uppercase())
}

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// t, true, 1 or f, false, 0 in any case; what follows a `#` is cut.
    Bool,
    /// A whole number, 0 or more.
    Count,
    /// A whole number, 1 or more.
    AtLeastOne,
    /// A whole number of bytes, 0 or more.
    Bytes,
    /// Any whole number.
    Integer,
    Port,
    /// A number of seconds, fractions allowed, 0 or more.
    Seconds,
    /// As `Seconds`, or empty for none.
    OptionalSeconds,
    Text,
    /// A path; a relative one starts at the home folder.
    Path,
    /// Words separated by commas.
    List,
    /// One of these words, in any case.
    Words(&'static [&'static str]),
    Era,
    Executor,
    DatabaseUrl,
    Timezone,
    WeightRule,
    Schedule,
}

/// Whether setting a key changes anything today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Used,
    /// Accepted; it takes effect in a later release.
    Later,
    /// Accepted so that an `airflow.cfg` reads without complaint.
    Never,
}

/// One row of the table.
#[derive(Debug)]
pub struct Key {
    pub name: Name,
    pub kind: Kind,
    pub effect: Effect,
    /// The first version that had the key, for example `Airflow 2.2.0`.
    pub since: &'static str,
    /// Masked when shown, and the only keys that may be given as a command.
    pub sensitive: bool,
    /// Old names, the first one that is set counts.
    pub old: &'static [(&'static str, &'static str)],
}

impl Key {
    pub(super) const fn new(section: &'static str, key: &'static str, kind: Kind) -> Self {
        Self { name: Name::new(section, key), kind, effect: Effect::Used, since: "", sensitive: false, old: &[] }
    }

    pub(super) const fn since(self, since: &'static str) -> Self {
        Self { since, ..self }
    }

    pub(super) const fn later(self) -> Self {
        Self { effect: Effect::Later, ..self }
    }

    pub(super) const fn without_effect(self) -> Self {
        Self { effect: Effect::Never, ..self }
    }

    pub(super) const fn sensitive(self) -> Self {
        Self { sensitive: true, ..self }
    }

    pub(super) const fn formerly(self, old: &'static [(&'static str, &'static str)]) -> Self {
        Self { old, ..self }
    }

    /// The name of today, then the old ones.
    pub fn names(&self) -> impl Iterator<Item = Name> + '_ {
        std::iter::once(self.name).chain(self.old.iter().map(|&(section, key)| Name::new(section, key)))
    }
}

static BY_NAME: LazyLock<HashMap<(&str, &str), &Key>> = LazyLock::new(|| {
    let mut by_name = HashMap::with_capacity(KEYS.len() * 2);
    // An old name never hides a key of today, and the first row that claims an old name keeps it.
    for key in KEYS {
        by_name.insert((key.name.section, key.name.key), key);
    }
    for key in KEYS {
        for &old in key.old {
            by_name.entry(old).or_insert(key);
        }
    }
    by_name
});

/// The key that a section and a key name, by today's name or an old one, in any case.
pub fn find(section: &str, key: &str) -> Option<&'static Key> {
    BY_NAME.get(&(section.to_lowercase().as_str(), key.to_lowercase().as_str())).copied()
}

/// Every section that holds a key today, in the order of the table.
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&'static str> = Vec::new();
    for key in KEYS {
        if !sections.contains(&key.name.section) {
            sections.push(key.name.section);
        }
    }
    sections
}
