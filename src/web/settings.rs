//! What the pages and the API are told of the configuration, once, when the server starts.

use std::path::PathBuf;

use chrono_tz::Tz;

use crate::domain::executor::ExecutorKind;
use crate::domain::secret::Sensitive;

/// Whose meanings and defaults hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Airflow2,
    Airflow3,
}

/// Whether people see the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    Nothing,
    /// All of it, secrets masked.
    Everything,
    /// Without the keys that hold secrets.
    NotSensitive,
}

/// One key of the configuration, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRow {
    pub section: String,
    pub key: String,
    /// Secrets are masked.
    pub value: String,
    /// Where the value comes from: a file and line, a variable, the default.
    pub origin: String,
    pub is_default: bool,
    pub is_sensitive: bool,
    /// What the key is for, in sentences.
    pub explanation: String,
}

/// What the server was told when it started.
#[derive(Clone, Debug)]
pub struct WebSettings {
    pub version: &'static str,
    /// What this installation is called in titles; empty for none.
    pub instance_name: String,
    pub era: Era,
    /// Where people reach it, without a slash at the end: `https://flows.example.org`.
    pub base_url: String,
    pub executor: ExecutorKind,
    /// How many tasks run at once in this installation; 0 is no limit.
    pub parallelism: u32,
    pub dags_folder: PathBuf,
    pub default_timezone: Tz,
    /// How many items an answer holds when the request does not say, and at most.
    pub page_size: u32,
    pub largest_page: u32,
    pub exposed: Exposed,
    pub configuration: Vec<ConfigRow>,
    /// `[core] test_connection` says that people may try connections here.
    pub test_connection: bool,
    /// Which names hold secrets.
    pub sensitive: Sensitive,
    /// Everybody who reaches the address is an administrator: for one person's own machine.
    pub all_admins: bool,
    /// Programs of this machine read `/metrics` without a token.
    pub metrics_are_open: bool,
}

impl WebSettings {
    /// Whether people reach it by HTTPS alone.
    pub fn is_https(&self) -> bool {
        self.base_url.starts_with("https://")
    }

    /// What this installation is called.
    pub fn name(&self) -> &str {
        if self.instance_name.is_empty() { "Updraft" } else { &self.instance_name }
    }
}
