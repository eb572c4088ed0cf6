//! What a process writes, cut into lines: for its log, and for the one line that is its result.
//!
//! Memory stays bounded whatever the process writes: a line without end is
//! handed on in parts.

/// A line that grows beyond this many bytes is handed on in parts.
const LONG: usize = 64 * 1024;

/// A result line longer than this is no value to hand to another task.
pub const MAX_RESULT: usize = 1 << 20;

/// A stretch of one line.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub text: &'a str,
    pub begins: bool,
    pub ends: bool,
}

/// Cuts output into lines of text: at newlines, and at carriage returns that
/// draw over the line before (progress bars). Each line is stripped on its right;
/// bytes that are no UTF-8 are written as Python's backslashreplace does.
#[derive(Default)]
pub struct Lines {
    pending: Vec<u8>,
    /// The beginning of the line that is pending was handed on already.
    open: bool,
    /// The output so far ended in a carriage return: the first half of a line's end, or not.
    returned: bool,
}

impl Lines {
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What comes next begins a new line.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// More output; calls `each` for what can be handed on.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Part<'_>)) {
        if self.returned && !bytes.is_empty() {
            self.returned = false;
            if bytes[0] != b'\n' {
                self.draw_over(each);
            }
        }
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, rest) = bytes.split_at(at);
            self.pending.extend_from_slice(head);
            bytes = match rest {
                [b'\r'] => {
                    self.returned = true;
                    &[]
                }
                [b'\r', b'\n', after @ ..] => {
                    self.finish_line(each);
                    after
                }
                [b'\r', after @ ..] => {
                    self.draw_over(each);
                    after
                }
                [_newline, after @ ..] => {
                    self.finish_line(each);
                    after
                }
                [] => &[],
            };
        }
        for piece in bytes.chunks(LONG) {
            self.pending.extend_from_slice(piece);
            if self.pending.len() >= LONG {
                self.show(each);
            }
        }
    }

    /// Hands on what there is of an unfinished line, except what its end may strip or complete.
    pub fn show(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        let whole = self.pending.len() - incomplete_tail(&self.pending);
        let text = decode(&self.pending[..whole]);
        let stripped = strip(&text);
        if stripped.is_empty() {
            if self.pending.len() >= LONG {
                // Nothing but white space, endlessly: it would be stripped at the end.
                self.pending.clear();
            }
            return;
        }
        each(Part { text: stripped, begins: !self.open, ends: false });
        self.open = true;
        let tail = text[stripped.len()..].as_bytes().to_vec();
        self.pending.drain(..whole);
        self.pending.splice(..0, tail);
        if self.pending.len() >= LONG {
            self.pending.clear();
        }
    }

    /// The output is over.
    pub fn end(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        if self.open || !self.pending.is_empty() {
            self.finish_line(each);
        }
    }

    /// A return without a newline: what was there is a line of its own, if it was anything.
    fn draw_over(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        if self.open || !self.pending.is_empty() {
            self.finish_line(each);
        }
    }

    fn finish_line(&mut self, each: &mut dyn FnMut(Part<'_>)) {
        let text = decode(&self.pending);
        each(Part { text: strip(&text), begins: !self.open, ends: true });
        self.pending.clear();
        self.open = false;
    }
}

/// Remembers the last line, which is the result of a Bash task.
#[derive(Default)]
pub struct LastLine {
    current: Bounded,
    last: Bounded,
}

#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    length: usize,
}

impl Bounded {
    fn push(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        let room = MAX_RESULT.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl LastLine {
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            self.current.push(bytes);
            return;
        };
        let (lines, rest) = (&bytes[..end], &bytes[end + 1..]);
        match lines.iter().rposition(|byte| *byte == b'\n') {
            Some(before) => {
                self.last = Bounded::default();
                self.last.push(&lines[before + 1..]);
            }
            None => {
                self.last = std::mem::take(&mut self.current);
                self.last.push(lines);
            }
        }
        self.current = Bounded::default();
        self.current.push(rest);
    }

    /// The last line, stripped on its right; "" of a task that wrote nothing.
    ///
    /// # Errors
    /// The length in bytes of a line that is too long to be a result.
    pub fn end(self) -> Result<String, usize> {
        let line = if self.current.length > 0 { self.current } else { self.last };
        if line.length > MAX_RESULT {
            return Err(line.length);
        }
        Ok(strip(&decode(&line.bytes)).to_owned())
    }
}

/// As Python's `decode("utf-8", errors="backslashreplace")`.
fn decode(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    use std::fmt::Write;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.into()
}

/// As Python's `str.rstrip()`, which also takes the four separators of ASCII.
fn strip(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c))
}

/// How many bytes at the end may be the beginning of a character.
fn incomplete_tail(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        // Broken before its end: look at the end alone.
        Err(_) => (1..=3.min(bytes.len()))
            .find(|n| {
                let tail = &bytes[bytes.len() - n..];
                tail[0] >= 0xc0 && std::str::from_utf8(tail).is_err_and(|error| error.error_len().is_none())
            })
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as they would stand in a file, `|` where one ends.
    fn lines(chunks: &[&[u8]]) -> String {
        let mut text = String::new();
        let mut lines = Lines::default();
        let mut each = |part: Part<'_>| {
            text.push_str(part.text);
            text.push_str(if part.ends { "|" } else { "" });
        };
        for chunk in chunks {
            lines.push(chunk, &mut each);
        }
        lines.end(&mut each);
        text
    }

    fn last(chunks: &[&[u8]]) -> String {
        let mut last = LastLine::default();
        for chunk in chunks {
            last.push(chunk);
        }
        last.end().expect("short")
    }

    #[test]
    fn lines_are_the_same_however_the_output_is_cut() {
        let whole = "a\r\nb \n\nprogress 1\rprogress 2\r\rdone\ngrüße €\n\x1b[31mred\x1b[0m\nend".as_bytes();
        let expected = "a|b||progress 1|progress 2|done|grüße €|\x1b[31mred\x1b[0m|end|";
        for at in 0..=whole.len() {
            let (left, right) = whole.split_at(at);
            assert_eq!(lines(&[left, right]), expected, "cut at {at}");
            assert_eq!(last(&[left, right]), "end", "cut at {at}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(lines(&bytes), expected);
        assert_eq!(last(&bytes), "end");
    }

    #[test]
    fn what_is_no_text_is_written_as_python_does() {
        assert_eq!(lines(&[b"a\xff\xe2\x82b\n"]), "a\\xff\\xe2\\x82b|");
        assert_eq!(lines(&[b"cut \xe2\x82"]), "cut \\xe2\\x82|");
    }

    #[test]
    fn the_result_is_the_last_line_even_an_empty_one() {
        assert_eq!(last(&[]), "");
        assert_eq!(last(&[b"a\nb\n"]), "b");
        assert_eq!(last(&[b"a\n\n"]), "");
        assert_eq!(last(&[b"a\n", b"b \t\x1f\n"]), "b");
        assert_eq!(last(&[b"10 %\r20 %\n"]), "10 %\r20 %", "Airflow cuts at newlines alone");
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut parts = Lines::default();
        let mut result = LastLine::default();
        let mut written = 0;
        let chunk = [b'x'; 50_000];
        for _ in 0..2_000 {
            parts.push(&chunk, &mut |part| written += part.text.len());
            result.push(&chunk);
            assert!(parts.pending.capacity() < 1 << 20 && result.current.bytes.capacity() <= 2 * MAX_RESULT);
        }
        parts.end(&mut |part| written += part.text.len());
        assert_eq!(written, 100_000_000);
        assert_eq!(result.end(), Err(100_000_000));
    }
}
