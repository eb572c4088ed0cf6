//! Values in the place of placeholders, as Python's drivers put them there: `%s` and `%(name)s`, with SQLite `?` and `:name`.
//!
//! A value becomes a literal of the database's language. Strings are written in a
//! form that no setting of the server can read otherwise, so no value can end its literal.

use serde_json::Value;

/// Whose literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Mysql,
    Sqlite,
}

/// The statement with its values filled in.
///
/// # Errors
/// When placeholders and values do not go together.
pub(super) fn fill(statement: &str, parameters: Option<&Value>, dialect: Dialect) -> Result<String, String> {
    match parameters {
        None | Some(Value::Null) => Ok(statement.to_owned()),
        Some(parameters) if dialect == Dialect::Sqlite => fill_sqlite(statement, parameters),
        Some(parameters) => fill_percent(statement, parameters, dialect),
    }
}

/// Python's `%`: it does not know strings or comments either.
fn fill_percent(statement: &str, parameters: &Value, dialect: Dialect) -> Result<String, String> {
    let mut values = Values::of(parameters)?;
    let mut filled = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(at) = rest.find('%') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            filled.push('%');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('s') {
            filled.push_str(&literal(values.next()?, dialect)?);
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(")s")) {
            filled.push_str(&literal(values.named(name)?, dialect)?);
            rest = after;
        } else {
            return Err("a `%` that is no placeholder is written `%%` in a statement with parameters".to_owned());
        }
    }
    filled.push_str(rest);
    values.end()?;
    Ok(filled)
}

fn fill_sqlite(statement: &str, parameters: &Value) -> Result<String, String> {
    let mut values = Values::of(parameters)?;
    let mut filled = String::with_capacity(statement.len());
    let mut letters = statement.char_indices().peekable();
    let mut quote: Option<char> = None;
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some(open), _) => {
                filled.push(letter);
                if letter == open {
                    quote = None;
                }
            }
            (None, '\'' | '"' | '`') => {
                filled.push(letter);
                quote = Some(letter);
            }
            (None, '?') => filled.push_str(&literal(values.next()?, Dialect::Sqlite)?),
            (None, ':') if statement[at + 1..].starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                let rest = &statement[at + 1..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                filled.push_str(&literal(values.named(&rest[..end])?, Dialect::Sqlite)?);
                while letters.next_if(|(next, _)| *next < at + 1 + end).is_some() {}
            }
            (None, _) => filled.push(letter),
        }
    }
    values.end()?;
    Ok(filled)
}

/// The parameters on their way into the statement.
struct Values<'a> {
    parameters: &'a Value,
    used: usize,
}

impl<'a> Values<'a> {
    fn of(parameters: &'a Value) -> Result<Self, String> {
        match parameters {
            Value::Array(_) | Value::Object(_) => Ok(Self { parameters, used: 0 }),
            other => Err(format!("expected `parameters` to be a list or a mapping, got: {other}")),
        }
    }

