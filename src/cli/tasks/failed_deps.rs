//! `updraft tasks failed-deps`: what keeps a task instance from being scheduled, in Airflow's words.

use std::io::Write;

use clap::Args;

use crate::domain::ids::{DagId, MapIndex, TaskId};
use crate::node::dependencies;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::{OutputFormat, Rows};
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct FailedDeps {
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
    #[command(flatten)]
    output: Output,
}

impl FailedDeps {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let entry = lookup::dag_with_history(&client.store, &self.dag_id).await?;
        let run = lookup::existing_run(&client.store, config.settings(), &self.dag_id, &self.run).await?;
        let (run_id, run_key) = (run.run_id.clone(), run.key);
        let Some(failed) = dependencies::failed(&client.store, run, &self.task_id, MapIndex(self.map_index)).await?
        else {
            lookup::task(&entry, &self.task_id)?;
            lookup::instance(&client.store, run_key, &self.task_id, MapIndex(self.map_index)).await?;
            let message = format!("run `{run_id}` has no instance of task `{}` with this map index", self.task_id);
            return Err(CliError::failed(message));
        };
        if self.output.format != OutputFormat::Table {
            let mut rows = Rows::new(["dependency", "reason"]);
            for dependency in failed {
                rows.push([dependency.name.into(), dependency.reason.as_str().into()]);
            }
            return Ok(rows.write(self.output.format, &mut session.out)?);
        }
        if failed.is_empty() {
            writeln!(session.out, "Task instance dependencies are all met.")?;
            return Ok(());
        }
        writeln!(session.out, "Task instance dependencies not met:")?;
        for dependency in failed {
            writeln!(session.out, "{}: {}", dependency.name, dependency.reason)?;
        }
        Ok(())
    }
}
