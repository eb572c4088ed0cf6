//! Callbacks and notifications (SCHEDULING §8): who is told when something happens to a task or a run, as data,
//! and the one place that says which move of a task instance or a run owes them.
//!
//! ```text
//!   move of a task ─► owed_by_task ─► occasion ─► the definition's list ─► one row per entry, in the same commit
//!   end of a run   ─► RunEnd::owes ──┘
//! ```
//!
//! Nothing here carries a notification out.

mod message;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attempt::Outcome;
use super::ids::{TaskKey, TryNumber};
use super::native::{Email, Native};
use super::operator::{Bash, Operator, Python, PythonCode};
use super::run::iso;
use super::state::{Ending, RunEvent, TaskEvent, TaskState};
use super::time::Time;

pub use message::{DEFAULT_HTML_CONTENT, DEFAULT_SUBJECT, Webhook};

/// One way of telling somebody. Texts in it are templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notification {
    Command(Command),
    Webhook(Webhook),
    /// What `EmailOperator` sends.
    Email(Box<Email>),
    Python(Callback),
}

/// A command of the worker's machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// For Bash. A value that is not one's own belongs into it as a variable (`$UPDRAFT_EXCEPTION`), not as a template.
    Bash { bash: String },
    /// A program and its arguments, each a template of its own: no shell reads them.
    Argv { argv: Vec<String> },
}

/// A function that is called with the context.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// For people.
    pub name: String,
    pub code: PythonCode,
    /// Its place in the list of the DAG file's object, when it is found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// What it gets besides the context; texts are templates.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub kwargs: Map<String, Value>,
}

impl Notification {
    /// The work of carrying it out, in the same terms as a task's.
    pub fn operator(&self) -> Operator {
        match self {
            Self::Command(Command::Bash { bash }) => Operator::Bash(quiet_bash(bash.clone(), BTreeMap::new())),
            Self::Command(Command::Argv { argv }) => Operator::Bash(argv_as_bash(argv)),
            Self::Webhook(webhook) => Operator::Native(Box::new(Native::Http(webhook.request()))),
            Self::Email(email) => Operator::Native(Box::new(Native::Email((**email).clone()))),
            Self::Python(callback) => Operator::Python(Python {
                code: callback.code.clone(),
                args: Vec::new(),
                kwargs: callback.kwargs.clone(),
                decides: None,
            }),
        }
    }

    /// What kind it is and whom it tells, in a word or two for people.
    pub fn summary(&self) -> String {
        match self {
            Self::Command(Command::Bash { bash }) => format!("command {}", first_line(bash)),
            Self::Command(Command::Argv { argv }) => format!("command {}", first_line(&argv.join(" "))),
            Self::Webhook(webhook) => format!("webhook {}", webhook.server()),
            Self::Email(email) => format!("email {}", first_line(&email.to.addresses().join(", "))),
            Self::Python(callback) => format!("python {}", callback.name),
        }
    }
}

fn first_line(text: &str) -> String {
    const SHOWN: usize = 60;
    let line = text.trim().lines().next().unwrap_or_default();
    let shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < text.trim().len() { format!("{shown}…") } else { shown }
}

fn quiet_bash(command: String, env: BTreeMap<String, String>) -> Bash {
    // No exit code is a skip: a command that did not succeed is tried again. Ending in `.sh` it is still a command.
    let command = if command.ends_with(".sh") || command.ends_with(".bash") { command + " " } else { command };
    Bash { command, env: Some(env), append_env: true, cwd: None, skip_on_exit_code: Vec::new() }
}

/// The arguments come as variables, so that nothing in their values is read as shell.
fn argv_as_bash(argv: &[String]) -> Bash {
    let name = |at: usize| format!("UPDRAFT_ARGUMENT_{at}");
    let words: Vec<String> = (0..argv.len()).map(|at| format!("\"${}\"", name(at))).collect();
    let env = argv.iter().enumerate().map(|(at, argument)| (name(at), argument.clone())).collect();
    quiet_bash(format!("exec {}", words.join(" ")), env)
}

/// Whom a task tells, by occasion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskCallbacks {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_execute: Vec<Notification>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<Notification>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Notification>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_retry: Vec<Notification>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_skipped: Vec<Notification>,
}

