//! `updraft dags next-execution`

use std::io::Write;

use chrono::Utc;
use clap::Args;

use crate::domain::graph::Dag;
use crate::domain::ids::DagId;
use crate::domain::run::iso;

use super::super::arguments::DagSource;
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct NextExecution {
    dag_id: DagId,
    /// How many dates.
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    num_executions: u32,
    #[command(flatten)]
    source: DagSource,
}

impl NextExecution {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        if entry.row.is_paused {
            session.say(format_args!("DAG `{}` is paused: nothing is scheduled until it is unpaused", self.dag_id));
        }
        let dag = Dag::compile(entry.definition)
            .map_err(|error| CliError::failed(format!("DAG `{}` cannot be used: {error}", self.dag_id)))?;
        let (bounds, now) = (dag.bounds(), Utc::now());
        let mut last = entry.row.last_interval;
        for _ in 0..self.num_executions {
            let Some(next) = dag.timetable.next(&bounds, last.as_ref(), now) else {
                let (id, summary) = (&self.dag_id, dag.timetable.summary());
                match dag.definition.schedule.assets() {
                    Some(_) => session.say(format_args!("DAG `{id}` runs {summary}: no date says when that is")),
                    None => session.say(format_args!("the schedule of DAG `{id}` ({summary}) makes no further run")),
                }
                writeln!(session.out, "None")?;
                return Ok(());
            };
            writeln!(session.out, "{}", iso(next.logical_date))?;
            if last == Some(next.interval) {
                // A continuous schedule has its next run only when this one has ended.
                return Ok(());
            }
            last = Some(next.interval);
        }
        Ok(())
    }
}
