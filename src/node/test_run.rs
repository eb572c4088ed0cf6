//! `dags test` and `tasks test`: one run in a node of its own, with a store of its
//! own that is thrown away. No running node sees it and no history keeps it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::prelude::*;
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;

use crate::config::{self, DatabaseUrl, Environment};
use crate::domain::dag::DagDefinition;
use crate::domain::executor::ExecutorKind;
use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::domain::operator::Operator;
use crate::domain::past::PastRule;
use crate::domain::problem::{Place, Problem};
use crate::domain::schedule::Schedule;
use crate::domain::setup::TaskRole;
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;
use crate::protocol::control::{Control, Trigger, TriggeredBy};
use crate::protocol::event::{Change, Event};
use crate::scheduler::actor::Scheduler;
use crate::scheduler::core::FileChange;
use crate::scheduler::message::{Ask, FilesChanged, FolderRead, Subscribe, Watch};
use crate::store::Vault;
use crate::store::write::{AttemptRow, TaskRow};

use super::run::{Node, NodeError};

/// What to try.
pub struct TestRun {
    pub dag: Arc<Dag>,
    /// This task alone, without what is upstream of it.
    pub only: Option<TaskId>,
    /// Of a mapped task, this instance alone.
    pub map_index: Option<MapIndex>,
    pub conf: Map<String, Value>,
    pub logical_date: Option<Time>,
    /// Where the task logs go.
    pub log_folder: PathBuf,
    /// The real variables and connections: a task is tried with what it will find.
    pub vault: Vault,
}

/// How it ended.
#[derive(Debug)]
pub struct TestOutcome {
    pub run_id: RunId,
    pub state: RunState,
    pub tasks: Vec<TaskRow>,
    pub attempts: Vec<AttemptRow>,
}

/// Runs it and tells `on_event` what happens as it happens. An interrupt stops what runs.
pub async fn test_dag(
    settings: &config::Settings,
    environment: &Environment,
    test: TestRun,
    mut on_event: impl FnMut(&Event),
) -> Result<TestOutcome, NodeError> {
    let place = Place::file(test.dag.definition.file.clone());
    let scratch = Scratch::make(&settings.home)?;
    let node = Node::start_with(&private(settings, &scratch, test.log_folder), environment, test.vault).await?;
    let definition = alone(test.dag.definition.clone(), test.only.as_ref(), test.map_index);
    let dag = definition.dag_id.clone();
    let compiled = Dag::compile(definition)
        .map_err(|invalid| NodeError::Configuration(Problem::error(place.clone(), invalid.to_string())))?;
    let followed = follow(&node.scheduler, compiled, test.conf, test.logical_date);
    let outcome = followed.await.map_err(|why| NodeError::Configuration(Problem::error(place, why)));
    let result = match outcome {
        Ok((run_id, watch)) => {
            let mut watch = watch;
            let state = watch_until_over(&mut watch, &dag, &run_id, &mut on_event).await;
            if state.is_some() {
                wait_for_callbacks(&node, &mut watch, &mut on_event).await?;
            }
            collect(&node, &dag, run_id, state, (test.only.as_ref(), test.map_index)).await
        }
        Err(error) => Err(error),
    };
    node.close().await?;
    result
}

/// Everything as configured, but for what would touch the real home.
fn private(settings: &config::Settings, scratch: &Scratch, log_folder: PathBuf) -> config::Settings {
    let mut private = settings.clone();
    private.database.url = DatabaseUrl::Sqlite { path: scratch.0.join("updraft.db") };
    private.home = scratch.0.clone();
    private.logging.base_log_folder = log_folder;
    private.workers.callback_retries = 0;
    if private.core.executor == ExecutorKind::Celery {
        // It is tried here, whoever runs it later.
        private.core.executor = ExecutorKind::Local;
    }
    private
}

