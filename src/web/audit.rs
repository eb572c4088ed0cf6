//! The record of what people do, written in one place: what a wish is about is read from the wish itself, so no
//! handler can forget it. It never holds a secret: of a variable or connection, its name alone.

use chrono::Utc;
use serde_json::{Map, Value, json};

use crate::domain::ids::{DagId, RunId, TaskId};
use crate::protocol::control::{Control, Reply, WorkerOrder};
use crate::protocol::selection::{RunRange, Selection};
use crate::store::{AuditRow, Store};

use super::caller::Caller;

/// What was done to what.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    event: &'static str,
    dag: Option<DagId>,
    run: Option<RunId>,
    task: Option<TaskId>,
    extra: Map<String, Value>,
}

impl Deed {
    pub fn new(event: &'static str) -> Self {
        Self { event, dag: None, run: None, task: None, extra: Map::new() }
    }

    /// With the name of what it is about.
    #[must_use]
    pub fn about(self, name: &str) -> Self {
        self.with("name", name)
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    fn dag(mut self, dag: &DagId) -> Self {
        self.dag = Some(dag.clone());
        self
    }

    fn run(mut self, run: &RunId) -> Self {
        self.run = Some(run.clone());
        self
    }

    fn selection(mut self, selection: &Selection) -> Self {
        self.dag = Some(selection.dag.clone());
        if let RunRange::Names { run_ids } = &selection.runs
            && let [run] = run_ids.as_slice()
        {
            self.run = Some(run.clone());
        }
        if let [task] = selection.tasks.as_slice() {
            self.task = Some(task.clone());
        }
        if let Ok(value) = serde_json::to_value(selection) {
            self.extra.insert("selection".to_owned(), value);
        }
        self
    }

    /// What a wish is; `None`: it changes nothing.
    pub fn of(control: &Control) -> Option<Self> {
        let changed = |paused: bool, yes, no| if paused { yes } else { no };
        Some(match control {
            Control::Trigger(trigger) => {
                let deed = Self::new("trigger_dag_run").dag(&trigger.dag);
                // The conf may hold anything; its keys say enough.
                let deed = deed.with("conf_keys", trigger.conf.keys().cloned().collect::<Vec<_>>());
                match &trigger.run_id {
                    Some(run) => deed.run(run),
                    None => deed,
                }
            }
            Control::Materialize(asset) => {
                Self::new("materialize_asset").with("asset", json!(asset.name.as_ref().or(asset.uri.as_ref())))
            }
            Control::Pause { dag, paused } => Self::new(changed(*paused, "pause", "unpause")).dag(dag),
            Control::SetPool(pool) => Self::new("post_pool").about(pool.name.as_str()).with("slots", pool.slots),
            Control::DeletePool { pool } => Self::new("delete_pool").about(pool.as_str()),
            Control::Clear(clear) if clear.dry_run => return None,
            Control::Clear(clear) => Self::new("post_clear_task_instances").selection(&clear.selection),
            Control::MarkTasks { dry_run: true, .. } => return None,
            Control::MarkTasks { selection, mark, dry_run: false } => {
                Self::new("patch_task_instance").selection(selection).with("mark", json!(mark))
            }
            Control::MarkRun { dag, run_id, succeeded } => {
                let state = changed(*succeeded, "success", "failed");
                Self::new("patch_dag_run").dag(dag).run(run_id).with("state", state)
            }
            Control::CreateBackfill { request, .. } => Self::new("create_backfill").dag(&request.dag),
            Control::PauseBackfill { backfill, paused } => {
                Self::new(changed(*paused, "pause_backfill", "unpause_backfill")).with("backfill", backfill.to_string())
            }
            Control::CancelBackfill { backfill } => Self::new("cancel_backfill").with("backfill", backfill.to_string()),
            Control::Clean(clean) => Self::new("db_clean").with("before", clean.before.to_rfc3339()),
            // What a remark says is for those who read the run.
            Control::NoteRun { dag, run_id, .. } => Self::new("patch_dag_run").dag(dag).run(run_id).with("note", true),
            Control::DeleteRun { dag, run_id } => Self::new("delete_dag_run").dag(dag).run(run_id),
            Control::DeleteDag { dag } => Self::new("delete_dag").dag(dag),
            Control::OrderWorkers { name, order } => {
                let event = match order {
                    WorkerOrder::Shutdown { .. } => "shutdown_worker",
                    WorkerOrder::AddQueue { .. } => "add_queue",
                    WorkerOrder::RemoveQueue { .. } => "remove_queue",
                    WorkerOrder::RemoveAllQueues => "remove_all_queues",
                    WorkerOrder::Resize { .. } => "resize_worker",
                };
                Self::new(event).with("worker", json!(name)).with("order", json!(order))
            }
            Control::Explain { .. } | Control::ExplainDag { .. } => return None,
        })
    }

    /// The run that a wish made has its id only now.
    #[must_use]
    pub fn answered(self, reply: &Reply) -> Self {
        match reply {
            Reply::Triggered(triggered) => self.dag(&triggered.dag).run(&triggered.run_id),
            Reply::BackfillCreated(created) => self.with("backfill", created.backfill.to_string()),
            Reply::Touched { tasks, .. } => self.with("task_instances", tasks.len()),
            Reply::Paused { .. }
            | Reply::PoolSet { .. }
            | Reply::PoolDeleted { .. }
            | Reply::RunMarked { .. }
            | Reply::BackfillChanged { .. }
            | Reply::DagDeleted { .. }
            | Reply::RunNoted { .. }
            | Reply::RunDeleted { .. }
            | Reply::Explained { .. }
            | Reply::DagExplained { .. }
            | Reply::Cleaned { .. }
            | Reply::WorkersOrdered { .. }
            | Reply::Refused { .. } => self,
        }
    }

    fn row(self, username: &str, origin: String, outcome: &str) -> AuditRow {
        AuditRow {
            at: Utc::now(),
            event: self.event.to_owned(),
            username: username.to_owned(),
            origin,
            outcome: outcome.to_owned(),
            dag_id: self.dag.map(|dag| dag.to_string()),
            run_id: self.run.map(|run| run.to_string()),
            task_id: self.task.map(|task| task.to_string()),
            map_index: None,
            extra: (!self.extra.is_empty()).then(|| Value::Object(self.extra).to_string()),
        }
    }
}

/// Where deeds are put on the record.
#[derive(Clone)]
pub struct Record(Store);

impl Record {
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Puts a deed on the record. What cannot be recorded is said in the log: it has been done, or refused, already.
    pub async fn keep(&self, caller: &Caller, deed: Deed, outcome: &str) {
        let origin = format!("{} from {}", caller.how.as_str(), caller.address());
        self.write(deed.row(&caller.user, origin, outcome)).await;
    }

