//! Parameters: schemas that are schemas, and defaults that fit them.

use crate::dagfile::written::Params;
use crate::domain::param::{invalid_schema, mistakes_of};
use crate::domain::schedule::Schedule;

use super::Notes;

/// A DAG that runs by itself needs a value that fits for each parameter; one that is only triggered may leave
/// that to whoever triggers it.
pub(super) fn check(params: &Params, schedule: &Schedule, notes: &mut Notes) {
    check_schemas(params, notes);
    for (name, schema) in params.schemas.iter().filter(|(_, schema)| invalid_schema(schema).is_none()) {
        let default = params.defaults.get(name);
        for mistake in mistakes_of(name, schema, default) {
            match (schedule, default) {
                (Schedule::Never, None) => {}
                (Schedule::Never, Some(_)) => {
                    let message = format!("the default of the parameter `{name}` does not fit: {}", mistake.message);
                    notes.warning(None, format!("{message}; a trigger has to give a value that does"));
                }
                (_, None) => {
                    let message = format!("the DAG has a schedule, so its parameter `{name}` needs a default");
                    notes.error(None, message);
                }
                (_, Some(_)) => {
                    notes.error(
                        None,
                        format!("the default of the parameter `{name}` does not fit: {}", mistake.message),
                    );
                }
            }
        }
    }
}

/// What is no schema can measure nothing.
pub(super) fn check_schemas(params: &Params, notes: &mut Notes) {
    for (name, schema) in &params.schemas {
        if let Some(why) = invalid_schema(schema) {
            notes.error(None, format!("the parameter `{name}`: {why}"));
        }
    }
}
