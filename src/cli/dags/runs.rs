//! `updraft dags list-runs` and `updraft dags state`

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;

use crate::config::Era;
use crate::domain::ids::{DagId, RunKey};
use crate::domain::python_json::python_json;
use crate::domain::run::{RunType, iso};
use crate::domain::state::RunState;
use crate::store::query::RunFilter;

use super::super::arguments::{DagSource, NamedRun, Output, WrittenDate, run_state};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::{OutputFormat, Rows};

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
            "missed_deadlines",
        ]);
        let runs = client.store.runs(&filter).await?;
        let keys: Vec<RunKey> = runs.iter().map(|run| run.key).collect();
        let mut missed: BTreeMap<RunKey, Vec<String>> = BTreeMap::new();
        for deadline in client.store.missed_deadlines(&keys).await? {
            let name = deadline.name.map(|name| format!("{name} ")).unwrap_or_default();
            missed.entry(deadline.run).or_default().push(format!("{name}{}", iso(deadline.due_at)));
        }
        for run in runs {
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
                missed.remove(&run.key).unwrap_or_default().into(),
            ]);
        }
        let mut columns = match core.era {
            Era::Airflow2 => vec!["dag_id", "run_id", "state", "execution_date", "start_date", "end_date"],
            Era::Airflow3 => vec!["dag_id", "run_id", "state", "run_after", "logical_date", "start_date", "end_date"],
        };
        match self.output.format {
            OutputFormat::Json | OutputFormat::Yaml => columns.push("missed_deadlines"),
            OutputFormat::Table | OutputFormat::Plain => {}
        }
        Ok(rows.write_columns(&columns, self.output.format, &mut session.out)?)
    }
}

#[derive(Clone, Debug, Args)]
pub struct State {
    #[command(flatten)]
    named: NamedRun,
}

impl State {
    /// A run that is not there prints `None` and is no failure, as in Airflow; the talk says more.
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let NamedRun { dag_id, run, source } = self.named;
        source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        lookup::dag_with_history(&client.store, &dag_id).await?;
        match lookup::run(&client.store, config.settings(), &dag_id, &run).await? {
            Some(found) if found.conf.is_empty() => writeln!(session.out, "{}", found.state)?,
            Some(found) => writeln!(session.out, "{}, {}", found.state, python_json(&found.conf.into()))?,
            None => {
                writeln!(session.out, "None")?;
                let hint = lookup::no_such_run(&client.store, &dag_id, &run).await?;
                session.say(format_args!("DAG `{dag_id}` has no run `{run}`: {hint}"));
            }
        }
        Ok(())
    }
}
