//! One layer of configuration: what one source says about the keys we know, each with its exact place.
//!
//! A layer is a source of the `config` crate, which lays them over each other and tells which one a value came from.

use std::collections::BTreeMap;

use config::{ConfigError, Map, Source, Value};

use super::key::Name;
use super::origin::Origin;

/// The layers over the built-in defaults, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Era,
    File,
    AirflowVariables,
    UpdraftVariables,
    Flags,
}

impl Rank {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Era => "era",
            Self::File => "file",
            Self::AirflowVariables => "AIRFLOW__",
            Self::UpdraftVariables => "UPDRAFT__",
            Self::Flags => "flags",
        }
    }
}

/// What a source gave for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Text(String),
    /// The output of this command is the value (`_CMD`).
    Command(String),
    /// The value lies in a secrets backend (`_SECRET`).
    Secret,
}

/// One key's value in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub given: Given,
    pub origin: Origin,
    /// The old name under which it was given.
    pub old_name: Option<Name>,
}

#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub rank: Rank,
    pub settings: BTreeMap<Name, Setting>,
}

impl Layer {
    pub(super) fn new(rank: Rank) -> Self {
        Self { rank, settings: BTreeMap::new() }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let origin = self.rank.as_str().to_owned();
        let texts = self.settings.iter().map(|(name, setting)| match &setting.given {
            Given::Text(text) => Ok((name.path(), Value::new(Some(&origin), text.clone()))),
            Given::Command(_) | Given::Secret => Err(ConfigError::Message(format!("{name} has no value yet"))),
        });
        texts.collect()
    }
}
