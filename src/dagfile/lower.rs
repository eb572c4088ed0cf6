//! From a DAG as written to a DAG as it is: defaults applied, names checked,
//! dates placed in their zone, the order of the tasks proven to be free of cycles.
//!
//! A pure function of what was written and of [`Defaults`]. It reports
//! everything that is wrong, not only the first thing.

mod asset;
mod callback;
mod mapping;
mod message;
mod native;
mod operator;
mod param;
mod role;
mod schedule;
mod task;
mod wiring;

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::spec::{DagSpec, TaskSpec};
use super::written::{At, Date, Position};
use crate::domain::dag::{DagDefinition, TaskDefinition, TaskLimitScope, WeightRule};
use crate::domain::ids::{DagId, QueueName};
use crate::domain::limit::Limit;
use crate::domain::notification::{DEFAULT_HTML_CONTENT, DEFAULT_SUBJECT};
use crate::domain::problem::{Place, Problem, Severity};
use crate::domain::schedule::{Family, Schedule};
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;

/// What holds where a DAG file says nothing: the configuration's part, filled by the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// `[core] default_timezone`
    pub default_timezone: Tz,
    /// `[scheduler] catchup_by_default`
    pub catchup_by_default: bool,
    /// `[scheduler] create_cron_data_intervals`
    pub family: Family,
    /// The schedule of a DAG that names none: one day (Airflow 2), never (Airflow 3).
    pub default_schedule: Schedule,
    /// `[core] max_active_runs_per_dag`
    pub max_active_runs: Limit,
    /// `[core] max_consecutive_failed_dag_runs_per_dag`; 0 is `None`.
    pub max_consecutive_failed_runs: Option<NonZeroU32>,
    /// `[core] max_active_tasks_per_dag`
    pub max_active_tasks: Limit,
    /// Over what `max_active_tasks` counts: all runs (Airflow 2) or each run (Airflow 3).
    pub max_active_tasks_scope: TaskLimitScope,
    /// `[core] default_task_retries`
    pub retries: u32,
    /// `[core] default_task_retry_delay`
    pub retry_delay: Duration,
    /// `[core] default_task_execution_timeout`
    pub execution_timeout: Option<Duration>,
    /// `[core] default_task_weight_rule`
    pub weight_rule: WeightRule,
    /// `[operators] default_queue`
    pub queue: QueueName,
    /// `[operators] default_owner`
    pub owner: String,
    pub mail: MailDefaults,
}

/// The mails of a task that says nothing more than to whom: the section `[email]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MailDefaults {
    /// `default_email_on_failure`
    pub on_failure: bool,
    /// `default_email_on_retry`
    pub on_retry: bool,
    /// What is in the file `subject_template`.
    pub subject: String,
    /// What is in the file `html_content_template`.
    pub html_content: String,
}

impl Default for MailDefaults {
    fn default() -> Self {
        Self {
            on_failure: true,
            on_retry: true,
            subject: DEFAULT_SUBJECT.to_owned(),
            html_content: DEFAULT_HTML_CONTENT.to_owned(),
        }
    }
}

impl Default for Defaults {
    /// Airflow 3 as installed.
    fn default() -> Self {
        Self {
            default_timezone: Tz::UTC,
            catchup_by_default: false,
            family: Family::Trigger,
            default_schedule: Schedule::Never,
            max_active_runs: Limit::from_zero_unlimited(16),
            max_consecutive_failed_runs: None,
            max_active_tasks: Limit::from_zero_unlimited(16),
            max_active_tasks_scope: TaskLimitScope::EachRun,
            retries: 0,
            retry_delay: Duration::from_secs(300),
            execution_timeout: None,
            weight_rule: WeightRule::Downstream,
            queue: QueueName::default_queue(),
            owner: "airflow".into(),
            mail: MailDefaults::default(),
        }
    }
}

/// What came of one DAG: `dag` is there exactly when no problem is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Lowered {
    pub dag: Option<DagDefinition>,
    pub problems: Vec<Problem>,
}

/// Lowers one DAG of `file`, which is relative to the DAGs folder.
pub fn lower(spec: DagSpec, file: &str, defaults: &Defaults) -> Lowered {
    let mut notes = Notes::new(file, &spec);
    let dag = lower_dag(spec, file, defaults, &mut notes);
    let failed = notes.problems.iter().any(|problem| problem.severity == Severity::Error);
    let mut problems = notes.problems;
    problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
    Lowered { dag: dag.filter(|_| !failed), problems }
}

