//! Assets: what tasks make and DAGs wait for, and what happened to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::asset::{Asset, AssetCondition, AssetEvent, AssetRef};
use crate::domain::ids::AssetName;
use crate::protocol::control::{Control, Materialize};
use crate::store::query::{DagEntry, Test, Wanted, asset_event_fields, asset_fields};
use crate::web::Error;

use super::asked::Asked;
use super::dag_runs::{DagRun, answer_triggered};
use super::find;
use super::lists::{Kind, Lists, Param, pattern, prefix, range, value};
use super::operation::{Answer, Operation, good, may};
use super::page::{Sorted, page_of, page_params};

/// Who speaks of an asset, and since when.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = AssetReference)]
struct Reference {
    dag_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssetAliasResponse)]
struct Alias {
    id: i64,
    name: String,
    group: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LastAssetEventResponse)]
struct LastEvent {
    id: Option<i64>,
    timestamp: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssetResponse)]
struct Shown {
    id: i64,
    name: String,
    uri: String,
    group: String,
    #[schema(value_type = Option<Object>)]
    extra: Option<Map<String, Value>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    scheduled_dags: Vec<Reference>,
    producing_tasks: Vec<Reference>,
    consuming_tasks: Vec<Reference>,
    aliases: Vec<Alias>,
    #[schema(value_type = Vec<Object>)]
    watchers: Vec<Value>,
    last_asset_event: Option<LastEvent>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssetCollectionResponse)]
struct Assets {
    assets: Vec<Shown>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssetAliasCollectionResponse)]
struct Aliases {
    asset_aliases: Vec<Alias>,
    total_entries: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssetEventResponse)]
struct Event {
    id: i64,
    asset_id: i64,
    uri: Option<String>,
    name: Option<String>,
    group: Option<String>,
    #[schema(value_type = Option<Object>)]
    extra: Option<Map<String, Value>>,
    source_task_id: Option<String>,
    source_dag_id: Option<String>,
    source_run_id: Option<String>,
    source_map_index: i32,
    /// Which runs an event brought about is told by the runs.
    #[schema(value_type = Vec<Object>)]
    created_dagruns: Vec<Value>,
    timestamp: DateTime<Utc>,
    partition_key: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AssetEventCollectionResponse)]
struct Events {
    asset_events: Vec<Event>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = QueuedEventResponse)]
struct Queued {
    dag_id: String,
    asset_id: i64,
    created_at: DateTime<Utc>,
    dag_display_name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = QueuedEventCollectionResponse)]
struct QueuedEvents {
    queued_events: Vec<Queued>,
    total_entries: usize,
}

/// Accepted and empty: a run that makes an asset is made as its DAG says.
#[derive(Deserialize, ToSchema)]
#[schema(as = MaterializeAssetBody)]
#[expect(dead_code, reason = "it documents what may be sent")]
struct MaterializeBody {
    #[schema(value_type = Option<Object>)]
    conf: Option<Map<String, Value>>,
}

const LISTS: Lists = Lists {
    order: asset_fields::ALL,
    usual: "name",
    filters: &[
        pattern("name_pattern", asset_fields::NAME),
        prefix("name_prefix_pattern", asset_fields::NAME),
        pattern("uri_pattern", asset_fields::URI),
        prefix("uri_prefix_pattern", asset_fields::URI),
    ],
};

