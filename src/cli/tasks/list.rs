//! `updraft tasks list`

use std::collections::BTreeMap;
use std::io::Write;

use clap::Args;

use crate::domain::dag::{DagDefinition, TaskDefinition};
use crate::domain::ids::DagId;

use super::super::arguments::DagSource;
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct List {
    dag_id: DagId,
    /// Show each task below those that it follows.
    #[arg(short = 't', long)]
    tree: bool,
    #[command(flatten)]
    source: DagSource,
}

impl List {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        if self.tree {
            return write_tree(&entry.definition, session);
        }
        let mut ids: Vec<_> = entry.definition.tasks.iter().map(|task| &task.task_id).collect();
        ids.sort();
        for id in ids {
            writeln!(session.out, "{id}")?;
        }
        Ok(())
    }
}

/// A task stands below each of those that it follows, so a graph of many diamonds has a tree without end.
const MAX_LINES: usize = 10_000;

fn write_tree(dag: &DagDefinition, session: &mut Session) -> Result<(), CliError> {
    let by_id: BTreeMap<_, &TaskDefinition> = dag.tasks.iter().map(|task| (&task.task_id, task)).collect();
    let mut downstream: BTreeMap<_, Vec<&TaskDefinition>> = BTreeMap::new();
    for task in by_id.values() {
        for upstream in &task.upstream {
            downstream.entry(upstream).or_default().push(task);
        }
    }
    // A stack of our own: a chain may have more tasks than a thread has room for calls.
    let roots = by_id.values().rev().filter(|task| task.upstream.is_empty());
    let mut stack: Vec<(usize, &TaskDefinition)> = roots.map(|task| (0, *task)).collect();
    let mut lines = 0;
    while let Some((level, task)) = stack.pop() {
        if lines == MAX_LINES {
            session.say(format_args!("the tree goes on: a task stands below each of those that it follows, and only {MAX_LINES} lines are shown"));
            break;
        }
        lines += 1;
        writeln!(session.out, "{:1$}<Task({2}): {3}>", "", level * 4, task.operator_name, task.task_id)?;
        let following = downstream.get(&task.task_id).into_iter().flatten().rev();
        stack.extend(following.map(|task| (level + 1, *task)));
    }
    Ok(())
}
