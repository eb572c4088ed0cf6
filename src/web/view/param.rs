//! A DAG's parameter as a field of a form: what its JSON Schema says decides how it looks and how it is read back.

use maud::{Markup, html};
use serde_json::{Map, Value};

/// How a value is typed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Long,
    Integer,
    Number,
    Boolean,
    Choice,
    Date,
    DateTime,
    Time,
    /// A list of texts, one per line.
    Lines,
    Json,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    /// `None`: a run has to be given a value.
    pub default: Option<Value>,
    title: String,
    help: String,
    kind: Kind,
    /// An empty field is null.
    nullable: bool,
    choices: Vec<Value>,
}

/// All parameters, in the order of the file.
pub fn inputs(params: &Map<String, Value>, schemas: &Map<String, Value>) -> Vec<Input> {
    let required = schemas.keys().filter(|name| !params.contains_key(*name));
    params.keys().chain(required).map(|name| Input::of(name, params.get(name), schemas.get(name))).collect()
}

impl Input {
    fn of(name: &str, default: Option<&Value>, schema: Option<&Value>) -> Self {
        let text = |key: &str| schema.and_then(|schema| schema.get(key)?.as_str());
        let types: Vec<&str> = match schema.and_then(|schema| schema.get("type")) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            Some(_) | None => Vec::new(),
        };
        let choices = match schema.and_then(|schema| schema.get("enum")) {
            Some(Value::Array(choices)) => choices.clone(),
            Some(_) | None => Vec::new(),
        };
        let kind = if choices.is_empty() { kind(&types, text("format"), default) } else { Kind::Choice };
        Self {
            name: name.to_owned(),
            default: default.cloned(),
            title: text("title").unwrap_or(name).to_owned(),
            help: text("description").unwrap_or_default().to_owned(),
            kind,
            nullable: types.contains(&"null") || (types.is_empty() && default == Some(&Value::Null)),
            choices,
        }
    }

    /// The name of its field.
    pub fn field(&self) -> String {
        format!("param:{}", self.name)
    }

    /// The value that a form sent. `None`: nothing was said.
    ///
    /// # Errors
    /// With a sentence, when the text is no value of this kind.
    pub fn read(&self, sent: Option<&str>) -> Result<Option<Value>, String> {
        if self.kind == Kind::Boolean {
            return Ok(Some(Value::Bool(sent == Some("true"))));
        }
        let Some(text) = sent else { return Ok(None) };
        let text = text.replace("\r\n", "\n");
        let trimmed = text.trim();
        if trimmed.is_empty() {
            let is_text = matches!(self.kind, Kind::Text | Kind::Long) && self.default.is_some() && !self.nullable;
            let is_lines = self.kind == Kind::Lines;
            return Ok(match (self.nullable, is_text, is_lines) {
                (true, ..) => Some(Value::Null),
                (_, true, _) => Some(Value::String(String::new())),
                (_, _, true) => Some(Value::Array(Vec::new())),
                _ => None,
            });
        }
        match self.kind {
            Kind::Text | Kind::Long | Kind::Date | Kind::Time => Ok(Some(Value::String(trimmed.to_owned()))),
            // A browser leaves the zone out, and a schema of dates wants one.
            Kind::DateTime => {
                let has_zone = chrono::DateTime::parse_from_rfc3339(trimmed).is_ok();
                let seconds = if trimmed.len() == "2026-11-20T14:00".len() { ":00" } else { "" };
                let zone = if has_zone { "" } else { "+00:00" };
                Ok(Some(Value::String(format!("{trimmed}{}{zone}", if has_zone { "" } else { seconds }))))
            }
            Kind::Integer => {
                let number = trimmed.parse::<i64>().map_err(|_| format!("expected a whole number, got: {trimmed}"))?;
                Ok(Some(number.into()))
            }
            Kind::Number => {
                let number: Value = serde_json::from_str(trimmed).unwrap_or(Value::Null);
                if number.is_number() { Ok(Some(number)) } else { Err(format!("expected a number, got: {trimmed}")) }
            }
            Kind::Choice => {
                let found = self.choices.iter().find(|choice| written(choice) == text);
                found.cloned().map(Some).ok_or_else(|| format!("expected one of the choices, got: {trimmed}"))
            }
            Kind::Lines => {
                let lines = text.lines().filter(|line| !line.is_empty());
                Ok(Some(Value::Array(lines.map(|line| Value::String(line.to_owned())).collect())))
            }
            Kind::Json => serde_json::from_str(trimmed).map(Some).map_err(|error| format!("expected JSON: {error}")),
            Kind::Boolean => Ok(None),
        }
    }

    /// The field, with what was sent before and what was wrong with it.
    pub fn draw(&self, sent: Option<&str>, wrong: Option<&str>) -> Markup {
        let id = format!("field-{}", self.field());
        let value = sent.map_or_else(|| self.shown(), str::to_owned);
        let help = format!("{id}-help");
        let described = (!self.help.is_empty() || wrong.is_some()).then_some(&help);
        let is_bad = wrong.map(|_| "true");
        let kind = self.data_type();
        let nullable = self.nullable.then_some("true");
        let required = self.default.is_none() && !self.nullable;
        let said = html! {
            @if described.is_some() {
                div id=(help) {
                    @if let Some(wrong) = wrong { div.wrong { (wrong) } }
                    @if !self.help.is_empty() { div.help { (self.help) } }
                }
            }
        };
        if self.kind == Kind::Boolean {
            let is_on = sent.map_or(self.default == Some(Value::Bool(true)), |text| text == "true");
            return html! {
                div.field.check {
                    input id=(id) name=(self.field()) type="checkbox" value="true" checked[is_on]
                        data-param=(self.name) data-type=(kind) aria-describedby=[described];
                    label for=(id) { (self.title) }
                    (said)
                }
            };
        }
        html! {
            div.field {
                label for=(id) { (self.title) @if required { span.quiet { " (needed)" } } }
                @match self.kind {
                    Kind::Choice => {
                        select id=(id) name=(self.field()) data-param=(self.name) data-type=(kind)
                            data-nullable=[nullable] aria-describedby=[described] aria-invalid=[is_bad] {
                            @if required { option value="" { "Choose" } }
                            @for choice in &self.choices {
                                @let text = written(choice);
                                option value=(text) selected[text == value] { (bare(choice)) }
                            }
                        }
                    }
                    Kind::Long | Kind::Lines | Kind::Json => {
                        textarea.mono[self.kind == Kind::Json] id=(id) name=(self.field()) rows="4" data-param=(self.name)
                            data-type=(kind) data-nullable=[nullable] aria-describedby=[described] aria-invalid=[is_bad]
                            required[required] { (value) }
                    }
                    Kind::Text | Kind::Integer | Kind::Number | Kind::Date | Kind::DateTime | Kind::Time | Kind::Boolean => {
                        input id=(id) name=(self.field()) type=(self.input_type()) value=(value)
                            step=[(self.kind == Kind::Number).then_some("any")] data-param=(self.name) data-type=(kind)
                            data-nullable=[nullable] aria-describedby=[described] aria-invalid=[is_bad]
                            required[required] autocomplete="off";
                    }
                }
                (said)
            }
        }
    }

    /// The default as its field shows it.
    fn shown(&self) -> String {
        let Some(value) = &self.default else { return String::new() };
        match (self.kind, value) {
            (Kind::Choice, value) => written(value),
            (_, Value::Null) => String::new(),
            (Kind::Lines, Value::Array(lines)) => lines.iter().map(bare).collect::<Vec<_>>().join("\n"),
            // What the field of a browser takes has no zone; seconds are kept where there are any.
            (Kind::DateTime, Value::String(text)) => chrono::DateTime::parse_from_rfc3339(text)
                .map_or_else(|_| text.clone(), |time| time.naive_utc().format("%Y-%m-%dT%H:%M:%S").to_string()),
            (Kind::Json, value) => serde_json::to_string_pretty(value).unwrap_or_default(),
            (_, value) => bare(value),
        }
    }

    fn input_type(&self) -> &'static str {
        match self.kind {
            Kind::Integer | Kind::Number => "number",
            Kind::Date => "date",
            Kind::DateTime => "datetime-local",
            Kind::Time => "time",
            Kind::Boolean => "checkbox",
            Kind::Text | Kind::Long | Kind::Choice | Kind::Lines | Kind::Json => "text",
        }
    }

    /// How the script reads it.
    fn data_type(&self) -> &'static str {
        match self.kind {
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Lines => "lines",
            Kind::Choice | Kind::Json => "json",
            Kind::DateTime => "datetime",
            Kind::Text | Kind::Long | Kind::Date | Kind::Time => "string",
        }
    }
}

