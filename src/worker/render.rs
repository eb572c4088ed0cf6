//! Templates of a task's fields, rendered by the slot that runs it, so that a
//! mistake in one is said in the task's own log. The language is `domain::template`.

use crate::domain::problem::Problem;
use crate::domain::template::{Lookups, Renderer, TemplateContext};
use crate::protocol::work::TaskMessage;

/// The template language with what one attempt may say about itself.
pub struct Templates<'a>(Renderer<'a>);

/// A template that cannot be rendered; reads as one line, with a hint where there is one.
#[derive(Debug, thiserror::Error)]
#[error("cannot render a template: {}{}", .0.message, .0.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct RenderError(Problem);

impl<'a> Templates<'a> {
    pub fn new(context: &'a TemplateContext, lookups: &Lookups) -> Self {
        Self(Renderer::with_lookups(context, lookups.clone()))
    }

    /// Renders one field. `field` names it to people: `bash_command`, `env["A"]`.
    pub fn render(&self, field: &str, template: &str) -> Result<String, RenderError> {
        self.0.render(template, field).map_err(RenderError)
    }

    /// Renders every string in a value; other values stay as they are.
    pub fn render_value(&self, field: &str, value: &serde_json::Value) -> Result<serde_json::Value, RenderError> {
        self.0.render_value(value, field).map_err(RenderError)
    }
}

/// What one attempt may say about itself.
pub fn context(task: &TaskMessage) -> TemplateContext {
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
        run_id: task.key.run.clone(),
        run_type: run.run_type,
        logical_date: run.logical_date,
        data_interval: run.interval,
        run_after: run.run_after,
        run_start_date: run.started_at,
        next_logical_date: run.next_logical_date,
        prev_logical_date: run.previous_logical_date,
        previous_success: None,
        conf: run.conf.clone(),
        params: run.params.clone(),
    }
}
