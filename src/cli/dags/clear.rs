//! `updraft dags clear`: whole runs run again; what will, is said first.

use clap::Args;

use crate::domain::ids::DagId;
use crate::protocol::control;
use crate::protocol::selection::{RunRange, Selection};

use super::super::arguments::{DagSource, Output, WrittenDate};
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;
use super::super::tasks::clear;

#[derive(Clone, Debug, Args)]
pub struct Clear {
    dag_id: DagId,
    /// Only this run, by its id or its logical date; may be given several times.
    #[arg(long, value_name = "DATE/RUN", conflicts_with_all = ["start_date", "end_date"])]
    run_id: Vec<String>,
    /// Only runs of this logical date or later.
    #[arg(short = 's', long, value_name = "DATE")]
    start_date: Option<WrittenDate>,
    /// Only runs of this logical date or earlier.
    #[arg(short = 'e', long, value_name = "DATE")]
    end_date: Option<WrittenDate>,
    /// Only tasks that failed.
    #[arg(short = 'f', long)]
    only_failed: bool,
    /// Only tasks that are running.
    #[arg(short = 'r', long)]
    only_running: bool,
    /// Say yes to the question beforehand.
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Clear {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let settings = config.settings();
        lookup::dag(&client.store, &self.dag_id).await?;
        let runs = if self.run_id.is_empty() {
            let at = |date: Option<WrittenDate>| date.map(|date| date.at(settings.core.default_timezone));
            RunRange::Dates { from: at(self.start_date), until: at(self.end_date) }
        } else {
            let mut run_ids = Vec::with_capacity(self.run_id.len());
            for named in &self.run_id {
                run_ids.push(lookup::existing_run(&client.store, settings, &self.dag_id, named).await?.run_id);
            }
            RunRange::Names { run_ids }
        };
        let selection = Selection {
            dag: self.dag_id,
            runs,
            tasks: Vec::new(),
            upstream: false,
            downstream: false,
            past: false,
            future: false,
        };
        let wish = control::Clear {
            selection,
            only_failed: self.only_failed,
            only_running: self.only_running,
            reset_runs: true,
            dry_run: true,
        };
        clear(&client, wish, self.yes, self.output, session).await
    }
}
