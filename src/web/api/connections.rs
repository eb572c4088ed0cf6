//! Connections: how tasks reach systems outside. A password never leaves; what the extra holds under a sensitive name
//! does not either.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::connection::{Connection, normal_type};
use crate::domain::ids::ConnectionId;
use crate::domain::secret;
use crate::web::Error;

use super::asked::{Asked, shaped};
use super::bulk::{self, Bulk, Outcome};
use super::lists::{Kind, Param, paging};
use super::operation::{Answer, Operation, gone, good, made, may};
use super::page::{Sorted, page_of, page_params};

/// What stands in the place of a secret; sent back, it leaves the secret as it is.
const MASK: &str = "***";

#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionResponse)]
struct Shown {
    connection_id: String,
    conn_type: String,
    description: Option<String>,
    host: Option<String>,
    login: Option<String>,
    schema: Option<String>,
    port: Option<u16>,
    password: Option<String>,
    extra: Option<String>,
    team_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionCollectionResponse)]
struct Connections {
    connections: Vec<Shown>,
    total_entries: usize,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConnectionTestResponse)]
struct Tested {
    status: bool,
    message: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConnectionBody)]
struct Body {
    connection_id: String,
    conn_type: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    login: Option<String>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    password: Option<String>,
    /// A JSON object, as text.
    #[serde(default)]
    extra: Option<String>,
    #[serde(default, rename = "team_name")]
    _team_name: Option<String>,
}

pub fn operations() -> Vec<Operation> {
    let may = |action| may(action, Resource::Connection);
    let at = "/connections/{connection_id:.+}";
    vec![
        Operation::get("/connections", "get_connections", "Get Connections", may(Action::Read), list)
            .params(page_params())
            .params([
                Param::new("connection_id_pattern", Kind::Text, "Stands somewhere in the id."),
                Param::new("connection_id_prefix_pattern", Kind::Text, "The id begins like this."),
            ])
            .answers::<Connections>(),
        Operation::post("/connections", "post_connection", "Post Connection", may(Action::Create), post)
            .takes::<Body>()
            .answers::<Shown>()
            .created(),
        Operation::patch("/connections", "bulk_connections", "Bulk Connections", may(Action::Edit), change_many)
            .takes::<Bulk>()
            .answers::<bulk::Done>()
            .is_new(),
        Operation::post("/connections/test", "test_connection", "Test Connection", may(Action::Create), test)
            .takes::<Body>()
            .answers::<Tested>(),
        Operation::get(at, "get_connection", "Get Connection", may(Action::Read), get).answers::<Shown>(),
        Operation::patch(at, "patch_connection", "Patch Connection", may(Action::Edit), patch)
            .params([Param::new("update_mask", Kind::Text, "The fields of the body that are meant.").repeated()])
            .takes::<Body>()
            .answers::<Shown>(),
        Operation::delete(at, "delete_connection", "Delete Connection", may(Action::Delete), delete),
    ]
}

impl Shown {
    fn of(asked: &Asked, id: &ConnectionId, connection: Connection) -> Self {
        let names = &asked.web.settings.sensitive;
        let extra = match connection.extra_object() {
            Some(object) => Some(secret::masked(names, &Value::Object(object)).to_string()),
            // What is no object may be a secret as a whole.
            None => connection.extra.map(|_| MASK.to_owned()),
        };
        Self {
            connection_id: id.to_string(),
            conn_type: connection.conn_type,
            description: connection.description,
            host: connection.host,
            login: connection.login,
            schema: connection.schema,
            port: connection.port,
            password: connection.password.map(|_| MASK.to_owned()),
            extra,
            team_name: None,
        }
    }
}

impl Body {
    fn read(self) -> Result<(ConnectionId, Connection), Error> {
        let wrong = |field: &str, message: String| Error::field("value_error", &["body", field], message, Value::Null);
        let id = ConnectionId::new(&self.connection_id).map_err(|error| wrong("connection_id", error.to_string()))?;
        if let Some(extra) = self.extra.as_deref().filter(|extra| !extra.is_empty())
            && let Err(error) = serde_json::from_str::<serde_json::Map<String, Value>>(extra)
        {
            let message = format!("The `extra` field must be a valid JSON object: {error}");
            return Err(wrong("extra", message));
        }
        let connection = Connection {
            conn_type: normal_type(&self.conn_type),
            description: self.description,
            host: self.host,
            login: self.login,
            password: self.password,
            schema: self.schema,
            port: self.port,
            extra: self.extra.filter(|extra| !extra.is_empty()),
        };
        Ok((id, connection))
    }
}

fn missing(id: &str) -> Error {
    Error::NotFound(format!("The Connection with connection_id: `{id}` was not found"))
}

async fn existing(asked: &Asked, name: &str) -> Result<(ConnectionId, Connection), Error> {
    let id = ConnectionId::new(name).map_err(|_| missing(name))?;
    let found = asked.web.vault.connection(&id).await?;
    found.map(|connection| (id, connection)).ok_or_else(|| missing(name))
}

async fn list(asked: Asked) -> Answer {
    let (limit, offset) = paging(&asked)?;
    let keys = asked.web.vault.connection_ids().await?;
    let names = &["connection_id", "conn_id", "conn_type", "description", "host", "port", "id", "team_name"];
    let page = page_of(&asked, Sorted { keys, names, what: "connection_id" }, limit, offset)?;
    let mut connections = Vec::with_capacity(page.keys.len());
    for key in &page.keys {
        // One that was deleted meanwhile is left out.
        if let Ok(id) = ConnectionId::new(key) {
            connections
                .extend(asked.web.vault.connection(&id).await?.map(|connection| Shown::of(&asked, &id, connection)));
        }
    }
    good(Connections { connections, total_entries: page.total })
}

