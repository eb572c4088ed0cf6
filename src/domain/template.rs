//! Templates: Jinja as Airflow's users write it, rendered before a task is sent out.
//!
//! Strict: a name that is not known is an error, never an empty text. Pure: a
//! template sees the values of its [`TemplateContext`] and nothing of the
//! machine, no file, no clock, no environment; a budget ends one that never would.

mod context;
mod datetime;
mod expression;
mod lookups;
mod native;
mod python;
mod response;

use std::cell::OnceCell;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value as Json;

pub use context::{PreviousSuccess, TemplateContext};
pub use expression::is_truthy;
pub use lookups::{Found, Lookups, Wanted};
pub use response::{Response, check_expression, evaluate, is_true, name_of};

use super::native::Native;
use super::operator::{Bash, Decide, Operator, Python};
use super::problem::{Place, Problem};

/// Steps of the engine that one template may take: some hundred thousand loop rounds, well below a second.
const BUDGET: u64 = 2_000_000;

/// How much text one template may make; a command line is limited to far less by the kernel.
const MOST_BYTES: usize = 8 << 20;

/// The engine: the same for all templates, and never changed.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    engine.set_formatter(python::format);
    engine.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    engine.set_fuel(Some(BUDGET));
    engine.set_debug(true);
    datetime::add_filters(&mut engine);
    engine
});

/// Whether a text would change by rendering: most commands and arguments would not.
pub fn is_template(text: &str) -> bool {
    // Jinja drops the last line end, with or without something to fill in.
    text.ends_with('\n') || ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// Whether any template field of an operator would change by rendering.
/// Where not, no context needs to be gathered.
pub fn has_templates(operator: &Operator) -> bool {
    fn in_value(value: &Json) -> bool {
        match value {
            Json::String(text) => is_template(text),
            Json::Array(list) => list.iter().any(in_value),
            Json::Object(map) => map.values().any(in_value),
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        }
    }
    match operator {
        Operator::Empty | Operator::Decide(Decide::LatestOnly) => false,
        Operator::Decide(Decide::Branch { .. } | Decide::ShortCircuit { .. }) => true,
        Operator::Bash(Bash { command, env, cwd, .. }) => {
            is_template(command)
                || env.iter().flat_map(|env| env.values()).any(|value| is_template(value))
                || cwd.as_deref().is_some_and(is_template)
        }
        Operator::Native(native) => native.any_text(is_template),
        Operator::Python(Python { args, kwargs, .. }) => args.iter().chain(kwargs.values()).any(in_value),
    }
}

/// Renders the templates of one task in one run.
pub struct Renderer<'a> {
    context: &'a TemplateContext,
    lookups: Option<Lookups>,
    /// Made for the first template that needs it.
    values: OnceCell<minijinja::Value>,
}

impl<'a> Renderer<'a> {
    pub fn new(context: &'a TemplateContext) -> Self {
        Self { context, lookups: None, values: OnceCell::new() }
    }

    /// The same, where variables, connections and XComs can be looked up: a template that wants what is not
    /// there yet leaves its wish in `lookups`, and is to be rendered again when that is fulfilled.
    pub fn with_lookups(context: &'a TemplateContext, lookups: Lookups) -> Self {
        Self { context, lookups: Some(lookups), values: OnceCell::new() }
    }

    /// Renders one template; `field` says in an error what it is: `bash_command`.
    pub fn render(&self, template: &str, field: &str) -> Result<String, Problem> {
        if !is_template(template) {
            return Ok(template.to_owned());
        }
        let rendered =
            ENGINE.render_named_str(field, template, self.values()).map_err(|error| self.problem(field, &error))?;
        if rendered.len() > MOST_BYTES {
            let message = format!("{}: `{field}` renders to {} bytes", self.subject(), rendered.len());
            return Err(Problem::error(self.place(), message).hint(format!("at most {MOST_BYTES} are allowed")));
        }
        Ok(rendered)
    }

    fn values(&self) -> &minijinja::Value {
        self.values.get_or_init(|| self.context.values(self.lookups.as_ref()))
    }