fn lower_dag(mut spec: DagSpec, file: &str, defaults: &Defaults, notes: &mut Notes) -> Option<DagDefinition> {
    let dag_id = dag_id(&spec, notes);
    let common = spec.default_args.take().map(|written| *written.value).unwrap_or_default();
    task::check_defaults(&common, notes);

    let start = spec.start_date.clone().or_else(|| common.start_date.clone());
    let timezone = timezone(&spec, start.as_ref(), defaults, notes);
    let start_date = start.map(|date| instant(date.value, timezone));
    let end_date = spec.end_date.clone().or_else(|| common.end_date.clone()).map(|date| instant(date.value, timezone));
    if let (Some(start), Some(end)) = (start_date, end_date)
        && end < start
    {
        notes.error(position(&spec.end_date), format!("`end_date` {end} is before `start_date` {start}"));
    }

    let mut assets = asset::Known::default();
    let schedule = schedule::lower(&spec, defaults, &mut assets, notes);
    let catchup = spec.catchup.unwrap_or(defaults.catchup_by_default);
    if spec.catchup == Some(true) && start_date.is_none() && schedule != Schedule::Never {
        notes.warning(None, "`catchup` has nothing to begin with: the DAG has no `start_date`, so no run is due");
    }
    let (max_active_tasks, max_active_tasks_scope) = task_limit(&spec, defaults, notes);
    if !spec.owner_links.is_empty() {
        notes.warning(None, "`owner_links` is read, but has no effect yet");
    }

    let written = std::mem::take(&mut spec.tasks.0);
    if written.is_empty() {
        notes.warning(None, "the DAG has no tasks");
    }
    message::check_addresses(&common, &written, notes);
    let scope = task::Scope { common: &common, defaults, timezone, start_date, end_date };
    let tasks = task::lower_all(written, &scope, &mut assets, notes);
    param::check(&spec.params, &schedule, notes);

    let groups = mapping::groups(std::mem::take(&mut spec.task_groups), &tasks, notes);
    let fail_fast = fail_fast(&spec, &tasks, notes);
    let callbacks = callback::of_dag(&spec, &defaults.mail, notes);
    let deadlines = callback::deadlines(&spec, timezone, &defaults.mail, notes);

    Some(DagDefinition {
        dag_id: dag_id?,
        description: spec.description,
        doc_md: spec.doc_md,
        tags: spec.tags.into_texts(),
        file: file.to_owned(),
        max_active_runs: schedule::run_limit(&spec.max_active_runs, &schedule, defaults, notes),
        schedule,
        timezone,
        start_date,
        end_date,
        catchup,
        max_active_tasks,
        max_active_tasks_scope,
        dagrun_timeout: spec.dagrun_timeout.map(|length| length.value.0),
        fail_fast,
        max_consecutive_failed_runs: spec
            .max_consecutive_failed_dag_runs
            .map_or(defaults.max_consecutive_failed_runs, |at| NonZeroU32::new(at.value)),
        is_paused_upon_creation: spec.is_paused_upon_creation,
        params: spec.params.defaults,
        param_schemas: spec.params.schemas,
        render_template_as_native_obj: spec.render_template_as_native_obj.unwrap_or(false),
        assets: assets.into_assets(),
        template_searchpath: spec.template_searchpath.into_texts(),
        callbacks,
        deadlines,
        groups,
        tasks,
    })
}

fn dag_id(spec: &DagSpec, notes: &mut Notes) -> Option<DagId> {
    let Some(written) = &spec.dag_id else {
        notes.error(None, "the DAG has no `dag_id`");
        return None;
    };
    DagId::new(&written.value).map_err(|invalid| notes.error(written.position, invalid.to_string())).ok()
}

/// The zone that is named, else the one of the start date, else the configured one.
fn timezone(spec: &DagSpec, start: Option<&At<Date>>, defaults: &Defaults, notes: &mut Notes) -> Tz {
    if let Some(named) = &spec.timezone {
        return named.value.parse().unwrap_or_else(|_| {
            let message = format!("unknown time zone `{}`", named.value);
            let hint =
                crate::domain::problem::suggestion(&named.value, chrono_tz::TZ_VARIANTS.iter().map(|t| t.name()));
            let hint = hint.unwrap_or_else(|| "write it as `Europe/Zurich` or `UTC`".into());
            notes.error_with(named.position, message, hint);
            defaults.default_timezone
        });
    }
    let offset = match start.map(|date| date.value) {
        Some(Date::Instant(instant)) => instant.offset().local_minus_utc(),
        Some(Date::Local(_)) | None => return defaults.default_timezone,
    };
    // The Etc zones count westwards; a part of an hour has no zone and keeps the configured one.
    match (offset, offset % 3600) {
        (0, _) => Tz::UTC,
        (_, 0) => format!("Etc/GMT{:+}", -offset / 3600).parse().unwrap_or(defaults.default_timezone),
        _ => defaults.default_timezone,
    }
}

/// The instant of a date as written, local dates in `timezone`.
pub fn instant(date: Date, timezone: Tz) -> Time {
    match date {
        Date::Instant(instant) => instant.with_timezone(&Utc),
        Date::Local(local) => from_local(local, timezone),
    }
}

