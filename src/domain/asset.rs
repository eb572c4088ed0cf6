//! Assets: what tasks make and DAGs wait for. Airflow 2 called them datasets.
//!
//! A task that succeeds changes its outlets, each by one [`AssetEvent`]. A DAG
//! whose [`AssetCondition`] is met by the events that it has not seen yet gets a
//! run. Nothing here knows where an asset really is: a URI is a name.

mod uri;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use uri::{InvalidUri, normalized as normalized_uri};

use super::ids::{AssetEventId, AssetName, DagId, MapIndex, RunId, TaskId};
use super::run::DataInterval;
use super::time::Time;

/// The group of an asset that names none.
pub const DEFAULT_GROUP: &str = "asset";

/// Something that tasks make or read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    pub name: AssetName,
    /// The name again, where nothing else was said.
    pub uri: String,
    #[serde(default = "default_group")]
    pub group: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

fn default_group() -> String {
    DEFAULT_GROUP.to_owned()
}

impl Asset {
    /// An asset of which only the name is known.
    pub fn bare(name: AssetName) -> Self {
        Self { uri: name.as_str().to_owned(), name, group: default_group(), extra: Map::new() }
    }

    /// Whether it says nothing but its name: then what others say of it counts.
    pub fn is_bare(&self) -> bool {
        self.uri == self.name.as_str() && self.group == DEFAULT_GROUP && self.extra.is_empty()
    }
}

/// What a task is linked to, or a DAG waits for: an asset, or whatever assets are added to an alias.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetRef {
    Asset(AssetName),
    Alias(AssetName),
}

impl fmt::Display for AssetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asset(name) => write!(f, "{name}"),
            Self::Alias(name) => write!(f, "alias {name}"),
        }
    }
}

/// The same for a task that runs: everything that is said of the asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linked {
    Asset(Asset),
    Alias(AssetName),
}

/// Which assets have to have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetCondition {
    One(AssetRef),
    All(Vec<AssetCondition>),
    Any(Vec<AssetCondition>),
}

impl AssetCondition {
    /// Whether what has changed is enough.
    pub fn is_met(&self, has_changed: &impl Fn(&AssetRef) -> bool) -> bool {
        match self {
            Self::One(asset) => has_changed(asset),
            // Of nothing, nothing can have changed.
            Self::All(all) => !all.is_empty() && all.iter().all(|part| part.is_met(has_changed)),
            Self::Any(any) => any.iter().any(|part| part.is_met(has_changed)),
        }
    }

    /// Everything that it speaks of.
    pub fn refs(&self) -> BTreeSet<AssetRef> {
        let mut refs = BTreeSet::new();
        self.collect(&mut refs);
        refs
    }

    fn collect(&self, refs: &mut BTreeSet<AssetRef>) {
        match self {
            Self::One(asset) => {
                refs.insert(asset.clone());
            }
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(refs)),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, is_part: bool) -> fmt::Result {
        let (parts, word) = match self {
            Self::One(asset) => return write!(f, "{asset}"),
            Self::All(parts) => (parts, " and "),
            Self::Any(parts) => (parts, " or "),
        };
        let needs_brackets = is_part && parts.len() > 1;
        f.write_str(if needs_brackets { "(" } else { "" })?;
        for (n, part) in parts.iter().enumerate() {
            f.write_str(if n > 0 { word } else { "" })?;
            part.write(f, true)?;
        }
        f.write_str(if needs_brackets { ")" } else { "" })
    }
}

/// `a and (b or c)`, for people.
impl fmt::Display for AssetCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

/// An asset was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetEvent {
    pub id: AssetEventId,
    pub asset: AssetName,
    /// As it was then.
    pub uri: String,
    pub at: Time,
    /// What the task had to say about it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    pub source: EventSource,
    /// The aliases through which the task came to the asset.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<AssetName>,
}

/// The task instance whose success it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSource {
    pub dag: DagId,
    pub run: RunId,
    pub task: TaskId,
    pub map_index: MapIndex,
    /// Of its run.
    pub interval: Option<DataInterval>,
}

impl AssetEvent {
    /// What it can mean to a DAG.
    pub fn refs(&self) -> impl Iterator<Item = AssetRef> {
        let aliases = self.aliases.iter().cloned().map(AssetRef::Alias);
        std::iter::once(AssetRef::Asset(self.asset.clone())).chain(aliases)
    }
}

/// What a task says of an asset that it has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutletEvent {
    pub asset: Asset,
    /// The outlet to which the task added the asset; `None`: the asset is an outlet itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<AssetName>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> AssetCondition {
        AssetCondition::One(AssetRef::Asset(AssetName::new(name).expect("a name")))
    }

    #[test]
    fn a_condition_is_met_as_it_reads() {
        let condition = AssetCondition::All(vec![one("a"), AssetCondition::Any(vec![one("b"), one("c")])]);
        assert_eq!(condition.to_string(), "a and (b or c)");
        for (changed, is_met) in [("", false), ("a", false), ("b c", false), ("a b", true), ("a c", true)] {
            let has = |asset: &AssetRef| changed.split(' ').any(|name| asset.to_string() == name);
            assert_eq!(condition.is_met(&has), is_met, "{changed}");
        }
        assert!(!AssetCondition::All(Vec::new()).is_met(&|_| true), "of nothing nothing can have changed");
        assert_eq!(condition.refs().len(), 3);
    }
}
