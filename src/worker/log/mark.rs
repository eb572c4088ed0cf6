//! Lines that say themselves how serious they are: what Python's `logging` and `sys.stderr` write.
//!
//! ```text
//!  \x1e LEVEL \x1f source \x1f text      a line with a level and a source of its own
//!  \x1e \x1e text                        goes on with the line before, as the lines of a traceback do
//! ```
//!
//! The bridge writes them so (`updraft_bridge/task_log.py`). Whoever else does means the same.

/// A line as it is to be shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Plain(&'a str),
    Marked { level: &'a str, source: &'a str, text: &'a str },
    Continued(&'a str),
}

const MARK: char = '\u{1e}';
const END: char = '\u{1f}';

/// Longer than these is no level and no source.
const LONGEST: (usize, usize) = (16, 128);

pub fn read(text: &str) -> Line<'_> {
    marked(text).unwrap_or(Line::Plain(text))
}

fn marked(text: &str) -> Option<Line<'_>> {
    let rest = text.strip_prefix(MARK)?;
    if let Some(text) = rest.strip_prefix(MARK) {
        return Some(Line::Continued(text));
    }
    let (level, rest) = rest.split_once(END)?;
    let (source, text) = rest.split_once(END)?;
    let is_word = |word: &str, longest| !word.is_empty() && word.len() <= longest && !word.contains(char::is_control);
    (is_word(level, LONGEST.0) && is_word(source, LONGEST.1)).then_some(Line::Marked { level, source, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_it_is_or_is_plain() {
        let warned = Line::Marked { level: "WARNING", source: "etl.py:7", text: "slow: \u{1f} yes" };
        for (text, line) in [
            ("\u{1e}WARNING\u{1f}etl.py:7\u{1f}slow: \u{1f} yes", warned),
            ("\u{1e}\u{1e}  File \"etl.py\"", Line::Continued("  File \"etl.py\"")),
            ("\u{1e}\u{1e}", Line::Continued("")),
            ("plain", Line::Plain("plain")),
            ("", Line::Plain("")),
            ("\u{1e}half", Line::Plain("\u{1e}half")),
            ("\u{1e}\u{1f}\u{1f}nothing", Line::Plain("\u{1e}\u{1f}\u{1f}nothing")),
        ] {
            assert_eq!(read(text), line, "{text:?}");
        }
    }
}
