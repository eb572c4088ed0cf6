//! Where a value came from, said so that a person finds the place.

use std::fmt;
use std::path::PathBuf;

use crate::domain::problem::Place;

use super::era::Era;

/// The place that set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`.
    Default,
    /// The defaults that `[core] airflow_era` picks.
    EraDefault(Era),
    /// A configuration file; line and column count from 1, and an INI file has no columns.
    File { path: PathBuf, line: u32, column: Option<u32> },
    /// The environment variable of this name.
    Variable(String),
    /// The flag of this name on the command line.
    Flag(String),
}

impl Origin {
    /// Whether nobody set the value.
    pub fn is_default(&self) -> bool {
        match self {
            Self::Default | Self::EraDefault(_) => true,
            Self::File { .. } | Self::Variable(_) | Self::Flag(_) => false,
        }
    }

    /// The same as the place of a problem.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::File { path, line, column } => {
                Place { file: path.display().to_string(), line: Some(*line), column: *column }
            }
            Self::Default => Place::file("the built-in defaults"),
            Self::EraDefault(era) => Place::file(format!("the built-in defaults of Airflow {era}")),
            Self::Variable(name) => Place::file(format!("environment variable {name}")),
            Self::Flag(flag) => Place::file(format!("flag {flag}")),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::EraDefault(era) => write!(f, "default of airflow_era = {era}"),
            Self::File { .. } => self.place().fmt(f),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}
