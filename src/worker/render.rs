//! Templates of a task's fields, rendered by the slot that runs it, so that a
//! mistake in one is said in the task's own log. The language is `domain::template`.

use serde_json::Value;

use crate::domain::ids::MapIndex;
use crate::domain::native::Native;
use crate::domain::problem::Problem;
use crate::domain::template::{Lookups, Renderer, TemplateContext};
use crate::protocol::work::TaskMessage;

use super::mapped;

/// The template language with what one attempt may say about itself.
pub struct Templates<'a> {
    renderer: Renderer<'a>,
    /// Fields that hold no templates, whatever they look like.
    verbatim: Vec<String>,
}

/// A template that cannot be rendered; reads as one line, with a hint where there is one.
#[derive(Debug, thiserror::Error)]
#[error("cannot render a template: {}{}", .0.message, .0.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct RenderError(Problem);

impl<'a> Templates<'a> {
    pub fn new(context: &'a TemplateContext, lookups: &Lookups, verbatim: Vec<String>) -> Self {
        Self { renderer: Renderer::with_lookups(context, lookups.clone()), verbatim }
    }

    /// Whether a field holds what another task left: neither a template, nor the name of a file with one.
    pub fn is_verbatim(&self, field: &str) -> bool {
        let inside = |name: &String| {
            field.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        self.verbatim.iter().any(inside)
    }

    /// Renders one field. `field` names it to people: `bash_command`, `env["A"]`.
    pub fn render(&self, field: &str, template: &str) -> Result<String, RenderError> {
        if self.is_verbatim(field) {
            return Ok(template.to_owned());
        }
        self.renderer.render(template, field).map_err(RenderError)
    }

    /// Renders every text of a native operator that is a template.
    pub fn render_native(&self, native: &Native) -> Result<Native, RenderError> {
        self.renderer.render_native(native, &|field| self.is_verbatim(field)).map_err(RenderError)
    }

    /// Renders the fields that people see, of whatever operator.
    pub fn render_shown(&self, name: &str, value: &Value) -> Result<Value, Problem> {
        match value {
            _ if self.is_verbatim(name) => Ok(value.clone()),
            Value::Object(entries) => entries
                .iter()
                .map(|(key, value)| {
                    let field = format!("{name}[{key:?}]");
                    let rendered = match self.is_verbatim(&field) {
                        true => value.clone(),
                        false => self.renderer.render_value(value, &field)?,
                    };
                    Ok((key.clone(), rendered))
                })
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.renderer.render_value(value, name)
            }
        }
    }

    /// The value of an expression, or the text of a template.
    pub fn evaluate(&self, field: &str, written: &str) -> Result<Value, RenderError> {
        self.renderer.evaluate(written, field).map_err(RenderError)
    }

    /// Renders every string in a value; other values stay as they are.
    pub fn render_value(&self, field: &str, value: &Value) -> Result<Value, RenderError> {
        if self.is_verbatim(field) {
            return Ok(value.clone());
        }
        self.renderer.render_value(value, field).map_err(RenderError)
    }
}

/// What one attempt may say about itself.
pub fn context(task: &TaskMessage, base_url: &str) -> TemplateContext {
    let run = &task.run;
    TemplateContext {
        file: run.file.clone(),
        dag_id: task.key.dag.clone(),
        dag_description: run.description.clone(),
        dag_tags: run.tags.clone(),
        task_id: task.key.task.clone(),
        owner: task.owner.clone(),
        operator_name: task.operator_name.clone(),
        queue: task.queue.clone(),
        retries: task.retries,
        try_number: task.try_number,
        map_index: task.key.map_index,
        mapped: mapped::names(task),
        expanded_ti_count: task.mapped.as_ref().map(|mapped| mapped.count),
        run_id: task.key.run.clone(),
        run_type: run.run_type,
        logical_date: run.logical_date,
        data_interval: run.interval,
        run_after: run.run_after,
        run_start_date: run.started_at,
        next_logical_date: run.next_logical_date,
        prev_logical_date: run.previous_logical_date,
        previous_success: run.previous_success,
        max_tries: task.max_tries,
        inlets: task.inlets.clone(),
        outlets: task.outlets.clone(),
        asset_events: run.asset_events.clone(),
        xcom_of_any_task: run.xcom_of_any_task,
        native_templates: run.native_templates,
        conf: run.conf.clone(),
        params: run.params.clone(),
        notice: task.notice.as_deref().cloned(),
        log_url: log_url(task, base_url),
    }
}

/// Where people read the log of an attempt, in Airflow 3's address.
pub fn log_url(task: &TaskMessage, base_url: &str) -> String {
    let key = &task.key;
    let mapped = match key.map_index {
        MapIndex::UNMAPPED => String::new(),
        index => format!("/mapped/{index}"),
    };
    // Of the characters that an id may have, only `+` means something else in an address.
    let run = key.run.as_str().replace('+', "%2B");
    let base = base_url.trim_end_matches('/');
    format!("{base}/dags/{}/runs/{run}/tasks/{}{mapped}?try_number={}", key.dag, key.task, task.try_number)
}
