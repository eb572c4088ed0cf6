//! A DAG, its runs and its task instances, as people look at them and change them.

mod act;
mod graph;
mod grid;
mod log;

use crate::kit::Browser;

/// What a script of the page answers, as text.
fn said(browser: &Browser, script: &str) -> String {
    match browser.script(&format!("return {script}")) {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}
