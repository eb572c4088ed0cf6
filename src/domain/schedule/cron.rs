//! A cron expression, compiled: its ticks in the local time of a zone, as instants.
//!
//! The rules of summer time live here (SCHEDULING §4). An expression ticks on
//! the wall clock. A wall clock time that a zone skips happens later by the
//! gap; one that it has twice happens the second time, except that an
//! expression for every hour happens both times:
//!
//! ```text
//! Zurich, 26 March      01:00    01:30  |  03:00    03:30        02:00-02:59 do not exist
//!   30 2 * * *                          |             x          moved by the gap
//!   30 * * * *                     x    |             x          02:30 moved onto 03:30
//! Zurich, 29 October    02:00    02:30  |  02:00'   02:30'       the hour happens twice
//!   30 2 * * *                          |             x
//!   30 * * * *                     x    |             x
//! ```

use std::cmp::{max, min};

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::{GapInfo, Tz};
use croner::parser::{CronParser, Year};
use croner::{Cron, YEAR_LOWER_LIMIT, YEAR_UPPER_LIMIT};

use super::{InvalidSchedule, dialect};
use crate::domain::time::Time;

/// A cron expression that matches some date.
#[derive(Clone, Debug)]
pub struct CronExpression {
    cron: Cron,
    /// The hour field is `*`: the second pass through a repeated hour counts too.
    every_hour: bool,
}

impl CronExpression {
    /// Compiles `expression`: a preset such as `@daily`, or five or six fields.
    pub fn parse(expression: &str) -> Result<Self, InvalidSchedule> {
        let translated = dialect::translate(expression)?;
        let refused = |error: &dyn std::fmt::Display| InvalidSchedule::Cron {
            expression: expression.to_owned(),
            message: error.to_string(),
        };
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(&translated).map_err(|error| refused(&error))?;
        let every_hour = cron.pattern.hours.values().len() == 24;
        // 29 February on a given weekday comes back within 40 years; what this misses never comes.
        if cron.find_next_occurrence(&DateTime::UNIX_EPOCH.naive_utc(), true).is_err() {
            return Err(InvalidSchedule::NeverDue { expression: expression.to_owned() });
        }
        Ok(Self { cron, every_hour })
    }

    /// For people, as the middle of a sentence: `every day at 00:00`.
    pub fn describe(&self) -> String {
        let description = self.cron.describe();
        let description = description.trim_end_matches('.');
        match description.strip_prefix("At ") {
            Some(every) if every.starts_with("every ") => every.to_owned(),
            Some(time) if !time.contains([',', ' ']) => format!("every day at {time}"),
            Some(rest) => format!("at {rest}"),
            None => {
                description.chars().take(1).flat_map(char::to_lowercase).chain(description.chars().skip(1)).collect()
            }
        }
    }

    /// The first tick after `time`; `None` after the end of the calendar.
    pub fn next(&self, zone: Tz, time: Time) -> Option<Time> {
        let local = wall_clock(zone, time)?;
        let ahead = self.ahead_of(zone, local, time);
        // Near a change of the clock, ticks that are ahead can have wall clock times that are behind.
        match change(zone, time, local) {
            Change::None | Change::SecondPass(_) => ahead,
            Change::FirstPass(by) | Change::AfterGap(by) => {
                ahead.into_iter().chain(self.ahead_of(zone, local - by, time)).reduce(min)
            }
        }
    }

    /// The last tick before `time`; `None` before the start of the calendar.
    pub fn previous(&self, zone: Tz, time: Time) -> Option<Time> {
        let local = wall_clock(zone, time)?;
        let behind = self.behind(zone, local, time);
        let other = match change(zone, time, local) {
            Change::None | Change::FirstPass(_) => return behind,
            Change::SecondPass(by) => self.behind(zone, local + by, time),
            Change::AfterGap(by) => self.behind(zone, local - by, time),
        };
        behind.into_iter().chain(other).reduce(max)
    }

    /// The first tick at or after `time`.
    pub fn align_up(&self, zone: Tz, time: Time) -> Option<Time> {
        if self.ticks_at(zone, time)? { Some(time) } else { self.next(zone, time - TimeDelta::microseconds(1)) }
    }

    /// The last tick at or before `time`.
    pub fn align_down(&self, zone: Tz, time: Time) -> Option<Time> {
        if self.ticks_at(zone, time)? { Some(time) } else { self.previous(zone, time + TimeDelta::microseconds(1)) }
    }

