//! One line of a log, taken apart. A line that is not of our form is all text.

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl Level {
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "DEBUG" => Some(Self::Debug),
            "INFO" => Some(Self::Info),
            "WARNING" | "WARN" => Some(Self::Warning),
            "ERROR" => Some(Self::Error),
            "CRITICAL" | "FATAL" => Some(Self::Critical),
            _ => None,
        }
    }

    /// As a class and in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARN",
            Self::Error => "ERROR",
            Self::Critical => "FATAL",
        }
    }
}

/// What a line is besides its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Nothing,
    GroupStart,
    GroupEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// As it is written.
    pub time: Option<&'a str>,
    pub level: Level,
    pub text: &'a str,
    pub mark: Mark,
}

impl<'a> Line<'a> {
    /// `before` is the level of the line before, which one without a level continues.
    pub fn parse(line: &'a str, before: Level) -> Self {
        let (time, level, text) =
            headed(line).map_or((None, before, line), |(time, level, text)| (Some(time), level, text));
        match (text.strip_prefix("::group::"), text.starts_with("::endgroup::")) {
            (Some(title), _) => Self { time, level, text: title, mark: Mark::GroupStart },
            (None, true) => Self { time, level, text, mark: Mark::GroupEnd },
            (None, false) => Self { time, level, text, mark: Mark::Nothing },
        }
    }
}

/// `[2026-11-21T12:00:00.123+0000] {bash} INFO - text`
fn headed(line: &str) -> Option<(&str, Level, &str)> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] {")?;
    let (_, rest) = rest.split_once("} ")?;
    let (level, text) = rest.split_once(" - ").or_else(|| rest.strip_suffix(" -").map(|level| (level, "")))?;
    Some((time, Level::from_word(level)?, text))
}

/// `12:00:00.123`
pub(super) fn clock(time: &str) -> &str {
    time.get(11..23).unwrap_or(time)
}

/// Whether somebody who looks for what went wrong wants to stop here. Programs write their errors in many ways,
/// and what they write has no level of its own.
pub fn is_error(line: &Line<'_>) -> bool {
    let text = line.text.trim_start();
    // A command that speaks of errors has not made any yet.
    if text.starts_with("Running command: ") {
        return false;
    }
    let begins = ["Traceback (most recent call last)", "error:", "Error:", "fatal:", "panic:"];
    // A line without a head is the rest of one of ours, such as a command of several lines.
    let has_head = line.time.is_some();
    has_head && line.level >= Level::Error
        || begins.iter().any(|begin| text.starts_with(begin))
        || has_head && ["ERROR", "FATAL", "CRITICAL"].iter().any(|word| is_word(text, word))
}

fn is_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric() && c != '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ours_is_taken_apart_and_any_other_is_text() {
        let line = Line::parse("[2026-11-21T12:00:00.123+0000] {bash} WARNING - a - b", Level::Info);
        assert_eq!((line.time, line.level, line.text), (Some("2026-11-21T12:00:00.123+0000"), Level::Warning, "a - b"));
        assert_eq!(clock(line.time.unwrap_or_default()), "12:00:00.123");
        for text in ["", "[", "[1] {x} INFO", "[2026] {bash} LOUD - a"] {
            assert_eq!(
                Line::parse(text, Level::Error),
                Line { time: None, level: Level::Error, text, mark: Mark::Nothing }
            );
        }
    }

    #[test]
    fn errors_are_found_in_whatever_way_programs_write_them() {
        let is = |text: &str| is_error(&Line::parse(text, Level::Info));
        assert!(is("[2026-11-21T12:00:00.123+0000] {task} ERROR - exit code 1"));
        assert!(
            is("Traceback (most recent call last):")
                && is("[2026-11-21T12:00:00.123+0000] {bash} INFO - psql: ERROR: no such table")
                && is("fatal: not a repository")
        );
        assert!(
            !is("Running command: bash -c echo ERROR")
                && !is("[2026-11-21T12:00:00.123+0000] {bash} INFO - no ERRORS today, MY_ERROR=1")
                && !is("echo ERROR")
        );
    }
}
