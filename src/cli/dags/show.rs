//! `updraft dags show`: a DAG in the language of Graphviz.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::domain::dag::DagDefinition;
use crate::domain::ids::DagId;

use super::super::arguments::DagSource;
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Show {
    dag_id: DagId,
    /// Write to this file instead; it gets DOT text, which `dot` turns into a picture.
    #[arg(short = 's', long, value_name = "FILE.dot")]
    save: Option<PathBuf>,
    #[command(flatten)]
    source: DagSource,
}

impl Show {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let pictured = self.save.as_ref().and_then(|file| file.extension()?.to_str()).filter(|kind| !is_dot(kind));
        if let Some(kind) = pictured {
            return Err(CliError::usage(format!("--save writes DOT text (.dot or .gv), not .{kind}"))
                .hint(format!("updraft dags show {} | dot -T{kind} > FILE.{kind}", self.dag_id)));
        }
        let client = session.client_with_dags().await?;
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        let dot = dot(&entry.definition);
        match self.save {
            None => session.out.write_all(dot.as_bytes())?,
            Some(file) => {
                let cannot = |why| CliError::failed(format!("cannot write {}: {why}", file.display()));
                std::fs::write(&file, dot).map_err(cannot)?;
                session.say(format_args!("File {} saved", file.display()));
            }
        }
        Ok(())
    }
}

fn is_dot(kind: &str) -> bool {
    ["dot", "gv"].contains(&kind.to_lowercase().as_str())
}

fn dot(dag: &DagDefinition) -> String {
    let mut dot = String::new();
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let name = quoted(dag.dag_id.as_str());
    // Writing to a string cannot fail.
    let _ = writeln!(dot, "digraph {name} {{");
    let _ = writeln!(dot, "\tgraph [label={name} labelloc=t rankdir=LR]");
    for task in &dag.tasks {
        let id = quoted(task.task_id.as_str());
        let tip = quoted(&task.operator_name);
        let _ = writeln!(
            dot,
            "\t{id} [color=\"#000000\" fillcolor=\"#f0ede4\" label={id} shape=rectangle style=\"filled,rounded\" tooltip={tip}]"
        );
    }
    for task in &dag.tasks {
        for upstream in &task.upstream {
            let _ = writeln!(dot, "\t{} -> {}", quoted(upstream.as_str()), quoted(task.task_id.as_str()));
        }
    }
    dot.push_str("}\n");
    dot
}