    /// Renders every text inside a value; other values stay as they are.
    pub fn render_value(&self, value: &Json, field: &str) -> Result<Json, Problem> {
        Ok(match value {
            Json::String(text) if self.context.native_templates => self.render_as_python(text, field)?,
            Json::String(text) => Json::String(self.render(text, field)?),
            Json::Array(list) => list.iter().map(|value| self.render_value(value, field)).collect::<Result<_, _>>()?,
            Json::Object(map) => Json::Object(self.render_map(map, field)?),
            Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
        })
    }

    /// A template as a value of Python's: `{{ params.list }}` stays a list, and `{{ 1 }}, {{ 2 }}` becomes one.
    fn render_as_python(&self, template: &str, field: &str) -> Result<Json, Problem> {
        if !is_template(template) {
            return Ok(Json::String(template.to_owned()));
        }
        if let Some(expression) = native::alone(template) {
            let values = self.values.get_or_init(|| self.context.values(self.lookups.as_ref()));
            let value = ENGINE.compile_expression(expression).and_then(|expression| expression.eval(values));
            // What goes wrong is said by the template as it was written.
            if let Some(json) = value.ok().filter(native::is_plain).and_then(|value| serde_json::to_value(value).ok()) {
                return Ok(json);
            }
        }
        let text = self.render(template, field)?;
        Ok(native::literal(&text).unwrap_or(Json::String(text)))
    }

    /// Renders the template fields of an operator (SCHEDULING §16); the rest stays as it is.
    pub fn render_operator(&self, operator: &Operator) -> Result<Operator, Problem> {
        Ok(match operator {
            Operator::Empty => Operator::Empty,
            Operator::Bash(Bash { command, env, append_env, cwd, skip_on_exit_code }) => Operator::Bash(Bash {
                command: self.render(command, "bash_command")?,
                env: env
                    .as_ref()
                    .map(|env| env.iter().map(|(name, value)| Ok((name.clone(), self.render(value, "env")?))).collect())
                    .transpose()?,
                append_env: *append_env,
                cwd: cwd.as_ref().map(|cwd| self.render(cwd, "cwd")).transpose()?,
                skip_on_exit_code: skip_on_exit_code.clone(),
            }),
            Operator::Decide(Decide::Branch { choose }) => {
                Operator::Decide(Decide::Branch { choose: self.render(choose, "branch")? })
            }
            Operator::Decide(Decide::ShortCircuit { condition, ignore_downstream_trigger_rules }) => {
                let condition = self.render(condition, "short_circuit")?;
                let ignore_downstream_trigger_rules = *ignore_downstream_trigger_rules;
                Operator::Decide(Decide::ShortCircuit { condition, ignore_downstream_trigger_rules })
            }
            Operator::Decide(Decide::LatestOnly) => Operator::Decide(Decide::LatestOnly),
            Operator::Python(Python { code, args, kwargs, decides }) => Operator::Python(Python {
                decides: *decides,
                code: code.clone(),
                args: args.iter().map(|value| self.render_value(value, "op_args")).collect::<Result<_, _>>()?,
                kwargs: self.render_map(kwargs, "op_kwargs")?,
            }),
            Operator::Native(native) => Operator::Native(Box::new(self.render_native(native, &|_| false)?)),
        })
    }

    /// Renders the template fields of a native operator, but for those that are none; its expressions are for later.
    pub fn render_native(&self, native: &Native, is_verbatim: &dyn Fn(&str) -> bool) -> Result<Native, Problem> {
        let rendered = native.rendered(&|field, value| match is_verbatim(field) {
            true => Ok(value.clone()),
            false => self.render_value(value, field).map_err(Unfit::Template),
        });
        rendered.map_err(|unfit| match unfit {
            Unfit::Template(problem) => problem,
            Unfit::Shape(error) => {
                Problem::error(self.place(), format!("{}: an argument no longer fits: {error}", self.subject()))
            }
        })
    }

    fn render_map(
        &self,
        map: &serde_json::Map<String, Json>,
        field: &str,
    ) -> Result<serde_json::Map<String, Json>, Problem> {
        map.iter().map(|(key, value)| Ok((key.clone(), self.render_value(value, field)?))).collect()
    }

