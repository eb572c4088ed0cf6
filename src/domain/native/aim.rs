//! From a sensor's arguments to what is awaited: a moment, or tasks of another DAG at a date.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::{ExternalTask, MomentWatch, Poking, Sensor, Watched};
use crate::domain::ids::{DagId, TaskId};
use crate::domain::time::{Time, after};
use crate::domain::wait::{Awaited, AwaitedTasks};

/// What of the run a sensor's aim depends on.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// When it began to wait.
    pub since: Time,
    pub logical_date: Option<Time>,
    pub interval_end: Option<Time>,
    pub run_after: Time,
}

impl Sensor {
    /// What the scheduler itself can wait for, in place of a process that looks; `None` where something has to look.
    ///
    /// # Errors
    /// When the (rendered) arguments mean nothing.
    pub fn awaited(&self, aim: Aim) -> Result<Option<Awaited>, String> {
        match &self.watched {
            Watched::Moment(moment) => Ok(Some(Awaited::Moment { at: moment.target(aim)? })),
            Watched::ExternalTask(task) => Ok(Some(Awaited::Tasks(task.awaited(aim)?))),
            Watched::File(_) | Watched::Http(_) | Watched::Sql(_) => Ok(None),
        }
    }
}

impl Poking {
    /// The sentence of a sensor that waited too long.
    pub fn timed_out(&self, since: Time, now: Time) -> String {
        format!(
            "Sensor has timed out; run duration of {} seconds exceeds the specified timeout of {}.",
            (now - since).num_seconds(),
            self.timeout.as_secs_f64()
        )
    }
}

impl MomentWatch {
    /// The moment itself.
    ///
    /// # Errors
    /// When no moment is named, or its text is none.
    pub fn target(&self, aim: Aim) -> Result<Time, String> {
        let zone = self.timezone.unwrap_or(Tz::UTC);
        if let Some(text) = &self.time_of_day {
            let time =
                parse_time(text).ok_or_else(|| format!("expected a time of the day such as 06:30, got: `{text}`"))?;
            return Ok(instant(aim.since.with_timezone(&zone).date_naive().and_time(time), zone));
        }
        if let Some(text) = &self.date_time {
            return parse_moment(text, zone)
                .ok_or_else(|| format!("expected a date such as 2026-01-31T06:00:00+01:00, got: `{text}`"));
        }
        let delta = self.delta.ok_or("the sensor names no moment")?;
        Ok(after(aim.interval_end.or(aim.logical_date).unwrap_or(aim.run_after), delta))
    }
}

impl ExternalTask {
    /// Whom it waits for, at which date.
    ///
    /// # Errors
    /// When a name is none.
    pub fn awaited(&self, aim: Aim) -> Result<AwaitedTasks, String> {
        let date = aim.logical_date.unwrap_or(aim.run_after);
        let date = match self.execution_delta {
            Some(delta) => chrono::Duration::from_std(delta)
                .ok()
                .and_then(|delta| date.checked_sub_signed(delta))
                .ok_or("`execution_delta` leads before the beginning of time")?,
            None => date,
        };
        let tasks = self.task_ids().into_iter().map(|id| TaskId::new(id).map_err(|invalid| invalid.to_string()));
        Ok(AwaitedTasks {
            dag: DagId::new(&self.external_dag_id).map_err(|invalid| invalid.to_string())?,
            date,
            tasks: tasks.collect::<Result<_, _>>()?,
            group: self.external_task_group_id.clone(),
            allowed: self.allowed_states.clone(),
            skipped: self.skipped_states.clone(),
            failed: self.failed_states.clone(),
            check_existence: self.check_existence,
        })
    }
}

/// `06:30`, `06:30:15`, with or without a fraction.
pub fn parse_time(text: &str) -> Option<NaiveTime> {
    let text = text.trim();
    ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok())
}

/// ISO 8601 as people and Python's `str` write it; what names no offset is in `zone`.
pub fn parse_moment(text: &str, zone: Tz) -> Option<Time> {
    let text = text.trim().replacen(' ', "T", 1);
    if let Ok(moment) = DateTime::parse_from_rfc3339(&text) {
        return Some(moment.with_timezone(&Utc));
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    Some(instant(naive, zone))
}

/// Of two instants with the same local time the earlier; of none, the one an hour on.
fn instant(local: NaiveDateTime, zone: Tz) -> Time {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.with_timezone(&Utc),
        LocalResult::None => {
            let later = local.checked_add_signed(chrono::Duration::hours(1)).unwrap_or(local);
            let later = zone.from_local_datetime(&later).earliest();
            later.map_or_else(|| local.and_utc(), |time| time.with_timezone(&Utc))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(day: u32, hour: u32) -> Time {
        Utc.with_ymd_and_hms(2026, 3, day, hour, 0, 0).single().expect("a date")
    }

    fn aim() -> Aim {
        Aim { since: at(21, 23), logical_date: Some(at(20, 0)), interval_end: Some(at(21, 0)), run_after: at(21, 0) }
    }

    #[test]
    fn a_time_of_the_day_is_that_of_the_day_in_the_dags_zone() {
        let zone: Tz = "Europe/Zurich".parse().expect("a zone");
        let moment = MomentWatch { time_of_day: Some("06:30".into()), timezone: Some(zone), ..Default::default() };
        // 23:00 in UTC is midnight of the 22nd in Zurich.
        assert_eq!(moment.target(aim()), Ok(at(22, 5) + chrono::Duration::minutes(30)));
    }

    #[test]
    fn a_delta_counts_from_the_end_of_the_interval() {
        let moment = MomentWatch { delta: Some(Duration::from_secs(3600)), ..Default::default() };
        assert_eq!(moment.target(aim()), Ok(at(21, 1)));
        assert_eq!(moment.target(Aim { interval_end: None, ..aim() }), Ok(at(20, 1)));
        assert_eq!(moment.target(Aim { interval_end: None, logical_date: None, ..aim() }), Ok(at(21, 1)));
    }

    #[test]
    fn a_date_is_read_as_python_writes_it() {
        for text in
            ["2026-03-21 01:00:00+00:00", "2026-03-21T02:00:00+01:00", "2026-03-21T01:00", "2026-03-21 01:00:00"]
        {
            assert_eq!(parse_moment(text, Tz::UTC), Some(at(21, 1)), "{text}");
        }
        let zone: Tz = "Europe/Zurich".parse().expect("a zone");
        assert_eq!(parse_moment("2026-03-21 02:00", zone), Some(at(21, 1)));
        assert_eq!(parse_moment("tomorrow", zone), None);
        let moment = MomentWatch { date_time: Some("tomorrow".into()), ..Default::default() };
        assert!(moment.target(aim()).expect_err("no date").contains("`tomorrow`"));
    }

    #[test]
    fn another_dag_is_looked_at_where_its_date_lies() {
        let task: ExternalTask = serde_json::from_value(serde_json::json!({
            "external_dag_id": "other", "external_task_ids": ["a", "b"], "execution_delta": 3600,
        }))
        .expect("arguments");
        let awaited = task.awaited(aim()).expect("names");
        assert_eq!((awaited.date, awaited.tasks.len()), (at(19, 23), 2));
        assert_eq!(awaited.allowed, ["success"]);
    }
}