/// Airflow's reading of wall time: of two instants the later one, and a time
/// that the clock skips is as far after the gap as it stands in it.
fn from_local(local: NaiveDateTime, timezone: Tz) -> Time {
    match timezone.from_local_datetime(&local) {
        LocalResult::Single(instant) => instant.with_timezone(&Utc),
        LocalResult::Ambiguous(_, later) => later.with_timezone(&Utc),
        LocalResult::None => {
            let day = chrono::Duration::days(1);
            match timezone.from_local_datetime(&(local - day)) {
                LocalResult::Single(before) | LocalResult::Ambiguous(_, before) => before.with_timezone(&Utc) + day,
                LocalResult::None => Utc.from_utc_datetime(&local),
            }
        }
    }
}

/// The old name counts over all runs, as it always did.
fn task_limit(spec: &DagSpec, defaults: &Defaults, notes: &mut Notes) -> (Limit, TaskLimitScope) {
    if let Some(old) = &spec.concurrency {
        notes.old_name(old.position, "concurrency", "max_active_tasks", "it limits the DAG across all its runs");
    }
    match (&spec.max_active_tasks, &spec.concurrency) {
        (Some(written), _) => (Limit::from_zero_unlimited(written.value), defaults.max_active_tasks_scope),
        (None, Some(old)) => (Limit::from_zero_unlimited(old.value), TaskLimitScope::AllRuns),
        (None, None) => (defaults.max_active_tasks, defaults.max_active_tasks_scope),
    }
}

/// Other rules would wait for an end that a run which fails fast does not bring.
fn fail_fast(spec: &DagSpec, tasks: &[TaskDefinition], notes: &mut Notes) -> bool {
    let Some(At { value: true, position }) = spec.fail_fast else { return false };
    for task in tasks.iter().filter(|task| !task.role.is_teardown() && task.trigger_rule != TriggerRule::AllSuccess) {
        let (id, rule) = (&task.task_id, task.trigger_rule);
        let message = format!("`fail_fast` needs every task to have `all_success`, but task `{id}` has `{rule}`");
        notes.error(position, message);
    }
    true
}

fn position<T>(written: &Option<At<T>>) -> Option<Position> {
    written.as_ref().and_then(|at| at.position)
}

/// Collects problems and knows where they happened: the file, the DAG, and the task at hand.
struct Notes {
    file: String,
    dag: String,
    line: Option<u32>,
    task: Option<(String, Place)>,
    problems: Vec<Problem>,
}

impl Notes {
    fn new(file: &str, spec: &DagSpec) -> Self {
        let dag = spec.dag_id.as_ref().map_or_else(|| "?".to_owned(), |id| id.value.clone());
        let line = spec.line.or(position(&spec.dag_id).map(|position| position.line));
        Self { file: file.to_owned(), dag, line, task: None, problems: Vec::new() }
    }

    /// From here on, problems are those of this task.
    fn enter(&mut self, task_id: &str, spec: &TaskSpec, position: Option<Position>) {
        let line = spec.line.or(position.map(|position| position.line));
        let place = Place { file: self.file.clone(), line, column: position.map(|position| position.column) };
        self.task = Some((task_id.to_owned(), place));
    }

    fn leave(&mut self) {
        self.task = None;
    }

    fn place(&self, position: Option<Position>) -> Place {
        match (position, &self.task) {
            (Some(Position { line, column }), _) => {
                Place { file: self.file.clone(), line: Some(line), column: Some(column) }
            }
            (None, Some((_, place))) => place.clone(),
            (None, None) => Place { file: self.file.clone(), line: self.line, column: None },
        }
    }

    fn sentence(&self, message: &str) -> String {
        match &self.task {
            Some((task, _)) => format!("DAG `{}`, task `{task}`: {message}", self.dag),
            None => format!("DAG `{}`: {message}", self.dag),
        }
    }

    fn error(&mut self, position: Option<Position>, message: impl AsRef<str>) {
        let problem = Problem::error(self.place(position), self.sentence(message.as_ref()));
        self.problems.push(problem);
    }

    fn error_with(&mut self, position: Option<Position>, message: impl AsRef<str>, hint: impl Into<Option<String>>) {
        let mut problem = Problem::error(self.place(position), self.sentence(message.as_ref()));
        problem.hint = hint.into();
        self.problems.push(problem);
    }

    fn warning(&mut self, position: Option<Position>, message: impl AsRef<str>) {
        let problem = Problem::warning(self.place(position), self.sentence(message.as_ref()));
        self.problems.push(problem);
    }

    fn old_name(&mut self, position: Option<Position>, old: &str, new: &str, effect: &str) {
        let message = self.sentence(&format!("`{old}` is the old name of `{new}`; {effect}"));
        let problem = Problem::warning(self.place(position), message).hint(format!("write `{new}`"));
        self.problems.push(problem);
    }
}

#[cfg(test)]
mod tests;
