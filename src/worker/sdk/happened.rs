//! What a task says of the assets that it changed, in Airflow's form: `dest_asset_key` or an alias, and an extra.

use serde_json::{Map, Value};

use crate::domain::asset::OutletEvent;

/// Reads the events, and says why one of them is not kept.
pub fn outlet_events(said: Vec<Value>) -> (Vec<OutletEvent>, Option<String>) {
    let mut events = Vec::new();
    let mut lost = None;
    for event in said {
        match outlet_event(&event) {
            Ok(found) => events.push(found),
            Err(why) => lost = Some(why),
        }
    }
    (events, lost)
}

fn outlet_event(event: &Value) -> Result<OutletEvent, String> {
    let key = event.get("dest_asset_key").ok_or_else(|| format!("it names no asset: {event}"))?;
    let mut read = Map::new();
    read.insert("asset".to_owned(), key.clone());
    if let Some(alias) = event.get("source_alias_name").filter(|alias| !alias.is_null()) {
        read.insert("alias".to_owned(), alias.clone());
    }
    if let Some(extra) = event.get("extra").filter(|extra| extra.is_object()) {
        read.insert("extra".to_owned(), extra.clone());
    }
    serde_json::from_value(Value::Object(read)).map_err(|error| error.to_string())
}
