//! What tasks that wait for the run before have to know of the history: one look into an index each.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::domain::ids::{DagId, TaskId};
use crate::domain::run::RunType;
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::store::convert::micros;
use crate::store::entity::{dag_run, task_instance};
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::RunRow;

/// The runs of a DAG that others may have as their run before.
fn that_count(dag: &DagId, manual_runs_count: bool) -> Select<dag_run::Entity> {
    let mut wanted = Condition::all().add(dag_run::Column::DagId.eq(dag.as_str()));
    if !manual_runs_count {
        wanted = wanted.add(dag_run::Column::RunType.ne(RunType::Manual.as_str()));
    }
    dag_run::Entity::find().filter(wanted)
}

impl Store {
    /// The run with the greatest logical date before this one.
    pub async fn run_before(
        &self,
        dag: &DagId,
        before: Time,
        manual_runs_count: bool,
    ) -> Result<Option<RunRow>, StoreError> {
        let query = that_count(dag, manual_runs_count)
            .filter(dag_run::Column::LogicalDate.lt(micros(before)))
            .order_by_desc(dag_run::Column::LogicalDate);
        self.read_one(query.one(&self.read).await)
    }

    /// Whether there is a run of a later logical date.
    pub async fn has_run_after(&self, dag: &DagId, after: Time, manual_runs_count: bool) -> Result<bool, StoreError> {
        let query = that_count(dag, manual_runs_count).filter(dag_run::Column::LogicalDate.gt(micros(after))).limit(1);
        let found: Vec<RunRow> = self.read_all(query.all(&self.read).await)?;
        Ok(!found.is_empty())
    }

    /// Whether a run of an earlier logical date has had the task.
    pub async fn has_task_before(&self, dag: &DagId, task: &TaskId, before: Time) -> Result<bool, StoreError> {
        let was_there = Condition::any()
            .add(Expr::col((task_instance::Entity, task_instance::Column::State)).ne(TaskState::Removed.as_str()))
            .add(Expr::col((task_instance::Entity, task_instance::Column::TryNumber)).gt(0));
        let instances = Query::select()
            .expr(Expr::val(1))
            .from(task_instance::Entity)
            .and_where(
                Expr::col((task_instance::Entity, task_instance::Column::Run))
                    .equals((dag_run::Entity, dag_run::Column::Id)),
            )
            .and_where(Expr::col((task_instance::Entity, task_instance::Column::TaskId)).eq(task.as_str()))
            .cond_where(was_there)
            .take();
        let query = that_count(dag, true)
            .filter(dag_run::Column::LogicalDate.lt(micros(before)))
            .filter(Expr::exists(instances))
            .limit(1);
        let found: Vec<RunRow> = self.read_all(query.all(&self.read).await)?;
        Ok(!found.is_empty())
    }
}
