//! `updraft dags list-import-errors`

use clap::Args;

use crate::config::Era;
use crate::domain::problem::Severity;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::output::{OutputFormat, Rows};
use super::super::session::Session;
use super::list::BUNDLE;

#[derive(Clone, Debug, Args)]
pub struct ListImportErrors {
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

/// Airflow's `filepath` and `error`, and what it hides in the text of the error.
const COLUMNS: [&str; 7] = ["filepath", "line", "column", "error", "hint", "bundle_name", "traceback"];

impl ListImportErrors {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let errors = client.store.import_errors().await?;
        let (errors, warnings): (Vec<_>, Vec<_>) =
            errors.into_iter().partition(|error| error.problem.severity == Severity::Error);
        let mut rows = Rows::new(COLUMNS);
        for error in &errors {
            let problem = &error.problem;
            let number = |number: Option<u32>| number.map(i64::from).into();
            rows.push([
                config.settings().core.dags_folder.join(&problem.place.file).to_string_lossy().into_owned().into(),
                number(problem.place.line),
                number(problem.place.column),
                problem.message.as_str().into(),
                problem.hint.clone().into(),
                BUNDLE.into(),
                problem.detail.clone().into(),
            ]);
        }
        let mut columns = COLUMNS[..5].to_vec();
        if config.settings().core.era == Era::Airflow3 {
            columns.push("bundle_name");
        }
        let in_rows = match self.output.format {
            OutputFormat::Json | OutputFormat::Yaml => true,
            // A traceback has many lines, and a row one.
            OutputFormat::Table | OutputFormat::Plain => false,
        };
        if session.verbose && in_rows {
            columns.push("traceback");
        }
        rows.write_columns(&columns, self.output.format, &mut session.out)?;
        if session.verbose && !in_rows {
            for error in errors.iter().map(|error| &error.problem) {
                if let Some(detail) = &error.detail {
                    session.say(format_args!("{}:\n{}\n", error.place, detail.trim_end()));
                }
            }
        }
        for warning in &warnings {
            session.warn(&warning.problem);
        }
        Ok(())
    }
}
