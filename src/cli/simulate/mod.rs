//! `updraft simulate`: what would happen, within seconds.

mod picture;
mod svg;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use clap::Args;

use crate::dagfile::written::Length;
use crate::domain::blocker::length;
use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, PoolName, TaskId};
use crate::domain::limit::Limit;
use crate::domain::problem::suggestion;
use crate::domain::time::after;
use crate::node::simulate::{Assumptions, Simulated, scenario, simulate};

use super::arguments::{Output, WrittenDate};
use super::error::CliError;
use super::lookup;
use super::output::{OutputFormat, Rows};
use super::session::Session;

/// What a task is assumed to take that has never run.
const DEFAULT_DURATION: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Args)]
pub struct Simulate {
    /// The DAGs, all with each other.
    #[arg(value_name = "DAG", required_unless_present = "all")]
    dags: Vec<DagId>,
    /// Every DAG there is.
    #[arg(long, conflicts_with = "dags")]
    all: bool,
    /// How many days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: u32,
    /// The first day; without it from now on.
    #[arg(long, value_name = "DATE")]
    from: Option<WrittenDate>,
    /// How many tasks may run at once; 0 for any number. Without it as configured.
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// Another `[core] parallelism`.
    #[arg(long, value_name = "N")]
    parallelism: Option<u32>,
    /// Another number of slots of a pool (-1 for any number); may be given several times.
    #[arg(long, value_name = "POOL=SLOTS")]
    pool: Vec<PoolSlots>,
    /// How long tasks take: all that have never run, or one of them. Without it the median of the latest runs.
    #[arg(long, value_name = "[[DAG.]TASK=]TIME")]
    duration: Vec<TaskDuration>,
    /// How probably a try fails: 2% or 0.02.
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    fail: Share,
    /// Which failures; the same seed gives the same ones.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// So many runs of each DAG are triggered at the beginning.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    runs: u32,
    /// With -o json or yaml, also list every task instance.
    #[arg(long)]
    tasks: bool,
    /// Write a picture of the runs and the slots to this file.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// A probability.
#[derive(Clone, Copy, Debug)]
struct Share(f64);

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let share = match text.trim().strip_suffix('%') {
            Some(percent) => number(percent).map(|percent| percent / 100.0),
            None => number(text),
        };
        share
            .filter(|share| (0.0..=1.0).contains(share))
            .map(Self)
            .ok_or_else(|| "expected a share from 0% to 100%, such as 2% or 0.02".to_owned())
    }
}

#[derive(Clone, Debug)]
struct PoolSlots(PoolName, i32);

impl FromStr for PoolSlots {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a pool and its slots, such as etl=4".to_owned();
        let (name, slots) = text.rsplit_once('=').ok_or_else(expected)?;
        let slots: i32 = slots.parse().ok().filter(|slots| *slots >= -1).ok_or_else(expected)?;
        Ok(Self(PoolName::new(name).map_err(|invalid| invalid.to_string())?, slots))
    }
}

/// A duration and, where it is one task's, its name.
#[derive(Clone, Debug)]
struct TaskDuration(Option<String>, Duration);

impl FromStr for TaskDuration {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (task, duration) = match text.rsplit_once('=') {
            Some((task, duration)) => (Some(task.to_owned()), duration),
            None => (None, text),
        };
        let duration = Length::parse(duration).ok_or_else(|| {
            "expected a length of time such as 30s, or with a task: load=5m, etl.load=1h30m".to_owned()
        })?;
        Ok(Self(task, duration.0))
    }
}

impl Simulate {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let dags = self.chosen(&client.store).await?;
        let said = self.said_durations(&dags)?;
        let from = self.from.map_or_else(Utc::now, |date| date.at(config.settings().core.default_timezone));
        let general = self.duration.iter().rev().find(|duration| duration.0.is_none());
        let assumed = Assumptions {
            from,
            until: after(from, Duration::from_secs(u64::from(self.days) * 86_400)),
            slots: self.slots.map(Limit::from_zero_unlimited),
            parallelism: self.parallelism.map(Limit::from_zero_unlimited),
            pools: self.pool.iter().map(|pool| (pool.0.clone(), pool.1)).collect(),
            duration: general.map_or(DEFAULT_DURATION, |duration| duration.1),
            triggered: self.runs,
            fail: self.fail.0,
            seed: self.seed,
            keep_tasks: self.tasks,
        };
        let (scenario, unknown) = scenario(&client.store, config.settings(), dags, &said, &assumed).await?;
        if general.is_none() && !unknown.is_empty() {
            say_assumed(&unknown, session);
        }
        let simulated = simulate(&scenario)
            .map_err(|error| CliError::failed(error.to_string()).hint("ask for fewer days or fewer DAGs".to_owned()))?;
        if let Some(file) = &self.svg {
            let cannot = |why| CliError::failed(format!("cannot write {}: {why}", file.display()));
            std::fs::write(file, svg::draw(&simulated)).map_err(cannot)?;
            session.say(format_args!("File {} saved", file.display()));
        }
        if simulated.runs.is_empty() {
            session.say("no run is due in this time; --runs N triggers some at the beginning");
        }
        Ok(write(&simulated, self.output.format, &mut session.out)?)
    }

    async fn chosen(&self, store: &crate::store::Store) -> Result<Vec<Arc<Dag>>, CliError> {
        let entries = if self.all {
            store.dags(false).await?.into_iter().filter(|entry| !entry.row.is_stale).collect()
        } else {
            let mut entries = Vec::new();
            for id in &self.dags {
                entries.push(lookup::dag(store, id).await?);
            }
            entries
        };
        let mut dags: BTreeMap<DagId, Arc<Dag>> = BTreeMap::new();
        for entry in entries {
            let id = entry.row.dag_id.clone();
            let dag = Dag::compile(entry.definition)
                .map_err(|error| CliError::failed(format!("DAG `{id}` cannot be used: {error}")))?;
            dags.insert(id, Arc::new(dag));
        }
        Ok(dags.into_values().collect())
    }

    /// The durations of single tasks; a name that means nothing is a mistake.
    fn said_durations(&self, dags: &[Arc<Dag>]) -> Result<BTreeMap<(DagId, TaskId), Duration>, CliError> {
        let names = || {
            let tasks =
                dags.iter().flat_map(|dag| dag.tasks().map(|(_, task)| (&dag.definition.dag_id, &task.task_id)));
            tasks.map(|(dag, task)| (dag.clone(), task.clone()))
        };
        let mut said = BTreeMap::new();
        for TaskDuration(named, duration) in &self.duration {
            let Some(named) = named else { continue };
            let is_meant = |(dag, task): &(DagId, TaskId)| {
                task.as_str() == named
                    || named.strip_prefix(dag.as_str()).and_then(|rest| rest.strip_prefix('.')) == Some(task.as_str())
            };
            let meant: Vec<_> = names().filter(is_meant).collect();
            if meant.is_empty() {
                let known: Vec<String> = names().map(|(_, task)| task.to_string()).collect();
                let hint = suggestion(named, known.iter().map(String::as_str));
                return Err(
                    CliError::failed(format!("--duration {named}=…: none of these DAGs has such a task")).hint(hint)
                );
            }
            said.extend(meant.into_iter().map(|name| (name, *duration)));
        }
        Ok(said)
    }
}

