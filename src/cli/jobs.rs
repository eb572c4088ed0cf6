//! `updraft jobs check` and `updraft dags list-jobs`. The one kind of job that is known by its database is the scheduler.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::domain::ids::DagId;
use crate::node::client::Client;
use crate::node::run::host_name;
use crate::store::query::LeaderStatus;

use super::arguments::{DagSource, Output};
use super::error::CliError;
use super::output::{Cell, Rows};
use super::session::Session;

/// Airflow's word for a scheduler.
const SCHEDULER: &str = "SchedulerJob";

/// See whether what should run does.
#[derive(Clone, Debug, Args)]
pub struct JobsCommand {
    #[command(subcommand)]
    action: JobsAction,
}

#[derive(Clone, Debug, Subcommand)]
enum JobsAction {
    /// Prove that a scheduler lives: for health checks of containers. One that stands by is found on its own machine.
    #[command(
        after_help = "Examples:\n  updraft jobs check\n  updraft jobs check --job-type SchedulerJob --local     # on this machine"
    )]
    Check(Check),
}

impl JobsCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            JobsAction::Check(check) => check.run(session).await,
        }
    }
}

#[derive(Clone, Debug, Args)]
struct Check {
    /// Only jobs of this type; the one there is is SchedulerJob.
    #[arg(long, value_name = "TYPE")]
    job_type: Option<String>,
    /// Only jobs on this machine, by its name.
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Only jobs on the machine where this is asked.
    #[arg(long, conflicts_with = "hostname")]
    local: bool,
    /// How many recent jobs are looked at; 0 for all. One leads at a time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    limit: u32,
    /// Several jobs that live are no failure.
    #[arg(long)]
    allow_multiple: bool,
}

impl Check {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if self.allow_multiple && self.limit == 1 {
            return Err(CliError::usage("--allow-multiple needs a --limit above 1, or 0 for all"));
        }
        let client = session.client().await?;
        let found = Scheduler::find(&client).await?;
        let host = if self.local { Some(host_name()) } else { self.hostname };
        let is_of_type = self.job_type.as_deref().is_none_or(|wanted| wanted == SCHEDULER);
        let leads_there = found.lives && host.as_deref().is_none_or(|host| host == found.host());
        // The database knows only who leads; who stands by is known where it does.
        let stands_by_there = host.is_some_and(|host| host == host_name()) && client.node_stands_by();
        if !is_of_type || !(leads_there || stands_by_there) {
            return Err(CliError::failed("No alive jobs found."));
        }
        if !leads_there {
            let leader = if found.lives { found.status.holder.as_str() } else { "nobody" };
            session.say(format_args!("it stands by: {leader} leads"));
        }
        Ok(writeln!(session.out, "Found one alive job.")?)
    }
}

#[derive(Clone, Debug, Args)]
pub struct ListJobs {
    /// Only jobs of this DAG: schedulers belong to none.
    #[arg(short = 'd', long)]
    dag_id: Option<DagId>,
    /// Only jobs in this state: running or success.
    #[arg(long)]
    state: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl ListJobs {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client().await?;
        let found = Scheduler::find(&client).await?;
        let state = if found.lives { "running" } else { "success" };
        let is_meant = self.dag_id.is_none() && self.state.is_none_or(|wanted| wanted == state);
        let mut rows = Rows::new(["dag_id", "state", "job_type", "hostname", "latest_heartbeat"]);
        if found.status.epoch.0 > 0 && is_meant && self.limit != Some(0) {
            let seen = (found.status.renewed_at.timestamp() > 0).then_some(found.status.renewed_at);
            rows.push([Cell::Nothing, state.into(), SCHEDULER.into(), found.host().into(), seen.into()]);
        }
        Ok(rows.write(self.output.format, &mut session.out)?)
    }
}

/// Who leads, or led last.
struct Scheduler {
    status: LeaderStatus,
    lives: bool,
}

impl Scheduler {
    async fn find(client: &Client) -> Result<Self, CliError> {
        Ok(Self { status: client.store.leader().await?, lives: client.scheduler_lives().await? })
    }

    /// A holder is written as the name of its machine, and which process there.
    fn host(&self) -> &str {
        self.status.holder.split_once(", ").map_or(self.status.holder.as_str(), |(host, _)| host)
    }
}
