//! Pools: how many tasks of a kind run at once, and how full they are.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::ids::PoolName;
use crate::domain::state::TaskState;
use crate::protocol::control::{Control, Pool};
use crate::store::query::{Listing, PoolUse, pool_fields};
use crate::store::write::PoolRow;
use crate::web::Error;

use super::asked::{Asked, shaped};
use super::bulk::{self, Bulk, Outcome};
use super::lists::{Kind, Lists, Param, pattern, prefix};
use super::operation::{Answer, Operation, gone, good, made, may};

#[derive(Serialize, ToSchema)]
#[schema(as = PoolResponse)]
struct Shown {
    name: String,
    /// -1: without limit.
    slots: i64,
    description: Option<String>,
    include_deferred: bool,
    occupied_slots: i64,
    running_slots: i64,
    queued_slots: i64,
    scheduled_slots: i64,
    /// -1: without limit.
    open_slots: i64,
    deferred_slots: i64,
    team_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PoolCollectionResponse)]
struct Pools {
    pools: Vec<Shown>,
    total_entries: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoolBody)]
struct Body {
    /// `pool` in a change.
    #[serde(alias = "pool")]
    name: String,
    slots: i32,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    include_deferred: bool,
    #[serde(default, rename = "team_name")]
    _team_name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoolPatchBody)]
struct Patch {
    #[serde(default, alias = "name")]
    pool: Option<String>,
    #[serde(default)]
    slots: Option<i32>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    include_deferred: Option<bool>,
    #[serde(default, rename = "team_name")]
    _team_name: Option<String>,
}

const LISTS: Lists = Lists {
    order: pool_fields::ALL,
    usual: "name",
    filters: &[pattern("pool_name_pattern", pool_fields::NAME), prefix("pool_name_prefix_pattern", pool_fields::NAME)],
};

pub fn operations() -> Vec<Operation> {
    let may = |action| may(action, Resource::Pool);
    let at = "/pools/{pool_name:.+}";
    vec![
        Operation::get("/pools", "get_pools", "Get Pools", may(Action::Read), list).lists(&LISTS).answers::<Pools>(),
        Operation::post("/pools", "post_pool", "Post Pool", may(Action::Create), post)
            .takes::<Body>()
            .answers::<Shown>()
            .created(),
        Operation::patch("/pools", "bulk_pools", "Bulk Pools", may(Action::Edit), change_many)
            .takes::<Bulk>()
            .answers::<bulk::Done>()
            .new_in_v2(),
        Operation::get(at, "get_pool", "Get Pool", may(Action::Read), get).answers::<Shown>(),
        Operation::patch(at, "patch_pool", "Patch Pool", may(Action::Edit), patch)
            .params([Param::new("update_mask", Kind::Text, "The fields of the body that are meant.").repeated()])
            .takes::<Patch>()
            .answers::<Shown>(),
        Operation::delete(at, "delete_pool", "Delete Pool", may(Action::Delete), delete),
    ]
}

impl Shown {
    fn of(row: PoolRow, all: &[PoolUse]) -> Self {
        let of = |states: &[TaskState]| {
            let used = all.iter().filter(|used| used.pool == row.name && states.contains(&used.state));
            used.map(|used| i64::try_from(used.slots).unwrap_or(i64::MAX)).sum::<i64>()
        };
        let (running, queued) = (of(&[TaskState::Running, TaskState::Restarting]), of(&[TaskState::Queued]));
        let deferred = of(&[TaskState::Deferred]);
        let occupied = running + queued + if row.include_deferred { deferred } else { 0 };
        let slots = i64::from(row.slots);
        Self {
            open_slots: if slots < 0 { -1 } else { slots - occupied },
            slots,
            name: row.name.to_string(),
            description: Some(row.description),
            include_deferred: row.include_deferred,
            occupied_slots: occupied,
            running_slots: running,
            queued_slots: queued,
            scheduled_slots: of(&[TaskState::Scheduled]),
            deferred_slots: deferred,
            team_name: None,
        }
    }
}

fn missing(name: &str) -> Error {
    Error::NotFound(format!("The Pool with name: `{name}` was not found"))
}

async fn existing(asked: &Asked, name: &str) -> Result<PoolRow, Error> {
    let listing = Listing::first(1).only(pool_fields::NAME, name);
    asked.web.store.list_pools(&listing).await?.rows.pop().ok_or_else(|| missing(name))
}

