//! `updraft dags test`: one run of a DAG in a node of its own, which nothing remembers.

use std::sync::Arc;

use clap::Args;

use crate::domain::graph::Dag;
use crate::domain::ids::DagId;
use crate::domain::state::RunState;
use crate::domain::time::until;
use crate::node::test_run::{TestOutcome, TestRun, test_dag};

use super::super::arguments::{JsonObject, Output, TestDate};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::Rows;
use super::super::progress::Progress;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Test {
    dag_id: DagId,
    #[command(flatten)]
    date: TestDate,
    /// A JSON object that the run's tasks see, over the DAG's params.
    #[arg(short = 'c', long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    conf: JsonObject,
    #[command(flatten)]
    output: Output,
}

impl Test {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.date.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let settings = config.settings();
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        let dag = Dag::compile(entry.definition)
            .map_err(|error| CliError::failed(format!("DAG `{}` cannot be used: {error}", self.dag_id)))?;
        let log_folder = settings.logging.base_log_folder.join("test-runs");
        let mut progress = Progress::new(dag.definition.tasks.len());
        let test = TestRun {
            dag: Arc::new(dag),
            only: None,
            map_index: None,
            conf: self.conf.0,
            logical_date: Some(self.date.at(settings.core.default_timezone)),
            log_folder: log_folder.clone(),
            vault: client.vault(&session.environment)?,
        };
        let outcome = test_dag(settings, &session.environment, test, |event| progress.on(event)).await;
        progress.end();
        let outcome = outcome?;
        rows(&outcome).write(self.output.format, &mut session.out)?;
        match outcome.state {
            RunState::Success => {
                session.say(format_args!("run {} of DAG `{}` succeeded", outcome.run_id, self.dag_id));
                Ok(())
            }
            RunState::Failed | RunState::Queued | RunState::Running => {
                let failed = outcome.tasks.iter().filter(|task| task.state.is_failed_like());
                let names: Vec<String> = failed.map(|task| format!("{} {}", task.task_id, task.state)).collect();
                let why = if names.is_empty() { "it was interrupted".to_owned() } else { names.join(", ") };
                Err(CliError::failed(format!("run {} of DAG `{}` failed: {why}", outcome.run_id, self.dag_id))
                    .hint(format!("the logs are below {}", log_folder.display())))
            }
        }
    }
}

fn rows(outcome: &TestOutcome) -> Rows<6> {
    let mut rows = Rows::new(["task_id", "state", "try_number", "start_date", "end_date", "duration"]);
    let mut tasks: Vec<_> = outcome.tasks.iter().collect();
    tasks.sort_by_key(|task| (task.started_at.is_none(), task.started_at));
    for task in tasks {
        let took = task.started_at.zip(task.ended_at).map(|(start, end)| until(start, end).as_secs_f64());
        rows.push([
            task.task_id.as_str().into(),
            task.state.as_str().into(),
            i64::from(task.try_number.0).into(),
            task.started_at.into(),
            task.ended_at.into(),
            took.map(|seconds| format!("{seconds:.3}")).into(),
        ]);
    }
    rows
}
