//! `updraft tasks test`: one task in a node of its own, which nothing remembers. Its log goes to stdout as it grows.

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, MapIndex, TaskId};
use crate::domain::state::TaskState;
use crate::node::render::no_such_index;
use crate::node::test_run::{TestOutcome, TestRun, test_dag};
use crate::protocol::event::{Change, Event};

use super::super::arguments::{JsonObject, TestDate};
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;
use super::super::tail::Tail;

/// How often the growing log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, Args)]
pub struct Test {
    dag_id: DagId,
    task_id: TaskId,
    #[command(flatten)]
    date: TestDate,
    /// A JSON object that the task sees, over its params.
    #[arg(short = 't', long, value_name = "JSON", default_value = "{}", hide_default_value = true, alias = "conf")]
    task_params: JsonObject,
    /// Which instance of a mapped task.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    map_index: Option<i32>,
}

impl Test {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.date.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let settings = config.settings();
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        lookup::task(&entry, &self.task_id)?;
        let dag = Dag::compile(entry.definition)
            .map_err(|error| CliError::failed(format!("DAG `{}` cannot be used: {error}", self.dag_id)))?;
        let map_index = self.map_index.map(MapIndex);
        check(&dag, &self.task_id, map_index)?;
        let log_folder = settings.logging.base_log_folder.join("test-runs");
        let test = TestRun {
            dag: Arc::new(dag),
            only: Some(self.task_id.clone()),
            map_index,
            conf: self.task_params.0.clone(),
            logical_date: Some(self.date.at(settings.core.default_timezone)),
            log_folder: log_folder.clone(),
            vault: client.vault(&session.environment)?,
        };
        let started = Cell::new(None);
        let mut tail = None;
        let running = test_dag(settings, &session.environment, test, |event| {
            if let Some(path) = log_of(event) {
                started.set(Some(log_folder.join(path)));
            }
        });
        let outcome = tokio::select! {
            outcome = running => outcome?,
            Err(error) = copy(&started, &mut tail, &mut session.out) => return Err(error),
        };
        self.copy_rest(&outcome, tail, log_folder, session)?;
        self.judge(&outcome, session)
    }

    /// What came after the last look; everything, if the log was never seen.
    fn copy_rest(
        &self,
        outcome: &TestOutcome,
        tail: Option<Tail>,
        log_folder: PathBuf,
        session: &mut Session,
    ) -> Result<(), CliError> {
        let Some(attempt) = outcome.attempts.last() else { return Ok(()) };
        let path = log_folder.join(&attempt.log_path);
        let mut tail = tail.filter(|tail| tail.path() == path).unwrap_or_else(|| Tail::new(path));
        tail.copy_to(&mut session.out)?;
        Ok(())
    }

    fn judge(&self, outcome: &TestOutcome, session: &mut Session) -> Result<(), CliError> {
        let task = &self.task_id;
        match outcome.tasks.first().map(|row| row.state) {
            Some(state @ (TaskState::Success | TaskState::Skipped)) => {
                session.say(format_args!("task `{task}` ended as {state}"));
                Ok(())
            }
            Some(TaskState::Failed) => {
                let why = outcome.attempts.last().and_then(|attempt| attempt.message.clone());
                let why = why.map(|message| format!(": {message}")).unwrap_or_default();
                Err(CliError::failed(format!("task `{task}` failed{why}")))
            }
            Some(state) => Err(CliError::failed(format!("task `{task}` did not end: it is {state}"))),
            None => Err(CliError::failed(format!("task `{task}` did not begin"))),
        }
    }
}

/// A mapped task is tried one instance at a time, which must be known without anything upstream.
fn check(dag: &Dag, task: &TaskId, map_index: Option<MapIndex>) -> Result<(), CliError> {
    let expansion = dag.find(task).and_then(|ix| dag.mapping.of_task(ix)).map(|ix| dag.mapping.expansion(ix));
    let (expansion, index) = match (expansion, map_index) {
        (None, None) => return Ok(()),
        (None, Some(_)) => return Err(CliError::usage(format!("task `{task}` is not mapped: leave out --map-index"))),
        (Some(_), None) => {
            return Err(CliError::usage(format!("task `{task}` is mapped: say which instance, with --map-index")));
        }
        (Some(expansion), Some(index)) => (expansion, u32::try_from(index.0).unwrap_or(0)),
    };
    if let Some((source, _)) = expansion.expand.wants().first() {
        let message =
            format!("task `{task}` is expanded over what `{source}` leaves, and nothing upstream of it runs here");
        return Err(
            CliError::failed(message).hint(format!("`updraft dags test {}` runs all of it", dag.definition.dag_id))
        );
    }
    let count = expansion.expand.length(&|_, _| 0).unwrap_or(0);
    if index >= count { Err(CliError::failed(no_such_index(task, index, count))) } else { Ok(()) }
}

/// Copies for ever; it ends only with a reader that went away.
async fn copy(started: &Cell<Option<PathBuf>>, tail: &mut Option<Tail>, out: &mut dyn Write) -> Result<(), CliError> {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(path) = started.take() {
            *tail = Some(Tail::new(path));
        }
        if let Some(tail) = tail {
            tail.copy_to(out)?;
        }
    }
}

/// Where the log of a task that has just started lies, in Airflow's layout.
fn log_of(event: &Event) -> Option<PathBuf> {
    match &event.change {
        Change::Task { key, state: TaskState::Running, try_number } => {
            let folder = PathBuf::from(format!("dag_id={}/run_id={}/task_id={}", key.dag, key.run, key.task));
            let folder = match key.map_index {
                MapIndex::UNMAPPED => folder,
                index => folder.join(format!("map_index={index}")),
            };
            Some(folder.join(format!("attempt={try_number}.log")))
        }
        Change::Task { .. }
        | Change::Run { .. }
        | Change::Dag { .. }
        | Change::Notification { .. }
        | Change::DeadlineMissed { .. } => None,
    }
}
