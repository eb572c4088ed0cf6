//! Skip decisions: which tasks a branch, a short circuit or a "latest only" leaves out (SCHEDULING §3, §10).
//!
//! A decision is an XCom under Airflow's own key, so it is seen, kept and cleared
//! like any other. It is read strictly when a task makes it, with the graph at
//! hand, and leniently when it comes back from the store: the DAG may have
//! changed since. Nothing here changes a state.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::graph::{Dag, TaskIx};
use super::ids::TaskId;
use super::problem::suggestion;

/// The key under which a decision is stored.
pub const SKIP_KEY: &str = "skipmixin_key";

/// What a task that succeeded says about those downstream of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipDecision {
    /// Of the direct downstream tasks only these are followed.
    Followed(BTreeSet<TaskId>),
    /// These are skipped, wherever they are.
    Skipped(BTreeSet<TaskId>),
}

/// Why a decision cannot be taken: one sentence for the task's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecision {
    #[error("`{id}` is no task of DAG `{dag}`{}", hint.as_ref().map(|h| format!(": {h}")).unwrap_or_default())]
    UnknownTask { id: String, dag: String, hint: Option<String> },
    #[error("expected a branch to be a task id or a list of task ids, got: {0}")]
    NoId(Value),
    #[error("expected a skip decision to be {{\"followed\": [ids]}} or {{\"skipped\": [ids]}}, got: {0}")]
    NoDecision(Value),
}

impl SkipDecision {
    /// What the task at `from` means by `value`. Beside the two forms that are stored it may say
    /// `{"branch": ids}` (tasks or groups; `null` follows none) or `{"short_circuit": "all" | "direct"}`,
    /// and the graph tells the rest.
    pub fn resolve(value: &Value, dag: &Dag, from: TaskIx) -> Result<Self, InvalidDecision> {
        let refused = || InvalidDecision::NoDecision(value.clone());
        let (kind, told) = only_entry(value).ok_or_else(refused)?;
        match kind {
            "followed" => Ok(Self::Followed(named(told, dag)?)),
            "skipped" => Ok(Self::Skipped(named(told, dag)?)),
            "branch" => Ok(Self::Followed(followed(&chosen(told, dag)?, dag, from))),
            "short_circuit" => match told.as_str() {
                Some("all") => Ok(Self::Skipped(names(dag.all_downstream(&BTreeSet::from([from])), dag))),
                Some("direct") => Ok(Self::Skipped(names(dag.downstream(from).iter().copied(), dag))),
                Some(_) | None => Err(refused()),
            },
            _ => Err(refused()),
        }
    }

    /// Nothing downstream is followed.
    pub fn follow_none() -> Self {
        Self::Followed(BTreeSet::new())
    }

    /// A decision as it was stored; what is no decision decides nothing.
    pub fn stored(value: &Value) -> Option<Self> {
        let (kind, told) = only_entry(value)?;
        let ids = || told.as_array().into_iter().flatten().filter_map(|id| TaskId::new(id.as_str()?).ok()).collect();
        match kind {
            "followed" => Some(Self::Followed(ids())),
            "skipped" => Some(Self::Skipped(ids())),
            _ => None,
        }
    }

    /// As it is stored, in Airflow's form.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Followed(ids) => json!({ "followed": ids }),
            Self::Skipped(ids) => json!({ "skipped": ids }),
        }
    }

    /// Whether a direct downstream task is skipped; asked again after every clear.
    pub fn skips(&self, task: &TaskId) -> bool {
        match self {
            Self::Followed(ids) => !ids.contains(task),
            Self::Skipped(ids) => ids.contains(task),
        }
    }

    /// The tasks that are skipped at the instant of success. Teardowns never are.
    pub fn skipped_at_once(&self, dag: &Dag, from: TaskIx) -> Vec<TaskIx> {
        let all: Vec<TaskIx> = match self {
            Self::Followed(_) => {
                dag.downstream(from).iter().copied().filter(|ix| self.skips(&dag.task(*ix).task_id)).collect()
            }
            Self::Skipped(ids) => ids.iter().filter_map(|id| dag.find(id)).collect(),
        };
        all.into_iter().filter(|ix| !dag.task(*ix).role.is_teardown()).collect()
    }
}

fn only_entry(value: &Value) -> Option<(&str, &Value)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.iter().next().map(|(key, told)| (key.as_str(), told))
}

/// One id, or a list of them, or nothing.
fn ids(told: &Value) -> Result<Vec<&str>, InvalidDecision> {
    match told {
        Value::Null => Ok(Vec::new()),
        Value::String(one) => Ok(vec![one]),
        Value::Array(list) => {
            list.iter().map(|value| value.as_str().ok_or_else(|| InvalidDecision::NoId(value.clone()))).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(InvalidDecision::NoId(told.clone())),
    }
}

fn named(told: &Value, dag: &Dag) -> Result<BTreeSet<TaskId>, InvalidDecision> {
    ids(told)?.into_iter().map(|id| Ok(dag.task(find(id, dag)?).task_id.clone())).collect()
}

fn find(id: &str, dag: &Dag) -> Result<TaskIx, InvalidDecision> {
    TaskId::new(id).ok().and_then(|id| dag.find(&id)).ok_or_else(|| unknown(id, dag))
}

fn unknown(id: &str, dag: &Dag) -> InvalidDecision {
    let known = dag.tasks().map(|(_, task)| task.task_id.as_str());
    let hint = suggestion(id, known);
    InvalidDecision::UnknownTask { id: id.to_owned(), dag: dag.definition.dag_id.to_string(), hint }
}

/// The tasks that a branch names; a group means its first ones.
fn chosen(told: &Value, dag: &Dag) -> Result<BTreeSet<TaskIx>, InvalidDecision> {
    let mut chosen = BTreeSet::new();
    for id in ids(told)? {
        let group = dag.roots_of_group(id);
        if group.is_empty() {
            chosen.insert(find(id, dag)?);
        } else {
            chosen.extend(group);
        }
    }
    Ok(chosen)
}

/// The direct downstream tasks that are chosen, or that come after a chosen one: an empty branch to a join is kept.
fn followed(chosen: &BTreeSet<TaskIx>, dag: &Dag, from: TaskIx) -> BTreeSet<TaskId> {
    let after = dag.all_downstream(chosen);
    let direct = dag.downstream(from).iter().copied();
    names(direct.filter(|ix| chosen.contains(ix) || after.contains(ix)), dag)
}

fn names(tasks: impl IntoIterator<Item = TaskIx>, dag: &Dag) -> BTreeSet<TaskId> {
    tasks
        .into_iter()
        .map(|ix| dag.task(ix))
        .filter(|task| !task.role.is_teardown())
        .map(|t| t.task_id.clone())
        .collect()
}