const EVENTS: Lists = Lists {
    order: asset_event_fields::ALL,
    usual: "timestamp",
    filters: &[
        value("source_dag_id", asset_event_fields::SOURCE_DAG),
        value("source_task_id", asset_event_fields::SOURCE_TASK),
        value("source_run_id", asset_event_fields::SOURCE_RUN),
        value("source_map_index", asset_event_fields::SOURCE_MAP_INDEX),
        pattern("name_pattern", asset_event_fields::ASSET),
        prefix("name_prefix_pattern", asset_event_fields::ASSET),
        range("timestamp", asset_event_fields::TIMESTAMP),
    ],
};

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::Asset);
    vec![
        Operation::get("/assets", "get_assets", "Get Assets", read, list)
            .lists(&LISTS)
            .params([
                Param::new("dag_ids", Kind::Text, "Only assets that these DAGs speak of.").repeated(),
                Param::new("only_active", Kind::Flag, "Only assets that some DAG speaks of; true unless said."),
            ])
            .answers::<Assets>()
            .formerly("/datasets"),
        Operation::get("/assets/aliases", "get_asset_aliases", "Get Asset Aliases", read, aliases)
            .params(page_params())
            .params([
                Param::new("name_pattern", Kind::Text, "Stands somewhere in the name."),
                Param::new("name_prefix_pattern", Kind::Text, "The name begins like this."),
            ])
            .answers::<Aliases>()
            .new_in_v2(),
        Operation::get("/assets/aliases/{asset_alias_id}", "get_asset_alias", "Get Asset Alias", read, alias)
            .answers::<Alias>()
            .new_in_v2(),
        Operation::get("/assets/events", "get_asset_events", "Get Asset Events", read, events)
            .lists(&EVENTS)
            .params([Param::new("asset_id", Kind::Integer, "Only events of this asset.")])
            .answers::<Events>()
            .formerly("/datasets/events"),
        Operation::post(
            "/assets/{asset_id}/materialize",
            "materialize_asset",
            "Materialize Asset",
            may(Action::Create, Resource::DagRun),
            materialize,
        )
        .takes::<MaterializeBody>()
        .answers::<DagRun>()
        .new_in_v2(),
        Operation::get(
            "/assets/{asset_id}/queuedEvents",
            "get_asset_queued_events",
            "Get Asset Queued Events",
            read,
            queued,
        )
        .params([before()])
        .answers::<QueuedEvents>()
        .new_in_v2(),
        Operation::get("/assets/{asset_id}", "get_asset", "Get Asset", read, get).answers::<Shown>().new_in_v2(),
        Operation::get(
            "/dags/{dag_id}/assets/queuedEvents",
            "get_dag_asset_queued_events",
            "Get Dag Asset Queued Events",
            read,
            queued_of_dag,
        )
        .params([before()])
        .answers::<QueuedEvents>()
        .formerly("/dags/{dag_id}/datasets/queuedEvent"),
        Operation::get(
            "/dags/{dag_id}/assets/{asset_id}/queuedEvents",
            "get_dag_asset_queued_event",
            "Get Dag Asset Queued Event",
            read,
            queued_of_both,
        )
        .params([before()])
        .answers::<Queued>()
        .new_in_v2(),
        Operation::get(
            "/dags/{dag_id}/dagRuns/{dag_run_id}/upstreamAssetEvents",
            "get_upstream_asset_events",
            "Get Upstream Asset Events",
            read,
            upstream,
        )
        .answers::<Events>()
        .formerly("/dags/{dag_id}/dagRuns/{dag_run_id}/upstreamDatasetEvents"),
    ]
}

fn before() -> Param {
    Param::new("before", Kind::Time, "Only what happened before.")
}

/// Assets are known by name. Who wants a number gets one that follows from the name: always the same, and small enough
/// for every client's idea of a number.
fn id_of(name: &AssetName) -> i64 {
    let digest = Sha256::digest(name.as_str());
    let bytes = digest.iter().take(6).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    bytes + 1
}

/// What a schedule waits for, as Airflow writes it.
pub fn expression(condition: &AssetCondition) -> Value {
    match condition {
        AssetCondition::One(AssetRef::Asset(name)) => {
            json!({ "asset": { "name": name, "uri": name, "group": "asset" } })
        }
        AssetCondition::One(AssetRef::Alias(name)) => json!({ "alias": { "name": name, "group": "asset" } }),
        AssetCondition::All(parts) => json!({ "all": parts.iter().map(expression).collect::<Vec<_>>() }),
        AssetCondition::Any(parts) => json!({ "any": parts.iter().map(expression).collect::<Vec<_>>() }),
    }
}

/// Who speaks of each asset.
#[derive(Default)]
struct Uses {
    scheduled: Vec<Reference>,
    producing: Vec<Reference>,
    consuming: Vec<Reference>,
    since: Option<DateTime<Utc>>,
    dags: BTreeSet<String>,
}

fn uses(dags: &[DagEntry]) -> BTreeMap<AssetRef, Uses> {
    let mut uses: BTreeMap<AssetRef, Uses> = BTreeMap::new();
    for DagEntry { row, definition } in dags {
        let reference = |task: Option<&str>| Reference {
            dag_id: row.dag_id.to_string(),
            task_id: task.map(str::to_owned),
            created_at: row.parsed_at,
            updated_at: row.parsed_at,
        };
        let mut note = |asset: &AssetRef| {
            let one = uses.entry(asset.clone()).or_default();
            one.since = Some(one.since.map_or(row.parsed_at, |since| since.min(row.parsed_at)));
            one.dags.insert(row.dag_id.to_string());
        };
        for asset in &definition.assets {
            note(&AssetRef::Asset(asset.name.clone()));
        }
        let waited_for = definition.schedule.assets().map(AssetCondition::refs).unwrap_or_default();
        waited_for.iter().for_each(&mut note);
        for task in &definition.tasks {
            task.outlets.iter().chain(&task.inlets).for_each(&mut note);
        }
        for asset in waited_for {
            uses.entry(asset).or_default().scheduled.push(reference(None));
        }
        for task in &definition.tasks {
            for asset in &task.outlets {
                uses.entry(asset.clone()).or_default().producing.push(reference(Some(task.task_id.as_str())));
            }
            for asset in &task.inlets {
                uses.entry(asset.clone()).or_default().consuming.push(reference(Some(task.task_id.as_str())));
            }
        }
    }
    uses
}

