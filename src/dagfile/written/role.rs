//! The role of a teardown, in its short and its long form.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::OneOrMany;

/// `true`, or a mapping that says more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Teardown {
    pub wanted: bool,
    pub setups: OneOrMany,
    pub on_failure_fail_dagrun: bool,
}

/// The long form of `teardown`.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TeardownMapping {
    /// The task or tasks that made what this one takes away: it waits for them, and they become setups.
    setups: OneOrMany,
    /// Whether a failure of this task makes the run fail. Default: `false`.
    on_failure_fail_dagrun: bool,
}

struct TeardownVisitor;

impl<'de> Visitor<'de> for TeardownVisitor {
    type Value = Teardown;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("true, false or {setups: [...], on_failure_fail_dagrun: true}")
    }
    fn visit_bool<E: de::Error>(self, wanted: bool) -> Result<Teardown, E> {
        Ok(Teardown { wanted, ..Teardown::default() })
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Teardown, A::Error> {
        let TeardownMapping { setups, on_failure_fail_dagrun } =
            TeardownMapping::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Teardown { wanted: true, setups, on_failure_fail_dagrun })
    }
}

impl<'de> Deserialize<'de> for Teardown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TeardownVisitor)
    }
}

impl JsonSchema for Teardown {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Teardown".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<TeardownMapping>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, mapping] })
    }
}
