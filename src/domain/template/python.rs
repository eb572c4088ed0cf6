//! Values as Python prints them: a template's author knows `True`, `None` and `['a', 1]`.

use std::fmt::Write as _;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, Output, State};

/// Writes what `{{ value }}` shows: Python's `str`.
pub(super) fn format(output: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "the value is not known"));
    }
    let text = match value.as_str() {
        Some(text) => return output.write_str(text).map_err(Error::from),
        None => repr(value),
    };
    output.write_str(&text).map_err(Error::from)
}

/// Python's `repr`, for values inside of lists and mappings; dates print as `str`.
fn repr(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "None".into(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.into(),
        ValueKind::String => value.as_str().map_or_else(|| value.to_string(), quoted),
        ValueKind::Seq | ValueKind::Iterable => {
            let elements: Vec<String> = value.try_iter().into_iter().flatten().map(|value| repr(&value)).collect();
            match (value.is_tuple(), elements.as_slice()) {
                (true, [one]) => format!("({one},)"),
                (true, many) => format!("({})", many.join(", ")),
                (false, many) => format!("[{}]", many.join(", ")),
            }
        }
        ValueKind::Map => {
            let pairs = value.try_iter().into_iter().flatten().map(|key| {
                let element = value.get_item(&key).unwrap_or_default();
                format!("{}: {}", repr(&key), repr(&element))
            });
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}

/// Single quotes, unless the text holds some and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == quote => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}
