//! Reads YAML DAG files: one DAG per document, several documents per file.
//!
//! Each document stands for itself, so a mistake in one does not hide the next.
//! A file that is built to explode (aliases of aliases, endless depth) meets a
//! limit and becomes a problem like any other.

use std::fmt::Write as _;

use serde_saphyr::budget::Budget;
use serde_saphyr::{Error, Options, UserMessageFormatter};

use super::outline::subject_of;
use super::spec::DagSpec;
use super::written::{At, Position};
use crate::domain::problem::{Place, Problem, suggestion};

/// A DAG file is written by people or by a generator of theirs: 8 MiB are some 100,000 tasks.
pub const MOST_BYTES: usize = 8 << 20;

/// Nodes of one document; a task has about ten.
const MOST_NODES: usize = 2_000_000;

/// Values that aliases may repeat; each one counts wherever it is repeated.
const MOST_REPEATED: usize = 50_000;

/// How deep a document may nest. A DAG needs five; params may hold more.
const MOST_DEPTH: usize = 48;

/// Reads the DAGs of `text`, the content of `file`, which is relative to the DAGs folder.
///
/// A DAG without a `dag_id` is named after its file, if it is the only one there.
pub fn parse(file: &str, text: &str) -> (Vec<DagSpec>, Vec<Problem>) {
    if text.len() > MOST_BYTES {
        let message = format!("the file has {} bytes; a DAG file may have at most {MOST_BYTES}", text.len());
        return (Vec::new(), vec![Problem::error(Place::file(file), message)]);
    }
    let (mut dags, mut problems) = (Vec::new(), Vec::new());
    let mut reader = text.as_bytes();
    let mut documents = 0;
    for document in serde_saphyr::read_with_options::<_, At<DagSpec>>(&mut reader, options()) {
        documents += 1;
        match document {
            Ok(At { value, position }) => dags.push(DagSpec { line: position.map(|at| at.line), ..value }),
            Err(error) => problems.push(problem(file, text, &error)),
        }
    }
    if documents == 0 {
        problems.push(Problem::warning(Place::file(file), "the file holds no DAG").hint(IGNORE));
    }
    name_after_file(file, documents, &mut dags, &mut problems);
    (dags, problems)
}

/// What to do about YAML that is no DAG.
const IGNORE: &str = "if it is not meant to be a DAG, name it in .airflowignore";

fn name_after_file(file: &str, documents: usize, dags: &mut Vec<DagSpec>, problems: &mut Vec<Problem>) {
    let stem = std::path::Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(file);
    if documents == 1 {
        for dag in dags.iter_mut() {
            dag.dag_id.get_or_insert_with(|| At::nowhere(stem.to_owned()));
        }
        return;
    }
    dags.retain(|dag| {
        if dag.dag_id.is_none() {
            let message = "a DAG of a file that holds several needs a `dag_id`";
            problems.push(Problem::error(Place { line: dag.line, ..Place::file(file) }, message));
        }
        dag.dag_id.is_some()
    });
}

/// YAML 1.2 with limits far above what people write and far below what hurts.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_reader_input_bytes = Some(MOST_BYTES);
    budget.max_depth = MOST_DEPTH;
    budget.max_nodes = MOST_NODES;
    budget.max_events = 2 * MOST_NODES;
    budget.max_aliases = 10_000;
    budget.max_anchors = 10_000;
    budget.max_total_scalar_bytes = MOST_BYTES;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = MOST_REPEATED;
    options.alias_limits.max_replay_stack_depth = 16;
    options.alias_limits.max_alias_expansions_per_anchor = 10_000;
    options.strict_booleans = true;
    options.emit_comments = false;
    options.with_snippet = false;
    options
}

/// The error of the library as a sentence with place, hint and the lines around.
fn problem(file: &str, text: &str, error: &Error) -> Problem {
    let position = error.location().and_then(Position::of);
    let (message, hint) = sentence(error);
    let names_key = matches!(error, Error::SerdeUnknownField { .. } | Error::DuplicateMappingKey { .. });
    let subject = position.and_then(|at| subject_of(text, at, names_key, options())).unwrap_or_default();
    let place = Place {
        file: file.to_owned(),
        line: position.map(|position| position.line),
        column: position.map(|position| position.column),
    };
    let mut problem = Problem::error(place, format!("{subject}{message}"));
    problem.hint = hint.or_else(|| quotes(text, position?));
    with_snippet(problem, text)
}

