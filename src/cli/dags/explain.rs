//! `updraft dags explain`: why a DAG makes no run, or which run it makes next.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::domain::ids::DagId;
use crate::domain::run::iso;
use crate::protocol::control::Control;
use crate::protocol::explanation::DagExplanation;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::output::OutputFormat;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Explain {
    dag_id: DagId,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Explain {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let explanation =
            client.control(&Control::ExplainDag { dag: self.dag_id }, session.user()).await?.dag_explained()?;
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

fn write_sentences(explanation: &DagExplanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {} running, {} queued", explanation.dag, explanation.running, explanation.queued)?;
    for reason in &explanation.reasons {
        writeln!(out, "  - {}", reason.sentence(explanation.at))?;
        if let Some(hint) = reason.hint() {
            writeln!(out, "    hint: {hint}")?;
        }
    }
    Ok(())
}

fn value(explanation: &DagExplanation) -> Value {
    let reasons = explanation.reasons.iter().map(|reason| {
        let sentence = json!({"sentence": reason.sentence(explanation.at), "hint": reason.hint()});
        match (serde_json::to_value(reason), sentence) {
            (Ok(Value::Object(mut fields)), Value::Object(sentence)) => {
                fields.extend(sentence);
                Value::Object(fields)
            }
            (Ok(_) | Err(_), sentence) => sentence,
        }
    });
    json!({
        "dag_id": explanation.dag.as_str(),
        "at": iso(explanation.at),
        "running": explanation.running,
        "queued": explanation.queued,
        "next_run": explanation.next_run.map(|next| iso(next.run_after)),
        "reasons": reasons.collect::<Vec<_>>(),
    })
}
