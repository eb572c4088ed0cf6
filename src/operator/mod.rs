//! Work that needs no Python, done by this very program as a process of its own: one file per operator.
//!
//! ```text
//!  worker ──► companion ──► updraft run-operator
//!                             fd 0: the task channel (start, questions and answers, finish)
//!                             1, 2: the log
//! ```
//!
//! It reads no configuration and opens no store: what it needs comes over the channel,
//! so it starts as fast as any small program. It knows nothing of workers and schedulers.

mod channel;
mod email;
mod file;
mod glob;
mod http;
mod placeholders;
mod sensor;
mod sql;
mod statements;
mod trigger_dagrun;

use std::process::ExitCode;

use serde_json::Value;

use crate::domain::native::Native;
use crate::domain::wait::Awaited;
use crate::protocol::task_channel::{Finish, FinishState, Operate, ToTask};

use channel::Channel;

/// How a native task ended, when it did not simply succeed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// It failed; trying again may help.
    Failed(String),
    /// It failed, and trying again cannot help: a mistake in the DAG, or a sensor that waited too long.
    FailedForGood(String),
    Skipped(String),
    /// The next look, later.
    Rescheduled(Box<Awaited>),
    /// Nobody needs to look.
    Deferred(Box<Awaited>),
}

impl End {
    fn finish(self) -> Finish {
        let (state, retryable, message, awaited) = match self {
            Self::Failed(why) => (FinishState::Failed, true, Some(why), None),
            Self::FailedForGood(why) => (FinishState::Failed, false, Some(why), None),
            Self::Skipped(why) => (FinishState::Skipped, true, Some(why), None),
            Self::Rescheduled(awaited) => (FinishState::Rescheduled, true, None, Some(*awaited)),
            Self::Deferred(awaited) => (FinishState::Deferred, true, None, Some(*awaited)),
        };
        Finish { state, retryable, message, outlet_events: Vec::new(), awaited }
    }
}

/// Whoever loses the worker cannot know whether anything was taken in: trying again may help.
impl From<channel::ChannelError> for End {
    fn from(error: channel::ChannelError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What `updraft run-operator` does. It is no command for people.
pub fn main() -> ExitCode {
    let mut channel = match Channel::from_stdin() {
        Ok(channel) => channel,
        Err(error) => {
            eprintln!("error: {error}\nhint: `updraft run-operator` is started by a worker, for one task");
            return ExitCode::from(2);
        }
    };
    let operate = match channel.first() {
        Ok(ToTask::Operate(operate)) => *operate,
        Ok(ToTask::Start(_)) => {
            eprintln!("error: this process does native tasks, and was given one of Python");
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let finish = match run(&operate, &mut channel) {
        Ok(()) => Finish {
            state: FinishState::Success,
            retryable: true,
            message: None,
            outlet_events: Vec::new(),
            awaited: None,
        },
        Err(end) => end.finish(),
    };
    let failed = finish.state == FinishState::Failed;
    match channel.finish(finish) {
        Ok(()) if !failed => ExitCode::SUCCESS,
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

fn run(operate: &Operate, channel: &mut Channel) -> Result<(), End> {
    let result = match &operate.native {
        Native::Http(http) => http::run(http, channel)?,
        Native::Sql(sql) => sql::run(sql, channel)?,
        Native::Email(email) => email::run(email, &operate.mail, channel)?,
        Native::TriggerDagRun(trigger) => trigger_dagrun::run(trigger, channel)?,
        Native::Sensor(sensor) => sensor::run(sensor, operate, channel)?,
    };
    match result {
        Value::Null => Ok(()),
        result => Ok(channel.push("return_value", result)?),
    }
}

/// A line of the task's log.
pub(crate) fn say(text: &str) {
    println!("{text}");
}
