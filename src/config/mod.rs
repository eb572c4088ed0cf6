//! What the program is told: one table of keys, the sources that set them, and the typed settings that come out.
//!
//! ```text
//!  config/default.toml ─┐
//!  airflow_era = 2 ─────┤
//!  updraft.toml or ─────┤  claim      merge       read         ┌─► Settings  (typed, for the node)
//!  airflow.cfg          ├───────► Layer ───► Entry ───► value ─┤
//!  AIRFLOW__…, UPDRAFT__┤                                      └─► Entry     (text and origin, for people)
//!  flags ───────────────┘
//! ```
//!
//! The `config` crate lays the layers over each other and builds the settings; what it cannot know (lines and
//! columns, old names, commands of secrets, Airflow's INI) stands beside it. This folder starts nothing and prints
//! nothing, and it is the only one that may read the process environment.

mod claim;
mod command;
mod database_url;
mod entry;
mod environment;
mod era;
mod expand;
mod file;
mod foreign;
mod home;
mod ini;
mod key;
mod layer;
mod load;
mod manual;
mod origin;
mod secret;
mod settings;
mod table;
mod times;
mod toml_file;
mod value;
mod variables;

#[cfg(test)]
mod tests;

pub use database_url::{DatabaseUrl, DatabaseUrlError, Server};
pub use entry::{Config, ConfigError, Entry, Loaded};
pub use environment::{Environment, arguments};
pub use era::Era;
pub use home::{Home, HomeOrigin};
pub use key::{Effect, Key, Kind, Name, find, sections};
pub use load::{Flag, load};
pub use manual::{DEFAULT_TOML, explain};
pub use origin::Origin;
pub use secret::{MASK, Secret};
pub use settings::{
    Api, ApiAuth, BrokerQueueType, BrokerTransport, Celery, Core, DagProcessor, Database, ExposeConfig,
    IgnoreFileSyntax, Logging, LoggingLevel, Metrics, Operators, Python, PythonRunner, Scheduler, Settings,
    SqliteSynchronous, TestConnection, Workers,
};
pub use table::KEYS;
pub use times::{RECONNECT_BACKOFF, Times, TimesViolation};
pub use value::DefaultSchedule;

/// The key that was probably meant by one that does not exist.
pub fn did_you_mean(section: &str, key: &str) -> Option<Name> {
    claim::meant(&section.to_lowercase(), &key.to_lowercase(), claim::Dialect::Updraft)
}

/// Whether Airflow has this option, in any of its versions, and updraft has no use for it.
pub fn is_foreign(section: &str, key: &str) -> bool {
    foreign::knows(section, key)
}
