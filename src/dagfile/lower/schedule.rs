//! The schedule as written, checked and given its family.

use crate::dagfile::spec::DagSpec;
use crate::dagfile::written::{At, Position, Schedule as Written};
use crate::domain::limit::Limit;
use crate::domain::problem::suggestion;
use crate::domain::schedule::{Family, Schedule};

use super::{Defaults, Notes};

/// Words that stand for a cron expression.
const CRON_PRESETS: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"];

/// All words with an `@`.
const PRESETS: [&str; 8] =
    ["@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", "@continuous"];

pub(super) fn lower(spec: &DagSpec, defaults: &Defaults, notes: &mut Notes) -> Schedule {
    if let Some(old) = &spec.schedule_interval {
        let effect = if spec.schedule.is_some() { "`schedule` is used" } else { "it is used" };
        notes.old_name(old.position, "schedule_interval", "schedule", effect);
    }
    let Some(At { value, position }) = spec.schedule.as_ref().or(spec.schedule_interval.as_ref()) else {
        return defaults.default_schedule.clone();
    };
    let family = |data_interval: &Option<bool>| match data_interval {
        Some(true) => Family::DataInterval,
        Some(false) => Family::Trigger,
        None => defaults.family,
    };
    match value {
        Written::Never => Schedule::Never,
        Written::Words { text, data_interval } => words(text, family(data_interval), *position, notes),
        Written::Distance { months: 0, length, .. } if length.is_zero() => {
            notes.error(*position, "expected a schedule of more than zero seconds");
            Schedule::Never
        }
        Written::Distance { months: 0, length, data_interval } => {
            Schedule::Every { period: *length, family: family(data_interval) }
        }
        Written::Distance { months, length, data_interval } => {
            Schedule::EveryMonths { months: *months, plus: *length, family: family(data_interval) }
        }
    }
}

fn words(text: &str, family: Family, position: Option<Position>, notes: &mut Notes) -> Schedule {
    match text {
        "@once" => return Schedule::Once,
        "@continuous" => return Schedule::Continuous,
        // Python's str(None), which generated files hold.
        "None" => return Schedule::Never,
        _ => {}
    }
    if let Err((message, hint)) = check_schedule(text) {
        notes.error_with(position, message, hint);
    }
    Schedule::Cron { expression: text.to_owned(), family }
}

/// Whether `text` is a preset or an expression of croniter's dialect; the error is a sentence and a hint.
pub(super) fn check_schedule(text: &str) -> Result<(), (String, Option<String>)> {
    if text.starts_with('@') {
        if CRON_PRESETS.contains(&text) {
            return Ok(());
        }
        let hint = match text {
            "@midnight" => Some("`@daily` runs at midnight".to_owned()),
            "@annually" => Some("write `@yearly`".to_owned()),
            _ => suggestion(text, PRESETS),
        };
        return Err((format!("unknown schedule `{text}` (known: {})", PRESETS.join(", ")), hint));
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if !(5..=6).contains(&fields.len()) {
        let message = format!("expected a schedule such as `0 6 * * *`, `@daily` or `30m`, got: `{text}`");
        let hint = match fields.len() {
            1 => suggestion(&format!("@{text}"), PRESETS),
            n => Some(format!("a cron expression has 5 fields (minute hour day month weekday), this has {n}")),
        };
        return Err((message, hint));
    }
    // croniter writes seconds last, croner first.
    let ordered = match fields.as_slice() {
        [minute, hour, day, month, weekday, second] => {
            [second, minute, hour, day, month, weekday].map(|f| *f).join(" ")
        }
        five => five.join(" "),
    };
    croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Optional)
        .build()
        .parse(&ordered)
        .map(|_| ())
        .map_err(|error| (format!("`{text}` is no cron expression: {error}"), None))
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
