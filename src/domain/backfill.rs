//! Backfills: runs of past dates that somebody asks for at once (SCHEDULING §13).
//!
//! Which dates a backfill is about, and what becomes of a date that has a run
//! already. Nothing here creates a run or knows how far a backfill has come.

use std::num::NonZeroU32;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dag::DagDefinition;
use super::ids::{DagId, TaskId};
use super::run::{PlannedRun, iso};
use super::schedule::{Bounds, InvalidSchedule, Schedule, Timetable};
use super::state::RunState;
use super::time::Time;

/// So many runs of one backfill are under way at once, unless its author says otherwise.
pub const MAX_ACTIVE_RUNS: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// More dates than this are a mistake more often than a wish, and to list them would hold up everything else.
pub const MOST_DATES: usize = 100_000;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackfillRequest {
    pub dag: DagId,
    /// The first logical date, inclusive.
    pub from: Time,
    /// The last logical date, inclusive.
    pub to: Time,
    /// How many of its runs may be under way at once, whatever the DAG's own limit is.
    pub max_active_runs: NonZeroU32,
    /// The newest date first.
    #[serde(default)]
    pub backwards: bool,
    #[serde(default)]
    pub reprocess: Reprocess,
    /// What each of its runs is given as conf.
    #[serde(default)]
    pub conf: serde_json::Map<String, Value>,
}

/// Which finished runs a backfill lets run again, in Airflow's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reprocess {
    /// Only dates without a run are run.
    #[default]
    None,
    /// Also those whose run failed.
    Failed,
    /// Also those whose run is over, however it ended.
    Completed,
}

/// What a backfill does about one of its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no run of this date yet.
    Create,
    /// The run of this date is cleared and runs again.
    Reprocess,
    /// The run of this date stays as it is.
    AlreadyExists,
    /// The run of this date has not ended, so nothing is done about it.
    InFlight,
}

impl Reprocess {
    pub const ALL: [Self; 3] = [Self::None, Self::Failed, Self::Completed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reprocess| reprocess.as_str() == word)
    }

    /// What is done about a date whose run stands like this; `None`: it has none.
    pub fn step(self, run: Option<RunState>) -> Step {
        match (run, self) {
            (None, Self::None | Self::Failed | Self::Completed) => Step::Create,
            (Some(RunState::Queued | RunState::Running), Self::None | Self::Failed | Self::Completed) => Step::InFlight,
            (Some(RunState::Failed), Self::Failed | Self::Completed) | (Some(RunState::Success), Self::Completed) => {
                Step::Reprocess
            }
            (Some(RunState::Failed), Self::None) | (Some(RunState::Success), Self::None | Self::Failed) => {
                Step::AlreadyExists
            }
        }
    }
}

impl Step {
    /// Airflow's words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Reprocess => "reprocess",
            Self::AlreadyExists => "already exists",
            Self::InFlight => "in flight",
        }
    }
}

/// Why a backfill cannot be: a sentence for its author.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unfit {
    #[error("DAG `{dag}` runs {summary}: only a DAG with a periodic schedule can be backfilled")]
    NotPeriodic { dag: DagId, summary: String },
    #[error("expected the first date ({}) to be no later than the last ({})", iso(*from), iso(*to))]
    Reversed { from: Time, to: Time },
    #[error(
        "DAG `{dag}` runs {summary}: no interval of that schedule begins between {} and {} and has ended",
        iso(*from), iso(*to)
    )]
    NoDates { dag: DagId, summary: String, from: Time, to: Time },
    #[error(
        "DAG `{dag}` cannot be backfilled backwards: its task `{task}` waits for itself in the run before \
         (depends_on_past)"
    )]
    BackwardsWithPast { dag: DagId, task: TaskId },
    #[error(
        "task `{task}` of DAG `{dag}` waits for itself in the run before (depends_on_past), so a run that failed would \
         hold up all later ones: choose the reprocess behavior failed or completed"
    )]
    PastNeedsReprocess { dag: DagId, task: TaskId },
    #[error("a backfill has at most {MOST_DATES} dates, and these are more: ask for them in several pieces")]
    TooManyDates,
    #[error(transparent)]
    Schedule(#[from] InvalidSchedule),
}

/// All dates of the backfill, in the order in which they are run, as seen at `now`.
pub fn dates(request: &BackfillRequest, definition: &DagDefinition, now: Time) -> Result<Vec<PlannedRun>, Unfit> {
    let (from, to) = (request.from, request.to);
    if from > to {
        return Err(Unfit::Reversed { from, to });
    }
    let timetable = Timetable::compile(&definition.schedule)?;
    let summary = timetable.summary().to_owned();
    if !timetable.is_periodic() {
        return Err(Unfit::NotPeriodic { dag: request.dag.clone(), summary });
    }
    refuse_what_waits_for_its_past(request, definition)?;
    let dates = list(&timetable, definition.timezone, request, now);
    match dates.len() {
        0 => Err(Unfit::NoDates { dag: request.dag.clone(), summary, from, to }),
        1..=MOST_DATES => Ok(dates),
        _ => Err(Unfit::TooManyDates),
    }
}

