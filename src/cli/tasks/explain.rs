//! `updraft tasks explain`: why not, in plain sentences.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::domain::blocker::length;
use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::domain::run::iso;
use crate::domain::state::TaskState;
use crate::protocol::control::Control;
use crate::protocol::explanation::Explanation;
use crate::store::query::RunFilter;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::OutputFormat;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Explain {
    dag_id: DagId,
    task_id: TaskId,
    /// The run's id or its logical date; without it the newest run.
    #[arg(value_name = "DATE/RUN")]
    run: Option<String>,
    /// Which element of a mapped task.
    #[arg(long, default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    map_index: i32,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Explain {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let entry = lookup::dag_with_history(&client.store, &self.dag_id).await?;
        let dag = &self.dag_id;
        let run_id = match &self.run {
            Some(named) => lookup::existing_run(&client.store, config.settings(), dag, named).await?.run_id,
            None => {
                let newest = RunFilter { dag: Some(dag.clone()), limit: Some(1), ..RunFilter::default() };
                match client.store.runs(&newest).await?.into_iter().next() {
                    Some(run) => run.run_id,
                    None => {
                        lookup::task(&entry, &self.task_id)?;
                        return Err(CliError::failed(format!("DAG `{dag}` has no run yet, so nothing of it waits"))
                            .hint(format!(
                                "`updraft dags explain {dag}` says why, `updraft dags trigger {dag}` makes one"
                            )));
                    }
                }
            }
        };
        let explanation = ask(&client, self.dag_id, run_id, self.task_id, MapIndex(self.map_index), session).await?;
        match self.output.format {
            OutputFormat::Table | OutputFormat::Plain => Ok(write_sentences(&explanation, &mut session.out)?),
            OutputFormat::Json => Ok(writeln!(session.out, "{:#}", value(&explanation))?),
            OutputFormat::Yaml => {
                let yaml = serde_saphyr::to_string(&value(&explanation)).map_err(io::Error::other)?;
                Ok(writeln!(session.out, "{}", yaml.trim_end())?)
            }
        }
    }
}

async fn ask(
    client: &crate::node::client::Client,
    dag: DagId,
    run_id: RunId,
    task: TaskId,
    map_index: MapIndex,
    session: &Session,
) -> Result<Explanation, CliError> {
    let question = Control::Explain { dag, run_id, task, map_index };
    Ok(client.control(&question, session.user()).await?.explained()?)
}

fn write_sentences(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let state = match explanation.state {
        TaskState::None => "no state yet",
        state => state.as_str(),
    };
    let tried = match explanation.try_number {
        0 => "not tried yet".to_owned(),
        n => format!("try {n} of {}", explanation.max_tries.saturating_add(1).max(n)),
    };
    writeln!(out, "{}: {state}, {tried}", explanation.key)?;
    let title = if explanation.state.is_finished() { "Now" } else { "What holds it now" };
    writeln!(out, "\n{title}:")?;
    for reason in &explanation.reasons {
        writeln!(out, "  - {}", reason.sentence(explanation.at))?;
        if let Some(hint) = reason.hint() {
            writeln!(out, "    hint: {hint}")?;
        }
    }
    if explanation.journal.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat held it, from when to when:")?;
    for stretch in &explanation.journal {
        let goes_on = if stretch.to == explanation.at && !explanation.state.is_finished() { ", still" } else { "" };
        writeln!(
            out,
            "  {} to {} ({}{goes_on}): {}",
            stretch.from.format("%Y-%m-%d %H:%M:%S%.3f"),
            stretch.to.format("%H:%M:%S%.3f UTC"),
            length(stretch.length()),
            stretch.held.sentence()
        )?;
    }
    Ok(())
}

/// The explanation for programs: every reason and wait with its sentence.
fn value(explanation: &Explanation) -> Value {
    let key = &explanation.key;
    let with = |value: &dyn Fn() -> serde_json::Result<Value>, more: Value| match (value(), more) {
        (Ok(Value::Object(mut fields)), Value::Object(more)) => {
            fields.extend(more);
            Value::Object(fields)
        }
        (Ok(_) | Err(_), more) => more,
    };
    let reasons = explanation.reasons.iter().map(|reason| {
        let more = json!({"sentence": reason.sentence(explanation.at), "hint": reason.hint()});
        with(&|| serde_json::to_value(reason), more)
    });
    let waits = explanation.journal.iter().map(|stretch| {
        let more = json!({"seconds": stretch.length().as_secs_f64(), "sentence": stretch.held.sentence()});
        with(&|| serde_json::to_value(stretch), more)
    });
    json!({
        "dag_id": key.dag.as_str(),
        "run_id": key.run.as_str(),
        "task_id": key.task.as_str(),
        "map_index": key.map_index.0,
        "at": iso(explanation.at),
        "state": explanation.state.as_str(),
        "run_state": explanation.run_state.as_str(),
        "try_number": explanation.try_number,
        "max_tries": explanation.max_tries,
        "reasons": reasons.collect::<Vec<_>>(),
        "journal": waits.collect::<Vec<_>>(),
    })
}
