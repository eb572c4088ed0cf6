//! What each kind of task needs to run: one file per operator, one match over all of them.
//!
//! An operator makes a process and judges its end. It never runs, waits or reports: that is the slot's work.

pub mod bash;
pub mod channel;
pub mod decide;
pub mod native;
pub mod python;
pub mod sdk;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::companion::frame::{End, SpawnSpec};
use super::leftover::{Leftover, TempFolders};
use super::mapped;
use super::render::{Templates, context};
use super::settings::WorkerSettings;
use super::state_dir::CLAIM_MARK;
use crate::domain::attempt::Outcome;
use crate::domain::ids::Claim;
use crate::domain::operator::Operator;
use crate::domain::run::iso;
use crate::domain::template::Lookups;
use crate::domain::time::Time;
use crate::domain::wait::Awaited;
use crate::protocol::task_channel::{Finish, FinishState};
use crate::protocol::work::{Environment, TaskMessage};

use channel::First;

/// The name under which a task's result is stored.
pub const RETURN_VALUE: &str = "return_value";

/// The work of one attempt, ready to start.
pub enum Prepared {
    /// There is nothing to run.
    Nothing,
    /// The values to store are all that it does.
    Decided(decide::Decided),
    Process(Box<Job>),
}

/// A process to start and what belongs to it.
pub struct Job {
    pub spec: SpawnSpec,
    /// The command as people should read it in the log.
    pub shown: String,
    /// Removed when the job is dropped.
    pub leftover: Option<Leftover>,
    /// The first word on the task's channel, for operators that have one.
    pub start: Option<First>,
}

/// Why nothing can be started: a sentence for the task's log and the report.
#[derive(Debug)]
pub struct Unstartable(pub String);

impl<E: std::error::Error> From<E> for Unstartable {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// How an attempt ended, in the words of its operator.
pub struct Judged {
    pub outcome: Outcome,
    pub message: Option<String>,
    /// Of an attempt that goes back to waiting: for what.
    pub awaited: Option<Awaited>,
}

impl Judged {
    fn plain(outcome: Outcome, message: Option<String>) -> Self {
        Self { outcome, message, awaited: None }
    }
}

/// The tag of the task's own lines in its log.
pub fn source(operator: &Operator) -> &'static str {
    match operator {
        Operator::Empty => "empty",
        Operator::Bash(_) => "bash",
        Operator::Python(_) => "python",
        Operator::Native(native) => native.word(),
        Operator::Decide(_) => "decide",
    }
}

/// Renders the templates and makes the process of one attempt. Where `lookups` wants something
/// afterwards, this is to be done again when it has it, whatever was returned.
pub fn prepare(
    task: &TaskMessage,
    claim: Claim,
    now: Time,
    settings: &WorkerSettings,
    folders: &Rc<TempFolders>,
    lookups: &Lookups,
) -> Result<Prepared, Unstartable> {
    let context = context(task, &settings.base_url);
    let templates = Templates::new(&context, lookups, mapped::verbatim(task));
    match &task.operator {
        Operator::Empty => Ok(Prepared::Nothing),
        Operator::Decide(wish) => decide::prepare(wish, task, &templates),
        Operator::Bash(bash) => {
            Ok(Prepared::Process(Box::new(bash::prepare(bash, task, claim, settings, folders, &templates)?)))
        }
        Operator::Python(python) => {
            let job = match sdk::runs(task, settings) {
                true => sdk::prepare(task, claim, now, settings)?,
                false => python::prepare(python, task, claim, now, settings, &templates)?,
            };
            Ok(Prepared::Process(Box::new(job)))
        }
        Operator::Native(native) => {
            Ok(Prepared::Process(Box::new(native::prepare(native, task, claim, settings, &templates)?)))
        }
    }
}

/// Judges an attempt whose process ended by itself.
pub fn judge(operator: &Operator, end: End, finish: Option<Finish>) -> Judged {
    match operator {
        Operator::Empty | Operator::Decide(_) => Judged::plain(Outcome::Success, None),
        Operator::Bash(bash) => bash::judge(bash, end),
        Operator::Python(_) => finish.map_or_else(|| channel::judge_without_finish("Python", end), judge_finish),
        Operator::Native(native) => {
            finish.map_or_else(|| channel::judge_without_finish(native.word(), end), judge_finish)
        }
    }
}

/// What the process said of itself. An attempt that goes back to waiting has to say for what.
fn judge_finish(finish: Finish) -> Judged {
    let Finish { state, retryable, message, awaited, outlet_events: _ } = finish;
    let outcome = match state {
        FinishState::Success => Outcome::Success,
        FinishState::Failed => Outcome::Failed { retryable },
        FinishState::Skipped => Outcome::Skipped,
        FinishState::Rescheduled if awaited.is_some() => Outcome::Rescheduled,
        FinishState::Deferred if awaited.is_some() => Outcome::Deferred,
        FinishState::Rescheduled | FinishState::Deferred => {
            let message = "the task's process wants to wait, and does not say for what".to_owned();
            return Judged::plain(Outcome::Failed { retryable: false }, Some(message));
        }
    };
    Judged { outcome, message, awaited }
}

/// The value that the last line of output is, for operators whose result it is.
pub fn has_result_line(operator: &Operator) -> bool {
    match operator {
        Operator::Bash(_) => true,
        Operator::Empty | Operator::Python(_) | Operator::Native(_) | Operator::Decide(_) => false,
    }
}

/// What every task finds in its environment (SCHEDULING §16): both eras' names, only what is known.
pub fn context_variables(task: &TaskMessage, claim: Claim) -> Environment {
    let mut variables = BTreeMap::from([
        ("AIRFLOW_CTX_DAG_OWNER".to_owned(), task.owner.clone()),
        ("AIRFLOW_CTX_DAG_ID".to_owned(), task.key.dag.to_string()),
        ("AIRFLOW_CTX_TASK_ID".to_owned(), task.key.task.to_string()),
        ("AIRFLOW_CTX_DAG_RUN_ID".to_owned(), task.key.run.to_string()),
        ("AIRFLOW_CTX_TRY_NUMBER".to_owned(), task.try_number.to_string()),
        (CLAIM_MARK.to_owned(), claim.to_string()),
    ]);
    if let Some(date) = task.run.logical_date {
        variables.insert("AIRFLOW_CTX_LOGICAL_DATE".to_owned(), iso(date));
        variables.insert("AIRFLOW_CTX_EXECUTION_DATE".to_owned(), iso(date));
    }
    if let Some(notice) = &task.notice {
        let said = [
            ("UPDRAFT_EVENT", Some(notice.occasion.as_str().to_owned())),
            ("UPDRAFT_STATE", Some(notice.state.clone())),
            ("UPDRAFT_EXCEPTION", notice.exception.clone()),
            ("UPDRAFT_REASON", notice.reason.clone()),
        ];
        // No variable can hold a NUL.
        let said = said.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.replace('\0', "\u{fffd}"))));
        variables.extend(said);
    }
    variables
}

/// The values to store of a task whose result is `line`.
pub fn result(line: String) -> (String, Value) {
    (RETURN_VALUE.to_owned(), Value::String(line))
}
