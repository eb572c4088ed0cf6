//! From ticks to runs: which run of a DAG comes next, and of which data (SCHEDULING §4).
//!
//! A timetable is compiled once per DAG version and then only asked. It reads
//! no clock: `now` is an argument, and a run that it plans may lie in the
//! future, where its caller sets a timer.

use std::cmp::max;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::cron::CronExpression;
use super::ticks::Ticks;
use super::{Bounds, Family, InvalidSchedule, Schedule};
use crate::domain::run::{DataInterval, PlannedRun};
use crate::domain::time::Time;

/// A schedule that is known to make sense, ready to be asked.
#[derive(Clone, Debug)]
pub struct Timetable {
    rule: Rule,
    summary: String,
}

#[derive(Clone, Debug)]
enum Rule {
    Never,
    Once,
    Continuous,
    Ticking { ticks: Ticks, family: Family },
}

impl Timetable {
    /// Compiles `schedule`; the error is a sentence for its author.
    pub fn compile(schedule: &Schedule) -> Result<Self, InvalidSchedule> {
        if let Schedule::Assets { condition, time: Some(time) } = schedule {
            let Self { rule, summary } = Self::compile(time)?;
            return Ok(Self { rule, summary: format!("{summary}, and when {condition} has changed") });
        }
        let (rule, summary) = match schedule {
            Schedule::Never => (Rule::Never, "only when triggered".to_owned()),
            Schedule::Once => (Rule::Once, "once, at the start date".to_owned()),
            Schedule::Continuous => (Rule::Continuous, "again as soon as the last run has ended".to_owned()),
            Schedule::Cron { expression, family } => {
                let cron = CronExpression::parse(expression)?;
                let summary = cron.describe();
                (Rule::Ticking { ticks: Ticks::Cron(Box::new(cron)), family: *family }, summary)
            }
            Schedule::Assets { condition, .. } => (Rule::Never, format!("when {condition} has changed")),
            Schedule::Every { period, family } => (
                Rule::Ticking { ticks: Ticks::every(*period)?, family: *family },
                format!("every {}", words(0, *period)),
            ),
            Schedule::EveryMonths { months, plus, family } => (
                Rule::Ticking { ticks: Ticks::every_months(*months, *plus)?, family: *family },
                format!("every {}", words(*months, *plus)),
            ),
        };
        Ok(Self { rule, summary })
    }

    /// The schedule for people, as the middle of a sentence: `every day at 00:00`.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Whether it names dates beforehand, so that those of the past can be asked for.
    pub fn is_periodic(&self) -> bool {
        match self.rule {
            Rule::Ticking { .. } => true,
            Rule::Never | Rule::Once | Rule::Continuous => false,
        }
    }

    /// The one run to create next, given the data interval of the newest run
    /// that the schedule made. `None`: the schedule makes no more runs.
    ///
    /// The run is due at its `run_after`, which may lie in the future. Without
    /// catchup the answer depends on `now`, so ask again when the time has come.
    pub fn next(&self, bounds: &Bounds, last: Option<&DataInterval>, now: Time) -> Option<PlannedRun> {
        let planned = match &self.rule {
            Rule::Never => None,
            Rule::Once => match last {
                Some(_) => None,
                None => Some(at(bounds.earliest.unwrap_or(now))),
            },
            Rule::Continuous => continuous(bounds.earliest?, last, now),
            Rule::Ticking { ticks, family: Family::DataInterval } => next_interval(ticks, bounds, last, now),
            Rule::Ticking { ticks, family: Family::Trigger } => next_instant(ticks, bounds, last, now).map(at),
        }?;
        let bounded = match self.rule {
            // Its interval is open until now: the end is what an end date can be compared with.
            Rule::Continuous => planned.interval.end,
            Rule::Never | Rule::Once | Rule::Ticking { .. } => planned.interval.start,
        };
        bounds.latest.is_none_or(|latest| bounded <= latest).then_some(planned)
    }

    /// The logical date of the run before, as the schedule alone has it.
    pub fn previous(&self, timezone: Tz, interval: &DataInterval) -> Option<Time> {
        match &self.rule {
            Rule::Ticking { ticks, .. } => ticks.previous(timezone, interval.start),
            Rule::Never | Rule::Once | Rule::Continuous => None,
        }
    }

    /// All runs that are due by `now`, oldest first: what unpausing a DAG will create.
    ///
    /// Lazy, so that its reader decides how many are too many.
    pub fn due(&self, bounds: &Bounds, last: Option<&DataInterval>, now: Time) -> Due<'_> {
        let mut bounds = *bounds;
        // Aligned once, so that the steps that follow find it aligned.
        if let (Rule::Ticking { ticks, .. }, Some(earliest)) = (&self.rule, bounds.earliest) {
            bounds.earliest = ticks.align_up(bounds.timezone, earliest);
        }
        Due { timetable: self, bounds, last: last.copied(), now, ended: false }
    }

    /// The interval of a run that somebody triggers at `run_after`.
    pub fn manual_interval(&self, timezone: Tz, run_after: Time) -> DataInterval {
        let complete = match &self.rule {
            Rule::Ticking { ticks: ticks @ Ticks::Cron(_), family: Family::DataInterval } => {
                let end = ticks.align_down(timezone, run_after);
                end.and_then(|end| Some(DataInterval { start: ticks.previous(timezone, end)?, end }))
            }
            Rule::Ticking { ticks, family: Family::DataInterval } => {
                ticks.previous(timezone, run_after).map(|start| DataInterval { start, end: run_after })
            }
            Rule::Never | Rule::Once | Rule::Continuous | Rule::Ticking { family: Family::Trigger, .. } => None,
        };
        complete.unwrap_or_else(|| DataInterval::exact(run_after))
    }
}