    fn next(&mut self) -> Result<&'a Value, String> {
        let list = self.parameters.as_array().ok_or("a placeholder without a name needs `parameters` as a list")?;
        self.used += 1;
        list.get(self.used - 1)
            .ok_or_else(|| format!("the statement has more placeholders than the {} parameters", list.len()))
    }

    fn named(&self, name: &str) -> Result<&'a Value, String> {
        let map = self.parameters.as_object().ok_or("a placeholder with a name needs `parameters` as a mapping")?;
        map.get(name).ok_or_else(|| {
            let known: Vec<&str> = map.keys().map(String::as_str).collect();
            format!("there is no parameter `{name}` (known: {})", known.join(", "))
        })
    }

    fn end(&self) -> Result<(), String> {
        match self.parameters.as_array() {
            Some(list) if list.len() > self.used => {
                Err(format!("{} parameters for {} placeholders", list.len(), self.used))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn literal(value: &Value, dialect: Dialect) -> Result<String, String> {
    Ok(match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(true) if dialect == Dialect::Sqlite => "1".to_owned(),
        Value::Bool(false) if dialect == Dialect::Sqlite => "0".to_owned(),
        Value::Bool(is_true) => if *is_true { "TRUE" } else { "FALSE" }.to_owned(),
        // A space, so that a minus before the placeholder and one of the number make no comment.
        Value::Number(number) => format!(" {number}"),
        Value::String(text) => string(text, dialect)?,
        Value::Array(list) if dialect == Dialect::Postgres => {
            let elements: Vec<String> = list.iter().map(|value| literal(value, dialect)).collect::<Result<_, _>>()?;
            if elements.is_empty() { "'{}'".to_owned() } else { format!("ARRAY[{}]", elements.join(", ")) }
        }
        // A list is what stands in `IN %s`.
        Value::Array(list) => {
            let elements: Vec<String> = list.iter().map(|value| literal(value, dialect)).collect::<Result<_, _>>()?;
            format!("({})", elements.join(", "))
        }
        Value::Object(_) => string(&value.to_string(), dialect)?,
    })
}

fn string(text: &str, dialect: Dialect) -> Result<String, String> {
    if text.contains('\0') {
        return Err("a parameter holds a NUL character, which no database of these takes".to_owned());
    }
    let plain = text.bytes().all(|byte| byte != b'\'' && byte != b'\\');
    Ok(match dialect {
        _ if plain => format!("'{text}'"),
        Dialect::Sqlite => format!("'{}'", text.replace('\'', "''")),
        Dialect::Postgres => format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        // Whether a backslash escapes depends on the server's mode; digits mean the same in each.
        Dialect::Mysql => {
            let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!(" _utf8mb4 0x{digits}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_take_the_place_of_placeholders_in_each_style() {
        let list = json!([1, "it's", null, true]);
        let filled = fill("f(%s, %s, %s, %s, '50%%')", Some(&list), Dialect::Postgres);
        assert_eq!(filled.as_deref(), Ok("f( 1,  E'it''s', NULL, TRUE, '50%')"));
        let filled = fill("f(?, ?, ?, ?, '?')", Some(&list), Dialect::Sqlite);
        assert_eq!(filled.as_deref(), Ok("f( 1, 'it''s', NULL, 1, '?')"));
        let map = json!({ "a": "x", "b_2": -1 });
        let filled = fill("%(a)s - %(b_2)s", Some(&map), Dialect::Mysql);
        assert_eq!(filled.as_deref(), Ok("'x' -  -1"));
        let filled = fill("select :a, ':a', -:b_2", Some(&map), Dialect::Sqlite);
        assert_eq!(filled.as_deref(), Ok("select 'x', ':a', - -1"));
        assert_eq!(fill("100% %s", None, Dialect::Postgres).as_deref(), Ok("100% %s"), "nothing to fill in");
    }

    #[test]
    fn no_text_ends_its_literal() {
        for text in ["'; drop table t; --", "\\'; drop table t; --", "\\", "''"] {
            let filled = |dialect| fill("%s", Some(&json!([text])), dialect).expect("it fits");
            assert_eq!(filled(Dialect::Postgres), format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''")));
            assert!(filled(Dialect::Mysql).trim_start_matches(" _utf8mb4 0x").bytes().all(|b| b.is_ascii_hexdigit()));
        }
        assert!(fill("%s", Some(&json!(["a\0b"])), Dialect::Postgres).is_err());
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (statement, parameters) in [
            ("%s", json!([])),
            ("1", json!([1])),
            ("%(a)s", json!({ "b": 1 })),
            ("%s", json!({ "b": 1 })),
            ("like '%a'", json!([1])),
            ("%s", json!("text")),
        ] {
            assert!(fill(statement, Some(&parameters), Dialect::Postgres).is_err(), "{statement} {parameters}");
        }
    }
}