async fn get(asked: Asked) -> Answer {
    let (id, connection) = existing(&asked, asked.path("connection_id")).await?;
    good(Shown::of(&asked, &id, connection))
}

async fn create(asked: &Asked, body: Body, may_overwrite: bool) -> Result<(ConnectionId, Connection), Error> {
    let (id, connection) = body.read()?;
    if may_overwrite {
        let pair = (id.clone(), connection.clone());
        asked.web.vault.set_connections(asked.caller()?, &[pair]).await?;
    } else if !asked.web.vault.add_connection(asked.caller()?, &id, &connection).await? {
        return Err(Error::Conflict(serde_json::json!({
            "reason": "Unique constraint violation",
            "statement": "hidden",
            "orig_error": "hidden",
            "message": format!("The Connection with connection_id: `{id}` already exists"),
        })));
    }
    Ok((id, connection))
}

async fn post(asked: Asked) -> Answer {
    let body = asked.body()?;
    let (id, connection) = create(&asked, body, false).await?;
    made(Shown::of(&asked, &id, connection))
}

/// The connection with those fields of another that are meant. A mask in the place of a secret changes nothing.
fn changed(old: Connection, new: Connection, is_meant: impl Fn(&str) -> bool) -> Connection {
    let pick = |field: &str, old: Option<String>, new: Option<String>| if is_meant(field) { new } else { old };
    let is_masked = new.password.as_deref() == Some(MASK);
    let extra_is_masked = new.extra.as_deref().is_some_and(|extra| extra.contains(&format!("\"{MASK}\"")));
    Connection {
        conn_type: if is_meant("conn_type") { new.conn_type } else { old.conn_type },
        description: pick("description", old.description, new.description),
        host: pick("host", old.host, new.host),
        login: pick("login", old.login, new.login),
        password: if is_masked { old.password } else { pick("password", old.password, new.password) },
        schema: pick("schema", old.schema, new.schema),
        port: if is_meant("port") { new.port } else { old.port },
        extra: if extra_is_masked { unmasked(old.extra, new.extra) } else { pick("extra", old.extra, new.extra) },
    }
}

/// The new extra with the old secrets where it says only that there are some.
fn unmasked(old: Option<String>, new: Option<String>) -> Option<String> {
    let object = |text: &Option<String>| {
        text.as_deref().and_then(|text| serde_json::from_str::<serde_json::Map<String, Value>>(text).ok())
    };
    let (before, Some(mut after)) = (object(&old).unwrap_or_default(), object(&new)) else { return new };
    for (name, value) in &mut after {
        if value.as_str() == Some(MASK)
            && let Some(known) = before.get(name)
        {
            *value = known.clone();
        }
    }
    Some(Value::Object(after).to_string())
}

async fn patch(asked: Asked) -> Answer {
    let name = asked.path("connection_id");
    let fields = asked.object()?;
    let body: Body = asked.body()?;
    if body.connection_id != name {
        let why = "The connection_id in the request body does not match the URL parameter";
        return Err(Error::Bad(why.to_owned()));
    }
    let (id, old) = existing(&asked, name).await?;
    let (_, new) = body.read()?;
    let mask = asked.update_mask();
    let is_meant = |field: &str| fields.contains_key(field) && mask.as_ref().is_none_or(|mask| mask.contains(&field));
    let pair = (id, changed(old, new, is_meant));
    asked.web.vault.set_connections(asked.caller()?, std::slice::from_ref(&pair)).await?;
    good(Shown::of(&asked, &pair.0, pair.1))
}

async fn delete(asked: Asked) -> Answer {
    remove(&asked, asked.path("connection_id")).await?;
    gone()
}

async fn remove(asked: &Asked, name: &str) -> Result<(), Error> {
    let id = ConnectionId::new(name).map_err(|_| missing(name))?;
    let was_there = asked.web.vault.delete_connection(asked.caller()?, &id).await?;
    if was_there { Ok(()) } else { Err(missing(name)) }
}

/// Nothing in the server opens a connection to other systems: workers and the command line do.
async fn test(asked: Asked) -> Answer {
    let body: Body = asked.body()?;
    body.read()?;
    if asked.web.settings.test_connection {
        let message =
            "the server opens no connection to other systems: `updraft connections test` does, on this machine";
        return good(Tested { status: false, message: message.to_owned() });
    }
    Err(Error::Hidden(
        "Testing connections is disabled in Airflow configuration. Contact your deployment admin to enable it."
            .to_owned(),
    ))
}

async fn change_many(asked: Asked) -> Answer {
    let bulk: Bulk = asked.body()?;
    let asked = &asked;
    let change = async |verb: bulk::Verb, entity: Value, may_overwrite: bool| {
        if verb == bulk::Verb::Delete {
            let name = bulk::name_of(&entity, "connection_id")?;
            remove(asked, &name).await?;
            return Ok(Outcome::Did(name));
        }
        let fields = entity.clone();
        let body: Body = shaped(entity, &["body", "actions", "entities"])?;
        let name = body.connection_id.clone();
        if verb == bulk::Verb::Update {
            let (id, old) = existing(asked, &name).await?;
            let (_, new) = body.read()?;
            let pair = (id, changed(old, new, |field| fields.get(field).is_some()));
            asked.web.vault.set_connections(asked.caller()?, &[pair]).await?;
        } else {
            create(asked, body, may_overwrite).await?;
        }
        Ok(Outcome::Did(name))
    };
    good(bulk.carry_out(change).await?)
}
