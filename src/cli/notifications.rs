//! `updraft notifications …`: who was told what, and who was not.

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, Subcommand};

use crate::domain::ids::{DagId, RunId};
use crate::domain::notification::NotificationState;
use crate::store::query::NotificationFilter;

use super::arguments::Output;
use super::error::CliError;
use super::output::{OutputFormat, Rows};
use super::session::Session;

/// See who was told of what happened: commands, webhooks, mails, callbacks, missed deadlines.
#[derive(Clone, Debug, Args)]
pub struct NotificationsCommand {
    #[command(subcommand)]
    action: NotificationsAction,
}

#[derive(Clone, Debug, Subcommand)]
enum NotificationsAction {
    /// List notifications, newest first: what happened, who was told, and why somebody was not.
    #[command(
        after_help = "Examples:\n  updraft notifications list\n  updraft notifications list --state failed -o json\n  updraft notifications list parallel_dag --limit 0     # all there ever were"
    )]
    List(List),
}

#[derive(Clone, Debug, Args)]
struct List {
    /// Only those of this DAG.
    dag_id: Option<DagId>,
    /// Only those of this run.
    #[arg(long)]
    run_id: Option<RunId>,
    /// Only those in this state.
    #[arg(long, value_parser = state())]
    state: Option<NotificationState>,
    /// At most so many; 0 is all.
    #[arg(long, default_value_t = 100)]
    limit: u64,
    #[command(flatten)]
    output: Output,
}

fn state() -> impl TypedValueParser<Value = NotificationState> {
    PossibleValuesParser::new(NotificationState::ALL.map(NotificationState::as_str))
        .map(|word| NotificationState::from_word(&word).expect("a possible value is one of the words"))
}

const COLUMNS: [&str; 13] = [
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "try_number",
    "event",
    "notification",
    "state",
    "failed_tries",
    "created_at",
    "next_try_at",
    "error",
    "log",
];

impl NotificationsCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let NotificationsAction::List(list) = self.action;
        let client = session.client().await?;
        let filter = NotificationFilter {
            dag: list.dag_id,
            run: list.run_id,
            state: list.state,
            limit: (list.limit > 0).then_some(list.limit),
        };
        let mut rows = Rows::new(COLUMNS);
        for row in client.store.notifications(&filter).await? {
            let summary = row.message.notice.as_ref().map(|notice| notice.summary.clone());
            rows.push([
                row.message.key.dag.as_str().into(),
                row.message.key.run.as_str().into(),
                row.task_id.as_ref().map(|task| task.as_str()).into(),
                i64::from(row.map_index.0).into(),
                i64::from(row.try_number.0).into(),
                row.occasion.as_str().into(),
                summary.into(),
                row.state.as_str().into(),
                i64::from(row.failed_tries).into(),
                row.created_at.into(),
                row.next_try_at.into(),
                row.error.clone().into(),
                row.message.log_path.as_str().into(),
            ]);
        }
        let columns: Vec<&str> = match list.output.format {
            OutputFormat::Json | OutputFormat::Yaml => COLUMNS.to_vec(),
            OutputFormat::Table | OutputFormat::Plain => {
                ["dag_id", "run_id", "task_id", "event", "notification", "state", "created_at", "error"].to_vec()
            }
        };
        Ok(rows.write_columns(&columns, list.output.format, &mut session.out)?)
    }
}