fn kind(types: &[&str], format: Option<&str>, default: Option<&Value>) -> Kind {
    let named = types.iter().find(|one| **one != "null").copied();
    match (named, format) {
        (Some("string") | None, Some("date")) => Kind::Date,
        (Some("string") | None, Some("date-time")) => Kind::DateTime,
        (Some("string") | None, Some("time")) => Kind::Time,
        (Some("string"), Some("multiline")) => Kind::Long,
        (Some("string"), _) => Kind::Text,
        (Some("integer"), _) => Kind::Integer,
        (Some("number"), _) => Kind::Number,
        (Some("boolean"), _) => Kind::Boolean,
        (Some("array"), _) if is_lines(default) => Kind::Lines,
        (Some(_), _) => Kind::Json,
        // Nothing is said: the default is an example.
        (None, _) => match default {
            Some(Value::Bool(_)) => Kind::Boolean,
            Some(Value::Number(number)) if number.is_f64() => Kind::Number,
            Some(Value::Number(_)) => Kind::Integer,
            Some(Value::Array(_)) if is_lines(default) => Kind::Lines,
            Some(Value::Array(_) | Value::Object(_)) => Kind::Json,
            Some(Value::String(_) | Value::Null) | None => Kind::Text,
        },
    }
}

fn is_lines(default: Option<&Value>) -> bool {
    match default {
        Some(Value::Array(items)) => {
            items.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty() && !text.contains('\n')))
        }
        Some(_) => false,
        None => true,
    }
}

