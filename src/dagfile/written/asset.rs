//! Assets as written: a name or URI, a mapping, a list, and what a schedule makes of them.
//! Whether a name can be one is not decided here.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::At;

/// An asset, or an alias that stands for the assets which tasks add to it.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AssetMapping {
    /// The name of the asset, unique in the installation. Default: its URI.
    pub name: Option<String>,
    /// Where the asset is, as `s3://bucket/key`. Default: its name.
    pub uri: Option<String>,
    /// What kind of asset it is. Default: `asset`.
    pub group: Option<String>,
    /// Whatever else is to be known of it.
    pub extra: Map<String, Value>,
    /// Instead of all the above: the name of an alias.
    pub alias: Option<String>,
}

impl AssetMapping {
    /// A text is the name and, where it looks like one, the URI.
    pub fn from_text(text: &str) -> Self {
        Self { uri: Some(text.to_owned()), ..Self::default() }
    }
}

/// What the assets of a schedule are to each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    One(AssetMapping),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// A condition as a mapping: an asset, or `all` or `any` of a list.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConditionMapping {
    all: Option<Vec<Condition>>,
    any: Option<Vec<Condition>>,
    name: Option<String>,
    uri: Option<String>,
    group: Option<String>,
    extra: Map<String, Value>,
    alias: Option<String>,
}

struct ConditionVisitor;

impl<'de> Visitor<'de> for ConditionVisitor {
    type Value = Condition;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an asset, a list of assets, {all: [...]} or {any: [...]}")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Condition, E> {
        Ok(Condition::One(AssetMapping::from_text(text)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Condition, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Condition::All(all))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Condition, A::Error> {
        let ConditionMapping { all, any, name, uri, group, extra, alias } =
            ConditionMapping::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let asset = AssetMapping { name, uri, group, extra, alias };
        match (all, any) {
            (None, None) => Ok(Condition::One(asset)),
            (Some(all), None) if asset == AssetMapping::default() => Ok(Condition::All(all)),
            (None, Some(any)) if asset == AssetMapping::default() => Ok(Condition::Any(any)),
            _ => Err(de::Error::custom("expected either an asset, or `all`, or `any`, got more than one of them")),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConditionVisitor)
    }
}

impl JsonSchema for Condition {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AssetCondition".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let asset = generator.subschema_for::<AssetMapping>();
        let own = serde_json::json!({ "$ref": "#/$defs/AssetCondition" });
        let list = serde_json::json!({ "type": "array", "items": own, "minItems": 1 });
        json_schema!({
            "description": "An asset by name or URI, a list of which all have to change, or `all` or `any` of a list.",
            "anyOf": [
                { "type": "string" },
                asset,
                list,
                { "type": "object", "properties": { "all": list }, "required": ["all"], "additionalProperties": false },
                { "type": "object", "properties": { "any": list }, "required": ["any"], "additionalProperties": false },
            ]
        })
    }
}

/// What a task makes or reads: one asset or a list of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assets(pub Vec<At<AssetMapping>>);

/// An asset as a text or a mapping.
struct OneAsset(AssetMapping);

impl<'de> Deserialize<'de> for OneAsset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneVisitor;
        impl<'de> Visitor<'de> for OneVisitor {
            type Value = OneAsset;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name or URI of an asset, or {name: n, uri: u}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneAsset, E> {
                Ok(OneAsset(AssetMapping::from_text(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneAsset, A::Error> {
                AssetMapping::deserialize(de::value::MapAccessDeserializer::new(map)).map(OneAsset)
            }
        }
        deserializer.deserialize_any(OneVisitor)
    }
}

struct AssetsVisitor;

impl<'de> Visitor<'de> for AssetsVisitor {
    type Value = Assets;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an asset or a list of assets")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Assets, E> {
        Ok(Assets::default())
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Assets, E> {
        Ok(Assets(vec![At::nowhere(AssetMapping::from_text(text))]))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Assets, A::Error> {
        let asset = AssetMapping::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Assets(vec![At::nowhere(asset)]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Assets, A::Error> {
        let mut assets = Vec::new();
        while let Some(At { value: OneAsset(value), position }) = list.next_element()? {
            assets.push(At { value, position });
        }
        Ok(Assets(assets))
    }
}

impl<'de> Deserialize<'de> for Assets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AssetsVisitor)
    }
}

impl JsonSchema for Assets {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Assets".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<AssetMapping>();
        let one = serde_json::json!({ "anyOf": [{ "type": "string" }, mapping] });
        json_schema!({ "anyOf": [{ "type": "string" }, mapping, { "type": "array", "items": one }] })
    }
}
