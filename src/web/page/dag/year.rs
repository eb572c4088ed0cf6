//! The tab Calendar.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, TimeZone};
use chrono_tz::Tz;
use maud::html;

use super::Shown;
use super::look::Look;
use crate::domain::graph::Dag;
use crate::domain::time::Time;
use crate::web::error::Error;
use crate::web::state::Web;
use crate::web::view::calendar::{self, Year};

/// A run of a date becomes due at most so many days later, where its interval is a month.
const LATER: Days = Days::new(40);

pub(super) async fn show(web: &Web, look: &Look) -> Result<Shown, Error> {
    let zone = look.dag.definition.timezone;
    let today = look.now.with_timezone(&zone).date_naive();
    let number = look.address.get("year").and_then(|year| year.parse().ok()).unwrap_or(today.year());
    let number = number.clamp(1970, 9998);
    let mut year = Year { year: number, today, ..Year::default() };
    if let (Some(first), Some(end)) = (NaiveDate::from_ymd_opt(number, 1, 1), calendar::end_of(number)) {
        let from = start_of(first, zone);
        let until = start_of(end, zone);
        let due_until = end.checked_add_days(LATER).map_or(until, |day| start_of(day, zone));
        for tally in web.store.run_tallies(look.id(), from, due_until).await? {
            let day = tally.at.with_timezone(&zone).date_naive();
            if day.year() == number {
                *year.days.entry(day).or_default().entry(tally.state).or_default() += tally.count;
            }
        }
        if !look.row.is_paused && !look.row.is_stale {
            let next = look.row.next_run.map(|next| next.logical_date);
            year.planned = next.map(|next| planned(&look.dag, next.max(from), until)).unwrap_or_default();
        }
    }
    let day_link = |day: NaiveDate| look.address.with("tab", "runs").with("day", &day.to_string()).url();
    let body = html! {
        div.toolbar {
            a.chip href=(look.address.with("year", &(number - 1).to_string()).url()) rel="prev" aria-label="The year before" { "←" }
            b { (number) }
            a.chip href=(look.address.with("year", &(number + 1).to_string()).url()) rel="next" aria-label="The year after" { "→" }
            span.quiet { "by logical date, in " (zone.name()) "; the number in a square counts failed runs, outlines are planned" }
        }
        div.scroll { (calendar::draw(&year, &day_link)) }
        @if year.days.is_empty() { p.quiet { "No run in " (number) "." } }
    };
    Ok(Shown::live(body))
}

/// The first instant of a day; where a clock leaps over midnight, the one after the leap.
pub(super) fn start_of(day: NaiveDate, zone: Tz) -> Time {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    let found = zone.from_local_datetime(&midnight).earliest();
    found.map_or_else(|| midnight.and_utc(), |start| start.to_utc())
}

/// The days on which the schedule makes runs: one look per day, however often it ticks.
fn planned(dag: &Dag, from: Time, until: Time) -> BTreeSet<NaiveDate> {
    let zone = dag.definition.timezone;
    let mut days = BTreeSet::new();
    let mut bounds = dag.bounds();
    bounds.catchup = true;
    let mut earliest = from;
    // A year has no more days than that.
    for _ in 0..=366 {
        bounds.earliest = Some(earliest);
        let next = dag.timetable.next(&bounds, None, earliest).map(|run| run.logical_date);
        let Some(next) = next.filter(|next| *next < until && *next >= earliest) else { break };
        let day = next.with_timezone(&zone).date_naive();
        days.insert(day);
        let Some(after) = day.checked_add_days(Days::new(1)) else { break };
        earliest = start_of(after, zone);
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::examples;

    #[test]
    fn planned_days_follow_the_schedule_and_cost_one_look_each() {
        let with = |expression: &str| {
            let mut definition = examples::diamond().definition;
            let schedule = serde_json::json!({"type": "cron", "expression": expression, "family": "data_interval"});
            definition.schedule = serde_json::from_value(schedule).expect("a schedule");
            let dag = Dag::compile(definition).expect("a DAG");
            let from = "2026-12-20T00:00:00Z".parse().expect("an instant");
            planned(&dag, from, "2027-01-01T00:00:00Z".parse().expect("an instant")).len()
        };
        assert_eq!((with("* * * * *"), with("0 0 * * *"), with("0 0 * * 1"), with("0 0 1 1 *")), (12, 12, 2, 0));
    }
}
