//! JSON as Python's `json.dumps` writes it: the text of an extra is compared and
//! shown by programs that expect those very spaces. Nothing here knows a connection.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// As `json.dumps(value)`.
pub fn python_json(value: &Value) -> String {
    written(value, Python { indent: None, depth: 0, empty: false })
}

/// As `json.dumps(value, indent=4)`.
pub fn python_json_text(value: &Value) -> String {
    written(value, Python { indent: Some(4), depth: 0, empty: false })
}

fn written(value: &Value, python: Python) -> String {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, python);
    value.serialize(&mut serializer).expect("JSON values can be written to memory");
    String::from_utf8(out).expect("the writer makes ASCII alone")
}

struct Python {
    indent: Option<usize>,
    depth: usize,
    /// Nothing was written in the innermost list or object yet.
    empty: bool,
}

impl Python {
    fn open<W: Write + ?Sized>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.empty = true;
        out.write_all(mark)
    }

    fn close<W: Write + ?Sized>(&mut self, out: &mut W, mark: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !std::mem::take(&mut self.empty) {
            self.new_line(out)?;
        }
        out.write_all(mark)
    }

    fn element<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.empty = false;
        match (first, self.indent) {
            (true, _) => {}
            (false, None) => out.write_all(b", ")?,
            (false, Some(_)) => out.write_all(b",")?,
        }
        self.new_line(out)
    }

    fn new_line<W: Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        match self.indent {
            Some(width) => write!(out, "\n{:1$}", "", width * self.depth),
            None => Ok(()),
        }
    }
}

impl Formatter for Python {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.element(out, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _out: &mut W) -> io::Result<()> {
        self.empty = false;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.element(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _out: &mut W) -> io::Result<()> {
        self.empty = false;
        Ok(())
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            if c.is_ascii() {
                write!(out, "{c}")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_has_pythons_spaces_and_is_ascii() {
        let value = json!({"a": [1, "é😀", {}], "b": {"c": null, "d": []}});
        assert_eq!(python_json(&value), r#"{"a": [1, "\u00e9\ud83d\ude00", {}], "b": {"c": null, "d": []}}"#);
        let text = "{\n    \"a\": [\n        1,\n        {}\n    ]\n}";
        assert_eq!(python_json_text(&json!({"a": [1, {}]})), text);
    }
}