    /// What the engine says, with the DAG, the task and the field, and what to do where that is known.
    fn problem(&self, field: &str, error: &minijinja::Error) -> Problem {
        let at = error.line().filter(|line| *line > 1).map(|line| format!(", line {line}")).unwrap_or_default();
        let source = error.template_source();
        let part = source.zip(error.range()).map_or("", |(source, range)| culprit(source, range));
        let what = match error.kind() {
            ErrorKind::UndefinedError if !part.is_empty() => format!("`{part}` is not known"),
            ErrorKind::OutOfFuel => "the template does not come to an end".to_owned(),
            ErrorKind::InvalidOperation => error.detail().unwrap_or("the operation is not possible").to_owned(),
            _ => match error.detail() {
                Some(detail) => format!("{}: {detail}", error.kind()),
                None => error.kind().to_string(),
            },
        };
        let problem = Problem::error(self.place(), format!("{}: `{field}`{at}: {what}", self.subject()));
        match self.hint(error, part) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn place(&self) -> Place {
        Place::file(self.context.file.clone())
    }

    fn subject(&self) -> String {
        format!("DAG `{}`, task `{}`", self.context.dag_id, self.context.task_id)
    }

    fn hint(&self, error: &minijinja::Error, part: &str) -> Option<String> {
        let name = part.split(['.', '[', '(', ' ', '|']).next().unwrap_or_default();
        match error.kind() {
            ErrorKind::UndefinedError
                if self.context.logical_date.is_none() && context::NEEDS_LOGICAL_DATE.contains(&name) =>
            {
                Some("the run has no logical date: trigger it with one, or use `run_id` or `dag_run.run_after`".into())
            }
            ErrorKind::UndefinedError if self.lookups.is_some() && matches!(name, "var" | "conn") => {
                let missing = part.split('.').nth(if name == "var" { 2 } else { 1 });
                let missing =
                    missing.map(|missing| missing.trim_start_matches("get(").trim_matches(['(', ')', '\'', '"']));
                missing.map(|missing| match name {
                    "var" => format!("set it: `updraft variables set {missing} VALUE`"),
                    _ => format!("add it: `updraft connections add {missing} --conn-uri URI`"),
                })
            }
            ErrorKind::UndefinedError if matches!(name, "var" | "conn") => {
                Some(format!("`{name}` is not available in templates yet; use `params` or `env`"))
            }
            ErrorKind::UndefinedError if part == name => {
                super::problem::suggestion(name, context::names()).or(Some("see the list of template variables".into()))
            }
            ErrorKind::UnknownMethod if error.detail().is_some_and(|detail| detail.contains("xcom_")) => {
                Some("XComs are not available in templates yet".into())
            }
            ErrorKind::SyntaxError if error.template_source().is_some_and(|source| source.contains("${#")) => Some(
                "`{#` begins a comment in a template: put the shell's `${#..}` between {% raw %} and {% endraw %}"
                    .into(),
            ),
            ErrorKind::InvalidOperation if part.contains("timedelta") || part.contains("_date") => Some(
                "write `logical_date.add(days=1)`, `logical_date.subtract(days=1)` or `macros.ds_add(ds, -1)`".into(),
            ),
            _ => None,
        }
    }
}

/// Why a native operator cannot be rendered.
enum Unfit {
    Template(Problem),
    Shape(serde_json::Error),
}

impl From<serde_json::Error> for Unfit {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape(error)
    }
}

/// The part of the template that an error is about: a filter's error is about what it was given.
fn culprit(source: &str, range: std::ops::Range<usize>) -> &str {
    let (Some(before), Some(part)) = (source.get(..range.start), source.get(range)) else { return "" };
    match before.trim_end().strip_suffix('|') {
        Some(given) => {
            let given = given.trim_end();
            let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
            &given[given.trim_end_matches(name).len()..]
        }
        None => {
            // Of `a.b.c` the engine points at `.b.c`.
            let name = |c: char| c.is_alphanumeric() || c == '_';
            let start = before.trim_end_matches(name).len();
            let part = part.split('|').next().unwrap_or_default().trim_end();
            match part.starts_with('.') {
                true => &source[start..before.len() + part.len()],
                false => part.trim(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
