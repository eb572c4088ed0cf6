//! Parameters as written: plain defaults, and mappings that say what the value has to be.
//!
//! A mapping is read as a parameter with a schema when it has the key `default` or
//! `schema`; any other mapping is itself the default. So `{default: 3, minimum: 1}` is
//! a number from 1 on, `{schema: {type: integer}}` a number that has to be given, and
//! `{default: {default: 3}}` the way to write a mapping that holds such a key.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The parameters of a DAG or of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    pub defaults: Map<String, Value>,
    /// Of those that say what they have to be.
    pub schemas: Map<String, Value>,
}

impl Params {
    fn add(&mut self, name: String, written: Value) {
        let Value::Object(mut mapping) = written else {
            self.defaults.insert(name, written);
            return;
        };
        if !mapping.contains_key("default") && !mapping.contains_key("schema") {
            self.defaults.insert(name, Value::Object(mapping));
            return;
        }
        if let Some(default) = mapping.shift_remove("default") {
            self.defaults.insert(name.clone(), default);
        }
        if let Some(Value::Object(schema)) = mapping.shift_remove("schema") {
            mapping.extend(schema);
        }
        self.schemas.insert(name, Value::Object(mapping));
    }

    /// These, over those of `below`: a new default of a parameter keeps its schema.
    #[must_use]
    pub fn over(self, below: &Self) -> Self {
        let mut merged = below.clone();
        merged.defaults.extend(self.defaults);
        merged.schemas.extend(self.schemas);
        merged
    }
}

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut params = Self::default();
        for (name, written) in Map::deserialize(deserializer)? {
            params.add(name, written);
        }
        Ok(params)
    }
}

impl JsonSchema for Params {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Params".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mapping_with_default_or_schema_is_a_parameter_and_any_other_a_value() {
        let params: Params = serde_json::from_value(json!({
            "plain": 3,
            "mapping": {"a": 1, "type": "table"},
            "bounded": {"default": 3, "type": "integer", "minimum": 1, "description": "Rows"},
            "required": {"schema": {"type": "integer"}},
            "held": {"default": {"default": 1}},
        }))
        .expect("parameters");
        let defaults = json!({"plain": 3, "mapping": {"a": 1, "type": "table"}, "bounded": 3, "held": {"default": 1}});
        assert_eq!(json!(params.defaults), defaults);
        let bounded = json!({"type": "integer", "minimum": 1, "description": "Rows"});
        assert_eq!(json!(params.schemas), json!({"bounded": bounded, "required": {"type": "integer"}, "held": {}}));
    }
}
