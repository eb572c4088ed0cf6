//! `updraft tasks clear`: says first what will run again, and asks.

use clap::Args;
use regex::Regex;

use crate::domain::ids::{DagId, MapIndex, TaskId};
use crate::node::client::Client;
use crate::protocol::control::{self, Control, TouchedTask};
use crate::protocol::selection::{RunRange, Selection};
use crate::store::query::DagEntry;

use super::super::arguments::{DagSource, Output, WrittenDate};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::Rows;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Clear {
    dag_id: DagId,
    /// Only tasks whose id this regular expression finds.
    #[arg(short = 't', long, value_name = "REGEX")]
    task_regex: Option<String>,
    /// Only runs of this logical date or later.
    #[arg(short = 's', long, value_name = "DATE")]
    start_date: Option<WrittenDate>,
    /// Only runs of this logical date or earlier.
    #[arg(short = 'e', long, value_name = "DATE")]
    end_date: Option<WrittenDate>,
    /// Also what is upstream of these tasks.
    #[arg(short = 'u', long)]
    upstream: bool,
    /// Also what is downstream of them.
    #[arg(short = 'd', long)]
    downstream: bool,
    /// Only what failed.
    #[arg(short = 'f', long)]
    only_failed: bool,
    /// Only what is running.
    #[arg(short = 'r', long)]
    only_running: bool,
    /// Say yes to the question beforehand.
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Clear {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let zone = session.config()?.settings().core.default_timezone;
        let client = session.client_with_dags().await?;
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        let tasks = self.tasks(&entry)?;
        let selection = Selection {
            dag: self.dag_id.clone(),
            runs: RunRange::Dates {
                from: self.start_date.as_ref().map(|date| date.at(zone)),
                until: self.end_date.as_ref().map(|date| date.at(zone)),
            },
            tasks,
            upstream: self.upstream,
            downstream: self.downstream,
            past: false,
            future: false,
        };
        let wish = control::Clear {
            selection,
            only_failed: self.only_failed,
            only_running: self.only_running,
            reset_runs: true,
            dry_run: true,
        };
        clear(&client, wish, self.yes, self.output, session).await
    }

    /// The tasks that are named; empty for all of them.
    fn tasks(&self, entry: &DagEntry) -> Result<Vec<TaskId>, CliError> {
        let Some(regex) = &self.task_regex else { return Ok(Vec::new()) };
        let pattern = Regex::new(regex)
            .map_err(|error| CliError::usage(format!("`{regex}` is no regular expression: {error}")))?;
        let ids = entry.definition.tasks.iter().map(|task| &task.task_id);
        let found: Vec<TaskId> = ids.filter(|id| pattern.is_match(id.as_str())).cloned().collect();
        if found.is_empty() {
            let error = CliError::failed(format!("no task of DAG `{}` matches `{regex}`", self.dag_id));
            return Err(error.hint(format!("`updraft tasks list {}` shows its tasks", self.dag_id)));
        }
        Ok(found)
    }
}

/// Shows what will run again, asks, and has it done. `wish` begins as a dry run.
pub async fn clear(
    client: &Client,
    mut wish: control::Clear,
    yes: bool,
    output: Output,
    session: &mut Session,
) -> Result<(), CliError> {
    if !yes {
        let planned = ask_for(client, &wish, session).await?;
        if planned.is_empty() {
            session.say("No task instance is to be cleared");
            return write(&planned, output, session);
        }
        session.say(format_args!("You are about to clear these {} task instances:", planned.len()));
        for task in &planned {
            session.say(format_args!("  {} ({})", task.key, task.state));
        }
        if !session.confirm("Are you sure?")? {
            session.say("Nothing was changed");
            return Ok(());
        }
    }
    wish.dry_run = false;
    let cleared = ask_for(client, &wish, session).await?;
    write(&cleared, output, session)
}

fn write(tasks: &[TouchedTask], output: Output, session: &mut Session) -> Result<(), CliError> {
    const COLUMNS: [&str; 5] = ["dag_id", "run_id", "task_id", "state", "map_index"];
    let mut rows = Rows::new(COLUMNS);
    let is_mapped = |task: &TouchedTask| task.key.map_index != MapIndex::UNMAPPED;
    for task in tasks {
        let key = &task.key;
        rows.push([
            key.dag.as_str().into(),
            key.run.as_str().into(),
            key.task.as_str().into(),
            task.state.as_str().into(),
            is_mapped(task).then(|| i64::from(key.map_index.0)).into(),
        ]);
    }
    let columns = if tasks.iter().any(is_mapped) { &COLUMNS[..] } else { &COLUMNS[..4] };
    Ok(rows.write_columns(columns, output.format, &mut session.out)?)
}

async fn ask_for(client: &Client, wish: &control::Clear, session: &Session) -> Result<Vec<TouchedTask>, CliError> {
    Ok(client.control(&Control::Clear(wish.clone()), session.user()).await?.touched()?)
}