    /// Where the period starts that follows one which ended at `time`.
    ///
    /// That is [`align_down`](Self::align_down), but for one quirk of Airflow,
    /// whose chains are ours: where a tick that the zone skips was moved past
    /// `time`, the period goes on from there, and the one between is dropped
    /// (`*/30 1-3` in Zurich has no period from 03:00 to 03:30 on the spring day).
    pub fn resume(&self, zone: Tz, time: Time) -> Option<Time> {
        self.moved_past(zone, time).or_else(|| self.align_down(zone, time))
    }

    fn moved_past(&self, zone: Tz, time: Time) -> Option<Time> {
        let local = wall_clock(zone, time)?;
        if self.every_hour || !matches!(change(zone, time, local), Change::AfterGap(_)) {
            return None;
        }
        let before = self.cron.find_previous_occurrence(&local, time.nanosecond() > 0).ok()?;
        GapInfo::new(&before, &zone)?;
        self.instants(zone, before)?.into_iter().find(|moved| *moved > time)
    }

    /// Whether `time` is a tick, as far as one look at the clock can tell: in and
    /// right after a change of the clock the answer is no, and a search decides.
    fn ticks_at(&self, zone: Tz, time: Time) -> Option<bool> {
        let local = wall_clock(zone, time)?;
        Some(
            time.nanosecond() == 0
                && matches!(zone.from_local_datetime(&local), LocalResult::Single(_))
                && self.cron.is_time_matching(&local).unwrap_or(false),
        )
    }

    /// The first tick after `time` whose wall clock time is after `local`.
    fn ahead_of(&self, zone: Tz, mut local: NaiveDateTime, time: Time) -> Option<Time> {
        loop {
            local = self.cron.find_next_occurrence(&local, false).ok()?;
            let hit = self.instants(zone, local)?.into_iter().filter(|instant| *instant > time).min();
            if hit.is_some() {
                return hit;
            }
        }
    }

    /// The last tick before `time` whose wall clock time is before `local`.
    fn behind(&self, zone: Tz, mut local: NaiveDateTime, time: Time) -> Option<Time> {
        // The search looks at whole seconds: the one that `local` is in has begun before it.
        let mut inclusive = local.nanosecond() > 0;
        loop {
            local = self.cron.find_previous_occurrence(&local, inclusive).ok()?;
            inclusive = false;
            let hit = self.instants(zone, local)?.into_iter().filter(|instant| *instant < time).max();
            if hit.is_some() {
                return hit;
            }
        }
    }

    /// The one or two instants at which a tick of the wall clock happens (twice the same where it is one).
    fn instants(&self, zone: Tz, local: NaiveDateTime) -> Option<[Time; 2]> {
        let [first, second] = match zone.from_local_datetime(&local) {
            LocalResult::Single(only) => [only; 2],
            LocalResult::Ambiguous(first, second) if self.every_hour => [first, second],
            LocalResult::Ambiguous(_, second) => [second; 2],
            LocalResult::None => {
                // By the clock of before the gap, which makes it later by the gap.
                let (_, offset) = GapInfo::new(&local, &zone)?.begin?;
                [zone.from_utc_datetime(&local.checked_sub_offset(offset.fix())?); 2]
            }
        };
        Some([first.to_utc(), second.to_utc()])
    }
}

/// What the clock of a zone shows; nothing outside the years in which cron ticks,
/// which keeps the arithmetic here far from the ends of what a date can hold.
fn wall_clock(zone: Tz, time: Time) -> Option<NaiveDateTime> {
    (YEAR_LOWER_LIMIT..=YEAR_UPPER_LIMIT).contains(&time.year()).then(|| time.with_timezone(&zone).naive_local())
}

/// How the clock of a zone was changed near an instant, and by how much.
enum Change {
    None,
    /// The wall clock time of the instant comes a second time.
    FirstPass(TimeDelta),
    /// It was there before.
    SecondPass(TimeDelta),
    /// The clock was put forward in the day before.
    AfterGap(TimeDelta),
}

fn change(zone: Tz, time: Time, local: NaiveDateTime) -> Change {
    match zone.from_local_datetime(&local) {
        LocalResult::Ambiguous(first, second) if time < second => Change::FirstPass(second - first),
        LocalResult::Ambiguous(first, second) => Change::SecondPass(second - first),
        // No zone has ever skipped more than a day.
        LocalResult::Single(_) | LocalResult::None => {
            let offset = |utc| TimeDelta::seconds(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc().into());
            let forward = offset(time.naive_utc()) - offset(time.naive_utc() - TimeDelta::days(1));
            if forward > TimeDelta::zero() { Change::AfterGap(forward) } else { Change::None }
        }
    }
}

#[cfg(test)]
mod tests;
