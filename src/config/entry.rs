//! The configuration once it is read: every key with its value and where it came from, and the typed settings.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::problem::{Place, Problem};

use super::database_url::DatabaseUrl;
use super::home::Home;
use super::key::{Key, Kind, Name, find};
use super::origin::Origin;
use super::secret::{MASK, Secret};
use super::settings::Settings;

/// One key and what it is set to.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: &'static Key,
    /// Hidden from every `Debug`, because some values are secrets.
    text: Secret,
    pub origin: Origin,
    /// The old name under which it was set.
    pub old_name: Option<Name>,
}

impl Entry {
    pub(super) fn new(key: &'static Key, text: String, origin: Origin, old_name: Option<Name>) -> Self {
        Self { key, text: Secret::new(text), origin, old_name }
    }

    /// The value, secrets included.
    pub fn reveal(&self) -> &str {
        self.text.reveal()
    }

    /// The value for people: a secret is masked, a database URL without its password.
    pub fn masked(&self) -> String {
        let text = self.reveal();
        if !self.key.sensitive || text.is_empty() {
            return text.to_owned();
        }
        match self.key.kind {
            Kind::DatabaseUrl => DatabaseUrl::parse(text).map_or_else(|_| MASK.to_owned(), |url| url.to_string()),
            _ if self.origin.is_default() => text.to_owned(),
            _ => MASK.to_owned(),
        }
    }

    /// The value as a problem quotes it.
    pub(super) fn got(&self) -> String {
        match self.reveal() {
            "" => "nothing".to_owned(),
            text => format!("`{text}`"),
        }
    }
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    home: Home,
    file: Option<PathBuf>,
    entries: Vec<Entry>,
    settings: Settings,
}

/// A configuration, and what a person should hear about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// For stderr: old names, misspellings in `airflow.cfg`, options without a meaning here.
    pub warnings: Vec<Problem>,
}

impl Config {
    pub(super) fn new(home: Home, file: Option<PathBuf>, entries: Vec<Entry>, settings: Settings) -> Self {
        Self { home, file, entries, settings }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The configuration file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Every key in the order of the table.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a key, by today's name or an old one, in any case.
    pub fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        let name = find(section, key)?.name;
        self.entries.iter().find(|entry| entry.key.name == name)
    }

    /// Whether nobody set the key.
    pub fn is_default(&self, section: &str, key: &str) -> bool {
        self.get(section, key).is_some_and(|entry| entry.origin.is_default())
    }
}

/// Everything that keeps a configuration from being used; at least one problem.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    pub(super) fn one(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }

    /// The table and the built-in defaults do not fit each other, which a test rules out.
    pub(super) fn internal(error: impl fmt::Display) -> Self {
        Self::one(Problem::error(Place::file("the built-in defaults"), error.to_string()))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
