//! `updraft tasks render`: what the templates of a task become in a run.

use std::io::Write;

use clap::Args;

use crate::domain::ids::{DagId, MapIndex, TaskId};
use crate::domain::time::Time;
use crate::node::render::{NotRendered, Wish, rendered};

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
    /// Which instance of a mapped task.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    map_index: Option<i32>,
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
        let map_index = self.map_index.map_or(MapIndex::UNMAPPED, MapIndex);
        let wish = Wish { task: &self.task_id, map_index, run, date };
        let fields = rendered(&client.store, &vault, settings, entry.definition, wish).await;
        let fields = fields.map_err(not_rendered)?;
        const RULE: &str = "# ----------------------------------------------------------";
        for (name, text) in fields {
            writeln!(session.out, "{RULE}\n# property: {name}\n{RULE}\n{text}\n")?;
        }
        Ok(())
    }
}

/// Why there is nothing to show.
pub fn not_rendered(error: NotRendered) -> CliError {
    match error {
        NotRendered::Index(why) => CliError::failed(why),
        NotRendered::Store(error) => CliError::from(error),
        NotRendered::Template(problem) => CliError::Failed { message: problem.message, hint: problem.hint },
        NotRendered::Dag(invalid) => CliError::failed(format!("the DAG cannot be used: {invalid}")),
    }
}
