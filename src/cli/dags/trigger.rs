//! `updraft dags trigger`

use chrono::Timelike;
use clap::Args;
use serde_json::Value;

use crate::config::Era;
use crate::domain::ids::{DagId, RunId};
use crate::domain::time::Time;
use crate::protocol::control::{self, Control, Reply, TriggeredBy};

use super::super::arguments::{DagSource, JsonObject, Output, WrittenDate};
use super::super::error::{CliError, other_answer};
use super::super::output::{Cell, Rows};
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Trigger {
    dag_id: DagId,
    /// A JSON object that the run's tasks see, over the DAG's params.
    #[arg(short = 'c', long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    conf: JsonObject,
    /// The id of the run; without it one is made.
    #[arg(short = 'r', long)]
    run_id: Option<RunId>,
    /// The logical date of the run.
    #[arg(short = 'l', long, value_name = "DATE", alias = "exec-date", alias = "execution-date", short_alias = 'e')]
    logical_date: Option<WrittenDate>,
    /// Keep the microseconds of the logical date.
    #[arg(long)]
    no_replace_microseconds: bool,
    /// A remark that is kept with the run.
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [&str; 13] = [
    "conf",
    "dag_id",
    "dag_run_id",
    "data_interval_start",
    "data_interval_end",
    "end_date",
    "external_trigger",
    "last_scheduling_decision",
    "logical_date",
    "run_type",
    "start_date",
    "state",
    "triggering_user_name",
];

impl Trigger {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let config = session.config()?;
        let core = &config.settings().core;
        let client = session.client_with_dags().await?;
        let user = session.user().map(str::to_owned);
        let cut =
            |time: Time| if self.no_replace_microseconds { time } else { time.with_nanosecond(0).unwrap_or(time) };
        let wish = Control::Trigger(control::Trigger {
            dag: self.dag_id,
            run_id: self.run_id,
            logical_date: self.logical_date.map(|date| cut(date.at(core.default_timezone))),
            conf: self.conf.0,
            note: self.note,
            by: TriggeredBy::Cli,
            user: user.clone(),
        });
        let run = match client.control(&wish, user.as_deref()).await? {
            Reply::Triggered(run) => run,
            Reply::Refused { why } => return Err(why.into()),
            Reply::Paused { .. }
            | Reply::PoolSet { .. }
            | Reply::PoolDeleted { .. }
            | Reply::Touched { .. }
            | Reply::RunMarked { .. } => return Err(other_answer()),
        };
        let mut rows = Rows::new(COLUMNS);
        rows.push([
            Value::Object(run.conf).into(),
            run.dag.as_str().into(),
            run.run_id.as_str().into(),
            run.interval_start.into(),
            run.interval_end.into(),
            Cell::Nothing,
            true.into(),
            Cell::Nothing,
            run.logical_date.into(),
            run.run_type.as_str().into(),
            Cell::Nothing,
            run.state.as_str().into(),
            user.into(),
        ]);
        let foreign = match core.era {
            Era::Airflow2 => "triggering_user_name",
            Era::Airflow3 => "external_trigger",
        };
        let columns: Vec<&str> = COLUMNS.into_iter().filter(|column| *column != foreign).collect();
        rows.write_columns(&columns, self.output.format, &mut session.out)?;
        if run.paused {
            let dag = &run.dag;
            session.say(format_args!("DAG `{dag}` is paused: the run waits until `updraft dags unpause {dag}`"));
        } else if !client.node_lives() {
            session.say("no node runs: the run starts with `updraft standalone` or `updraft scheduler`");
        }
        Ok(())
    }
}
