//! `updraft dags trigger`

use chrono::Timelike;
use clap::Args;
use serde_json::Value;

use crate::config::Era;
use crate::domain::ids::{DagId, RunId};
use crate::domain::time::Time;
use crate::node::client::Client;
use crate::protocol::control::{self, Control, Reply, Triggered, TriggeredBy};

use super::super::arguments::{DagSource, JsonObject, Output, WrittenDate};
use super::super::error::CliError;
use super::super::output::{OutputFormat, Rows};
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

const COLUMNS: [&str; 11] = [
    "conf",
    "dag_id",
    "dag_run_id",
    "data_interval_start",
    "data_interval_end",
    "external_trigger",
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
        let run = asked_for(client.control(&wish, user.as_deref()).await?)?;
        write_triggered(session, &client, run, user, self.output.format)
    }
}

/// The run that was made, or why there is none.
pub fn asked_for(reply: Reply) -> Result<Triggered, CliError> {
    Ok(reply.triggered()?)
}

/// Shows a run that was asked for, and says what it waits for.
pub fn write_triggered(
    session: &mut Session,
    client: &Client,
    run: Triggered,
    user: Option<String>,
    format: OutputFormat,
) -> Result<(), CliError> {
    let era = session.config()?.settings().core.era;
    let mut rows = Rows::new(COLUMNS);
    rows.push([
        Value::Object(run.conf).into(),
        run.dag.as_str().into(),
        run.run_id.as_str().into(),
        run.interval_start.into(),
        run.interval_end.into(),
        true.into(),
        run.logical_date.into(),
        run.run_type.as_str().into(),
        run.started_at.into(),
        run.state.as_str().into(),
        user.into(),
    ]);
    let foreign = match era {
        Era::Airflow2 => "triggering_user_name",
        Era::Airflow3 => "external_trigger",
    };
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|column| *column != foreign).collect();
    rows.write_columns(&columns, format, &mut session.out)?;
    if run.paused {
        let dag = &run.dag;
        session.say(format_args!("DAG `{dag}` is paused: the run waits until `updraft dags unpause {dag}`"));
    } else if !client.node_lives() {
        session.say("no node runs: the run starts with `updraft standalone` or `updraft scheduler`");
    }
    Ok(())
}
