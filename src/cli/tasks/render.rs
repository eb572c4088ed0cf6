//! `updraft tasks render`: what the templates of a task become in a run.

use std::io::Write;

use clap::Args;

use crate::domain::ids::{DagId, TaskId};
use crate::domain::time::Time;
use crate::node::render::{NotRendered, rendered};

use super::super::arguments::{DagSource, WrittenDate};
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Render {
    dag_id: DagId,
    task_id: TaskId,
    /// The run's id or its logical date; a date without a run is rendered as if there were one.
    #[arg(value_name = "DATE/RUN")]
    run: String,
    #[command(flatten)]
    source: DagSource,
}

impl Render {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let settings = config.settings();
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        lookup::task(&entry, &self.task_id)?;
        let run = lookup::run(&client.store, settings, &self.dag_id, &self.run).await?;
        let date: Option<Time> =
            self.run.parse::<WrittenDate>().ok().map(|date| date.at(settings.core.default_timezone));
        if run.is_none() && date.is_none() {
            let hint = lookup::no_such_run(&client.store, &self.dag_id, &self.run).await?;
            return Err(CliError::failed(format!("DAG `{}` has no run `{}`", self.dag_id, self.run)).hint(hint));
        }
        let vault = client.vault(&session.environment)?;
        let fields = rendered(&client.store, &vault, settings, entry.definition, &self.task_id, run, date).await;
        let fields = fields.map_err(|error| match error {
            NotRendered::Store(error) => CliError::from(error),
            NotRendered::Template(problem) => CliError::Failed { message: problem.message, hint: problem.hint },
            NotRendered::Dag(invalid) => CliError::failed(format!("DAG `{}` cannot be used: {invalid}", self.dag_id)),
        })?;
        const RULE: &str = "# ----------------------------------------------------------";
        for (name, text) in fields {
            writeln!(session.out, "{RULE}\n# property: {name}\n{RULE}\n{text}\n")?;
        }
        Ok(())
    }
}
