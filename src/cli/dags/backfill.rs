//! `updraft dags backfill`: Airflow 2's way to run past dates, which waits for their end. A node does the work.

use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::domain::backfill::{BackfillRequest, Reprocess};
use crate::domain::ids::{BackfillId, DagId};
use crate::domain::limit::Limit;
use crate::domain::state::RunState;
use crate::node::client::Client;
use crate::store::query::{BackfillEntry, DagEntry};

use super::super::arguments::{DagSource, JsonObject, Output, WrittenDate};
use super::super::backfill::create::{ask_for, dry_run};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::Rows;
use super::super::session::Session;

/// How often a person's screen is brought up to date.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Args)]
pub struct Backfill {
    dag_id: DagId,
    /// The first logical date, inclusive; without it the last one.
    #[arg(short = 's', long, value_name = "DATE", required_unless_present = "end_date")]
    start_date: Option<WrittenDate>,
    /// The last logical date, inclusive; without it the first one.
    #[arg(short = 'e', long, value_name = "DATE")]
    end_date: Option<WrittenDate>,
    /// A JSON object that every run is given as conf.
    #[arg(short = 'c', long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    conf: JsonObject,
    /// Only say which dates these are and what would become of each.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Runs that are over are run again, however they ended.
    #[arg(long)]
    reset_dagruns: bool,
    /// Runs that failed are run again.
    #[arg(long)]
    rerun_failed_tasks: bool,
    /// The newest date first.
    #[arg(short = 'B', long)]
    run_backwards: bool,
    /// Accepted for Airflow 2: nothing here asks.
    #[arg(short = 'y', long, hide = true)]
    yes: bool,
    /// Accepted for Airflow 2: other dates always go on.
    #[arg(long, hide = true)]
    continue_on_failures: bool,
    /// Accepted for Airflow 2; without effect.
    #[arg(short = 'x', long, hide = true)]
    donot_pickle: bool,
    /// Accepted for Airflow 2; without effect.
    #[arg(short = 'l', long, hide = true)]
    local: bool,
    /// Accepted for Airflow 2; without effect.
    #[arg(long, value_name = "SECONDS", hide = true)]
    delay_on_limit: Option<f64>,
    /// Accepted for Airflow 2; without effect.
    #[arg(short = 'S', long, value_name = "PATH", hide = true)]
    subdir: Option<String>,
    #[command(flatten)]
    foreign: Foreign,
    #[command(flatten)]
    output: Output,
}

/// What Airflow 2 took and a backfill of whole runs has no place for. Each is refused, and says what does it.
#[derive(Clone, Debug, Args)]
struct Foreign {
    #[arg(short = 't', long, value_name = "REGEX", hide = true)]
    task_regex: Option<String>,
    #[arg(short = 'i', long, hide = true)]
    ignore_dependencies: bool,
    #[arg(short = 'I', long, hide = true)]
    ignore_first_depends_on_past: bool,
    #[arg(short = 'm', long, hide = true)]
    mark_success: bool,
    #[arg(long, value_name = "POOL", hide = true)]
    pool: Option<String>,
    #[arg(long, hide = true)]
    treat_dag_id_as_regex: bool,
    #[arg(long, hide = true)]
    disable_retry: bool,
}

impl Foreign {
    fn refuse(&self, dag: &DagId) -> Result<(), CliError> {
        let clear = format!("`updraft tasks clear {dag} --task-regex …` lets single tasks of past runs run again");
        let table = [
            ("--task-regex", self.task_regex.is_some(), clear.clone()),
            ("--ignore-dependencies", self.ignore_dependencies, clear),
            ("--mark-success", self.mark_success, "a backfill runs tasks; a run can be marked afterwards".to_owned()),
            ("--pool", self.pool.is_some(), "a task's pool is a matter of its DAG file".to_owned()),
            ("--treat-dag-id-as-regex", self.treat_dag_id_as_regex, "name one DAG at a time".to_owned()),
            ("--disable-retry", self.disable_retry, "retries are a matter of the DAG file".to_owned()),
            (
                "--ignore-first-depends-on-past",
                self.ignore_first_depends_on_past,
                "the first run of a backfill never waits for one before it".to_owned(),
            ),
        ];
        match table.into_iter().find(|(_, given, _)| *given) {
            Some((flag, _, hint)) => {
                Err(CliError::usage(format!("{flag} has no meaning here: a backfill makes whole runs")).hint(hint))
            }
            None => Ok(()),
        }
    }
}