async fn shown(asked: &Asked, name: &str) -> Result<Shown, Error> {
    let row = existing(asked, name).await?;
    Ok(Shown::of(row, &asked.web.store.pool_use().await?))
}

async fn list(asked: Asked) -> Answer {
    let page = asked.web.store.list_pools(&LISTS.read(&asked)?).await?;
    let used = asked.web.store.pool_use().await?;
    good(Pools { total_entries: page.total, pools: page.rows.into_iter().map(|row| Shown::of(row, &used)).collect() })
}

async fn get(asked: Asked) -> Answer {
    good(shown(&asked, asked.path("pool_name")).await?)
}

async fn set(asked: &Asked, pool: Pool) -> Result<(), Error> {
    if pool.slots < -1 {
        let message = "Input should be greater than or equal to -1";
        return Err(Error::field("greater_than_equal", &["body", "slots"], message, pool.slots.into()));
    }
    asked.web.control(asked.caller()?, Control::SetPool(pool)).await.map(|_| ())
}

fn named(name: &str) -> Result<PoolName, Error> {
    PoolName::new(name).map_err(|error| Error::field("value_error", &["body", "name"], error.to_string(), name.into()))
}

async fn create(asked: &Asked, body: Body, may_overwrite: bool) -> Result<String, Error> {
    let name = named(&body.name)?;
    if !may_overwrite && existing(asked, name.as_str()).await.is_ok() {
        return Err(Error::Conflict(serde_json::json!({
            "reason": "Unique constraint violation",
            "statement": "hidden",
            "orig_error": "hidden",
            "message": format!("The Pool with name: `{name}` already exists"),
        })));
    }
    let (slots, include_deferred) = (body.slots, body.include_deferred);
    let pool = Pool { name: name.clone(), slots, description: body.description.unwrap_or_default(), include_deferred };
    set(asked, pool).await?;
    Ok(name.to_string())
}

async fn post(asked: Asked) -> Answer {
    let body = asked.body()?;
    let name = create(&asked, body, false).await?;
    made(shown(&asked, &name).await?)
}

async fn change(asked: &Asked, name: &str, body: Patch, mask: Option<&[&str]>) -> Result<(), Error> {
    let old = existing(asked, name).await?;
    let is_meant = |field: &str| mask.is_none_or(|mask| mask.contains(&field));
    let pool = Pool {
        slots: body.slots.filter(|_| is_meant("slots")).unwrap_or(old.slots),
        description: body.description.filter(|_| is_meant("description")).unwrap_or(old.description),
        include_deferred: body
            .include_deferred
            .filter(|_| is_meant("include_deferred"))
            .unwrap_or(old.include_deferred),
        name: old.name,
    };
    if body.pool.as_deref().is_some_and(|new| new != name && is_meant("pool")) {
        return Err(Error::Bad(format!("a pool keeps its name: make another one, and delete `{name}`")));
    }
    set(asked, pool).await
}

async fn patch(asked: Asked) -> Answer {
    let name = asked.path("pool_name");
    let body: Patch = asked.body()?;
    change(&asked, name, body, asked.update_mask().as_deref()).await?;
    good(shown(&asked, name).await?)
}

async fn delete(asked: Asked) -> Answer {
    remove(&asked, asked.path("pool_name")).await?;
    gone()
}

async fn remove(asked: &Asked, name: &str) -> Result<(), Error> {
    if name == PoolName::default_pool().as_str() {
        return Err(Error::Bad("Default Pool can't be deleted".to_owned()));
    }
    let pool = existing(asked, name).await?.name;
    asked.web.control(asked.caller()?, Control::DeletePool { pool }).await.map(|_| ())
}

async fn change_many(asked: Asked) -> Answer {
    let bulk: Bulk = asked.body()?;
    let asked = &asked;
    let each = async |verb: bulk::Verb, entity: Value, may_overwrite: bool| {
        let name = bulk::name_of(&entity, "name")?;
        match verb {
            bulk::Verb::Delete => remove(asked, &name).await?,
            bulk::Verb::Create => {
                create(asked, shaped(entity, &["body", "actions", "entities"])?, may_overwrite).await?;
            }
            bulk::Verb::Update => {
                change(asked, &name, shaped(entity, &["body", "actions", "entities"])?, None).await?;
            }
        }
        Ok(Outcome::Did(name))
    };
    good(bulk.carry_out(each).await?)
}