impl TaskCallbacks {
    pub fn is_empty(&self) -> bool {
        Occasion::ALL.iter().all(|occasion| self.of(*occasion).is_empty())
    }

    pub fn of(&self, occasion: Occasion) -> &[Notification] {
        match occasion {
            Occasion::Execute => &self.on_execute,
            Occasion::Success => &self.on_success,
            Occasion::Failure => &self.on_failure,
            Occasion::Retry => &self.on_retry,
            Occasion::Skipped => &self.on_skipped,
            Occasion::Deadline => &[],
        }
    }
}

/// Whom a DAG tells of the end of its runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DagCallbacks {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<Notification>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Notification>,
}

impl DagCallbacks {
    pub fn is_empty(&self) -> bool {
        self.on_success.is_empty() && self.on_failure.is_empty()
    }

    pub fn of(&self, occasion: Occasion) -> &[Notification] {
        match occasion {
            Occasion::Success => &self.on_success,
            Occasion::Failure => &self.on_failure,
            Occasion::Execute | Occasion::Retry | Occasion::Skipped | Occasion::Deadline => &[],
        }
    }
}

/// What somebody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Occasion {
    /// A try begins.
    #[serde(rename = "on_execute")]
    Execute,
    #[serde(rename = "on_success")]
    Success,
    /// No further try: the task, or the run, has failed.
    #[serde(rename = "on_failure")]
    Failure,
    /// A try failed, and another one follows.
    #[serde(rename = "on_retry")]
    Retry,
    /// The task itself said that it is skipped.
    #[serde(rename = "on_skipped")]
    Skipped,
    /// A run was not done in time.
    #[serde(rename = "deadline")]
    Deadline,
}

impl Occasion {
    pub const ALL: [Self; 6] =
        [Self::Execute, Self::Success, Self::Failure, Self::Retry, Self::Skipped, Self::Deadline];

    /// The name of the list in a DAG file, and in the name of the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "on_execute",
            Self::Success => "on_success",
            Self::Failure => "on_failure",
            Self::Retry => "on_retry",
            Self::Skipped => "on_skipped",
            Self::Deadline => "deadline",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|occasion| occasion.as_str() == word)
    }
}

/// What a move of a task instance owes. `outcome` is that of its newest attempt, if that is done.
///
/// As in Airflow, only what an attempt did counts: what a rule decided, a user marked or cleared, or the end of the
/// run swept away, owes nothing. A try that the machinery lost and repeats by itself is none of the user's retries.
pub fn owed_by_task(event: TaskEvent, to: TaskState, outcome: Option<Outcome>) -> &'static [Occasion] {
    match event {
        TaskEvent::Started if to == TaskState::Running => &[Occasion::Execute],
        // The scheduler is the worker of a task that does nothing.
        TaskEvent::PassedThrough => &[Occasion::Execute, Occasion::Success],
        TaskEvent::Ended(_) if to == TaskState::None => &[],
        TaskEvent::Ended(ending) => match ending {
            Ending::Success => &[Occasion::Success],
            Ending::Failed => &[Occasion::Failure],
            Ending::Skipped => &[Occasion::Skipped],
            Ending::UpForRetry if outcome.is_some_and(Outcome::is_infrastructure) => &[],
            Ending::UpForRetry => &[Occasion::Retry],
            Ending::UpForReschedule | Ending::Deferred | Ending::AwaitingInput => &[],
        },
        TaskEvent::Started
        | TaskEvent::DependenciesMet
        | TaskEvent::Admitted
        | TaskEvent::Released
        | TaskEvent::Decided(_)
        | TaskEvent::Cleared
        | TaskEvent::Marked(_)
        | TaskEvent::Restored
        | TaskEvent::Waits(_)
        | TaskEvent::Abandoned => &[],
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything in it is finished.
    Finished,
    /// What is unfinished waits for itself.
    Deadlocked,
    TimedOut,
    /// A user said so.
    Marked,
}

