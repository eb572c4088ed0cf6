//! The schedule as written, checked and given its family.

use crate::dagfile::spec::DagSpec;
use crate::dagfile::written::{At, Position, Schedule as Written};
use crate::domain::limit::Limit;
use crate::domain::problem::suggestion;

use crate::domain::schedule::{Family, Schedule, Timetable};

use super::asset::Known;
use super::{Defaults, Notes};

pub(super) fn lower(spec: &DagSpec, defaults: &Defaults, assets: &mut Known, notes: &mut Notes) -> Schedule {
    if let Some(old) = &spec.schedule_interval {
        let effect = if spec.schedule.is_some() { "`schedule` is used" } else { "it is used" };
        notes.old_name(old.position, "schedule_interval", "schedule", effect);
    }
    let Some(At { value, position }) = spec.schedule.as_ref().or(spec.schedule_interval.as_ref()) else {
        return defaults.default_schedule.clone();
    };
    let schedule = lowered(value, *position, defaults, assets, notes);
    if let Err(invalid) = Timetable::compile(&schedule) {
        notes.error(*position, invalid.to_string());
    }
    schedule
}

fn lowered(
    written: &Written,
    position: Option<Position>,
    defaults: &Defaults,
    assets: &mut Known,
    notes: &mut Notes,
) -> Schedule {
    let family = |data_interval: &Option<bool>| match data_interval {
        Some(true) => Family::DataInterval,
        Some(false) => Family::Trigger,
        None => defaults.family,
    };
    match written {
        Written::Never => Schedule::Never,
        Written::Assets { condition, timetable } => {
            let time = timetable.as_ref().map(|time| Box::new(lowered(time, position, defaults, assets, notes)));
            if time.as_deref().is_some_and(|time| time.assets().is_some()) {
                notes.error(position, "expected `timetable` to be a schedule of times, got: assets");
            }
            match assets.condition(condition, position, notes) {
                Some(condition) => Schedule::Assets { condition, time },
                // An error was noted, and the DAG is not used.
                None => Schedule::Never,
            }
        }
        Written::Words { text, data_interval } => words(text, family(data_interval), position, notes),
        Written::Distance { months: 0, length, data_interval } => {
            Schedule::Every { period: *length, family: family(data_interval) }
        }
        Written::Distance { months, length, data_interval } => {
            Schedule::EveryMonths { months: *months, plus: *length, family: family(data_interval) }
        }
    }
}

fn words(text: &str, family: Family, position: Option<Position>, notes: &mut Notes) -> Schedule {
    // Python's str(None), which generated files hold.
    if text == "None" {
        return Schedule::Never;
    }
    Schedule::parse(text, family).unwrap_or_else(|invalid| {
        // `daily` is a word, and no cron expression of one field.
        let hint = (!text.contains(' ')).then(|| suggestion(&format!("@{text}"), Schedule::PRESETS)).flatten();
        notes.error_with(position, invalid.to_string(), hint.filter(|_| !text.starts_with('@')));
        Schedule::Never
    })
}

/// A continuous DAG has one run at a time, by nature.
pub(super) fn run_limit(
    written: &Option<At<u32>>,
    schedule: &Schedule,
    defaults: &Defaults,
    notes: &mut Notes,
) -> Limit {
    match (written, schedule) {
        (Some(At { value: 1, .. }) | None, Schedule::Continuous) => Limit::from_zero_unlimited(1),
        (Some(At { value, position }), Schedule::Continuous) => {
            let message = format!("`@continuous` needs `max_active_runs: 1`, got: {value}");
            notes.error(*position, message);
            Limit::from_zero_unlimited(1)
        }
        (Some(At { value, .. }), _) => Limit::from_zero_unlimited(*value),
        (None, _) => defaults.max_active_runs,
    }
}
