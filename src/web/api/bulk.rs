//! Many changes in one request: each entity fails by itself, and all failures are told.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::web::Error;

/// More than this in one request would hold up others.
const MOST: usize = 5_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkBody)]
pub struct Bulk {
    actions: Vec<Action>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkAction)]
struct Action {
    action: Verb,
    /// Of a deletion also bare names.
    #[schema(value_type = Vec<Value>)]
    entities: Vec<Value>,
    #[serde(default)]
    action_on_existence: OnExistence,
    #[serde(default)]
    action_on_non_existence: OnAbsence,
    #[serde(default)]
    update_mask: Option<Vec<String>>,
}

/// What is done to the entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BulkVerb)]
pub enum Verb {
    Create,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BulkActionOnExistence)]
enum OnExistence {
    #[default]
    Fail,
    Skip,
    Overwrite,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BulkActionNotOnExistence)]
enum OnAbsence {
    #[default]
    Fail,
    Skip,
}

#[derive(Default, Serialize, ToSchema)]
#[schema(as = BulkActionResponse)]
struct Results {
    success: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    errors: Vec<Value>,
}

#[derive(Default, Serialize, ToSchema)]
#[schema(as = BulkResponse)]
pub struct Done {
    create: Option<Results>,
    update: Option<Results>,
    delete: Option<Results>,
}

/// What became of one entity.
pub enum Outcome {
    /// It is done; under this name.
    Did(String),
}

impl Bulk {
    /// Lets `change` do each in its order; it is told whether what is there may be overwritten.
    pub async fn carry_out(
        self,
        change: impl AsyncFn(Verb, Value, bool) -> Result<Outcome, Error>,
    ) -> Result<Done, Error> {
        let count: usize = self.actions.iter().map(|action| action.entities.len()).sum();
        if count > MOST {
            return Err(Error::Bad(format!("expected at most {MOST} entities in one request, got: {count}")));
        }
        let mut done = Done::default();
        for action in self.actions {
            let results = match action.action {
                Verb::Create => &mut done.create,
                Verb::Update => &mut done.update,
                Verb::Delete => &mut done.delete,
            };
            let results = results.get_or_insert_default();
            let may_overwrite = action.action_on_existence == OnExistence::Overwrite;
            for entity in action.entities {
                let entity = masked(entity, action.update_mask.as_deref(), action.action);
                match change(action.action, entity, may_overwrite).await {
                    Ok(Outcome::Did(name)) => results.success.push(name),
                    Err(Error::Conflict(_)) if action.action_on_existence == OnExistence::Skip => {}
                    Err(Error::NotFound(_)) if action.action_on_non_existence == OnAbsence::Skip => {}
                    // A fault of the server is none of the entity.
                    Err(error @ (Error::Internal(_) | Error::Unavailable(_))) => return Err(error),
                    Err(error) => results.errors.push(json!({
                        "error": error.to_string(),
                        "status_code": error.status().as_u16(),
                    })),
                }
            }
        }
        Ok(done)
    }
}

/// What names an entity belongs to it whatever the mask says.
const NAMES: [&str; 8] = ["name", "pool", "key", "connection_id", "conn_type", "dag_id", "dag_run_id", "task_id"];

fn masked(entity: Value, mask: Option<&[String]>, verb: Verb) -> Value {
    match (entity, mask, verb) {
        (Value::Object(fields), Some(mask), Verb::Update) => {
            let is_meant = |name: &String| NAMES.contains(&name.as_str()) || mask.contains(name);
            Value::Object(fields.into_iter().filter(|(name, _)| is_meant(name)).collect())
        }
        (entity, _, Verb::Create | Verb::Update | Verb::Delete) => entity,
    }
}

/// The name of an entity that is to go: a bare text, or a field of it.
pub fn name_of(entity: &Value, field: &str) -> Result<String, Error> {
    let name = entity.as_str().or_else(|| entity.get(field).and_then(Value::as_str));
    let place = ["body", "actions", "entities", field];
    name.map(str::to_owned).ok_or_else(|| Error::field("missing", &place, "Field required", json!({})))
}
