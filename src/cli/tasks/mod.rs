//! `updraft tasks …`: one file per command.

mod clear;
mod explain;
mod failed_deps;
mod list;
mod logs;
mod render;
mod states;
mod test;

use clap::{Args, Subcommand};

pub use clear::clear;

use super::error::CliError;
use super::session::Session;

/// Look at tasks, their states and logs.
#[derive(Clone, Debug, Args)]
pub struct TasksCommand {
    #[command(subcommand)]
    action: TasksAction,
}

#[derive(Clone, Debug, Subcommand)]
enum TasksAction {
    /// List the tasks of a DAG.
    #[command(after_help = "Examples:\n  updraft tasks list parallel_dag\n  updraft tasks list parallel_dag --tree")]
    List(list::List),
    /// Run one task, here and now, without what is upstream of it and without recording anything.
    #[command(
        after_help = "Examples:\n  updraft tasks test parallel_dag task_1\n  updraft tasks test etl extract 2026-01-31 -t '{\"rows\": 5}'"
    )]
    Test(test::Test),
    /// Print the state of a task in a run.
    #[command(after_help = "Example:\n  updraft tasks state parallel_dag task_1 2026-01-31")]
    State(states::State),
    /// List the states of all tasks of a run.
    #[command(
        after_help = "Example:\n  updraft tasks states-for-dag-run parallel_dag manual__2026-01-31T06:00:00+00:00 -o json"
    )]
    StatesForDagRun(states::StatesForDagRun),
    /// Say in plain sentences what holds a task now, and what held it when.
    #[command(
        after_help = "Examples:\n  updraft tasks explain etl load                  # in the newest run\n  updraft tasks explain etl load 2026-01-31\n  updraft tasks explain etl load manual__2026-01-31T06:00:00+00:00 -o json"
    )]
    Explain(explain::Explain),
    /// Print the templates of a task as they are rendered for a run.
    #[command(
        after_help = "Examples:\n  updraft tasks render parallel_dag task_1 2026-01-31\n  updraft tasks render etl load manual__2026-01-31T06:00:00+00:00 --map-index 2"
    )]
    Render(render::Render),
    /// Let tasks of past or present runs run again.
    #[command(
        after_help = "Examples:\n  updraft tasks clear etl --task-regex '^load' --downstream\n  updraft tasks clear etl -s 2026-01-01 -e 2026-01-31 --only-failed --yes"
    )]
    Clear(clear::Clear),
    /// Print which dependencies keep a task from being scheduled.
    #[command(
        after_help = "Examples:\n  updraft tasks failed-deps etl load 2026-01-31\n  updraft tasks failed-deps etl load manual__2026-01-31T06:00:00+00:00 -o json"
    )]
    FailedDeps(failed_deps::FailedDeps),
    /// Print what a task wrote.
    #[command(
        after_help = "Examples:\n  updraft tasks logs parallel_dag task_1 2026-01-31\n  updraft tasks logs parallel_dag task_1 2026-01-31 --try 1\n  updraft tasks logs parallel_dag task_1 2026-01-31 --follow"
    )]
    Logs(logs::Logs),
}

impl TasksCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            TasksAction::List(list) => list.run(session).await,
            TasksAction::Test(test) => test.run(session).await,
            TasksAction::State(state) => state.run(session).await,
            TasksAction::StatesForDagRun(states) => states.run(session).await,
            TasksAction::Explain(explain) => explain.run(session).await,
            TasksAction::Render(render) => render.run(session).await,
            TasksAction::Clear(clear) => clear.run(session).await,
            TasksAction::FailedDeps(failed) => failed.run(session).await,
            TasksAction::Logs(logs) => logs.run(session).await,
        }
    }
}