impl Backfill {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.foreign.refuse(&self.dag_id)?;
        let zone = session.config()?.settings().core.default_timezone;
        let source = DagSource::of_subdir(self.subdir.clone());
        source.say(session);
        let client = session.client_with_dags().await?;
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        let Some((first, last)) = self.start_date.or(self.end_date).zip(self.end_date.or(self.start_date)) else {
            return Err(CliError::usage("which dates? Give --start-date, --end-date or both"));
        };
        let request = BackfillRequest {
            dag: self.dag_id.clone(),
            from: first.at(zone),
            to: last.at(zone),
            max_active_runs: runs_at_once(&entry),
            backwards: self.run_backwards,
            reprocess: match (self.reset_dagruns, self.rerun_failed_tasks) {
                (true, _) => Reprocess::Completed,
                (false, true) => Reprocess::Failed,
                (false, false) => Reprocess::None,
            },
            conf: self.conf.0,
        };
        if self.dry_run {
            return dry_run(&client, &request, self.output, session).await;
        }
        refuse_waiting_for_ever(&client, &entry).await?;
        let id = ask_for(&client, request, session).await?.backfill;
        let entry = tokio::select! {
            entry = follow(&client, id) => entry?,
            _ = tokio::signal::ctrl_c() => {
                super::super::backfill::cancel(&client, session, id).await?;
                return Err(CliError::failed(format!("backfill {id} was interrupted, and so cancelled")));
            }
        };
        judge(&client, &entry, self.output, session).await
    }
}

/// Airflow 2 lets a backfill have as many runs as the DAG.
fn runs_at_once(entry: &DagEntry) -> NonZeroU32 {
    match entry.definition.max_active_runs {
        Limit::AtMost(most) => most,
        Limit::Unlimited => NonZeroU32::MAX,
    }
}

/// This command waits, so what would never begin is said before.
async fn refuse_waiting_for_ever(client: &Client, entry: &DagEntry) -> Result<(), CliError> {
    let dag = &entry.row.dag_id;
    if entry.row.is_paused {
        return Err(CliError::failed(format!("DAG `{dag}` is paused: its backfill would wait for ever"))
            .hint(format!("`updraft dags unpause {dag}` first")));
    }
    if !client.scheduler_lives().await? {
        return Err(CliError::failed("no node runs that could run the dates").hint(
            "start `updraft standalone` or `updraft scheduler`, or leave the wish with `updraft backfill create`"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Looks until the backfill is over, with all of its runs.
async fn follow(client: &Client, id: BackfillId) -> Result<BackfillEntry, CliError> {
    let bar = io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{bar:20} {pos}/{len} dates, {elapsed}  {wide_msg}");
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    });
    loop {
        let Some(entry) = client.store.backfill(id).await? else {
            return Err(CliError::failed(format!("backfill {id} is gone: somebody deleted its DAG")));
        };
        if let Some(bar) = &bar {
            bar.set_length(entry.row.dates.into());
            bar.set_position(u64::from(entry.row.dealt).saturating_sub(entry.unfinished()));
            bar.set_message(format!(
                "{} failed, {} running",
                entry.runs_that_are(RunState::Failed),
                entry.runs_that_are(RunState::Running)
            ));
        }
        if entry.row.completed_at.is_some() && entry.unfinished() == 0 {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            return Ok(entry);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The runs of it as rows; a run that failed is a failure of the command.
async fn judge(client: &Client, entry: &BackfillEntry, output: Output, session: &mut Session) -> Result<(), CliError> {
    let row = &entry.row;
    let mut rows = Rows::new(["dag_id", "run_id", "state", "logical_date", "start_date", "end_date"]);
    let runs = client.store.runs_between(&row.request.dag, row.request.from, row.request.to).await?;
    for run in runs.iter().filter(|run| run.backfill.is_some_and(|place| place.backfill == row.id)) {
        rows.push([
            run.dag_id.as_str().into(),
            run.run_id.as_str().into(),
            run.state.as_str().into(),
            run.logical_date.into(),
            run.started_at.into(),
            run.ended_at.into(),
        ]);
    }
    rows.write(output.format, &mut session.out)?;
    let (failed, skipped) = (entry.runs_that_are(RunState::Failed), row.skipped);
    if skipped > 0 {
        session.say(format_args!("{skipped} of the dates had a run before, which was left as it was"));
    }
    if row.is_cancelled {
        return Err(CliError::failed(format!("backfill {} was cancelled", row.id)));
    }
    if failed > 0 {
        let all = entry.runs.values().sum::<u64>();
        return Err(CliError::failed(format!("{failed} of {all} runs failed"))
            .hint(format!("`updraft dags list-runs {} --state failed` shows them", row.request.dag)));
    }
    Ok(())
}
