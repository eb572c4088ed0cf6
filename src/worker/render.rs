//! Templates of a task's fields, rendered by the slot that runs it: the seam to the template language.
//!
//! Everything that a worker renders goes through [`Templates::render`].

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::domain::run::iso;
use crate::protocol::work::TaskMessage;

/// The template language with what one attempt may say about itself.
pub struct Templates {
    environment: Environment<'static>,
    context: Value,
}

/// A template that cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("cannot render {field}: {why}")]
pub struct RenderError {
    field: String,
    why: String,
}

impl Templates {
    pub fn of(task: &TaskMessage) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        Self { environment, context: variables(task) }
    }

    /// Renders one field. `field` names it to people: `command`, `env[\"A\"]`.
    pub fn render(&self, field: &str, template: &str) -> Result<String, RenderError> {
        // Most commands hold no template at all.
        if !["{{", "{%", "{#"].iter().any(|mark| template.contains(mark)) {
            return Ok(template.to_owned());
        }
        self.environment
            .render_str(template, &self.context)
            .map_err(|error| RenderError { field: field.to_owned(), why: format!("{error:#}") })
    }

    /// Renders every string in a value; other values stay as they are.
    pub fn render_value(&self, field: &str, value: &serde_json::Value) -> Result<serde_json::Value, RenderError> {
        use serde_json::Value as Json;
        Ok(match value {
            Json::String(text) => Json::String(self.render(field, text)?),
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.render_value(field, item)).collect::<Result<_, _>>()?)
            }
            Json::Object(map) => Json::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), self.render_value(field, item)?)))
                    .collect::<Result<_, RenderError>>()?,
            ),
            Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
        })
    }
}

fn variables(task: &TaskMessage) -> Value {
    let run = &task.run;
    let day = |format: &str| run.logical_date.map(|date| date.format(format).to_string());
    let times = context! {
        ds => day("%Y-%m-%d"),
        ds_nodash => day("%Y%m%d"),
        ts => run.logical_date.map(iso),
        ts_nodash => day("%Y%m%dT%H%M%S"),
        logical_date => run.logical_date.map(iso),
        execution_date => run.logical_date.map(iso),
        data_interval_start => run.interval.map(|i| iso(i.start)),
        data_interval_end => run.interval.map(|i| iso(i.end)),
    };
    let names = context! {
        run_id => task.key.run.as_str(),
        params => of_map(&run.params),
        conf => of_map(&run.conf),
        dag_run => context! { run_id => task.key.run.as_str(), conf => of_map(&run.conf) },
        dag => context! { dag_id => task.key.dag.as_str() },
        task => context! { task_id => task.key.task.as_str(), owner => task.owner.as_str() },
        ti => context! { task_id => task.key.task.as_str(), try_number => task.try_number.0 },
    };
    context! { ..times, ..names }
}

fn of_map(map: &serde_json::Map<String, serde_json::Value>) -> Value {
    map.iter().map(|(key, value)| (key.clone(), of_json(value))).collect()
}

fn of_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(yes) => Value::from(*yes),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(of_json).collect(),
        Json::Object(map) => of_map(map),
    }
}
