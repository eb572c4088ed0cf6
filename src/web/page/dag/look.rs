//! What somebody looks at: the DAG and everything that the address chooses of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{DagId, RunKey, TaskId};
use crate::domain::time::Time;
use crate::store::query::{RunFilter, TaskTally};
use crate::store::write::{DagRow, RunRow};
use crate::web::error::Error;
use crate::web::page::shell::Shell;
use crate::web::page::{kept, named};
use crate::web::state::Web;
use crate::web::view::address::Address;
use crate::web::view::tally::Tally;

/// A DAG with more tasks than these begins with its groups folded.
const MANY_TASKS: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Grid,
    Graph,
    Gantt,
    Calendar,
    Runs,
    Code,
    Details,
}

impl Tab {
    pub const ALL: [Self; 7] =
        [Self::Grid, Self::Graph, Self::Gantt, Self::Calendar, Self::Runs, Self::Code, Self::Details];

    /// In the address.
    pub fn word(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Graph => "graph",
            Self::Gantt => "gantt",
            Self::Calendar => "calendar",
            Self::Runs => "runs",
            Self::Code => "code",
            Self::Details => "details",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Grid => "Grid",
            Self::Graph => "Graph",
            Self::Gantt => "Gantt",
            Self::Calendar => "Calendar",
            Self::Runs => "Runs",
            Self::Code => "Code",
            Self::Details => "Details",
        }
    }

    /// Whether it shows one run, so that the newest one stands in where none is chosen.
    fn is_of_one_run(self) -> bool {
        match self {
            Self::Graph | Self::Gantt => true,
            Self::Grid | Self::Calendar | Self::Runs | Self::Code | Self::Details => false,
        }
    }
}

/// See the module.
pub(super) struct Look {
    pub address: Address,
    pub tab: Tab,
    pub row: DagRow,
    /// As it is defined now.
    pub dag: Arc<Dag>,
    /// The run that the address names.
    pub chosen: Option<RunRow>,
    /// The same, or the newest where the tab needs one.
    pub run: Option<RunRow>,
    pub task: Option<TaskIx>,
    pub folded: BTreeSet<String>,
    pub now: Time,
}

impl Look {
    pub async fn of(shell: &Shell, name: &str) -> Result<Self, Error> {
        let web = &shell.web;
        let row = named::dag(web, name).await?;
        let address = shell.address.clone();
        let tab = address.get("tab").and_then(|word| Tab::ALL.into_iter().find(|tab| tab.word() == word));
        let tab = tab.unwrap_or(Tab::Grid);
        let dag = kept::dag(web, &row.dag_id, row.version).await?;
        let chosen = match address.get("run") {
            Some(run) => Some(named::run(web, &row.dag_id, run).await?),
            None => None,
        };
        let run = match &chosen {
            None if tab.is_of_one_run() => newest(web, &row.dag_id).await?,
            None => None,
            Some(run) => Some(run.clone()),
        };
        // A task that the DAG no longer has is still one of its runs.
        let task = address.get("task").and_then(|name| named::task(&dag, name).ok());
        let folded = folded(&address, &dag);
        Ok(Self { address, tab, row, dag, chosen, run, task, folded, now: shell.now })
    }

    pub fn id(&self) -> &DagId {
        &self.row.dag_id
    }

    /// The same view with another task selected, or none where it is selected already.
    pub fn with_task(&self, task: &TaskId) -> String {
        let is_selected = self.address.get("task") == Some(task.as_str());
        if is_selected { self.address.without("task").url() } else { self.address.with("task", task.as_str()).url() }
    }

    /// The same view with a group folded, or unfolded where it is.
    pub fn with_fold(&self, group: &str) -> String {
        let mut folded = self.folded.clone();
        if !folded.remove(group) {
            folded.insert(group.to_owned());
        }
        let folded: Vec<String> = folded.into_iter().collect();
        // That no group is folded is something else than nothing said of it.
        let said = if folded.is_empty() { "-".to_owned() } else { folded.join(",") };
        self.address.with("fold", &said).url()
    }

    pub fn with_run(&self, run: &RunRow) -> String {
        let is_selected = self.chosen.as_ref().is_some_and(|chosen| chosen.key == run.key);
        if is_selected {
            self.address.without("run").url()
        } else {
            self.address.with("run", run.run_id.as_str()).url()
        }
    }
}

pub(super) async fn newest(web: &Web, dag: &DagId) -> Result<Option<RunRow>, Error> {
    let filter = RunFilter { dag: Some(dag.clone()), limit: Some(1), ..RunFilter::default() };
    Ok(web.store.runs(&filter).await?.pop())
}

fn folded(address: &Address, dag: &Dag) -> BTreeSet<String> {
    let groups = dag.definition.groups.iter().map(|group| group.group_id.as_str());
    match address.get("fold") {
        Some(named) => groups.filter(|group| named.split(',').any(|one| one == *group)).map(str::to_owned).collect(),
        None if dag.definition.tasks.len() > MANY_TASKS => groups.map(str::to_owned).collect(),
        None => BTreeSet::new(),
    }
}

/// By run and task, from what the store has counted.
pub(super) fn stands(tallies: Vec<TaskTally>) -> HashMap<(RunKey, TaskId), Tally> {
    let mut stands: HashMap<(RunKey, TaskId), Tally> = HashMap::new();
    for found in tallies {
        let mut tally = Tally::default();
        tally.add(found.state, found.count);
        tally.started_at = found.started_at;
        tally.ended_at = found.ended_at;
        tally.try_number = found.try_number;
        stands.entry((found.run, found.task_id)).or_default().join(&tally);
    }
    stands
}
