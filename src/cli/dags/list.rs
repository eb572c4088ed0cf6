//! `updraft dags list`

use clap::Args;

use crate::config::Era;
use crate::domain::problem::Severity;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::output::{Cell, Rows};
use super::super::session::Session;

/// The one place where DAG files lie, under the name that Airflow 3 gives it.
pub(super) const BUNDLE: &str = "dags-folder";

const COLUMNS: [&str; 6] = ["dag_id", "fileloc", "owners", "is_paused", "bundle_name", "bundle_version"];
/// Those that Airflow 2 knows.
const COLUMNS_2: usize = 4;

#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only these columns, in this order.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN", value_parser = COLUMNS)]
    columns: Vec<String>,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl List {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let settings = config.settings();
        let mut rows = Rows::new(COLUMNS);
        for entry in client.store.dags(false).await? {
            let file = settings.core.dags_folder.join(&entry.row.file);
            let owners: Vec<String> = entry.owners().into_iter().map(str::to_owned).collect();
            rows.push([
                entry.row.dag_id.as_str().into(),
                file.to_string_lossy().into_owned().into(),
                owners.into(),
                entry.row.is_paused.into(),
                BUNDLE.into(),
                Cell::Nothing,
            ]);
        }
        let columns: Vec<&str> = match (self.columns.as_slice(), settings.core.era) {
            ([], Era::Airflow2) => COLUMNS[..COLUMNS_2].to_vec(),
            ([], Era::Airflow3) => COLUMNS.to_vec(),
            (asked, _) => asked.iter().map(String::as_str).collect(),
        };
        rows.write_columns(&columns, self.output.format, &mut session.out)?;
        let errors = client.store.import_errors().await?;
        let files = errors.iter().filter(|error| error.problem.severity == Severity::Error).map(|error| &error.file);
        match files.collect::<std::collections::BTreeSet<_>>().len() {
            0 => {}
            1 => session.say("1 DAG file has errors: `updraft dags list-import-errors` shows them"),
            n => session.say(format_args!("{n} DAG files have errors: `updraft dags list-import-errors` shows them")),
        }
        Ok(())
    }
}