/// The DAG as it is, but unscheduled and unpaused; or one task of it.
fn alone(mut definition: DagDefinition, only: Option<&TaskId>, map_index: Option<MapIndex>) -> DagDefinition {
    definition.schedule = Schedule::Never;
    definition.is_paused_upon_creation = Some(false);
    if let Some(only) = only {
        for task in &mut definition.tasks {
            (task.past, task.retries) = (PastRule::default(), 0);
            if task.task_id == *only {
                task.upstream.clear();
                (task.role, task.trigger_rule) = (TaskRole::Work, TriggerRule::AllSuccess);
                task.only_instance = map_index;
            } else {
                // It stays, so that a branch finds what it may choose; but it does nothing.
                task.operator = Operator::Empty;
            }
        }
    }
    definition
}

async fn follow(
    scheduler: &Addr<Scheduler>,
    dag: Dag,
    conf: Map<String, Value>,
    logical_date: Option<Time>,
) -> Result<(RunId, Watch), String> {
    let gone = |_: MailboxError| "the node stopped before the run began".to_owned();
    let trigger = Trigger {
        dag: dag.definition.dag_id.clone(),
        run_id: None,
        logical_date,
        conf,
        note: None,
        by: TriggeredBy::Test,
        user: None,
    };
    let file = dag.definition.file.clone();
    let change = FileChange {
        file,
        source: String::new(),
        dags: vec![Arc::new(dag)],
        problems: Vec::new(),
        took: std::time::Duration::ZERO,
    };
    scheduler.send(FilesChanged(vec![change])).await.map_err(gone)?;
    scheduler.send(FolderRead).await.map_err(gone)?;
    // Watched before it begins, so that nothing is missed.
    let watch = scheduler.send(Subscribe).await.map_err(gone)?;
    let reply = scheduler.send(Ask(Control::Trigger(trigger))).await.map_err(gone)?;
    reply.triggered().map(|triggered| (triggered.run_id, watch)).map_err(|why| why.to_string())
}

async fn watch_until_over(
    Watch(events): &mut Watch,
    dag: &DagId,
    run_id: &RunId,
    on_event: &mut impl FnMut(&Event),
) -> Option<RunState> {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tokio::signal::ctrl_c() => return None,
        };
        match event {
            Ok(event) => {
                on_event(&event);
                match event.change {
                    Change::Run { dag: of, run, state } if of == *dag && run == *run_id && state.is_finished() => {
                        return Some(state);
                    }
                    Change::Run { .. }
                    | Change::Task { .. }
                    | Change::Dag { .. }
                    | Change::Notification { .. }
                    | Change::DeadlineMissed { .. } => {}
                }
            }
            // Too slow for this many events: progress has a gap, the end is still seen.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Callbacks belong to the run that is tried: each is tried once before the node goes.
async fn wait_for_callbacks(
    node: &Node,
    Watch(events): &mut Watch,
    on_event: &mut impl FnMut(&Event),
) -> Result<(), NodeError> {
    while node.store.pending_notifications().await? > 0 {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match event {
            Ok(event) => on_event(&event),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
    Ok(())
}

async fn collect(
    node: &Node,
    dag: &DagId,
    run_id: RunId,
    state: Option<RunState>,
    (only, map_index): (Option<&TaskId>, Option<MapIndex>),
) -> Result<TestOutcome, NodeError> {
    let run = node.store.run(dag, &run_id).await?;
    let (tasks, attempts) = match &run {
        Some(run) => (node.store.tasks(run.key).await?, node.store.attempts(run.key, None).await?),
        None => (Vec::new(), Vec::new()),
    };
    let is_meant = |task: &TaskRow| {
        only.is_none_or(|only| task.task_id == *only) && map_index.is_none_or(|index| task.map_index == index)
    };
    let tasks = tasks.into_iter().filter(is_meant).collect();
    // Interrupted: what did not end has failed.
    Ok(TestOutcome { run_id, state: state.unwrap_or(RunState::Failed), tasks, attempts })
}

/// A folder that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn make(home: &Path) -> Result<Self, NodeError> {
        let name = format!("{}-{}", std::process::id(), fastrand::u32(..));
        let path = home.join("cache").join("test-runs").join(name);
        std::fs::create_dir_all(&path)
            .map_err(|why| NodeError::System { what: "cannot make a folder for the test run", why })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is only litter in the cache folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