/// The runs of [`Timetable::due`].
#[derive(Clone, Debug)]
pub struct Due<'a> {
    timetable: &'a Timetable,
    bounds: Bounds,
    last: Option<DataInterval>,
    now: Time,
    ended: bool,
}

impl Iterator for Due<'_> {
    type Item = PlannedRun;

    fn next(&mut self) -> Option<PlannedRun> {
        if self.ended {
            return None;
        }
        let planned = self.timetable.next(&self.bounds, self.last.as_ref(), self.now);
        let due = planned.filter(|run| run.run_after <= self.now);
        self.last = due.map(|run| run.interval);
        // A continuous schedule has its next run only when this one has ended.
        self.ended = due.is_none() || matches!(self.timetable.rule, Rule::Continuous);
        due
    }
}

/// The run of length zero at `instant`.
fn at(instant: Time) -> PlannedRun {
    over(DataInterval::exact(instant))
}

/// The run that covers `interval` and happens when it is over.
fn over(interval: DataInterval) -> PlannedRun {
    PlannedRun { logical_date: interval.start, interval, run_after: interval.end }
}

/// From the end of the last run until now.
fn continuous(earliest: Time, last: Option<&DataInterval>, now: Time) -> Option<PlannedRun> {
    let start = match last {
        None => earliest,
        // After an interval of length zero the start has to move, however little:
        // two runs of one DAG cannot have the same logical date.
        Some(last) if last.start == last.end && last.end < now => last.end + TimeDelta::microseconds(1),
        Some(last) => last.end,
    };
    Some(over(DataInterval { start, end: max(start, now) }))
}

/// The next run of the data-interval family: it happens when its period is over.
fn next_interval(ticks: &Ticks, bounds: &Bounds, last: Option<&DataInterval>, now: Time) -> Option<PlannedRun> {
    let zone = bounds.timezone;
    let aligned = bounds.earliest.and_then(|earliest| ticks.align_up(zone, earliest));
    // `None` is less than any instant, so `max` takes the later of the two or the one there is.
    let earliest =
        if bounds.catchup { aligned } else { max(ticks.newest_complete(zone, bounds.earliest, now), aligned) };
    let start = match last {
        None => earliest?,
        Some(last) => {
            let start = max(ticks.resume(zone, last.end), earliest)?;
            // The schedule was changed to one whose period is not over yet.
            if start <= last.start { ticks.next(zone, start)? } else { start }
        }
    };
    Some(over(DataInterval { start, end: ticks.next(zone, start)? }))
}

/// The next instant of the trigger family.
fn next_instant(ticks: &Ticks, bounds: &Bounds, last: Option<&DataInterval>, now: Time) -> Option<Time> {
    let zone = bounds.timezone;
    let earliest = bounds.earliest.and_then(|earliest| ticks.align_up(zone, earliest));
    let following = last.and_then(|last| ticks.next(zone, last.end));
    if !bounds.catchup {
        return max(max(ticks.align_down(zone, now), following), earliest);
    }
    match (last, bounds.earliest) {
        (Some(_), _) => following,
        (None, Some(_)) => earliest,
        (None, None) => first_instant(ticks, zone, now),
    }
}

/// Where a DAG without a start date begins: at the tick just passed if that was
/// not long ago (a tenth of the gap, at least five minutes), else at the next.
fn first_instant(ticks: &Ticks, zone: Tz, now: Time) -> Option<Time> {
    let passed = ticks.align_down(zone, now);
    let coming = ticks.align_up(zone, now);
    match (passed, coming) {
        (Some(passed), Some(coming)) => {
            let just_now = max((coming - passed) / 10, TimeDelta::minutes(5));
            Some(if now - passed <= just_now { passed } else { coming })
        }
        (passed, coming) => coming.or(passed),
    }
}

/// A period in words: `day`, `6 hours`, `month and 2 days`.
fn words(months: u32, period: Duration) -> String {
    let seconds = period.as_secs();
    let units = [
        (u64::from(months), "month"),
        (seconds / 86_400, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
        (u64::from(period.subsec_millis()), "millisecond"),
    ];
    let parts: Vec<String> = units
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") })
        .collect();
    match parts.as_slice() {
        // "every 1 day" is said "every day"; within a list the number is needed.
        [] => format!("{} µs", period.as_micros()),
        [one] => one.clone(),
        many => many
            .iter()
            .map(|part| if part.contains(' ') { part.clone() } else { format!("1 {part}") })
            .collect::<Vec<_>>()
            .join(" and "),
    }
}

#[cfg(test)]
mod tests;
