//! Callbacks and deadlines as written become notifications and deadlines of the domain.

use chrono_tz::Tz;

use crate::dagfile::spec::{DagSpec, TaskSpec};
use crate::dagfile::written::{
    At, CallbackSpec, Callbacks, CommandForm, Date, DeadlineSpec, FunctionForm, FunctionMapping, Position,
};
use crate::domain::deadline::{Deadline, Reference};
use crate::domain::notification::{Callback, Command, DagCallbacks, Notification, TaskCallbacks};
use crate::domain::operator::PythonCode;
use crate::domain::problem::suggestion;

use super::task::pick;
use super::{MailDefaults, Notes, instant, message, operator};

/// Whom a task tells: its own word for an occasion, else that of `default_args`; and those whom its `email` names.
pub(super) fn of_task(spec: &TaskSpec, common: &TaskSpec, mail: &MailDefaults, notes: &mut Notes) -> TaskCallbacks {
    let mut callbacks = TaskCallbacks {
        on_execute: all(pick(&spec.on_execute, &common.on_execute), mail, notes),
        on_success: all(pick(&spec.on_success, &common.on_success), mail, notes),
        on_failure: all(pick(&spec.on_failure, &common.on_failure), mail, notes),
        on_retry: all(pick(&spec.on_retry, &common.on_retry), mail, notes),
        on_skipped: all(pick(&spec.on_skipped, &common.on_skipped), mail, notes),
    };
    let mailed = message::of_task(spec, common, mail, notes);
    callbacks.on_failure.extend(mailed.on_failure);
    callbacks.on_retry.extend(mailed.on_retry);
    callbacks
}

/// Whom a DAG tells of the end of its runs.
pub(super) fn of_dag(spec: &DagSpec, mail: &MailDefaults, notes: &mut Notes) -> DagCallbacks {
    DagCallbacks {
        on_success: all(spec.on_success.as_ref(), mail, notes),
        on_failure: all(spec.on_failure.as_ref(), mail, notes),
    }
}

pub(super) fn deadlines(spec: &DagSpec, timezone: Tz, mail: &MailDefaults, notes: &mut Notes) -> Vec<Deadline> {
    let written = spec.deadlines.iter().flat_map(|deadlines| &deadlines.0);
    written.filter_map(|At { value, position }| deadline(value, *position, timezone, mail, notes)).collect()
}

fn deadline(
    spec: &DeadlineSpec,
    position: Option<Position>,
    timezone: Tz,
    mail: &MailDefaults,
    notes: &mut Notes,
) -> Option<Deadline> {
    let Some(At { value: reference, position: at }) = &spec.reference else {
        notes.error(position, "the deadline has no `reference`: `queued_at`, `logical_date` or a date");
        return None;
    };
    let Some(interval) = &spec.interval else {
        notes.error(position, "the deadline has no `interval`: how long after its `reference` a run is late");
        return None;
    };
    let callback = all(Some(&spec.callback), mail, notes);
    if callback.is_empty() {
        notes.warning(position, "the deadline tells nobody: it has no `callback`");
    }
    let reference = from(reference, *at, timezone, notes)?;
    Some(Deadline { name: spec.name.clone(), reference, interval: interval.value.0, callback })
}

fn from(word: &str, position: Option<Position>, timezone: Tz, notes: &mut Notes) -> Option<Reference> {
    const WORDS: [&str; 2] = ["queued_at", "logical_date"];
    let lower = word.to_lowercase();
    match lower.strip_prefix("dagrun_").unwrap_or(&lower) {
        "queued_at" => Some(Reference::DagrunQueuedAt),
        "logical_date" => Some(Reference::DagrunLogicalDate),
        _ => match Date::parse(word) {
            Some(date) => Some(Reference::FixedDatetime(instant(date, timezone))),
            None => {
                let message =
                    format!("expected `reference` to be `queued_at`, `logical_date` or a date, got: `{word}`");
                notes.error_with(position, message, suggestion(word, WORDS));
                None
            }
        },
    }
}

fn all(written: Option<&Callbacks>, mail: &MailDefaults, notes: &mut Notes) -> Vec<Notification> {
    let written = written.into_iter().flat_map(|callbacks| &callbacks.0);
    written.filter_map(|At { value, position }| one(value, *position, mail, notes)).collect()
}

fn one(
    spec: &CallbackSpec,
    position: Option<Position>,
    mail: &MailDefaults,
    notes: &mut Notes,
) -> Option<Notification> {
    let CallbackSpec { command: run, webhook, email, python: call } = spec;
    match (run, webhook, email, call) {
        (Some(form), None, None, None) => command(form, position, notes),
        (None, Some(form), None, None) => message::webhook(form, position, notes),
        (None, None, Some(form), None) => message::email(form, position, mail, notes),
        (None, None, None, Some(form)) => python(form, position, notes),
        _ => {
            let message = "expected a callback to be exactly one of `command`, `webhook`, `email` and `python`";
            notes.error(position, message);
            None
        }
    }
}

fn command(form: &CommandForm, position: Option<Position>, notes: &mut Notes) -> Option<Notification> {
    let command = match form {
        CommandForm::Bash(bash) if !bash.trim().is_empty() => Command::Bash { bash: bash.clone() },
        CommandForm::Argv(argv) if argv.first().is_some_and(|program| !program.is_empty()) => {
            Command::Argv { argv: argv.clone() }
        }
        CommandForm::Bash(_) | CommandForm::Argv(_) => {
            notes.error(position, "the callback's command is empty");
            return None;
        }
    };
    Some(Notification::Command(command))
}

fn python(form: &FunctionForm, position: Option<Position>, notes: &mut Notes) -> Option<Notification> {
    let mapping = match form {
        FunctionForm::Name(name) => FunctionMapping { function: Some(name.clone()), ..FunctionMapping::default() },
        FunctionForm::Mapping(mapping) => mapping.clone(),
    };
    let (code, name) = match (&mapping.function, &mapping.dag_file) {
        (Some(function), None) => (operator::from_callable(function, position, notes)?, function.clone()),
        (None, Some(file)) => (PythonCode::DagFile { file: file.clone() }, mapping.name.unwrap_or_default()),
        (None, None) | (Some(_), Some(_)) => {
            notes.error(position, "the Python callback has no `function`: write `python: module:function`");
            return None;
        }
    };
    Some(Notification::Python(Callback { name, code, place: mapping.place, kwargs: mapping.kwargs }))
}
