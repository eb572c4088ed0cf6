//! JSON with the spaces that Python's `json.dumps` writes, for output that scripts compare.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}

/// One line.
pub fn python_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced)).expect("a JSON value is always JSON");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_spaces_of_python() {
        let value = serde_json::json!({"a": 1, "b": [true, null, {"c": "x, y: z"}], "d": {}, "e": []});
        assert_eq!(python_json(&value), r#"{"a": 1, "b": [true, null, {"c": "x, y: z"}], "d": {}, "e": []}"#);
    }
}
