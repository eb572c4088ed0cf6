//! `updraft dags …`: one file per command.

mod backfill;
mod clear;
mod delete;
mod details;
mod explain;
mod import_errors;
mod list;
mod next_execution;
mod pause;
mod report;
mod reserialize;
mod runs;
mod show;
mod test;
mod trigger;

pub use trigger::{asked_for, write_triggered};

use std::io::Write;

use clap::{Args, Subcommand};

use crate::dagfile::schema::schema;

use super::error::CliError;
use super::session::Session;

/// Look at DAGs, run them, pause them.
#[derive(Clone, Debug, Args)]
pub struct DagsCommand {
    #[command(subcommand)]
    action: DagsAction,
}

#[derive(Clone, Debug, Subcommand)]
enum DagsAction {
    /// List all DAGs.
    #[command(after_help = "Examples:\n  updraft dags list\n  updraft dags list -o json --columns dag_id,is_paused")]
    List(list::List),
    /// List what is wrong with DAG files.
    #[command(
        after_help = "Examples:\n  updraft dags list-import-errors\n  updraft dags list-import-errors -v     # with tracebacks"
    )]
    ListImportErrors(import_errors::ListImportErrors),
    /// List the runs of a DAG, newest first.
    #[command(
        after_help = "Examples:\n  updraft dags list-runs parallel_dag\n  updraft dags list-runs parallel_dag --state failed -o json"
    )]
    ListRuns(runs::ListRuns),
    /// Show everything about one DAG.
    #[command(after_help = "Example:\n  updraft dags details parallel_dag")]
    Details(details::Details),
    /// Show a DAG as a graph, in the DOT language.
    #[command(
        after_help = "Examples:\n  updraft dags show parallel_dag | dot -Tsvg > parallel_dag.svg\n  updraft dags show parallel_dag --save parallel_dag.dot"
    )]
    Show(show::Show),
    /// Pause a DAG: nothing of it starts any more, what runs goes on.
    #[command(
        after_help = "Examples:\n  updraft dags pause parallel_dag\n  updraft dags pause --treat-dag-id-as-regex '^test_' --yes"
    )]
    Pause(pause::Pause),
    /// Unpause a DAG; says first which runs its schedule will make up for.
    #[command(
        after_help = "Examples:\n  updraft dags unpause parallel_dag\n  updraft dags unpause backlog --yes     # however many runs there are"
    )]
    Unpause(pause::Pause),
    /// Ask for a run of a DAG.
    #[command(
        after_help = "Examples:\n  updraft dags trigger parallel_dag\n  updraft dags trigger etl --conf '{\"table\": \"returns\", \"rows\": 50}'\n  updraft dags trigger etl --run-id again --logical-date 2026-01-31"
    )]
    Trigger(trigger::Trigger),
    /// Run past dates of a DAG and wait for their end, as Airflow 2 does it.
    #[command(
        after_help = "Examples:\n  updraft dags backfill etl -s 2026-01-01 -e 2026-01-31 --dry-run\n  updraft dags backfill etl -s 2026-01-01 -e 2026-01-31 --rerun-failed-tasks"
    )]
    Backfill(backfill::Backfill),
    /// Let whole runs of a DAG run again.
    #[command(
        after_help = "Examples:\n  updraft dags clear etl --run-id manual__2026-01-31T06:00:00+00:00\n  updraft dags clear etl -s 2026-01-01 -e 2026-01-31 --only-failed --yes"
    )]
    Clear(clear::Clear),
    /// Bring the database up to date with the DAG files.
    #[command(after_help = "Example:\n  updraft dags reserialize")]
    Reserialize(reserialize::Reserialize),
    /// Remove everything that is remembered of a DAG: its runs, tasks, XComs. Its file stays.
    #[command(after_help = "Example:\n  updraft dags delete etl --yes")]
    Delete(delete::Delete),
    /// Show how long each DAG file takes to be read, and what is in it.
    #[command(after_help = "Examples:\n  updraft dags report\n  updraft dags report -o json")]
    Report(report::Report),
    /// List the schedulers that work on these DAGs.
    #[command(after_help = "Example:\n  updraft dags list-jobs --state running")]
    ListJobs(super::jobs::ListJobs),
    /// Print the state of a run.
    #[command(
        after_help = "Examples:\n  updraft dags state parallel_dag 2026-01-31\n  updraft dags state parallel_dag manual__2026-01-31T06:00:00+00:00"
    )]
    State(runs::State),
    /// Say in plain sentences why a DAG makes no run now, or when it makes the next.
    #[command(after_help = "Examples:\n  updraft dags explain etl\n  updraft dags explain etl -o json")]
    Explain(explain::Explain),
    /// Run a DAG once, here and now, without recording anything.
    #[command(
        after_help = "Examples:\n  updraft dags test parallel_dag\n  updraft dags test etl 2026-01-31 --conf '{\"rows\": 5}'"
    )]
    Test(test::Test),
    /// Print when the schedule makes its next run.
    #[command(
        after_help = "Examples:\n  updraft dags next-execution parallel_dag\n  updraft dags next-execution parallel_dag -n 5"
    )]
    NextExecution(next_execution::NextExecution),
    /// Print the JSON Schema of YAML DAG files, for editors.
    #[command(
        after_help = "Example:\n  updraft dags schema > dag.schema.json     # then, at the top of a DAG file:\n  # yaml-language-server: $schema=dag.schema.json"
    )]
    Schema,
}

impl DagsCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            DagsAction::List(list) => list.run(session).await,
            DagsAction::ListImportErrors(list) => list.run(session).await,
            DagsAction::ListRuns(list) => list.run(session).await,
            DagsAction::Details(details) => details.run(session).await,
            DagsAction::Show(show) => show.run(session).await,
            DagsAction::Pause(pause) => pause.run(session, true).await,
            DagsAction::Unpause(pause) => pause.run(session, false).await,
            DagsAction::Trigger(trigger) => trigger.run(session).await,
            DagsAction::Backfill(backfill) => backfill.run(session).await,
            DagsAction::Clear(clear) => clear.run(session).await,
            DagsAction::Reserialize(reserialize) => reserialize.run(session).await,
            DagsAction::Delete(delete) => delete.run(session).await,
            DagsAction::Report(report) => report.run(session).await,
            DagsAction::ListJobs(list) => list.run(session).await,
            DagsAction::State(state) => state.run(session).await,
            DagsAction::Explain(explain) => explain.run(session).await,
            DagsAction::Test(test) => test.run(session).await,
            DagsAction::NextExecution(next) => next.run(session).await,
            DagsAction::Schema => Ok(writeln!(session.out, "{:#}", schema())?),
        }
    }
}
