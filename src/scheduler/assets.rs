//! What a success means to the DAGs that wait for assets (SCHEDULING §4).
//!
//! ```text
//!  task succeeds ─► event for each outlet ─► queued at each DAG that waits for the asset
//!                                                 │ its condition is met
//!                                                 ▼
//!                                  one run, which is given everything that was queued
//! ```
//!
//! The cost follows those who wait for the asset. Each event is given to at most
//! one run of a DAG: the queue's row names it, in the commit that makes the run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::domain::asset::{Asset, AssetEvent, AssetRef, EventSource, Linked, OutletEvent};
use crate::domain::dag::{DagDefinition, TaskDefinition};
use crate::domain::graph::Dag;
use crate::domain::ids::{AssetEventId, AssetName, DagId, RunId};
use crate::domain::problem::suggestion;
use crate::domain::run::{DataInterval, RunType};
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::protocol::control::{Materialize, Refused, Reply, Trigger, TriggeredBy};
use crate::store::write::{QueueRow, RunRow, Write};

use super::TaskRef;
use super::core::{Core, History};

/// All assets that were ever mentioned, and who waits for them.
#[derive(Debug)]
pub(super) struct Assets {
    pub known: BTreeMap<AssetName, Asset>,
    pub consumers: HashMap<AssetRef, BTreeSet<DagId>>,
    pub next_event: AssetEventId,
}

impl Default for Assets {
    fn default() -> Self {
        Self { known: BTreeMap::new(), consumers: HashMap::new(), next_event: AssetEventId(1) }
    }
}

/// What a DAG has still to see.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub events: BTreeMap<AssetEventId, Waits>,
    /// How many of those that count there are of each asset that the DAG waits for.
    pub changed: BTreeMap<AssetRef, u32>,
}

/// An event that waits for a run of a DAG.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    pub event: Arc<AssetEvent>,
    /// One that came while the DAG was paused brings about no run.
    pub counts: bool,
}

impl Waiting {
    fn add(&mut self, waits: Waits, wanted: &BTreeSet<AssetRef>) {
        if waits.counts {
            for changed in waits.event.refs().filter(|asset| wanted.contains(asset)) {
                *self.changed.entry(changed).or_default() += 1;
            }
        }
        self.events.insert(waits.event.id, waits);
    }

    /// Keeps what is wanted, and says what is not any more.
    fn keep(&mut self, wanted: &BTreeSet<AssetRef>) -> Vec<AssetEventId> {
        let before = std::mem::take(self);
        let mut gone = Vec::new();
        for (id, waits) in before.events {
            let is_wanted = waits.event.refs().any(|asset| wanted.contains(&asset));
            match is_wanted {
                true => self.add(waits, wanted),
                false => gone.push(id),
            }
        }
        gone
    }
}

impl Core {
    /// A DAG is as its file has it now: `before` was it until now.
    pub(super) fn adopt_assets(&mut self, id: &DagId, before: Option<&Dag>) {
        let dag = self.dags[id].dag.clone();
        for asset in &dag.definition.assets {
            self.learn(asset);
        }
        for asset in before.into_iter().flat_map(wanted) {
            if let Some(consumers) = self.assets.consumers.get_mut(&asset) {
                consumers.remove(id);
                if consumers.is_empty() {
                    self.assets.consumers.remove(&asset);
                }
            }
        }
        self.subscribe(id);
        let wanted = wanted(&dag);
        let state = self.dags.get_mut(id).expect("a DAG that is adopted is known");
        for event in state.waiting.keep(&wanted) {
            self.write(Write::Dequeued { dag: id.clone(), event });
        }
        self.work.maybe_triggered.insert(id.clone());
    }

    /// The DAG hears of the assets that it waits for.
    pub(super) fn subscribe(&mut self, id: &DagId) {
        for asset in wanted(&self.dags[id].dag) {
            self.assets.consumers.entry(asset).or_default().insert(id.clone());
        }
    }

    /// Whoever says more than the name is believed; the last one, where two say different things.
    fn learn(&mut self, asset: &Asset) {
        let known = self.assets.known.get(&asset.name);
        if known == Some(asset) || (known.is_some() && asset.is_bare()) {
            return;
        }
        self.assets.known.insert(asset.name.clone(), asset.clone());
        self.write(Write::Asset(asset.clone()));
    }

    /// Back in memory after a restart.
    pub(super) fn restore_waiting(&mut self, row: QueueRow, event: AssetEvent) {
        let Some(dag) = self.dags.get_mut(&row.dag) else { return };
        let wanted = wanted(&dag.dag);
        dag.waiting.add(Waits { event: Arc::new(event), counts: row.counts }, &wanted);
    }