impl RunEnd {
    /// What the end of a run owes, with Airflow's reason.
    pub fn owes(self, event: RunEvent) -> Option<(Occasion, &'static str)> {
        let failure = match self {
            Self::Marked => return None,
            Self::Finished => "task_failure",
            Self::Deadlocked => "all_tasks_deadlocked",
            Self::TimedOut => "timed_out",
        };
        match event {
            RunEvent::Started | RunEvent::Cleared => None,
            RunEvent::Succeeded => Some((Occasion::Success, "success")),
            RunEvent::Failed => Some((Occasion::Failure, failure)),
        }
    }
}

/// What happened, for whoever is told: templates, variables of the environment and Python functions read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub occasion: Occasion,
    pub about: About,
    /// Which of the list of that occasion, or of the DAG's deadlines.
    pub number: u32,
    /// Which place of a Python list it has; see [`Callback::place`].
    pub place: Option<u32>,
    /// For people: what is carried out.
    pub summary: String,
    /// The state of what it is about.
    pub state: String,
    /// What the attempt said about its failure.
    pub exception: Option<String>,
    /// Why the run ended, in Airflow's words.
    pub reason: Option<String>,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub hostname: Option<String>,
    pub run_state: String,
    pub run_ended_at: Option<Time>,
    pub deadline: Option<MissedDeadline>,
}

impl Notice {
    /// What happened to whom, in a few words.
    pub fn title(&self, key: &TaskKey, try_number: TryNumber) -> String {
        let occasion = self.occasion.as_str();
        match (self.about, &self.deadline) {
            (_, Some(missed)) => {
                let name = missed.name.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
                format!("Deadline{name} of {}, run {}, was {}", key.dag, key.run, iso(missed.due_at))
            }
            (About::Task, None) => format!("{occasion} of {key}, try {try_number}"),
            (About::Run, None) => format!("{occasion} of {}, run {}", key.dag, key.run),
        }
    }
}

/// Whose notification it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    Task,
    Run,
}

impl About {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Run => "run",
        }
    }
}

/// A deadline that has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissedDeadline {
    pub name: Option<String>,
    pub due_at: Time,
}

/// How far a notification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// Owed: it will be carried out, perhaps again.
    Pending,
    Done,
    /// Tried as often as it may be.
    Failed,
}

impl NotificationState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Done, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// How often a notification is tried, and how long between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After the first try.
    pub retries: u32,
    /// Before the second try; doubled each time.
    pub delay: Duration,
}

