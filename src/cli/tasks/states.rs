//! `updraft tasks state` and `updraft tasks states-for-dag-run`

use std::io::Write;

use clap::Args;

use crate::config::Era;
use crate::domain::ids::{DagId, MapIndex, TaskId};
use crate::domain::state::TaskState;
use crate::node::render::{Labels, labels};

use super::super::arguments::{DagSource, NamedRun, Output};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::{Cell, Rows};
use super::super::session::Session;
use super::render::not_rendered;

#[derive(Clone, Debug, Args)]
pub struct State {
    dag_id: DagId,
    task_id: TaskId,
    /// The run's id or its logical date.
    #[arg(value_name = "DATE/RUN")]
    run: String,
    /// Which element of a mapped task.
    #[arg(long, default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    map_index: i32,
    #[command(flatten)]
    source: DagSource,
}

impl State {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let entry = lookup::dag_with_history(&client.store, &self.dag_id).await?;
        let run = lookup::existing_run(&client.store, config.settings(), &self.dag_id, &self.run).await?;
        match lookup::instance(&client.store, run.key, &self.task_id, MapIndex(self.map_index)).await? {
            Some(task) => writeln!(session.out, "{}", word(task.state).unwrap_or("None"))?,
            None => {
                // The run has not begun, so its tasks have no rows yet; but such a task there must be.
                lookup::task(&entry, &self.task_id)?;
                writeln!(session.out, "None")?;
            }
        }
        Ok(())
    }
}

/// What `map_index_template` makes of the map index, in Airflow's word.
const LABEL: &str = "rendered_map_index";

#[derive(Clone, Debug, Args)]
pub struct StatesForDagRun {
    #[command(flatten)]
    named: NamedRun,
    #[command(flatten)]
    output: Output,
}

impl StatesForDagRun {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let NamedRun { dag_id, run, source } = self.named;
        source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let settings = config.settings();
        lookup::dag_with_history(&client.store, &dag_id).await?;
        let run = lookup::existing_run(&client.store, settings, &dag_id, &run).await?;
        let date = match settings.core.era {
            Era::Airflow2 => "execution_date",
            Era::Airflow3 => "logical_date",
        };
        let mut rows = Rows::new(["dag_id", date, "task_id", "state", "start_date", "end_date", "map_index", LABEL]);
        let tasks = client.store.tasks(run.key).await?;
        let mapped = tasks.iter().any(|task| task.map_index != MapIndex::UNMAPPED);
        let labels = if mapped {
            let vault = client.vault(&session.environment)?;
            labels(&client.store, &vault, settings, &run, &tasks).await.map_err(not_rendered)?
        } else {
            Labels::default()
        };
        if let Some(problem) = &labels.problem {
            session.say(format_args!("a map_index_template cannot be rendered: {problem}"));
        }
        for task in tasks {
            let label = labels.of(&task).map_or(Cell::Nothing, Cell::from);
            let map_index = (task.map_index != MapIndex::UNMAPPED).then(|| i64::from(task.map_index.0));
            rows.push([
                run.dag_id.as_str().into(),
                run.logical_date.into(),
                task.task_id.as_str().into(),
                word(task.state).map_or(Cell::Nothing, Cell::from),
                task.started_at.into(),
                task.ended_at.into(),
                map_index.into(),
                label,
            ]);
        }
        let columns = ["dag_id", date, "task_id", "state", "start_date", "end_date", "map_index", LABEL];
        let shown = match (mapped, labels.is_empty()) {
            (_, false) => 8,
            (true, true) => 7,
            (false, true) => 6,
        };
        let columns = &columns[..shown];
        Ok(rows.write_columns(columns, self.output.format, &mut session.out)?)
    }
}

/// Airflow shows a task that waits for others as having no state.
fn word(state: TaskState) -> Option<&'static str> {
    (state != TaskState::None).then(|| state.as_str())
}