    /// The task succeeded: what it makes has changed.
    pub(super) fn change_outlets(&mut self, now: Time, at: TaskRef, reported: &[OutletEvent]) {
        let run = self.run(at.run);
        let task = run.dag.task(at.task);
        if task.outlets.is_empty() {
            return;
        }
        let changes = changes(&run.dag.definition, task, reported);
        let row = &self.instance(at).row;
        let source = EventSource {
            dag: run.row.dag_id.clone(),
            run: run.row.run_id.clone(),
            task: row.task_id.clone(),
            map_index: row.map_index,
            interval: run.row.interval,
        };
        for Changed { asset, extra, aliases } in changes {
            self.learn(&asset);
            let id = self.assets.next_event;
            self.assets.next_event = id.next();
            let (asset, uri, source) = (asset.name, asset.uri, source.clone());
            let event = AssetEvent { id, asset, uri, at: now, extra, source, aliases };
            self.write(Write::AssetEvent(event.clone()));
            self.queue(event);
        }
    }

    /// Everybody who waits for the asset has one more event to see.
    fn queue(&mut self, event: AssetEvent) {
        let event = Arc::new(event);
        let consumers: BTreeSet<DagId> =
            event.refs().filter_map(|asset| self.assets.consumers.get(&asset)).flatten().cloned().collect();
        for id in consumers {
            let Some(dag) = self.dags.get_mut(&id).filter(|dag| !dag.row.is_stale) else { continue };
            let counts = !dag.row.is_paused;
            let wanted = wanted(&dag.dag);
            dag.waiting.add(Waits { event: event.clone(), counts }, &wanted);
            self.write(Write::Queued(QueueRow { dag: id.clone(), event: event.id, counts, run: None }));
            if counts {
                self.work.maybe_triggered.insert(id);
            }
        }
    }

    /// Makes the runs for which enough has changed.
    pub(super) fn trigger_by_assets(&mut self, now: Time) {
        while let Some(id) = self.work.maybe_triggered.pop_first() {
            // Whoever does not follow the timetables makes no runs by itself; all are looked at when that begins.
            if self.planning && self.is_due_by_assets(&id) {
                self.create_for_assets(now, &id);
            }
        }
    }

    pub(super) fn is_due_by_assets(&self, id: &DagId) -> bool {
        let Some(dag) = self.dags.get(id).filter(|dag| !dag.row.is_paused && !dag.row.is_stale) else { return false };
        let condition = dag.dag.definition.schedule.assets();
        condition.is_some_and(|condition| condition.is_met(&|asset| dag.waiting.changed.contains_key(asset)))
    }

    fn create_for_assets(&mut self, now: Time, id: &DagId) {
        let dag = self.dags.get_mut(id).expect("a DAG that is due is known");
        let events: Vec<Waits> = std::mem::take(&mut dag.waiting).events.into_values().collect();
        let logical_date = self.settings.manual_runs_have_dates.then(|| self.free_date(id, now));
        let interval = logical_date.map(|date| interval_of(&events, date));
        let key = self.next_run;
        let row = RunRow {
            key,
            dag_id: id.clone(),
            run_id: self.asset_run_id(logical_date, now),
            run_type: RunType::AssetTriggered,
            state: RunState::Queued,
            version: self.dags[id].row.version,
            logical_date,
            interval,
            run_after: now,
            conf: serde_json::Map::new(),
            note: None,
            triggered_by: TriggeredBy::Asset,
            user: None,
            queued_at: now,
            started_at: None,
            ended_at: None,
            clear_number: 0,
            backfill: None,
        };
        self.add_run(row);
        for Waits { event, counts } in &events {
            let (event, counts) = (event.id, *counts);
            self.write(Write::Queued(QueueRow { dag: id.clone(), event, counts, run: Some(key) }));
        }
        self.run_mut(key).events = events.into_iter().map(|waits| waits.event).collect();
        if let Some(date) = logical_date {
            self.dags.get_mut(id).expect("it was there above").taken_dates.insert(date);
        }
        self.start_runs(now, id);
    }

    /// The present instant, or the first one after it that no run of the DAG has as its date.
    fn free_date(&self, id: &DagId, now: Time) -> Time {
        let dag = &self.dags[id];
        let is_taken = |date: &Time| {
            let mut runs = dag.running.iter().chain(dag.queued.iter().map(|(_, key)| key));
            dag.taken_dates.contains(date) || runs.any(|key| self.run(*key).row.logical_date == Some(*date))
        };
        let mut date = now;
        while is_taken(&date) {
            date += TimeDelta::microseconds(1);
        }
        date
    }

