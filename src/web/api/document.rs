//! The documentation that people read, made on the server from the same document that programs get. It needs no script
//! and nothing from outside.

use maud::{Markup, html};
use serde_json::Value;

use crate::web::view::frame::head;

/// What the page holds.
pub fn body(document: &Value) -> Markup {
    let paths = document["paths"].as_object();
    let groups = document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str());
    let groups: Vec<&str> = groups.collect();
    let of_group = |group: &str| {
        let all = paths.into_iter().flatten().flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
        });
        let group = group.to_owned();
        all.filter(move |(_, _, operation)| operation["tags"][0] == group.as_str())
    };
    html! {
        (head("REST API", None, &html! {}))
        p { (text(&document["info"]["description"])) " Version " (text(&document["info"]["version"])) ". "
            a href="/openapi.json" { "The same as OpenAPI" } }
        nav aria-label="Groups" { ul { @for group in &groups { li { a href={ "#" (anchor(group)) } { (group) } } } } }
        @for group in &groups {
            section id=(anchor(group)) {
                h2 { (group) }
                @for (path, method, operation) in of_group(group) { (one(path, method, operation)) }
            }
        }
        h2 id="schemas" { "Schemas" }
        @for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
            (shape(name, schema))
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn one(path: &str, method: &str, operation: &Value) -> Markup {
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let good = operation["responses"].as_object().into_iter().flatten().find(|(status, _)| status.starts_with('2'));
    html! {
        details id=(text(&operation["operationId"])) {
            summary { strong { (method.to_uppercase()) } " " code { (path) } " " (text(&operation["summary"])) }
            p { code { (text(&operation["operationId"])) } @if operation["security"].is_null() { ", open to everybody" } }
            @if !parameters.is_empty() {
                table {
                    thead { tr { th { "Parameter" } th { "In" } th { "Type" } th { "Meaning" } } }
                    tbody { @for parameter in parameters { tr {
                        td { code { (text(&parameter["name"])) } @if parameter["required"] == true { " (required)" } }
                        td { (text(&parameter["in"])) }
                        td { (kind(&parameter["schema"])) }
                        td { (text(&parameter["description"])) }
                    } } }
                }
            }
            @if !body.is_null() { p { "Takes " (kind(body)) } }
            @if let Some((status, answer)) = good {
                p { "Answers " (status)
                    @for (content, media) in answer["content"].as_object().into_iter().flatten() {
                        ": " (kind(&media["schema"])) " (" code { (content) } ")"
                    } }
            }
        }
    }
}

fn shape(name: &str, schema: &Value) -> Markup {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        details id={ "schema-" (name) } {
            summary { code { (name) } }
            @if let Some(words) = schema["enum"].as_array() {
                p { @for word in words { code { (text(word)) } " " } }
            }
            @if let Some(parts) = schema["allOf"].as_array() { @for part in parts { p { (kind(part)) } } }
            table { tbody {
                @for (field, schema) in schema["properties"].as_object().into_iter().flatten() { tr {
                    td { code { (field) } @if required.contains(&field.as_str()) { " (required)" } }
                    td { (kind(schema)) }
                    td { (text(&schema["description"])) }
                } }
            } }
        }
    }
}

/// A schema in a word or two.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return html! { a href={ "#schema-" (name) } { code { (name) } } };
    }
    if let Some(parts) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        return html! { @for (n, part) in parts.iter().enumerate() { @if n > 0 { " or " } (kind(part)) } };
    }
    if let Some(words) = schema["enum"].as_array() {
        return html! { @for (n, word) in words.iter().enumerate() { @if n > 0 { ", " } code { (text(word)) } } };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    html! {
        @if kinds.is_empty() { "anything" } @else { (kinds.join(" or ")) }
        @if let Some(format) = schema["format"].as_str() { " (" (format) ")" }
        @if !schema["items"].is_null() { " of " (kind(&schema["items"])) }
    }
}
