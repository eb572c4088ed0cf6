//! Expressions: a template that stands for a value, not for a text.
//!
//! ```text
//!   params.n > 10                 an expression
//!   {{ params.n > 10 }}           the same
//!   {% if params.n %}a{% endif %} any other template: its text
//! ```

use minijinja::value::Value;
use serde_json::Value as Json;

use super::{ENGINE, Problem, Renderer, is_template};

impl Renderer<'_> {
    /// The value of what was written; `field` says in an error what it is: `branch`.
    pub fn evaluate(&self, written: &str, field: &str) -> Result<Json, Problem> {
        let Some(expression) = expression(written) else { return self.render(written, field).map(Json::String) };
        let values = self.values();
        let compiled = ENGINE.compile_expression(expression).map_err(|error| self.problem(field, &error))?;
        let value = compiled.eval(values).map_err(|error| self.problem(field, &error))?;
        self.json(&value, expression, field)
    }

    fn json(&self, value: &Value, expression: &str, field: &str) -> Result<Json, Problem> {
        let refused = |what: String| Problem::error(self.place(), format!("{}: `{field}`: {what}", self.subject()));
        if value.is_undefined() {
            let problem = refused(format!("`{expression}` is not known"));
            return Err(problem.hint("a text stands in quotes: 'task_id'"));
        }
        serde_json::to_value(value).map_err(|_| refused(format!("`{expression}` has no value that could be stored")))
    }
}

/// The one expression that a text is; `None` for a template of any other form.
fn expression(written: &str) -> Option<&str> {
    let text = written.trim();
    if !is_template(text) {
        return Some(text);
    }
    let inside = text.strip_prefix("{{-").or_else(|| text.strip_prefix("{{"))?;
    let inside = inside.strip_suffix("-}}").or_else(|| inside.strip_suffix("}}"))?;
    ["{{", "}}", "{%", "{#"].iter().all(|mark| !inside.contains(mark)).then(|| inside.trim())
}

/// Whether a value counts as true, as in Python; of a text that a template made, the words for nothing do not.
pub fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(yes) => *yes,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => {
            !matches!(text.trim().to_lowercase().as_str(), "" | "false" | "none" | "0" | "0.0" | "[]" | "{}")
        }
        Json::Array(list) => !list.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}
