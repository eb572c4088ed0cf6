//! A DAG as it is stored and sent: complete, with every default applied, and
//! free of indices. [`super::graph::Dag`] is the same, compiled.
//!
//! A definition is a value: two files that mean the same give equal
//! definitions, and its content hash names a DAG version.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asset::{Asset, AssetRef};
use super::deadline::Deadline;
use super::expand::{Expand, TaskGroup};
use super::ids::{DagId, GroupId, MapIndex, PoolName, QueueName, TaskId};
use super::limit::Limit;
use super::notification::{DagCallbacks, TaskCallbacks};
use super::operator::Operator;
use super::past::PastRule;
use super::schedule::Schedule;
use super::setup::TaskRole;
use super::time::{Time, seconds};
use super::trigger::TriggerRule;

/// Everything that a DAG file says about one DAG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DagDefinition {
    pub dag_id: DagId,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub doc_md: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    /// The DAG file, relative to the DAGs folder.
    pub file: String,
    pub schedule: Schedule,
    /// The zone in which a cron schedule ticks.
    pub timezone: Tz,
    #[serde(default)]
    pub start_date: Option<Time>,
    #[serde(default)]
    pub end_date: Option<Time>,
    pub catchup: bool,
    pub max_active_runs: Limit,
    pub max_active_tasks: Limit,
    pub max_active_tasks_scope: TaskLimitScope,
    #[serde(default, with = "seconds::option")]
    pub dagrun_timeout: Option<Duration>,
    /// The failure of one task ends its whole run.
    #[serde(default)]
    pub fail_fast: bool,
    /// The DAG is paused when this many of its latest runs have all failed; `None` never pauses.
    #[serde(default)]
    pub max_consecutive_failed_runs: Option<NonZeroU32>,
    /// `None`: `[core] dags_are_paused_at_creation` decides.
    #[serde(default)]
    pub is_paused_upon_creation: Option<bool>,
    /// Defaults of the run's parameters; a trigger's conf overrides them.
    #[serde(default)]
    pub params: serde_json::Map<String, Value>,
    /// What a parameter's value has to be, as JSON Schema, for those that say so. One that has no default has to be given.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub param_schemas: serde_json::Map<String, Value>,
    /// A template that is alone in its field keeps the type of its value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub render_template_as_native_obj: bool,
    /// Every asset that the schedule and the tasks speak of, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// Extra folders for template files, relative to the DAG file's folder.
    #[serde(default)]
    pub template_searchpath: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<TaskGroup>,
    /// Who is told of the end of a run.
    #[serde(default, skip_serializing_if = "DagCallbacks::is_empty")]
    pub callbacks: DagCallbacks,
    /// By when each run should have succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deadlines: Vec<Deadline>,
    pub tasks: Vec<TaskDefinition>,
}

/// What is not so is left out, so that the hash of a DAG that does not use it stays as it was.
fn is_false(yes: &bool) -> bool {
    !yes
}

/// Over what `max_active_tasks` counts: the two eras of Airflow differ (SCHEDULING §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskLimitScope {
    /// Airflow 2, and the old names `concurrency` and `dag_concurrency` for ever.
    AllRuns,
    /// Airflow 3.
    EachRun,
}

/// Everything that a DAG file says about one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDefinition {
    pub task_id: TaskId,
    pub operator: Operator,
    /// The class or type as the author wrote it, for people: `BashOperator`.
    pub operator_name: String,
    /// Direct upstream tasks, in the order of the file.
    #[serde(default)]
    pub upstream: Vec<TaskId>,
    pub trigger_rule: TriggerRule,
    /// What it waits for in the run before its own.
    #[serde(default, skip_serializing_if = "PastRule::is_default")]
    pub past: PastRule,
    #[serde(default, skip_serializing_if = "TaskRole::is_work")]
    pub role: TaskRole,
    pub owner: String,
    pub retries: u32,
    #[serde(with = "seconds")]
    pub retry_delay: Duration,
    /// `None`: every delay is `retry_delay`. `Some(2.0)` is Airflow's `True`.
    #[serde(default)]
    pub retry_exponential_backoff: Option<f64>,
    #[serde(default, with = "seconds::option")]
    pub max_retry_delay: Option<Duration>,
    #[serde(default, with = "seconds::option")]
    pub execution_timeout: Option<Duration>,
    pub pool: PoolName,
    pub pool_slots: u32,
    /// How many instances of the task may be active at once, over all runs.
    #[serde(default)]
    pub max_active_tis_per_dag: Option<NonZeroU32>,
    /// How many instances of the task may be active at once in one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_active_tis_per_dagrun: Option<NonZeroU32>,
    pub priority_weight: i32,
    pub weight_rule: WeightRule,
    pub queue: QueueName,
    #[serde(default)]
    pub start_date: Option<Time>,
    #[serde(default)]
    pub end_date: Option<Time>,
    pub do_xcom_push: bool,
    #[serde(default)]
    pub doc_md: Option<String>,
    #[serde(default)]
    pub params: serde_json::Map<String, Value>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub param_schemas: serde_json::Map<String, Value>,
    /// What its success changes: whoever is scheduled on these hears of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlets: Vec<AssetRef>,
    /// What it reads; orders nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inlets: Vec<AssetRef>,
    /// The group that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// What it is expanded over, where it is mapped by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expand: Option<Expand>,
    /// A template of what people see instead of the map index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_index_template: Option<String>,
    /// The one instance of a mapped task that is tried; the others are skipped. No file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_instance: Option<MapIndex>,
    /// Who is told of what happens to the task.
    #[serde(default, skip_serializing_if = "TaskCallbacks::is_empty")]
    pub callbacks: TaskCallbacks,
}

impl DagDefinition {
    /// The tasks of a group and of the groups in it, whatever their ids begin with.
    pub fn tasks_of_group(&self, group: &str) -> HashSet<&TaskId> {
        let mut groups = HashSet::from([group]);
        // A group may stand in the list before the one that it stands in.
        loop {
            let is_new = |one: &&TaskGroup| {
                one.parent.as_ref().is_some_and(|parent| groups.contains(parent.as_str()))
                    && !groups.contains(one.group_id.as_str())
            };
            let Some(inner) = self.groups.iter().find(is_new) else { break };
            groups.insert(inner.group_id.as_str());
        }
        let is_in = |task: &&TaskDefinition| task.group.as_ref().is_some_and(|group| groups.contains(group.as_str()));
        self.tasks.iter().filter(is_in).map(|task| &task.task_id).collect()
    }
}

/// How a task's priority follows from its own weight and its neighbours'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightRule {
    /// Its own weight and that of everything transitively downstream.
    #[default]
    Downstream,
    /// Its own weight and that of everything transitively upstream.
    Upstream,
    /// Its own weight alone.
    Absolute,
}

impl WeightRule {
    pub const ALL: [Self; 3] = [Self::Downstream, Self::Upstream, Self::Absolute];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Upstream => "upstream",
            Self::Absolute => "absolute",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == word)
    }
}