impl Patience {
    /// The wait after this many failed tries; `None` when it is given up.
    pub fn after(self, failed_tries: u32) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_hours(1);
        let doubled =
            1_u32.checked_shl(failed_tries.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(u32::MAX);
        (failed_tries <= self.retries).then(|| self.delay.saturating_mul(doubled).min(LONGEST.max(self.delay)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::{Decision, Mark};

    /// Every event in every state that takes it, with every outcome: what is not named here owes nothing.
    #[test]
    fn only_what_an_attempt_did_is_told() {
        use Ending as End;
        use TaskEvent as E;
        let endings = [
            End::Success,
            End::Failed,
            End::Skipped,
            End::UpForRetry,
            End::UpForReschedule,
            End::Deferred,
            End::AwaitingInput,
        ];
        let mut events = vec![E::DependenciesMet, E::PassedThrough, E::Admitted, E::Released, E::Started];
        events.extend([E::Cleared, E::Restored, E::Abandoned]);
        events.extend(endings.map(E::Ended));
        events.extend([Decision::Skipped, Decision::UpstreamFailed, Decision::Removed].map(E::Decided));
        events.extend([Mark::Success, Mark::Failed, Mark::Skipped].map(E::Marked));
        let outcomes = [None, Some(Outcome::Failed { retryable: true }), Some(Outcome::TimedOut), Some(Outcome::Lost)];

        let mut told = Vec::new();
        for from in TaskState::ALL {
            for event in &events {
                let Ok(to) = from.on(*event) else { continue };
                for outcome in outcomes {
                    for occasion in owed_by_task(*event, to, outcome) {
                        let lost = outcome == Some(Outcome::Lost);
                        told.push(format!(
                            "{from} {event:?}{}: {}",
                            if lost { " lost" } else { "" },
                            occasion.as_str()
                        ));
                    }
                }
            }
        }
        told.dedup();
        let expected = [
            "none PassedThrough: on_execute",
            "none PassedThrough: on_success",
            "queued Started: on_execute",
            // An attempt can end unstarted.
            "queued Ended(Success): on_success",
            "queued Ended(Failed): on_failure",
            "queued Ended(Skipped): on_skipped",
            "queued Ended(UpForRetry): on_retry",
            "running Ended(Success): on_success",
            "running Ended(Failed): on_failure",
            // The machinery has lost it too often.
            "running Ended(Failed) lost: on_failure",
            "running Ended(Skipped): on_skipped",
            "running Ended(UpForRetry): on_retry",
            // What a sensor waits for has come, and no process was needed to see it.
            "up_for_reschedule Ended(Success): on_success",
            "up_for_reschedule Ended(Failed): on_failure",
            "up_for_reschedule Ended(Skipped): on_skipped",
            "up_for_reschedule Ended(UpForRetry): on_retry",
            "deferred Ended(Success): on_success",
            "deferred Ended(Failed): on_failure",
            "deferred Ended(Skipped): on_skipped",
            "deferred Ended(UpForRetry): on_retry",
        ];
        let without_lost: Vec<&str> = told.iter().map(String::as_str).filter(|line| !line.contains(" lost")).collect();
        let mut unique: Vec<&str> = Vec::new();
        for line in without_lost {
            if !unique.contains(&line) {
                unique.push(line);
            }
        }
        let expected_plain: Vec<&str> = expected.into_iter().filter(|line| !line.contains(" lost")).collect();
        assert_eq!(unique, expected_plain);
        assert!(told.iter().any(|line| line == "running Ended(Failed) lost: on_failure"), "{told:#?}");
        let repeated = told.iter().find(|line| line.contains("Ended(UpForRetry) lost"));
        assert_eq!(repeated, None, "what the machinery repeats by itself is no retry");
    }

    #[test]
    fn an_occasion_has_one_name() {
        for occasion in Occasion::ALL {
            assert_eq!(serde_json::to_value(occasion).expect("a word"), occasion.as_str());
            assert_eq!(Occasion::from_word(occasion.as_str()), Some(occasion));
        }
    }

    #[test]
    fn the_end_of_a_run_owes_what_airflow_says() {
        let owed = |end: RunEnd, event| end.owes(event).map(|(occasion, reason)| (occasion.as_str(), reason));
        assert_eq!(owed(RunEnd::Finished, RunEvent::Succeeded), Some(("on_success", "success")));
        assert_eq!(owed(RunEnd::Finished, RunEvent::Failed), Some(("on_failure", "task_failure")));
        assert_eq!(owed(RunEnd::Deadlocked, RunEvent::Failed), Some(("on_failure", "all_tasks_deadlocked")));
        assert_eq!(owed(RunEnd::TimedOut, RunEvent::Failed), Some(("on_failure", "timed_out")));
        for event in [RunEvent::Started, RunEvent::Succeeded, RunEvent::Failed, RunEvent::Cleared] {
            assert_eq!(RunEnd::Marked.owes(event), None, "a user who marks a run knows it");
        }
    }

    #[test]
    fn a_notification_that_fails_is_tried_again_a_few_times_and_then_given_up() {
        let patience = Patience { retries: 3, delay: Duration::from_secs(10) };
        let waits: Vec<Option<u64>> = (1..=4).map(|n| patience.after(n).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(10), Some(20), Some(40), None]);
        let many = Patience { retries: u32::MAX, delay: Duration::from_secs(10) };
        assert_eq!(many.after(1_000), Some(Duration::from_hours(1)), "however often: an hour at most");
    }

    #[test]
    fn the_arguments_of_a_program_are_no_shell() {
        let argv = ["notify", "{{ exception }}", "it's; rm -rf /"].map(str::to_owned).to_vec();
        let Operator::Bash(bash) = Notification::Command(Command::Argv { argv }).operator() else {
            panic!("a command")
        };
        assert_eq!(bash.command, "exec \"$UPDRAFT_ARGUMENT_0\" \"$UPDRAFT_ARGUMENT_1\" \"$UPDRAFT_ARGUMENT_2\"");
        assert_eq!(bash.env.expect("variables")["UPDRAFT_ARGUMENT_2"], "it's; rm -rf /");
    }
}