async fn shown(asked: &Asked, assets: Vec<Asset>) -> Result<Vec<Shown>, Error> {
    let mut uses = uses(&asked.web.store.dags(false).await?);
    let mut all = Vec::with_capacity(assets.len());
    for asset in assets {
        let newest = asked.web.store.asset_events(&asset.name, 1).await?.pop();
        let used = uses.remove(&AssetRef::Asset(asset.name.clone())).unwrap_or_default();
        let since = used.since.or(newest.as_ref().map(|event| event.at)).unwrap_or_default();
        all.push(Shown {
            id: id_of(&asset.name),
            name: asset.name.to_string(),
            uri: asset.uri,
            group: asset.group,
            extra: Some(asset.extra),
            created_at: since,
            updated_at: since,
            scheduled_dags: used.scheduled,
            producing_tasks: used.producing,
            consuming_tasks: used.consuming,
            aliases: Vec::new(),
            watchers: Vec::new(),
            last_asset_event: newest.map(|event| LastEvent { id: Some(event.id.0), timestamp: Some(event.at) }),
        });
    }
    Ok(all)
}

async fn list(asked: Asked) -> Answer {
    let mut listing = LISTS.read(&asked)?;
    let dags: Vec<&str> = asked.all("dag_ids").flat_map(|word| word.split(',')).collect();
    if asked.flag("only_active")?.unwrap_or(true) || !dags.is_empty() {
        let spoken_of = uses(&asked.web.store.dags(false).await?);
        let is_meant = |used: &Uses| dags.is_empty() || dags.iter().any(|dag| used.dags.contains(*dag));
        let names = spoken_of.iter().filter(|(_, used)| is_meant(used)).filter_map(|(asset, _)| match asset {
            AssetRef::Asset(name) => Some(name.as_str().into()),
            AssetRef::Alias(_) => None,
        });
        let names = Test::OneOf(names.collect());
        listing.wanted.push(Wanted { field: asset_fields::NAME, test: names });
    }
    let page = asked.web.store.list_assets(&listing).await?;
    good(Assets { total_entries: page.total, assets: shown(&asked, page.rows).await? })
}

async fn named(asked: &Asked) -> Result<Asset, Error> {
    let id: i64 = asked.number_in_path("asset_id")?;
    let found = asked.web.store.assets().await?.into_iter().find(|asset| id_of(&asset.name) == id);
    found.ok_or_else(|| Error::NotFound(format!("The Asset with ID: `{id}` was not found")))
}

async fn get(asked: Asked) -> Answer {
    let asset = named(&asked).await?;
    let shown = shown(&asked, vec![asset]).await?.pop();
    good(shown.ok_or_else(|| Error::Internal("an asset was lost".to_owned()))?)
}

async fn known_aliases(asked: &Asked) -> Result<Vec<AssetName>, Error> {
    let alias = |asset: AssetRef| match asset {
        AssetRef::Alias(name) => Some(name),
        AssetRef::Asset(_) => None,
    };
    Ok(uses(&asked.web.store.dags(false).await?).into_keys().filter_map(alias).collect())
}

fn shown_alias(name: &AssetName) -> Alias {
    Alias { id: id_of(name), name: name.to_string(), group: "asset".to_owned() }
}

async fn aliases(asked: Asked) -> Answer {
    let (limit, offset) = super::lists::paging(&asked)?;
    let keys = known_aliases(&asked).await?.iter().map(ToString::to_string).collect();
    let page = page_of(&asked, Sorted { keys, names: &["id", "name", "group"], what: "name" }, limit, offset)?;
    let asset_aliases = page.keys.iter().filter_map(|key| AssetName::new(key).ok()).map(|name| shown_alias(&name));
    good(Aliases { asset_aliases: asset_aliases.collect(), total_entries: page.total })
}

async fn alias(asked: Asked) -> Answer {
    let id: i64 = asked.number_in_path("asset_alias_id")?;
    let found = known_aliases(&asked).await?.into_iter().find(|name| id_of(name) == id);
    good(shown_alias(&found.ok_or_else(|| Error::NotFound(format!("The Asset Alias with ID: `{id}` was not found")))?))
}