    /// A user wants an asset: whichever DAG makes it is triggered.
    pub(super) fn materialize(&mut self, now: Time, wanted: Materialize, history: &History) -> Result<Reply, Refused> {
        let asset = self.find_asset(&wanted)?;
        let makes =
            |dag: &DagDefinition| dag.tasks.iter().any(|task| task.outlets.contains(&AssetRef::Asset(asset.clone())));
        let living = self.dags.values().filter(|dag| !dag.row.is_stale && makes(&dag.dag.definition));
        let makers: Vec<DagId> = living.map(|dag| dag.row.dag_id.clone()).collect();
        let message = match makers.as_slice() {
            [dag] => {
                let trigger = Trigger {
                    dag: dag.clone(),
                    run_id: None,
                    logical_date: None,
                    conf: serde_json::Map::new(),
                    note: None,
                    by: TriggeredBy::Cli,
                    user: wanted.user,
                };
                return self.trigger_as(now, trigger, RunType::AssetMaterialization, history);
            }
            [] => format!("no task makes the asset `{asset}`: it is no outlet of any task"),
            many => {
                let names: Vec<String> = many.iter().map(|dag| format!("`{dag}`")).collect();
                let names = names.join(", ");
                format!("several DAGs make the asset `{asset}`: trigger one of them yourself ({names})")
            }
        };
        Err(Refused::Invalid { message })
    }

    fn find_asset(&self, wanted: &Materialize) -> Result<AssetName, Refused> {
        let known = || self.assets.known.values();
        let found = match (&wanted.name, &wanted.uri) {
            (Some(name), _) => known().find(|asset| asset.name.as_str() == name),
            (None, Some(uri)) => known().find(|asset| asset.uri == *uri),
            (None, None) => None,
        };
        if let Some(asset) = found {
            return Ok(asset.name.clone());
        }
        let text = wanted.name.as_ref().or(wanted.uri.as_ref()).map_or("", String::as_str);
        let hint = suggestion(text, known().map(|asset| asset.name.as_str()));
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let message = format!("no task makes the asset `{text}`: there is no asset of this name or URI{hint}");
        Err(Refused::Invalid { message })
    }

    fn asset_run_id(&mut self, logical_date: Option<Time>, now: Time) -> RunId {
        match logical_date {
            Some(date) => RunType::AssetTriggered.run_id(date),
            None => {
                let suffix = self.ids.suffix();
                let id = RunType::AssetTriggered.suffixed_run_id(now, &suffix);
                id.expect("a type, a date and eight letters make a valid run id")
            }
        }
    }
}

/// What a DAG waits for.
pub(super) fn wanted(dag: &Dag) -> BTreeSet<AssetRef> {
    dag.definition.schedule.assets().map(|condition| condition.refs()).unwrap_or_default()
}

/// One event to be.
struct Changed {
    asset: Asset,
    extra: serde_json::Map<String, serde_json::Value>,
    aliases: BTreeSet<AssetName>,
}

/// Every outlet changes once; an asset that was added to aliases once for each different extra.
fn changes(dag: &DagDefinition, task: &TaskDefinition, reported: &[OutletEvent]) -> Vec<Changed> {
    let mut changes: Vec<Changed> = Vec::new();
    for outlet in &task.outlets {
        if let AssetRef::Asset(name) = outlet {
            let said = reported.iter().filter(|event| event.alias.is_none() && event.asset.name == *name);
            let extra = said.flat_map(|event| event.extra.clone()).collect();
            changes.push(Changed { asset: described(dag, name), extra, aliases: BTreeSet::new() });
        }
    }
    for OutletEvent { asset, alias, extra } in reported {
        let Some(alias) = alias.as_ref().filter(|alias| task.outlets.contains(&AssetRef::Alias((*alias).clone())))
        else {
            continue;
        };
        let same = |change: &&mut Changed| {
            !change.aliases.is_empty() && change.asset.name == asset.name && change.extra == *extra
        };
        match changes.iter_mut().find(same) {
            Some(change) => {
                change.aliases.insert(alias.clone());
            }
            None => changes.push(Changed {
                asset: asset.clone(),
                extra: extra.clone(),
                aliases: BTreeSet::from([alias.clone()]),
            }),
        }
    }
    changes
}

/// What the DAG's file says of an asset.
fn described(dag: &DagDefinition, name: &AssetName) -> Asset {
    let known = dag.assets.iter().find(|asset| asset.name == *name);
    known.cloned().unwrap_or_else(|| Asset::bare(name.clone()))
}

/// What a task is linked to, with everything that its DAG says of it.
pub fn linked(dag: &DagDefinition, links: &[AssetRef]) -> Vec<Linked> {
    let linked = |link: &AssetRef| match link {
        AssetRef::Asset(name) => Linked::Asset(described(dag, name)),
        AssetRef::Alias(name) => Linked::Alias(name.clone()),
    };
    links.iter().map(linked).collect()
}

/// Airflow 2: from the first to the last instant that the producing runs were about.
fn interval_of(events: &[Waits], date: Time) -> DataInterval {
    let intervals = || events.iter().filter_map(|waits| waits.event.source.interval);
    match (intervals().map(|i| i.start).min(), intervals().map(|i| i.end).max()) {
        (Some(start), Some(end)) => DataInterval { start, end },
        (None, _) | (_, None) => DataInterval::exact(date),
    }
}
