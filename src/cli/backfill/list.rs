//! `updraft backfill list`

use clap::Args;

use crate::domain::ids::DagId;
use crate::domain::state::RunState;
use crate::store::query::BackfillEntry;

use super::super::arguments::Output;
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::{Cell, OutputFormat, Rows};
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct List {
    /// Only those of this DAG.
    #[arg(short = 'd', long)]
    dag_id: Option<DagId>,
    /// Only those that are not over.
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 18] = [
    "id",
    "dag_id",
    "state",
    "from_date",
    "to_date",
    "dates",
    "success",
    "failed",
    "running",
    "queued",
    "skipped",
    "left",
    "max_active_runs",
    "reprocess_behavior",
    "run_backwards",
    "dag_run_conf",
    "created_at",
    "completed_at",
];
/// So many of them fit a line: the others are for programs.
const SHOWN: usize = 12;

impl List {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.client().await?;
        if let Some(dag) = &self.dag_id {
            lookup::dag_with_history(&client.store, dag).await?;
        }
        let mut rows = Rows::new(COLUMNS);
        for entry in client.store.backfills(self.dag_id.as_ref(), !self.active).await? {
            rows.push(row(&entry));
        }
        let columns = match self.output.format {
            OutputFormat::Table | OutputFormat::Plain => &COLUMNS[..SHOWN],
            OutputFormat::Json | OutputFormat::Yaml => &COLUMNS[..],
        };
        Ok(rows.write_columns(columns, self.output.format, &mut session.out)?)
    }
}

fn row(entry: &BackfillEntry) -> [Cell; 18] {
    let row = &entry.row;
    let number = |n: u64| n.to_string().into();
    let runs = |state| number(entry.runs_that_are(state));
    [
        row.id.to_string().into(),
        row.request.dag.as_str().into(),
        state(entry).into(),
        row.request.from.into(),
        row.request.to.into(),
        number(row.dates.into()),
        runs(RunState::Success),
        runs(RunState::Failed),
        runs(RunState::Running),
        runs(RunState::Queued),
        number(entry.row.skipped.into()),
        number(entry.left()),
        i64::from(row.request.max_active_runs.get()).into(),
        row.request.reprocess.as_str().into(),
        row.request.backwards.into(),
        Cell::Nested(row.request.conf.clone().into()),
        row.created_at.into(),
        row.completed_at.into(),
    ]
}

fn state(entry: &BackfillEntry) -> &'static str {
    let row = &entry.row;
    match (row.completed_at, row.is_cancelled, row.is_paused) {
        (Some(_), true, _) => "cancelled",
        (Some(_), false, _) => "completed",
        (None, _, true) => "paused",
        (None, _, false) => "running",
    }
}
