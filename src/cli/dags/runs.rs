//! `updraft dags list-runs` and `updraft dags state`

use std::io::Write;

use clap::Args;

use crate::config::Era;
use crate::domain::ids::DagId;
use crate::domain::python_json::python_json;
use crate::domain::run::RunType;
use crate::domain::state::RunState;
use crate::store::query::RunFilter;

use super::super::arguments::{DagSource, Output, WrittenDate, run_state};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::Rows;

use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct ListRuns {
    /// The DAG.
    #[arg(required_unless_present = "flag")]
    dag_id: Option<DagId>,
    /// The same, as Airflow 2 has it.
    #[arg(short = 'd', long = "dag-id", id = "flag", value_name = "DAG_ID", conflicts_with = "dag_id")]
    flag: Option<DagId>,
    /// Only runs in this state.
    #[arg(long, value_parser = run_state())]
    state: Option<RunState>,
    /// Only runs that no backfill made.
    #[arg(long)]
    no_backfill: bool,
    /// Only logical dates from here on.
    #[arg(short = 's', long, value_name = "DATE")]
    start_date: Option<WrittenDate>,
    /// Only logical dates until here.
    #[arg(short = 'e', long, value_name = "DATE")]
    end_date: Option<WrittenDate>,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl ListRuns {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let Some(dag) = self.dag_id.or(self.flag) else {
            return Err(CliError::usage("which DAG? `updraft dags list-runs DAG_ID`"));
        };
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let core = &config.settings().core;
        lookup::dag_with_history(&client.store, &dag).await?;
        let filter = RunFilter {
            dag: Some(dag),
            states: self.state.into_iter().collect(),
            from: self.start_date.map(|date| date.at(core.default_timezone)),
            until: self.end_date.map(|date| date.at(core.default_timezone)),
            limit: None,
        };
        let mut rows = Rows::new([
            "dag_id",
            "run_id",
            "state",
            "run_after",
            "logical_date",
            "execution_date",
            "start_date",
            "end_date",
        ]);
        for run in client.store.runs(&filter).await? {
            if self.no_backfill && run.run_type == RunType::Backfill {
                continue;
            }
            rows.push([
                run.dag_id.as_str().into(),
                run.run_id.as_str().into(),
                run.state.as_str().into(),
                run.run_after.into(),
                run.logical_date.into(),
                run.logical_date.into(),
                run.started_at.into(),
                run.ended_at.into(),
            ]);
        }
        let columns: &[&str] = match core.era {
            Era::Airflow2 => &["dag_id", "run_id", "state", "execution_date", "start_date", "end_date"],
            Era::Airflow3 => &["dag_id", "run_id", "state", "run_after", "logical_date", "start_date", "end_date"],
        };
        Ok(rows.write_columns(columns, self.output.format, &mut session.out)?)
    }
}

#[derive(Clone, Debug, Args)]
pub struct State {
    dag_id: DagId,
    /// The run's id or its logical date.
    #[arg(value_name = "DATE/RUN")]
    run: String,
    #[command(flatten)]
    source: DagSource,
}

impl State {
    /// A run that is not there prints `None` and is no failure, as in Airflow; the talk says more.
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        lookup::dag_with_history(&client.store, &self.dag_id).await?;
        match lookup::run(&client.store, config.settings(), &self.dag_id, &self.run).await? {
            Some(run) if run.conf.is_empty() => writeln!(session.out, "{}", run.state)?,
            Some(run) => writeln!(session.out, "{}, {}", run.state, python_json(&run.conf.into()))?,
            None => {
                writeln!(session.out, "None")?;
                let hint = lookup::no_such_run(&client.store, &self.dag_id, &self.run).await?;
                session.say(format_args!("DAG `{}` has no run `{}`: {hint}", self.dag_id, self.run));
            }
        }
        Ok(())
    }
}
