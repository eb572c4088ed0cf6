//! `updraft dags report`: every DAG file is read once, here and now, with a watch.

use clap::Args;

use crate::domain::problem::Severity;
use crate::node::client::dag_folder;
use crate::node::translate;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::output::Rows;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Report {
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Report {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let config = session.config()?;
        let client = session.client().await?;
        let mut folder = dag_folder(config.settings(), translate::interpreter(config.settings()), &client.store)?;
        let mut files = folder.look().await;
        while folder.is_reading() {
            files.extend(folder.more().await);
        }
        files.sort_by(|a, b| b.took.cmp(&a.took).then_with(|| a.file.cmp(&b.file)));
        let mut rows = Rows::new(["file", "duration", "dag_num", "task_num", "dags", "errors"]);
        for file in files {
            let tasks: usize = file.dags.iter().map(|dag| dag.definition.tasks.len()).sum();
            let errors = file.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
            let ids: Vec<String> = file.dags.iter().map(|dag| dag.definition.dag_id.to_string()).collect();
            rows.push([
                file.file.into(),
                format!("{:.6}", file.took.as_secs_f64()).into(),
                ids.len().to_string().into(),
                tasks.to_string().into(),
                ids.into(),
                errors.to_string().into(),
            ]);
        }
        Ok(rows.write(self.output.format, &mut session.out)?)
    }
}
