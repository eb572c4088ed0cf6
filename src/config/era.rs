//! Airflow 2 or Airflow 3: which set of defaults and meanings holds. It knows no single default.

use std::fmt;

use serde::Deserialize;

/// `[core] airflow_era`. The default is Airflow 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum Era {
    Airflow2,
    #[default]
    Airflow3,
}

impl Era {
    /// From `2` or `3`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.trim() {
            "2" => Some(Self::Airflow2),
            "3" => Some(Self::Airflow3),
            _ => None,
        }
    }
}

impl TryFrom<String> for Era {
    type Error = String;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        Self::from_word(&word).ok_or_else(|| format!("expected 2 or 3, got `{word}`"))
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Airflow2 => "2",
            Self::Airflow3 => "3",
        })
    }
}