    /// Somebody who may be nobody tried to sign in.
    pub async fn keep_sign_in(&self, user: &str, address: &str, deed: Deed, outcome: &str) {
        self.write(deed.row(user, format!("password from {address}"), outcome)).await;
    }

    /// Somebody typed a command on the machine of the installation.
    pub async fn keep_command(&self, user: Option<&str>, deed: Deed, outcome: &str) {
        self.write(deed.row(user.unwrap_or("unknown"), "command line".to_owned(), outcome)).await;
    }

    async fn write(&self, row: AuditRow) {
        let event = row.event.clone();
        if let Err(error) = self.0.record(row).await {
            tracing::error!(%error, event, "a deed is not on the record");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::protocol::control::{Trigger, TriggeredBy};

    use super::*;

    fn row(deed: Deed) -> AuditRow {
        deed.row("ann", "session from ::1".to_owned(), "done")
    }

    #[test]
    fn a_trigger_is_on_the_record_with_its_run_and_without_what_its_conf_holds() {
        let conf = json!({"password": "hunter2"}).as_object().cloned().unwrap_or_default();
        let control = Control::Trigger(Trigger {
            dag: DagId::new("d").expect("an id"),
            run_id: Some(RunId::new("r").expect("an id")),
            logical_date: None,
            conf,
            note: None,
            by: TriggeredBy::Ui,
            user: None,
        });
        let row = row(Deed::of(&control).expect("it changes something"));
        let about = (row.event.as_str(), row.dag_id.as_deref(), row.run_id.as_deref());
        assert_eq!(about, ("trigger_dag_run", Some("d"), Some("r")));
        let extra = row.extra.expect("the keys");
        assert!(extra.contains("password") && !extra.contains("hunter2"), "{extra}");
    }

    #[test]
    fn what_only_looks_is_no_deed() {
        let selection = Selection::whole_run(DagId::new("d").expect("an id"), RunId::new("r").expect("an id"));
        let mark = crate::domain::state::Mark::Success;
        let marks = |dry_run| Control::MarkTasks { selection: selection.clone(), mark, dry_run };
        assert_eq!(Deed::of(&marks(true)), None);
        let row = row(Deed::of(&marks(false)).expect("it changes something"));
        assert_eq!((row.event.as_str(), row.run_id.as_deref()), ("patch_task_instance", Some("r")));
        assert_eq!(Deed::of(&Control::ExplainDag { dag: DagId::new("d").expect("an id") }), None);
    }
}
