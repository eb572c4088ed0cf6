//! `updraft dags reserialize`: the store is brought up to date with the DAG files. In Airflow this repairs what was
//! parsed by an older version; here every command that needs DAGs does it, so this one only says how they stand.

use clap::Args;

use crate::domain::problem::Severity;

use super::super::arguments::DagSource;
use super::super::error::CliError;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Reserialize {
    /// Accepted for Airflow 2, where it only emptied a table; here that would forget what is paused.
    #[arg(long, hide = true)]
    clear_only: bool,
    #[command(flatten)]
    source: DagSource,
}

impl Reserialize {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        if self.clear_only {
            let error =
                CliError::usage("--clear-only has no meaning here: there is no table of serialized DAGs to empty");
            return Err(error.hint("`updraft dags delete DAG_ID` removes what is remembered of a DAG".to_owned()));
        }
        let client = session.client_with_dags().await?;
        let known = client.store.dags(false).await?.len();
        let errors = client.store.import_errors().await?;
        let errors = errors.iter().filter(|error| error.problem.severity == Severity::Error).count();
        session.say(format_args!("{known} DAGs are as their files have them now"));
        if errors > 0 {
            session.say(format_args!("{errors} errors keep others out: `updraft dags list-import-errors` shows them"));
        }
        Ok(())
    }
}