fn say_assumed(unknown: &[(DagId, TaskId)], session: &mut Session) {
    let named: Vec<String> = unknown.iter().take(5).map(|(dag, task)| format!("{dag}.{task}")).collect();
    let more = match unknown.len() - named.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let assumed = length(DEFAULT_DURATION);
    session.say(format_args!(
        "{}{more} never ran, and {assumed} each are assumed; --duration says it better",
        named.join(", ")
    ));
}

fn write(simulated: &Simulated, format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, simulated)?;
            writeln!(out)
        }
        OutputFormat::Yaml => {
            let yaml = serde_saphyr::to_string(simulated).map_err(io::Error::other)?;
            writeln!(out, "{}", yaml.trim_end())
        }
        OutputFormat::Plain => runs(simulated).write(format, out),
        OutputFormat::Table => {
            runs(simulated).write(format, out)?;
            if !simulated.held.is_empty() {
                held(simulated).write(format, out)?;
            }
            picture::write(simulated, out)
        }
    }
}

fn runs(simulated: &Simulated) -> Rows<15> {
    let mut rows = Rows::new([
        "dag_id",
        "runs",
        "success",
        "failed",
        "unfinished",
        "not_made",
        "run_mean",
        "run_p95",
        "run_max",
        "latest_start",
        "task_wait_mean",
        "task_wait_p95",
        "task_wait_max",
        "timed_out",
        "overran",
    ]);
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    for dag in &simulated.dags {
        rows.push([
            dag.dag_id.as_str().into(),
            number(dag.runs).into(),
            number(dag.success).into(),
            number(dag.failed).into(),
            number(dag.unfinished).into(),
            number(dag.not_made).into(),
            seconds(dag.run_length.mean).into(),
            seconds(dag.run_length.p95).into(),
            seconds(dag.run_length.max).into(),
            seconds(dag.start_delay.max).into(),
            seconds(dag.task_wait.mean).into(),
            seconds(dag.task_wait.p95).into(),
            seconds(dag.task_wait.max).into(),
            number(dag.timed_out).into(),
            number(dag.overran).into(),
        ]);
    }
    rows
}

fn held(simulated: &Simulated) -> Rows<4> {
    let mut rows = Rows::new(["held_by", "waits", "total", "longest"]);
    for held in &simulated.held {
        rows.push([
            held.by.as_str().into(),
            i64::try_from(held.waits).unwrap_or(i64::MAX).into(),
            seconds(held.total_seconds).into(),
            seconds(held.longest_seconds).into(),
        ]);
    }
    rows
}

/// Seconds as a length for people.
fn seconds(seconds: f64) -> String {
    length(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_number_up_to_one() {
        for (text, share) in [("2%", 0.02), ("0.02", 0.02), ("100 %", 1.0), ("0", 0.0)] {
            assert!((text.parse::<Share>().expect("a share").0 - share).abs() < 1e-9, "{text}");
        }
        for text in ["2", "-1%", "101%", "many"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_is_for_all_or_for_one_task() {
        let one: TaskDuration = "etl.load=1h30m".parse().expect("a duration");
        assert_eq!((one.0.as_deref(), one.1.as_secs()), (Some("etl.load"), 5_400));
        let all: TaskDuration = "30s".parse().expect("a duration");
        assert_eq!((all.0, all.1.as_secs()), (None, 30));
        assert!("load=soon".parse::<TaskDuration>().expect_err("no length").contains("30s"));
        assert!("etl".parse::<PoolSlots>().is_err() && "etl=-2".parse::<PoolSlots>().is_err());
    }
}