fn refuse_what_waits_for_its_past(request: &BackfillRequest, definition: &DagDefinition) -> Result<(), Unfit> {
    let Some(waits) = definition.tasks.iter().find(|task| task.past.looks_back()) else { return Ok(()) };
    let (dag, task) = (request.dag.clone(), waits.task_id.clone());
    match (request.backwards, request.reprocess) {
        (true, _) => Err(Unfit::BackwardsWithPast { dag, task }),
        (false, Reprocess::None) => Err(Unfit::PastNeedsReprocess { dag, task }),
        (false, Reprocess::Failed | Reprocess::Completed) => Ok(()),
    }
}

/// The dates of a backfill that was accepted at `created`, by the schedule that its DAG had then.
pub fn dates_again(
    request: &BackfillRequest,
    schedule: &Schedule,
    timezone: Tz,
    created: Time,
) -> Result<Vec<PlannedRun>, InvalidSchedule> {
    Ok(list(&Timetable::compile(schedule)?, timezone, request, created))
}

fn list(timetable: &Timetable, timezone: Tz, request: &BackfillRequest, now: Time) -> Vec<PlannedRun> {
    let bounds = Bounds { earliest: Some(request.from), latest: Some(request.to), catchup: true, timezone };
    let mut dates: Vec<PlannedRun> = timetable.due(&bounds, None, now).take(MOST_DATES + 1).collect();
    if request.backwards {
        dates.reverse();
    }
    dates
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;
    use crate::domain::schedule::Family;

    fn day(day: u32) -> Time {
        chrono::Utc.with_ymd_and_hms(2026, 11, day, 0, 0, 0).single().expect("a date")
    }

    fn request(from: u32, to: u32) -> BackfillRequest {
        BackfillRequest {
            dag: DagId::new("etl").expect("an id"),
            from: day(from),
            to: day(to),
            max_active_runs: MAX_ACTIVE_RUNS,
            backwards: false,
            reprocess: Reprocess::None,
            conf: serde_json::Map::new(),
        }
    }

    fn days(request: &BackfillRequest, family: Family, now: Time) -> Vec<u32> {
        use chrono::Datelike;
        let daily = Schedule::parse("@daily", family).expect("a schedule");
        let dates = dates_again(request, &daily, Tz::UTC, now).expect("a schedule");
        dates.into_iter().map(|run| run.logical_date.day()).collect()
    }

    #[test]
    fn both_ends_belong_to_it_and_only_what_has_ended() {
        assert_eq!(days(&request(3, 6), Family::DataInterval, day(20)), [3, 4, 5, 6]);
        assert_eq!(days(&request(3, 6), Family::DataInterval, day(6)), [3, 4, 5], "the sixth ends with the seventh");
        assert_eq!(days(&request(3, 6), Family::Trigger, day(6)), [3, 4, 5, 6]);
        assert_eq!(days(&BackfillRequest { backwards: true, ..request(3, 5) }, Family::Trigger, day(6)), [5, 4, 3]);
        assert!(days(&request(3, 6), Family::Trigger, day(2)).is_empty());
    }

    #[test]
    fn a_run_that_exists_is_run_again_only_where_that_was_asked_for() {
        use Reprocess as R;
        use Step as S;
        for (run, none, failed, completed) in [
            (None, S::Create, S::Create, S::Create),
            (Some(RunState::Queued), S::InFlight, S::InFlight, S::InFlight),
            (Some(RunState::Running), S::InFlight, S::InFlight, S::InFlight),
            (Some(RunState::Failed), S::AlreadyExists, S::Reprocess, S::Reprocess),
            (Some(RunState::Success), S::AlreadyExists, S::AlreadyExists, S::Reprocess),
        ] {
            assert_eq!([R::None, R::Failed, R::Completed].map(|r| r.step(run)), [none, failed, completed], "{run:?}");
        }
    }

    #[test]
    fn a_year_of_minutes_is_refused_and_ten_thousand_days_are_listed_at_once() {
        let minutes = Schedule::parse("* * * * *", Family::Trigger).expect("a schedule");
        let year = BackfillRequest { from: day(1) - chrono::Duration::days(365), ..request(1, 1) };
        let listed = dates_again(&year, &minutes, Tz::UTC, day(2)).expect("a schedule");
        assert_eq!(listed.len(), MOST_DATES + 1);
        let decades = BackfillRequest { from: day(1) - chrono::Duration::days(9_999), ..request(1, 1) };
        assert_eq!(days(&decades, Family::Trigger, day(2)).len(), 10_000);
    }
}
