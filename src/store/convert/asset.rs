//! Assets, their events, and who has still to see them.

use std::collections::BTreeSet;

use crate::domain::asset::{Asset, AssetEvent, EventSource};
use crate::domain::ids::{AssetEventId, AssetName, MapIndex, RunKey};
use crate::store::entity::{asset, asset_event, asset_queue};
use crate::store::write::QueueRow;

use super::{Reading, Unreadable, ends, json, micros, text};

impl From<Asset> for asset::Model {
    fn from(asset: Asset) -> Self {
        Self {
            name: asset.name.as_str().to_owned(),
            uri: asset.uri,
            group: text(asset.group),
            extra: json(&asset.extra),
        }
    }
}

impl TryFrom<asset::Model> for Asset {
    type Error = Unreadable;

    fn try_from(model: asset::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("asset", &model.name);
        Ok(Self {
            name: reading.word(&model.name)?,
            extra: reading.json("extra", &model.extra)?,
            uri: model.uri,
            group: model.group,
        })
    }
}

impl From<AssetEvent> for asset_event::Model {
    fn from(event: AssetEvent) -> Self {
        let (interval_start, interval_end) = ends(event.source.interval);
        Self {
            id: event.id.0,
            asset: event.asset.as_str().to_owned(),
            uri: event.uri,
            at: micros(event.at),
            extra: json(&event.extra),
            source_dag: event.source.dag.as_str().to_owned(),
            source_run: event.source.run.as_str().to_owned(),
            source_task: event.source.task.as_str().to_owned(),
            source_map_index: event.source.map_index.0,
            interval_start,
            interval_end,
            aliases: json(&event.aliases),
        }
    }
}

impl TryFrom<asset_event::Model> for AssetEvent {
    type Error = Unreadable;

    fn try_from(model: asset_event::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("asset_event", &model.id);
        let source = EventSource {
            dag: reading.word(&model.source_dag)?,
            run: reading.word(&model.source_run)?,
            task: reading.word(&model.source_task)?,
            map_index: MapIndex(model.source_map_index),
            interval: reading.interval(model.interval_start, model.interval_end)?,
        };
        Ok(Self {
            id: AssetEventId(model.id),
            asset: reading.word(&model.asset)?,
            at: reading.time(model.at)?,
            extra: reading.json("extra", &model.extra)?,
            source,
            aliases: reading.json::<BTreeSet<AssetName>>("aliases", &model.aliases)?,
            uri: model.uri,
        })
    }
}

impl From<QueueRow> for asset_queue::Model {
    fn from(row: QueueRow) -> Self {
        Self {
            dag_id: row.dag.as_str().to_owned(),
            event: row.event.0,
            counts: row.counts,
            run: row.run.map(|run| run.0),
        }
    }
}

impl TryFrom<asset_queue::Model> for QueueRow {
    type Error = Unreadable;

    fn try_from(model: asset_queue::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("asset_queue", &model.event);
        Ok(Self {
            dag: reading.word(&model.dag_id)?,
            event: AssetEventId(model.event),
            counts: model.counts,
            run: model.run.map(RunKey),
        })
    }
}
