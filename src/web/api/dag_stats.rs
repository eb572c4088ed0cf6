//! How many runs DAGs have in each state.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::state::RunState;

use super::asked::Asked;
use super::lists::{Kind, Param};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = DagStatsStateResponse)]
struct Count {
    state: &'static str,
    count: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DagStatsResponse)]
struct Stats {
    dag_id: String,
    dag_display_name: String,
    stats: Vec<Count>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DagStatsCollectionResponse)]
struct AllStats {
    dags: Vec<Stats>,
    total_entries: usize,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::DagRun);
    vec![
        Operation::get("/dagStats", "get_dag_stats", "Get Dag Stats", read, stats)
            .params([Param::new("dag_ids", Kind::Text, "Only these DAGs.").repeated()])
            .answers::<AllStats>(),
    ]
}

async fn stats(asked: Asked) -> Answer {
    let ids = asked.all("dag_ids").flat_map(|word| word.split(',')).filter(|id| !id.is_empty());
    let ids: Vec<String> = ids.take(1_000).map(str::to_owned).collect();
    let mut counted: BTreeMap<String, BTreeMap<RunState, u64>> = BTreeMap::new();
    for (dag, state, count) in asked.web.store.run_states(&ids).await? {
        counted.entry(dag).or_default().insert(state, count);
    }
    let dags = counted.into_iter().map(|(dag_id, counts)| Stats {
        dag_display_name: dag_id.clone(),
        dag_id,
        stats: RunState::ALL
            .into_iter()
            .map(|state| Count { state: state.as_str(), count: counts.get(&state).copied().unwrap_or(0) })
            .collect(),
    });
    let dags: Vec<Stats> = dags.collect();
    good(AllStats { total_entries: dags.len(), dags })
}
