//! Assets and what happened to them.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::asset::{Asset, AssetEvent};
use crate::domain::ids::{AssetEventId, AssetName, DagId, RunKey};
use crate::domain::time::Time;
use crate::store::convert::Reading;
use crate::store::entity::{asset, asset_event, asset_queue};
use crate::store::error::StoreError;
use crate::store::open::Store;
use crate::store::write::QueueRow;

/// Keys in one query.
const PORTION: usize = 500;

impl Store {
    /// All assets that were ever mentioned, by name.
    pub async fn assets(&self) -> Result<Vec<Asset>, StoreError> {
        self.read_all(asset::Entity::find().order_by_asc(asset::Column::Name).all(&self.read).await)
    }

    pub async fn asset(&self, name: &AssetName) -> Result<Option<Asset>, StoreError> {
        self.read_one(asset::Entity::find_by_id(name.as_str()).one(&self.read).await)
    }

    /// The asset at a URI; of several the first by name.
    pub async fn asset_by_uri(&self, uri: &str) -> Result<Option<Asset>, StoreError> {
        let query = asset::Entity::find().filter(asset::Column::Uri.eq(uri)).order_by_asc(asset::Column::Name);
        self.read_one(query.one(&self.read).await)
    }

    /// The newest events of an asset, oldest first.
    pub async fn asset_events(&self, name: &AssetName, newest: u64) -> Result<Vec<AssetEvent>, StoreError> {
        let query = asset_event::Entity::find()
            .filter(asset_event::Column::Asset.eq(name.as_str()))
            .order_by_desc(asset_event::Column::Id)
            .limit(newest);
        let mut events: Vec<AssetEvent> = self.read_all(query.all(&self.read).await)?;
        events.reverse();
        Ok(events)
    }

    /// When each of these assets last changed.
    pub async fn last_changes(&self, names: &[AssetName]) -> Result<HashMap<AssetName, Time>, StoreError> {
        let mut found = HashMap::new();
        for portion in names.chunks(PORTION) {
            let rows: Vec<(String, Option<i64>)> = asset_event::Entity::find()
                .select_only()
                .column(asset_event::Column::Asset)
                .column_as(asset_event::Column::At.max(), "newest")
                .filter(asset_event::Column::Asset.is_in(portion.iter().map(AssetName::as_str)))
                .group_by(asset_event::Column::Asset)
                .into_tuple()
                .all(&self.read)
                .await
                .map_err(|error| self.location.explain(&error))?;
            for (name, at) in rows {
                let reading = Reading::new("asset_event", &name);
                let read = || Ok((reading.word::<AssetName>(&name)?, reading.maybe_time(at)?));
                let (name, at) = read().map_err(|row| self.location.unreadable(row))?;
                found.extend(at.map(|at| (name, at)));
            }
        }
        Ok(found)
    }

    /// Events that wait for a run of their DAG, by DAG and age.
    pub async fn queued_asset_events(&self) -> Result<Vec<(QueueRow, AssetEvent)>, StoreError> {
        let waiting = asset_queue::Entity::find().filter(Expr::col(asset_queue::Column::Run).is_null());
        let rows: Vec<QueueRow> = self.read_all(waiting.all(&self.read).await)?;
        self.with_events(rows).await
    }

    /// The events that these runs were made of.
    pub async fn asset_events_of_runs(&self, runs: &[RunKey]) -> Result<HashMap<RunKey, Vec<AssetEvent>>, StoreError> {
        let mut rows: Vec<QueueRow> = Vec::new();
        for portion in runs.chunks(PORTION) {
            let query =
                asset_queue::Entity::find().filter(asset_queue::Column::Run.is_in(portion.iter().map(|run| run.0)));
            rows.append(&mut self.read_all(query.all(&self.read).await)?);
        }
        let mut of_runs: HashMap<RunKey, Vec<AssetEvent>> = HashMap::new();
        for (row, event) in self.with_events(rows).await? {
            if let Some(run) = row.run {
                of_runs.entry(run).or_default().push(event);
            }
        }
        Ok(of_runs)
    }

    async fn with_events(&self, mut rows: Vec<QueueRow>) -> Result<Vec<(QueueRow, AssetEvent)>, StoreError> {
        rows.sort_by_key(|row| (row.dag.clone(), row.event));
        let mut ids: Vec<i64> = rows.iter().map(|row| row.event.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut events: HashMap<AssetEventId, AssetEvent> = HashMap::new();
        for portion in ids.chunks(PORTION) {
            let query = asset_event::Entity::find().filter(asset_event::Column::Id.is_in(portion.iter().copied()));
            let found: Vec<AssetEvent> = self.read_all(query.all(&self.read).await)?;
            events.extend(found.into_iter().map(|event| (event.id, event)));
        }
        let known = |row: QueueRow| events.get(&row.event).cloned().map(|event| (row, event));
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// How many events of each of these DAGs wait, by asset: what a person wants to know of a DAG that does not start.
    pub async fn waiting_assets(&self, dag: &DagId) -> Result<Vec<AssetEvent>, StoreError> {
        let query = asset_queue::Entity::find()
            .filter(Expr::col(asset_queue::Column::Run).is_null())
            .filter(asset_queue::Column::DagId.eq(dag.as_str()));
        let rows: Vec<QueueRow> = self.read_all(query.all(&self.read).await)?;
        Ok(self.with_events(rows).await?.into_iter().map(|(_, event)| event).collect())
    }

    /// The number of the next new event.
    pub(in crate::store) async fn next_asset_event(&self) -> Result<AssetEventId, sea_orm::DbErr> {
        let newest: Option<Option<i64>> = asset_event::Entity::find()
            .select_only()
            .column_as(asset_event::Column::Id.max(), "newest")
            .into_tuple()
            .one(&self.read)
            .await?;
        Ok(AssetEventId(newest.flatten().unwrap_or(0)).next())
    }
}
