//! `updraft dags delete`: the history goes, the file stays.

use std::io::Write;

use clap::Args;

use crate::domain::ids::DagId;
use crate::protocol::control::Control;

use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Delete {
    dag_id: DagId,
    /// Say yes to the question beforehand.
    #[arg(short = 'y', long)]
    yes: bool,
}

impl Delete {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.client_with_dags().await?;
        let entry = lookup::dag_with_history(&client.store, &self.dag_id).await?;
        let dag = &self.dag_id;
        session.say(format_args!("This removes everything that is recorded of DAG `{dag}`: runs, tasks, XComs"));
        if !self.yes && !session.confirm("Proceed?")? {
            session.say("Nothing was changed");
            return Ok(());
        }
        client.control(&Control::DeleteDag { dag: dag.clone() }, session.user()).await?.dag_deleted()?;
        writeln!(session.out, "DAG {dag} deleted")?;
        if !entry.row.is_stale {
            session.say(format_args!("{} still defines it, so it begins anew", entry.row.file));
        }
        Ok(())
    }
}
