//! Variables: values that users keep for their tasks.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::ids::VariableKey;
use crate::domain::secret;
use crate::store::Variable;
use crate::web::Error;

use super::asked::{Asked, shaped};
use super::bulk::{self, Bulk, Outcome};
use super::lists::{Kind, Param, paging};
use super::operation::{Answer, Operation, gone, good, made, may};
use super::page::{Sorted, page_of, page_params};

#[derive(Serialize, ToSchema)]
#[schema(as = VariableResponse)]
struct Shown {
    key: String,
    value: Option<String>,
    description: Option<String>,
    is_encrypted: bool,
    team_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VariableCollectionResponse)]
struct Variables {
    variables: Vec<Shown>,
    total_entries: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VariableBody)]
struct Body {
    key: String,
    /// A text is kept as it is, any other JSON as its text.
    #[schema(value_type = Value)]
    value: Value,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, rename = "team_name")]
    _team_name: Option<String>,
}

pub fn operations() -> Vec<Operation> {
    let may = |action| may(action, Resource::Variable);
    vec![
        Operation::get("/variables", "get_variables", "Get Variables", may(Action::Read), list)
            .params(page_params())
            .params([
                Param::new("variable_key_pattern", Kind::Text, "Stands somewhere in the key."),
                Param::new("variable_key_prefix_pattern", Kind::Text, "The key begins like this."),
            ])
            .answers::<Variables>(),
        Operation::post("/variables", "post_variable", "Post Variable", may(Action::Create), post)
            .takes::<Body>()
            .answers::<Shown>()
            .created(),
        Operation::patch("/variables", "bulk_variables", "Bulk Variables", may(Action::Edit), change_many)
            .takes::<Bulk>()
            .answers::<bulk::Done>()
            .is_new(),
        Operation::get("/variables/{variable_key:.+}", "get_variable", "Get Variable", may(Action::Read), get)
            .answers::<Shown>(),
        Operation::patch("/variables/{variable_key:.+}", "patch_variable", "Patch Variable", may(Action::Edit), patch)
            .params([Param::new("update_mask", Kind::Text, "The fields of the body that are meant.").repeated()])
            .takes::<Body>()
            .answers::<Shown>(),
        Operation::delete(
            "/variables/{variable_key:.+}",
            "delete_variable",
            "Delete Variable",
            may(Action::Delete),
            delete,
        ),
    ]
}

impl Shown {
    /// A value whose key speaks of a secret is masked, as in Airflow.
    fn of(asked: &Asked, variable: Variable) -> Self {
        let names = &asked.web.settings.sensitive;
        let is_secret = names.is_sensitive(variable.key.as_str());
        let value = match serde_json::from_str::<Value>(&variable.value) {
            _ if is_secret => "***".to_owned(),
            Ok(value @ Value::Object(_)) => secret::masked(names, &value).to_string(),
            Ok(_) | Err(_) => variable.value,
        };
        Self {
            key: variable.key.to_string(),
            value: Some(value),
            description: variable.description,
            is_encrypted: true,
            team_name: None,
        }
    }
}

impl Body {
    fn variable(self) -> Result<Variable, Error> {
        let wrong = |error: crate::domain::ids::InvalidId| {
            Error::field("value_error", &["body", "key"], error.to_string(), Value::String(self.key.clone()))
        };
        let key = VariableKey::new(&self.key).map_err(wrong)?;
        let value = match self.value {
            Value::String(text) => text,
            value => value.to_string(),
        };
        Ok(Variable { key, value, description: self.description })
    }
}

fn missing(key: &str) -> Error {
    Error::NotFound(format!("The Variable with key: `{key}` was not found"))
}

async fn existing(asked: &Asked, key: &str) -> Result<Variable, Error> {
    let id = VariableKey::new(key).map_err(|_| missing(key))?;
    asked.web.vault.variable(&id).await?.ok_or_else(|| missing(key))
}