/// What was got, what was expected, and what was probably meant.
fn sentence(error: &Error) -> (String, Option<String>) {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            let known = expected.iter().copied().filter(|key| *key != "line" && *key != "operator_name");
            let hint = suggestion(field, known.clone()).unwrap_or_else(|| known_keys(known));
            (format!("unknown key `{field}`"), Some(hint))
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("expected {expected}, got: {}", plain(unexpected)), None)
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let hint =
                suggestion(variant, expected.iter().copied()).unwrap_or_else(|| known_keys(expected.iter().copied()));
            (format!("unknown word `{variant}`"), Some(hint))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => (format!("the key `{key}` is written twice"), None),
        Error::Unexpected { expected, .. } => (format!("expected {}", structure(expected)), None),
        Error::InvalidScalar { ty, .. } => (format!("expected {}", scalar(ty)), None),
        Error::InvalidBooleanStrict { .. } => ("expected true or false".to_owned(), None),
        Error::Budget { .. } => too_much(),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            let message = format!("the file's aliases repeat too much to be a DAG (at most {MOST_REPEATED} values)");
            (message, Some(IGNORE.to_owned()))
        }
        Error::AliasError { error, .. } => sentence(error),
        // The parser has a limit of its own, just below ours.
        _ if said(error).starts_with("recursion limit") => too_much(),
        Error::Message { msg, .. } => (msg.clone(), None),
        _ if said(error).starts_with("tabs") => ("a tab in the indentation".into(), Some("indent with spaces".into())),
        // The library may grow kinds of errors; its own words serve for all that have none of ours.
        _ => (said(error), None),
    }
}

fn too_much() -> (String, Option<String>) {
    let message = format!(
        "the file is too large or too deeply nested to be a DAG (at most {MOST_NODES} values, {MOST_DEPTH} levels)"
    );
    (message, Some(IGNORE.to_owned()))
}

/// The library's own words, without the place, which stands in front already.
fn said(error: &Error) -> String {
    let said = error.without_snippet().render_with_formatter(&UserMessageFormatter);
    match said.rsplit_once(" at line ") {
        Some((words, _)) => words.to_owned(),
        None => said,
    }
}

/// The parser's name of a structure as a person would say it.
fn structure(expected: &str) -> &str {
    match expected {
        "mapping start" => "a mapping (`key: value` lines)",
        "sequence start" => "a list (`- value` lines)",
        "string scalar" => "a text",
        other => other,
    }
}

/// The name of a Rust type as a person would say it.
fn scalar(ty: &str) -> String {
    match ty {
        "bool" => "true or false".into(),
        "u8" | "u16" | "u32" | "u64" | "u128" => "a whole number of zero or more".into(),
        "i8" | "i16" | "i32" | "i64" | "i128" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        other => format!("a value of type {other}"),
    }
}

/// Most broken YAML lacks a pair of quotes: what stands at the error tells.
fn quotes(text: &str, Position { line, column }: Position) -> Option<String> {
    let content = text.lines().nth(line as usize - 1)?;
    let rest: String = content.chars().skip(column as usize - 1).collect();
    let is_bare = |c: char| matches!(c, '@' | '*' | '&' | '!' | '%' | '`');
    if rest.starts_with("{{") {
        return Some("a value that begins with `{{` needs quotes: \"{{ ... }}\"".to_owned());
    }
    if let Some(mark) = rest.chars().next().filter(|c| is_bare(*c)) {
        return Some(format!("a value that begins with `{mark}` needs quotes: \"{}\"", rest.trim_end()));
    }
    rest.starts_with(": ")
        .then(|| "a value that holds `: ` needs quotes, or stands on lines of its own after `|`".to_owned())
}

fn known_keys<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    format!("known: {}", keys.collect::<Vec<_>>().join(", "))
}

/// serde says ``string "5x"``; people say `5x`.
fn plain(unexpected: &str) -> String {
    match unexpected.split_once(' ') {
        Some(("string", text)) => text.trim_matches('"').to_owned(),
        Some(("integer" | "boolean", text)) => text.trim_matches('`').to_owned(),
        None if unexpected == "map" => "a mapping".to_owned(),
        None if unexpected == "sequence" => "a list".to_owned(),
        Some(("floating", text)) => text.trim_start_matches("point ").trim_matches('`').to_owned(),
        _ => unexpected.to_owned(),
    }
}

/// How many characters of a line a snippet shows.
const SNIPPET_WIDTH: usize = 120;

/// Adds the line of the problem and the one before it, with a mark under the column.
pub fn with_snippet(problem: Problem, text: &str) -> Problem {
    let (Some(line), None) = (problem.place.line, &problem.detail) else { return problem };
    let column = problem.place.column.unwrap_or(1) as usize;
    // A long line is shown around the mark.
    let skipped = if column > SNIPPET_WIDTH { column - SNIPPET_WIDTH / 2 } else { 0 };
    let first = line.saturating_sub(1).max(1);
    let mut snippet = String::new();
    let numbered = (1_u32..).zip(text.lines()).skip(first as usize - 1);
    for (number, content) in numbered.take_while(|(number, _)| *number <= line) {
        let shown = content.chars().skip(skipped).take(SNIPPET_WIDTH).map(|c| if c == '\t' { ' ' } else { c });
        let _ = writeln!(snippet, "{number:>5} | {}", shown.collect::<String>());
    }
    if snippet.is_empty() {
        return problem;
    }
    let _ = write!(snippet, "      | {:>1$}", "^", column - skipped);
    problem.detail(snippet)
}

#[cfg(test)]
mod tests;
