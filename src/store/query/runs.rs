//! Runs.

use sea_orm::sea_query::{ExprTrait, Order};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement};

use crate::domain::ids::{DagId, RunId, RunKey};
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::protocol::selection::{RunRange, Selection};
use crate::store::convert::micros;
use crate::store::entity::dag_run;
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::RunRow;

/// Which runs; the empty filter is all of them.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    pub dag: Option<DagId>,
    /// None means every state.
    pub states: Vec<RunState>,
    /// Logical dates from here on, inclusive; of a run without one, when it was due.
    pub from: Option<Time>,
    /// Logical dates until here, inclusive; likewise.
    pub until: Option<Time>,
    pub limit: Option<u64>,
}

impl RunFilter {
    /// Newest first.
    pub(super) fn query(&self) -> Select<dag_run::Entity> {
        let mut query = dag_run::Entity::find();
        if let Some(dag) = &self.dag {
            query = query.filter(dag_run::Column::DagId.eq(dag.as_str()));
        }
        if !self.states.is_empty() {
            query = query.filter(dag_run::Column::State.is_in(self.states.iter().map(|state| state.as_str())));
        }
        if let Some(from) = self.from {
            let run_after = dag_run::Column::LogicalDate.is_null().and(dag_run::Column::RunAfter.gte(micros(from)));
            query = query.filter(dag_run::Column::LogicalDate.gte(micros(from)).or(run_after));
        }
        if let Some(until) = self.until {
            let run_after = dag_run::Column::LogicalDate.is_null().and(dag_run::Column::RunAfter.lte(micros(until)));
            query = query.filter(dag_run::Column::LogicalDate.lte(micros(until)).or(run_after));
        }
        query.order_by(dag_run::Column::RunAfter, Order::Desc).order_by(dag_run::Column::Id, Order::Desc)
    }
}

/// One look into the index per DAG, however many runs it has.
const LATEST: &str = "SELECT r.* FROM dag d JOIN dag_run r ON r.id = (\
     SELECT n.id FROM dag_run n WHERE n.dag_id = d.dag_id ORDER BY n.run_after DESC, n.id DESC LIMIT 1)";

/// Backwards along the index of dates, until one has succeeded.
const LATEST_SUCCESS: &str = "SELECT r.* FROM dag d JOIN dag_run r ON r.id = (\
     SELECT n.id FROM dag_run n WHERE n.dag_id = d.dag_id AND n.state = 'success' AND n.logical_date IS NOT NULL \
     ORDER BY n.logical_date DESC LIMIT 1)";

impl Store {
    /// Of each DAG that has one, the successful run of the latest logical date.
    pub async fn latest_successes(&self) -> Result<Vec<RunRow>, StoreError> {
        let statement = Statement::from_string(self.read.get_database_backend(), LATEST_SUCCESS);
        self.read_all(dag_run::Entity::find().from_raw_sql(statement).all(&self.read).await)
    }

    /// The successful run of a DAG with the latest logical date before this one.
    pub async fn latest_success_before(&self, dag: &DagId, date: Time) -> Result<Option<RunRow>, StoreError> {
        let query = dag_run::Entity::find()
            .filter(dag_run::Column::DagId.eq(dag.as_str()))
            .filter(dag_run::Column::LogicalDate.lt(micros(date)))
            .filter(dag_run::Column::State.eq(RunState::Success.as_str()))
            .order_by(dag_run::Column::LogicalDate, Order::Desc);
        self.read_one(query.limit(1).one(&self.read).await)
    }

    /// Runs, newest first (by `run_after`).
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        self.read_all(filter.query().limit(filter.limit).all(&self.read).await)
    }

    pub async fn run(&self, dag: &DagId, run_id: &RunId) -> Result<Option<RunRow>, StoreError> {
        let query = dag_run::Entity::find()
            .filter(dag_run::Column::DagId.eq(dag.as_str()))
            .filter(dag_run::Column::RunId.eq(run_id.as_str()));
        self.read_one(query.one(&self.read).await)
    }

    /// The runs that a user means, oldest first.
    pub async fn selected_runs(&self, selection: &Selection) -> Result<Vec<RunRow>, StoreError> {
        let mut named = Vec::new();
        for run_id in selection.run_ids() {
            named.extend(self.run(&selection.dag, run_id).await?);
        }
        let dates: Vec<Time> = named.iter().filter_map(|run| run.logical_date).collect();
        let bounds = match &selection.runs {
            RunRange::Names { .. } if dates.is_empty() || !(selection.past || selection.future) => None,
            RunRange::Names { .. } => Some((dates.iter().min().copied(), dates.iter().max().copied())),
            RunRange::Dates { from, until } => Some((*from, *until)),
        };
        let mut runs = Vec::new();
        if let Some((from, until)) = bounds {
            let filter = RunFilter {
                dag: Some(selection.dag.clone()),
                from: from.filter(|_| !selection.past),
                until: until.filter(|_| !selection.future),
                ..RunFilter::default()
            };
            runs = self.runs(&filter).await?;
        }
        runs.retain(|run| !selection.run_ids().contains(&run.run_id));
        runs.append(&mut named);
        runs.retain(|run| selection.includes(&run.run_id, run.logical_date, &dates));
        runs.sort_by_key(|run| (run.run_after, run.key));
        Ok(runs)
    }

    pub async fn run_by_key(&self, key: RunKey) -> Result<Option<RunRow>, StoreError> {
        self.read_one(dag_run::Entity::find_by_id(key.0).one(&self.read).await)
    }

    /// The run that has taken a logical date; at most one can.
    pub async fn run_of_date(&self, dag: &DagId, logical_date: Time) -> Result<Option<RunRow>, StoreError> {
        let query = dag_run::Entity::find()
            .filter(dag_run::Column::DagId.eq(dag.as_str()))
            .filter(dag_run::Column::LogicalDate.eq(micros(logical_date)));
        self.read_one(query.one(&self.read).await)
    }

    /// The run with the greatest logical date before this one.
    pub async fn previous_run(&self, dag: &DagId, before: Time) -> Result<Option<RunRow>, StoreError> {
        let query = dag_run::Entity::find()
            .filter(dag_run::Column::DagId.eq(dag.as_str()))
            .filter(dag_run::Column::LogicalDate.lt(micros(before)))
            .order_by(dag_run::Column::LogicalDate, Order::Desc);
        self.read_one(query.one(&self.read).await)
    }

    /// The newest run of each DAG that has one.
    pub async fn latest_runs(&self) -> Result<Vec<RunRow>, StoreError> {
        let statement = Statement::from_string(self.read.get_database_backend(), LATEST);
        self.read_all(dag_run::Entity::find().from_raw_sql(statement).all(&self.read).await)
    }
}
