//! Notifications and deadlines.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::deadline::DeadlineState;
use crate::domain::ids::{DagId, RunId, RunKey};
use crate::domain::notification::NotificationState;
use crate::store::entity::{deadline, notification};
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::{DeadlineRow, NotificationRow};

/// Which notifications; the empty filter is all of them.
#[derive(Clone, Debug, Default)]
pub struct NotificationFilter {
    pub dag: Option<DagId>,
    pub run: Option<RunId>,
    pub state: Option<NotificationState>,
    pub limit: Option<u64>,
}

/// Any number of parameters beyond a few hundred makes a statement slow to prepare.
const RUNS_PER_QUERY: usize = 500;

impl Store {
    /// Notifications, newest first.
    pub async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<NotificationRow>, StoreError> {
        let mut query = notification::Entity::find();
        if let Some(dag) = &filter.dag {
            query = query.filter(notification::Column::DagId.eq(dag.as_str()));
        }
        if let Some(run) = &filter.run {
            query = query.filter(notification::Column::RunId.eq(run.as_str()));
        }
        if let Some(state) = filter.state {
            query = query.filter(notification::Column::State.eq(state.as_str()));
        }
        let query = query
            .order_by_desc(notification::Column::CreatedAt)
            .order_by_desc(notification::Column::Id)
            .limit(filter.limit);
        self.read_all(query.all(&self.read).await)
    }

    /// How many notifications are still owed.
    pub async fn pending_notifications(&self) -> Result<u64, StoreError> {
        let pending = notification::Column::State.eq(NotificationState::Pending.as_str());
        let count = notification::Entity::find().filter(pending).count(&self.read).await;
        count.map_err(|error| self.location.explain(&error))
    }

    /// The deadlines that these runs have missed, by run and number.
    pub async fn missed_deadlines(&self, runs: &[RunKey]) -> Result<Vec<DeadlineRow>, StoreError> {
        let mut missed = Vec::new();
        for portion in runs.chunks(RUNS_PER_QUERY) {
            let query = deadline::Entity::find()
                .filter(deadline::Column::Run.is_in(portion.iter().map(|run| run.0)))
                .filter(deadline::Column::State.eq(DeadlineState::Missed.as_str()))
                .order_by_asc(deadline::Column::Run)
                .order_by_asc(deadline::Column::Number);
            missed.append(&mut self.read_all(query.all(&self.read).await)?);
        }
        Ok(missed)
    }
}
