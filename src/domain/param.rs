//! Parameters of a run: what their values have to be, and whose word counts.
//!
//! A schema is JSON Schema, as `Param(3, type="integer")` says it in Airflow.
//! Nothing here fetches a schema from anywhere.

use jsonschema::Draft;
use serde_json::{Map, Value};

/// A parameter whose value cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub param: String,
    /// What was got and what was expected: `-1 is less than the minimum of 1`.
    pub message: String,
}

/// Everything that is wrong with the values of a run.
pub fn mistakes(schemas: &Map<String, Value>, values: &Map<String, Value>) -> Vec<Mistake> {
    schemas.iter().flat_map(|(name, schema)| mistakes_of(name, schema, values.get(name))).collect()
}

/// What is wrong with one parameter.
pub fn mistakes_of(name: &str, schema: &Value, value: Option<&Value>) -> Vec<Mistake> {
    let mistake = |message: String| Mistake { param: name.to_owned(), message };
    let Some(value) = value else { return vec![mistake("it has no default and needs a value".to_owned())] };
    let validator = match compiled(schema) {
        Ok(validator) => validator,
        Err(why) => return vec![mistake(why)],
    };
    let said = validator.iter_errors(value).map(|error| {
        let inside = error.instance_path().to_string();
        let place = if inside.is_empty() { String::new() } else { format!(", at `{inside}`") };
        mistake(format!("{error}{place}"))
    });
    said.collect()
}

/// Why a schema is none.
pub fn invalid_schema(schema: &Value) -> Option<String> {
    compiled(schema).err()
}

fn compiled(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| format!("its schema is no JSON Schema: {error}"))
}

/// The parameters as a task sees them: the DAG's defaults, over them its own, over them what the run was
/// triggered with, unless `[core] dag_run_conf_overrides_params` is off.
pub fn merged(
    dag: &Map<String, Value>,
    task: &Map<String, Value>,
    conf: &Map<String, Value>,
    conf_overrides: bool,
) -> Map<String, Value> {
    let mut params = dag.clone();
    params.extend(task.clone());
    if conf_overrides {
        params.extend(conf.clone());
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(schema: Value, value: Option<Value>) -> Vec<String> {
        mistakes_of("n", &schema, value.as_ref()).into_iter().map(|mistake| mistake.message).collect()
    }

    #[test]
    fn a_value_is_measured_by_its_schema() {
        let schema = json!({"type": "integer", "minimum": 1, "title": "Rows"});
        assert_eq!(said(schema.clone(), Some(json!(3))), Vec::<String>::new());
        assert_eq!(said(schema.clone(), Some(json!(-1))), ["-1 is less than the minimum of 1"]);
        assert_eq!(said(schema.clone(), Some(json!("3"))), ["\"3\" is not of type \"integer\""]);
        assert_eq!(said(schema, None), ["it has no default and needs a value"]);
        let list = json!({"type": "array", "items": {"type": "string", "format": "date"}});
        assert_eq!(said(list, Some(json!(["2026-01-01", "soon"]))), ["\"soon\" is not a \"date\", at `/1`"]);
        assert!(invalid_schema(&json!({"type": "intger"})).is_some());
    }

    #[test]
    fn conf_counts_most_and_only_where_it_may() {
        let map = |value: Value| value.as_object().cloned().expect("an object");
        let (dag, task, conf) =
            (map(json!({"a": 1, "b": 1, "c": 1})), map(json!({"b": 2, "c": 2})), map(json!({"c": 3})));
        assert_eq!(json!(merged(&dag, &task, &conf, true)), json!({"a": 1, "b": 2, "c": 3}));
        assert_eq!(json!(merged(&dag, &task, &conf, false)), json!({"a": 1, "b": 2, "c": 2}));
    }
}
