//! `render_template_as_native_obj`: what a template renders to, as a value instead of a text.
//!
//! Airflow reads the text as a Python literal; what is none stays a text.

use minijinja::value::{Value, ValueKind};
use serde_json::{Map, Number, Value as Json};

/// The expression of a template that is one expression and nothing else.
pub(super) fn alone(template: &str) -> Option<&str> {
    let inner = template.strip_prefix("{{")?.strip_suffix("}}")?;
    let is_one = ["{{", "}}", "{%", "{#"].iter().all(|mark| !inner.contains(mark));
    is_one.then(|| inner.trim_matches('-').trim())
}

/// Whether a value is what JSON can hold: lists, mappings, numbers; a text may be the literal of something else.
pub(super) fn is_plain(value: &Value) -> bool {
    match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Number => true,
        ValueKind::Seq => value.try_iter().is_ok_and(|mut parts| parts.all(|part| is_part(&part))),
        ValueKind::Map => {
            value.as_object().is_none_or(|object| object.downcast_ref::<super::datetime::DateTimeValue>().is_none())
                && value.try_iter().is_ok_and(|mut keys| {
                    keys.all(|key| key.as_str().is_some() && value.get_item(&key).is_ok_and(|part| is_part(&part)))
                })
        }
        _ => false,
    }
}

fn is_part(value: &Value) -> bool {
    value.as_str().is_some() || is_plain(value)
}

/// A Python literal as JSON; tuples are lists. `None`: it is none, or one that JSON cannot hold.
pub(super) fn literal(text: &str) -> Option<Json> {
    let mut reader = Reader { rest: text.trim(), depth: 0 };
    let value = reader.value()?;
    reader.rest.trim().is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    depth: u32,
}

/// Deeper literals stay texts.
const MOST_DEPTH: u32 = 64;

impl Reader<'_> {
    fn value(&mut self) -> Option<Json> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '[' => self.list('[', ']').map(|(list, _)| Json::Array(list)),
            // Brackets around one value are only brackets.
            '(' => self.list('(', ')').map(|(mut list, has_comma)| match (list.len(), has_comma) {
                (1, false) => list.remove(0),
                _ => Json::Array(list),
            }),
            '{' => self.mapping(),
            '\'' | '"' => self.text().map(Json::String),
            _ => self.word(),
        }
    }

    fn take(&mut self, mark: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let read = if self.depth <= MOST_DEPTH { read(self) } else { None };
        self.depth -= 1;
        read
    }

    /// The elements, and whether there was a comma.
    fn list(&mut self, open: char, close: char) -> Option<(Vec<Json>, bool)> {
        self.deeper(|reader| {
            let (mut list, mut has_comma) = (Vec::new(), false);
            reader.take(open);
            while !reader.take(close) {
                if !list.is_empty() {
                    if !reader.take(',') {
                        return None;
                    }
                    has_comma = true;
                    if reader.take(close) {
                        break;
                    }
                }
                list.push(reader.value()?);
            }
            Some((list, has_comma))
        })
    }

    fn mapping(&mut self) -> Option<Json> {
        self.deeper(|reader| {
            let mut mapping = Map::new();
            reader.take('{');
            while !reader.take('}') {
                if !mapping.is_empty() && !reader.take(',') {
                    return None;
                }
                if reader.take('}') {
                    break;
                }
                let Json::String(key) = reader.value()? else { return None };
                if !reader.take(':') {
                    return None;
                }
                let value = reader.value()?;
                mapping.insert(key, value);
            }
            Some(Json::Object(mapping))
        })
    }

    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let mut characters = self.rest.char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, c)) = characters.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(match characters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c @ ('\\' | '\'' | '"') => c,
                    _ => return None,
                }),
                c => text.push(c),
            }
        }
        None
    }

    fn word(&mut self) -> Option<Json> {
        let end = self.rest.find(|c: char| c.is_whitespace() || ",:]})".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" => Some(Json::Null),
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            _ => number(word),
        }
    }
}

/// As Python reads it: no leading zeros, underscores between digits.
fn number(word: &str) -> Option<Json> {
    let digits = word.trim_start_matches(['-', '+']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || word.len() - digits.len() > 1 {
        return None;
    }
    let plain = word.replace('_', "");
    if plain.contains(['.', 'e', 'E']) {
        return plain.parse::<f64>().ok().and_then(Number::from_f64).map(Json::Number);
    }
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0');
    let whole = plain.trim_start_matches('+').parse::<i64>().ok();
    whole.filter(|_| !has_leading_zero).map(|number| Json::Number(number.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_python_literal_becomes_a_value_and_everything_else_stays_a_text() {
        for (text, value) in [
            ("1", json!(1)),
            ("-2.5e1", json!(-25.0)),
            ("1_000", json!(1000)),
            ("None", json!(null)),
            ("[1, 'a', \"b\", True, []]", json!([1, "a", "b", true, []])),
            ("('a', 2)", json!(["a", 2])),
            ("(1)", json!(1)),
            ("(1,)", json!([1])),
            ("{'a': {'b': [1,]}, }", json!({"a": {"b": [1]}})),
            ("'it\\'s'", json!("it's")),
        ] {
            assert_eq!(literal(text), Some(value), "{text}");
        }
        for text in
            ["", "2026-01-01", "01", "a", "[1, 2", "1 2", "{1: 2}", "nan", "'a' 'b", "None of it", "--1", "[1 2]"]
        {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
