//! The JSON Schema of YAML DAG files, for editors; printed by `updraft dags schema`.
//! Generated from the types of [`super::spec`], whose comments become the help.

use serde_json::Value;

use super::spec::DagSpec;

/// Other names that the reader takes for a key: where, the other name, the key.
const ALIASES: [(&str, &str, &str); 20] = [
    ("/properties", "on_success_callback", "on_success"),
    ("/properties", "on_failure_callback", "on_failure"),
    ("/properties", "deadline", "deadlines"),
    (TASK, "on_execute_callback", "on_execute"),
    (TASK, "on_success_callback", "on_success"),
    (TASK, "on_failure_callback", "on_failure"),
    (TASK, "on_retry_callback", "on_retry"),
    (TASK, "on_skipped_callback", "on_skipped"),
    (TASK, "task_concurrency", "max_active_tis_per_dag"),
    ("/properties", "fail_stop", "fail_fast"),
    ("/properties", "timetable", "schedule"),
    (TASK, "id", "task_id"),
    (TASK, "with", "arguments"),
    (TASK, "task_group", "group"),
    (GROUP, "group_display_name", "label"),
    (TASK, "bash_command", "bash"),
    (TASK, "upstream", "depends_on"),
    (TASK, "upstream_task_ids", "depends_on"),
    (PYTHON, "args", "op_args"),
    (PYTHON, "kwargs", "op_kwargs"),
];

const TASK: &str = "/$defs/TaskSpec/properties";
const GROUP: &str = "/$defs/GroupSpec/properties";
const PYTHON: &str = "/$defs/PythonMapping/properties";

/// The schema as JSON (draft 2020-12).
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(DagSpec).to_value();
    for (pointer, alias, key) in ALIASES {
        if let Some(properties) = schema.pointer_mut(pointer).and_then(Value::as_object_mut)
            && let Some(property) = properties.get(key).cloned()
        {
            properties.insert(alias.to_owned(), property);
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dagfile::spec::{GroupSpec, TaskSpec};
    use crate::dagfile::written::PythonMapping;
    use crate::domain::dag::WeightRule;
    use crate::domain::trigger::TriggerRule;

    #[test]
    fn every_key_of_a_dag_and_of_a_task_has_help() {
        let schema = schema();
        for properties in ["/properties", "/$defs/TaskSpec/properties"] {
            let properties = schema.pointer(properties).and_then(Value::as_object).expect("properties");
            assert!(properties.len() >= 20, "{properties:?}");
            for (key, property) in properties {
                let help = property.get("description").and_then(Value::as_str).unwrap_or_default();
                assert!(help.len() > 10, "`{key}` has no help: {property}");
            }
        }
    }

    /// The keys that the reader takes for `T`, as its own error tells them.
    fn taken<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> Vec<&'static str> {
        let error = serde_saphyr::from_str::<T>("no_such_key: 1").expect_err("the key is unknown");
        match error.without_snippet() {
            serde_saphyr::Error::SerdeUnknownField { expected, .. } => expected.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_schema_knows_what_the_reader_knows() {
        let schema = schema();
        let check = |pointer: &str, taken: Vec<&str>, not_for_people: &[&str]| {
            let properties = schema.pointer(pointer).and_then(Value::as_object).expect("properties");
            let mut known: Vec<&str> = properties.keys().map(String::as_str).collect();
            let mut taken: Vec<&str> = taken.into_iter().filter(|key| !not_for_people.contains(key)).collect();
            known.sort_unstable();
            taken.sort_unstable();
            assert_eq!(known, taken);
        };
        check("/properties", taken::<DagSpec>(), &["line"]);
        check(TASK, taken::<TaskSpec>(), &["line", "operator_name"]);
        check(GROUP, taken::<GroupSpec>(), &[]);
        check(PYTHON, taken::<PythonMapping>(), &["dag_file"]);
        assert_eq!(schema.pointer("/additionalProperties"), Some(&Value::Bool(false)));
    }

    #[test]
    fn the_words_of_the_schema_are_those_of_the_domain() {
        let schema = schema();
        let words = |key: &str| -> Vec<String> {
            let written = schema.pointer(&format!("{TASK}/{key}/enum")).and_then(Value::as_array).expect("words");
            written.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        assert_eq!(words("trigger_rule"), TriggerRule::ALL.map(TriggerRule::as_str));
        assert_eq!(words("weight_rule"), WeightRule::ALL.map(WeightRule::as_str));
    }
}
