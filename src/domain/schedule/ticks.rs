//! The beat of a schedule: the instants that follow each other, with no idea of runs.

use std::time::Duration;

use chrono::{DateTime, Months, TimeDelta};
use chrono_tz::Tz;

use super::InvalidSchedule;
use super::cron::CronExpression;
use crate::domain::time::Time;

/// Where a schedule ticks.
#[derive(Clone, Debug)]
pub(super) enum Ticks {
    /// On the wall clock of a zone.
    Cron(Box<CronExpression>),
    /// At a fixed distance in absolute time, from wherever the last tick was.
    Every(TimeDelta),
    /// At a distance in calendar months (at least one) and a fixed part, in UTC.
    Months { months: Months, plus: TimeDelta },
}

impl Ticks {
    pub fn every(period: Duration) -> Result<Self, InvalidSchedule> {
        match TimeDelta::from_std(period) {
            Ok(period) if period >= TimeDelta::microseconds(1) => Ok(Self::Every(period)),
            Ok(_) | Err(_) => Err(InvalidSchedule::Period { got: period }),
        }
    }

    pub fn every_months(months: u32, plus: Duration) -> Result<Self, InvalidSchedule> {
        if months == 0 {
            return Self::every(plus);
        }
        let plus = TimeDelta::from_std(plus).map_err(|_| InvalidSchedule::Period { got: plus })?;
        Ok(Self::Months { months: Months::new(months), plus })
    }

    /// The tick that follows `time`.
    pub fn next(&self, zone: Tz, time: Time) -> Option<Time> {
        match self {
            Self::Cron(cron) => cron.next(zone, time),
            Self::Every(period) => time.checked_add_signed(*period),
            Self::Months { months, plus } => time.checked_add_months(*months)?.checked_add_signed(*plus),
        }
    }

    /// The tick before `time`.
    pub fn previous(&self, zone: Tz, time: Time) -> Option<Time> {
        match self {
            Self::Cron(cron) => cron.previous(zone, time),
            Self::Every(period) => time.checked_sub_signed(*period),
            Self::Months { months, plus } => time.checked_sub_signed(*plus)?.checked_sub_months(*months),
        }
    }

    /// The first tick at or after `time`. Distances have no grid: they tick wherever they start.
    pub fn align_up(&self, zone: Tz, time: Time) -> Option<Time> {
        match self {
            Self::Cron(cron) => cron.align_up(zone, time),
            Self::Every(_) | Self::Months { .. } => Some(time),
        }
    }

    /// The last tick at or before `time`.
    pub fn align_down(&self, zone: Tz, time: Time) -> Option<Time> {
        match self {
            Self::Cron(cron) => cron.align_down(zone, time),
            Self::Every(_) | Self::Months { .. } => Some(time),
        }
    }

    /// Where the period starts that follows one which ended at `time`.
    pub fn resume(&self, zone: Tz, time: Time) -> Option<Time> {
        match self {
            Self::Cron(cron) => cron.resume(zone, time),
            Self::Every(_) | Self::Months { .. } => Some(time),
        }
    }

    /// Where the newest period starts that is over by `now`. A fixed distance
    /// takes the grid of the epoch for this, months the steps from `earliest`.
    pub fn newest_complete(&self, zone: Tz, earliest: Option<Time>, now: Time) -> Option<Time> {
        match self {
            Self::Cron(cron) => cron.previous(zone, cron.align_down(zone, now)?),
            Self::Every(period) => {
                let period = period.num_microseconds()?;
                let floor = now.timestamp_micros().checked_sub(now.timestamp_micros().rem_euclid(period))?;
                DateTime::from_timestamp_micros(floor.checked_sub(period)?)
            }
            Self::Months { .. } => {
                let mut end = earliest.unwrap_or(DateTime::UNIX_EPOCH);
                let mut start = self.previous(zone, end)?;
                while let Some(next) = self.next(zone, end).filter(|next| *next <= now) {
                    (start, end) = (end, next);
                }
                Some(start)
            }
        }
    }
}
