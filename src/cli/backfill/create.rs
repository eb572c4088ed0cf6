//! `updraft backfill create`, and what `updraft dags backfill` shares with it.

use std::collections::HashMap;
use std::num::NonZeroU32;

use chrono::Utc;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::domain::backfill::{self, BackfillRequest, MAX_ACTIVE_RUNS, Reprocess};
use crate::domain::ids::DagId;
use crate::domain::run::iso;
use crate::node::client::Client;
use crate::protocol::control::{BackfillCreated, Control};

use super::super::arguments::{JsonObject, Output, WrittenDate};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::Rows;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Create {
    /// The DAG.
    #[arg(short = 'd', long)]
    dag_id: DagId,
    /// The first logical date, inclusive.
    #[arg(long, value_name = "DATE")]
    from_date: WrittenDate,
    /// The last logical date, inclusive.
    #[arg(long, value_name = "DATE")]
    to_date: WrittenDate,
    /// A JSON object that every run is given as conf.
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    dag_run_conf: JsonObject,
    /// The newest date first.
    #[arg(long)]
    run_backwards: bool,
    /// How many runs may be under way at once, apart from those that the DAG's own limit counts.
    #[arg(long, value_name = "N", default_value_t = MAX_ACTIVE_RUNS, value_parser = at_least_one())]
    max_active_runs: NonZeroU32,
    /// Which finished runs are run again: none, failed ones, or all (completed).
    #[arg(long, value_name = "WHICH", default_value = "none", value_parser = reprocess())]
    reprocess_behavior: Reprocess,
    /// Accepted for Airflow 3: a run that is run again always takes the latest version of its DAG.
    #[arg(long, hide = true)]
    run_on_latest_version: bool,
    /// Only say which dates these are and what would become of each.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

fn at_least_one() -> impl TypedValueParser<Value = NonZeroU32> {
    clap::value_parser!(u32).range(1..).map(|n| NonZeroU32::new(n).expect("the parser lets nothing below 1 through"))
}

fn reprocess() -> impl TypedValueParser<Value = Reprocess> {
    PossibleValuesParser::new(Reprocess::ALL.map(Reprocess::as_str))
        .map(|word| Reprocess::from_word(&word).expect("the parser lets only these words through"))
}

impl Create {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let zone = session.config()?.settings().core.default_timezone;
        let client = session.client_with_dags().await?;
        let request = BackfillRequest {
            dag: self.dag_id,
            from: self.from_date.at(zone),
            to: self.to_date.at(zone),
            max_active_runs: self.max_active_runs,
            backwards: self.run_backwards,
            reprocess: self.reprocess_behavior,
            conf: self.dag_run_conf.0,
        };
        if self.dry_run {
            return dry_run(&client, &request, self.output, session).await;
        }
        let created = ask_for(&client, request, session).await?;
        let mut rows = Rows::new(["id", "dag_id", "dates"]);
        let (id, dag) = (created.backfill, &created.dag);
        rows.push([id.to_string().into(), dag.as_str().into(), i64::from(created.dates).into()]);
        rows.write(self.output.format, &mut session.out)?;
        if created.paused {
            session.say(format_args!("DAG `{dag}` is paused: the backfill waits until `updraft dags unpause {dag}`"));
        } else if !client.scheduler_lives().await? {
            session.say("no node runs: the backfill begins with `updraft standalone` or `updraft scheduler`");
        }
        Ok(())
    }
}

/// Has the backfill made.
pub async fn ask_for(
    client: &Client,
    request: BackfillRequest,
    session: &Session,
) -> Result<BackfillCreated, CliError> {
    let user = session.user().map(str::to_owned);
    let control = Control::CreateBackfill { request, user: user.clone() };
    Ok(client.control(&control, user.as_deref()).await?.backfill_created()?)
}

/// Every date, and what would become of it as things stand now.
pub async fn dry_run(
    client: &Client,
    request: &BackfillRequest,
    output: Output,
    session: &mut Session,
) -> Result<(), CliError> {
    let entry = lookup::dag(&client.store, &request.dag).await?;
    let dates =
        backfill::dates(request, &entry.definition, Utc::now()).map_err(|unfit| CliError::failed(unfit.to_string()))?;
    let runs = client.store.runs_between(&request.dag, request.from, request.to).await?;
    let states: HashMap<_, _> = runs.into_iter().filter_map(|run| Some((run.logical_date?, run.state))).collect();
    session.say(format_args!(
        "Dry run of a backfill of `{}` from {} to {}{}: {} dates, at most {} runs at once, reprocess {}",
        request.dag,
        iso(request.from),
        iso(request.to),
        if request.backwards { ", backwards" } else { "" },
        dates.len(),
        request.max_active_runs,
        request.reprocess.as_str()
    ));
    let mut rows = Rows::new(["logical_date", "data_interval_start", "data_interval_end", "action"]);
    for date in dates {
        let step = request.reprocess.step(states.get(&date.logical_date).copied());
        rows.push([
            date.logical_date.into(),
            date.interval.start.into(),
            date.interval.end.into(),
            step.as_str().into(),
        ]);
    }
    Ok(rows.write(output.format, &mut session.out)?)
}