async fn list(asked: Asked) -> Answer {
    let (limit, offset) = paging(&asked)?;
    // Only the keys of all of them are read; values, which have to be decrypted, are those of the page.
    let keys = asked.web.vault.variable_keys().await?;
    let sorted = Sorted { keys, names: &["key", "id", "_val", "description", "is_encrypted"], what: "variable_key" };
    let page = page_of(&asked, sorted, limit, offset)?;
    let mut variables = Vec::with_capacity(page.keys.len());
    for key in &page.keys {
        // One that was deleted meanwhile is left out.
        if let Ok(id) = VariableKey::new(key) {
            variables.extend(asked.web.vault.variable(&id).await?.map(|variable| Shown::of(&asked, variable)));
        }
    }
    good(Variables { variables, total_entries: page.total })
}

async fn get(asked: Asked) -> Answer {
    let variable = existing(&asked, asked.path("variable_key")).await?;
    good(Shown::of(&asked, variable))
}

async fn create(asked: &Asked, body: Body, may_overwrite: bool) -> Result<Variable, Error> {
    let variable = body.variable()?;
    if !may_overwrite && asked.web.vault.variable(&variable.key).await?.is_some() {
        return Err(Error::conflict(format!("The Variable with key: `{}` already exists", variable.key)));
    }
    asked.web.vault.set_variables(asked.caller()?, std::slice::from_ref(&variable)).await?;
    Ok(variable)
}

async fn post(asked: Asked) -> Answer {
    let body = asked.body()?;
    let variable = create(&asked, body, false).await?;
    made(Shown::of(&asked, variable))
}

async fn patch(asked: Asked) -> Answer {
    let key = asked.path("variable_key");
    let body: Body = asked.body()?;
    if body.key != key {
        return Err(Error::Bad("Invalid body, key from request body doesn't match uri parameter".to_owned()));
    }
    let mut variable = existing(&asked, key).await?;
    let mask = asked.update_mask();
    let is_meant = |field: &str| mask.as_ref().is_none_or(|mask| mask.contains(&field));
    let new = body.variable()?;
    if is_meant("value") {
        variable.value = new.value;
    }
    if is_meant("description") {
        variable.description = new.description;
    }
    asked.web.vault.set_variables(asked.caller()?, std::slice::from_ref(&variable)).await?;
    good(Shown::of(&asked, variable))
}

async fn delete(asked: Asked) -> Answer {
    remove(&asked, asked.path("variable_key")).await?;
    gone()
}

async fn remove(asked: &Asked, key: &str) -> Result<(), Error> {
    let id = VariableKey::new(key).map_err(|_| missing(key))?;
    let was_there = asked.web.vault.delete_variable(asked.caller()?, &id).await?;
    if was_there { Ok(()) } else { Err(missing(key)) }
}

async fn change_many(asked: Asked) -> Answer {
    let bulk: Bulk = asked.body()?;
    let asked = &asked;
    let change = async |verb: bulk::Verb, entity: Value, may_overwrite: bool| {
        if verb == bulk::Verb::Delete {
            let name = bulk::name_of(&entity, "key")?;
            remove(asked, &name).await?;
            return Ok(Outcome::Did(name));
        }
        let fields = entity.clone();
        let body: Body = match verb {
            bulk::Verb::Update if entity.get("value").is_none() => {
                let known = existing(asked, &bulk::name_of(&entity, "key")?).await?;
                let mut entity = entity;
                entity["value"] = Value::String(known.value);
                shaped(entity, &["body", "actions", "entities"])?
            }
            bulk::Verb::Create | bulk::Verb::Update | bulk::Verb::Delete => {
                shaped(entity, &["body", "actions", "entities"])?
            }
        };
        let name = body.key.clone();
        if verb == bulk::Verb::Update {
            let known = existing(asked, &name).await?;
            let mut variable = body.variable()?;
            if fields.get("description").is_none() {
                variable.description = known.description;
            }
            asked.web.vault.set_variables(asked.caller()?, &[variable]).await?;
        } else {
            create(asked, body, may_overwrite).await?;
        }
        Ok(Outcome::Did(name))
    };
    good(bulk.carry_out(change).await?)
}