async fn events(asked: Asked) -> Answer {
    let mut listing = EVENTS.read(&asked)?;
    if let Some(id) = asked.integer("asset_id", i64::MIN..=i64::MAX)? {
        let assets = asked.web.store.assets().await?.into_iter().filter(|asset| id_of(&asset.name) == id);
        let names = Test::OneOf(assets.map(|asset| asset.name.as_str().into()).collect());
        listing = listing.and(asset_event_fields::ASSET, names);
    }
    let page = asked.web.store.list_asset_events(&listing).await?;
    let groups = groups(&asked).await?;
    good(Events {
        total_entries: page.total,
        asset_events: page.rows.into_iter().map(|event| Event::of(event, &groups)).collect(),
    })
}

async fn groups(asked: &Asked) -> Result<HashMap<AssetName, String>, Error> {
    Ok(asked.web.store.assets().await?.into_iter().map(|asset| (asset.name, asset.group)).collect())
}

impl Event {
    fn of(event: AssetEvent, groups: &HashMap<AssetName, String>) -> Self {
        Self {
            id: event.id.0,
            asset_id: id_of(&event.asset),
            uri: Some(event.uri),
            group: groups.get(&event.asset).cloned(),
            name: Some(event.asset.to_string()),
            extra: Some(event.extra),
            source_task_id: Some(event.source.task.to_string()),
            source_dag_id: Some(event.source.dag.to_string()),
            source_run_id: Some(event.source.run.to_string()),
            source_map_index: event.source.map_index.0,
            created_dagruns: Vec::new(),
            timestamp: event.at,
            partition_key: None,
        }
    }
}

async fn upstream(asked: Asked) -> Answer {
    let run = find::run(&asked).await?;
    let events = asked.web.store.asset_events_of_runs(&[run.key]).await?.remove(&run.key).unwrap_or_default();
    let groups = groups(&asked).await?;
    let total_entries = events.len() as u64;
    good(Events { asset_events: events.into_iter().map(|event| Event::of(event, &groups)).collect(), total_entries })
}

async fn materialize(asked: Asked) -> Answer {
    let asset = named(&asked).await?;
    let caller = asked.caller()?;
    let wish = Materialize { name: Some(asset.name.to_string()), uri: None, user: Some(caller.user.clone()) };
    let reply = asked.web.control(caller, Control::Materialize(wish)).await?;
    answer_triggered(&asked, reply).await
}

/// Events that wait for a run, one line per DAG and asset, each with its oldest event.
async fn waiting(asked: &Asked, dag: Option<&str>, asset: Option<&AssetName>) -> Result<Vec<Queued>, Error> {
    let before = asked.moment("before")?;
    let mut oldest: BTreeMap<(String, AssetName), DateTime<Utc>> = BTreeMap::new();
    for (row, event) in asked.web.store.queued_asset_events().await? {
        let is_meant = dag.is_none_or(|dag| row.dag.as_str() == dag)
            && asset.is_none_or(|asset| event.asset == *asset)
            && before.is_none_or(|before| event.at < before);
        if is_meant {
            let at = oldest.entry((row.dag.to_string(), event.asset)).or_insert(event.at);
            *at = (*at).min(event.at);
        }
    }
    let queued = |((dag_id, asset), created_at): ((String, AssetName), DateTime<Utc>)| Queued {
        dag_display_name: dag_id.clone(),
        dag_id,
        asset_id: id_of(&asset),
        created_at,
    };
    Ok(oldest.into_iter().map(queued).collect())
}

fn answer_queued(queued_events: Vec<Queued>, what: &str) -> Answer {
    if queued_events.is_empty() {
        return Err(Error::NotFound(format!("Queue event with {what} was not found")));
    }
    good(QueuedEvents { total_entries: queued_events.len(), queued_events })
}

async fn queued(asked: Asked) -> Answer {
    let asset = named(&asked).await?;
    let found = waiting(&asked, None, Some(&asset.name)).await?;
    answer_queued(found, &format!("asset_id: `{}`", id_of(&asset.name)))
}

async fn queued_of_dag(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    let dag = entry.row.dag_id.as_str();
    let found = waiting(&asked, Some(dag), None).await?;
    answer_queued(found, &format!("dag_id: `{dag}`"))
}

async fn queued_of_both(asked: Asked) -> Answer {
    let (entry, asset) = (find::dag(&asked).await?, named(&asked).await?);
    let dag = entry.row.dag_id.as_str();
    let found = waiting(&asked, Some(dag), Some(&asset.name)).await?.pop();
    let missing = || format!("Queued event with dag_id: `{dag}` and asset_id: `{}` was not found", id_of(&asset.name));
    good(found.ok_or_else(|| Error::NotFound(missing()))?)
}