/// As JSON, so that `1` and `"1"` are told apart.
fn written(value: &Value) -> String {
    value.to_string()
}

/// Without quotes around a text.
fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(default: Option<Value>, schema: Value) -> Input {
        Input::of("p", default.as_ref(), Some(&schema))
    }

    #[test]
    fn a_schema_decides_the_field_and_how_it_is_read() {
        let read = |default: Value, schema: Value, text: &str| input(Some(default), schema).read(Some(text));
        assert_eq!(read(json!(3), json!({"type": "integer"}), "4"), Ok(Some(json!(4))));
        assert!(read(json!(3), json!({"type": "integer"}), "four").is_err());
        assert_eq!(read(json!(0.5), json!({"type": "number"}), "1.25"), Ok(Some(json!(1.25))));
        assert_eq!(read(json!("a"), json!({"enum": ["a", "b"]}), "\"b\""), Ok(Some(json!("b"))));
        assert!(read(json!("a"), json!({"enum": ["a", "b"]}), "\"c\"").is_err());
        assert_eq!(read(json!(["x"]), json!({"type": "array"}), "a\r\nb\r\n"), Ok(Some(json!(["a", "b"]))));
        assert_eq!(read(json!({}), json!({"type": "object"}), "{\"k\": 1}"), Ok(Some(json!({"k": 1}))));
        assert_eq!(read(json!(null), json!({"type": ["null", "string"]}), ""), Ok(Some(Value::Null)));
        let date = json!({"type": "string", "format": "date-time"});
        assert_eq!(read(json!(""), date.clone(), "2026-11-20T14:00"), Ok(Some(json!("2026-11-20T14:00:00+00:00"))));
        assert_eq!(read(json!(""), date, "2026-11-20T14:00:00Z"), Ok(Some(json!("2026-11-20T14:00:00Z"))));
    }

    #[test]
    fn a_box_that_is_not_ticked_says_no() {
        let on = input(Some(json!(true)), json!({"type": "boolean"}));
        assert_eq!(on.read(None), Ok(Some(json!(false))));
        assert_eq!(on.read(Some("true")), Ok(Some(json!(true))));
        assert!(on.draw(None, None).into_string().contains("checked"));
    }

    #[test]
    fn without_a_schema_the_default_is_the_example() {
        let params = json!({"rows": 3, "dry": false, "name": "x", "list": [1, {"a": 2}]});
        let inputs = inputs(params.as_object().expect("an object"), &Map::new());
        let kinds: Vec<Kind> = inputs.iter().map(|input| input.kind).collect();
        assert_eq!(kinds, [Kind::Integer, Kind::Boolean, Kind::Text, Kind::Json]);
    }

    #[test]
    fn a_field_has_its_label_its_help_and_what_was_wrong() {
        let schema = json!({"type": "integer", "title": "Rows", "description": "How many."});
        let html = input(None, schema).draw(Some("x"), Some("expected a whole number")).into_string();
        assert!(html.contains(r#"<label for="field-param:p">Rows"#) && html.contains("(needed)"), "{html}");
        assert!(html.contains("How many.") && html.contains(r#"aria-invalid="true""#) && html.contains(r#"value="x""#));
    }
}
