//! A year of days: how the runs of each ended, and on which days runs are still to come.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate};
use maud::{Markup, html};

use crate::domain::state::RunState;

/// The distance of days, and the side of a square, in pixels.
const DAY: u32 = 18;
const SQUARE: u32 = 15;
const LEFT: u32 = 34;
const TOP: u32 = 20;

/// The runs of a year by the day of their logical date.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Year {
    pub year: i32,
    pub days: BTreeMap<NaiveDate, BTreeMap<RunState, u64>>,
    /// Days on which the schedule will make runs.
    pub planned: BTreeSet<NaiveDate>,
    pub today: NaiveDate,
}

/// `link` leads to the runs of a day.
pub fn draw(year: &Year, link: &dyn Fn(NaiveDate) -> String) -> Markup {
    let Some(first) = NaiveDate::from_ymd_opt(year.year, 1, 1) else { return html! {} };
    let days = first.iter_days().take_while(|day| day.year() == year.year);
    let lead = first.weekday().num_days_from_monday();
    let place = |day: NaiveDate| {
        let index = lead + day.ordinal0();
        (LEFT + index / 7 * DAY, TOP + index % 7 * DAY)
    };
    html! {
        svg.calendar xmlns="http://www.w3.org/2000/svg" width=(LEFT + 54 * DAY) height=(TOP + 7 * DAY) role="group"
            aria-label=(format!("Runs of {}", year.year)) {
            @for (at, name) in ["Mon", "Wed", "Fri", "Sun"].into_iter().enumerate() {
                text.weekday x="0" y=(TOP + at as u32 * 2 * DAY + 12) { (name) }
            }
            @for month in 1..=12 {
                @if let Some(day) = NaiveDate::from_ymd_opt(year.year, month, 1) {
                    text.month x=(place(day).0) y="12" { (day.format("%b")) }
                }
            }
            @for day in days {
                @let (x, y) = place(day);
                @match year.days.get(&day).filter(|counts| !counts.is_empty()) {
                    Some(counts) => { (ran(day, counts, (x, y), link)) }
                    None => {
                        @let is_planned = year.planned.contains(&day);
                        rect class=(if is_planned { "day planned" } else { "day" }) x=(x) y=(y) width=(SQUARE) height=(SQUARE) rx="3" {
                            @if is_planned { title { (day) ": planned" } }
                        }
                    }
                }
                @if day == year.today { rect.today x=(x - 1) y=(y - 1) width=(SQUARE + 2) height=(SQUARE + 2) rx="4" {} }
            }
        }
    }
}

fn ran(
    day: NaiveDate,
    counts: &BTreeMap<RunState, u64>,
    (x, y): (u32, u32),
    link: &dyn Fn(NaiveDate) -> String,
) -> Markup {
    let worst = counts.keys().copied().max_by_key(|state| urgency(*state)).unwrap_or(RunState::Queued);
    let said: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let said = format!("{day}: {}", said.join(", "));
    let failed = counts.get(&RunState::Failed).copied().unwrap_or(0);
    html! {
        a href=(link(day)) aria-label=(said) {
            title { (said) }
            rect class=(format!("day s-{worst}")) x=(x) y=(y) width=(SQUARE) height=(SQUARE) rx="3" {}
            // The failed ones are counted in the square: that is the sign that goes with the colour.
            @if failed > 0 { text.tally x=(x + SQUARE / 2) y=(y + 11) { @if failed > 99 { "99+" } @else { (failed) } } }
        }
    }
}

fn urgency(state: RunState) -> u8 {
    match state {
        RunState::Failed => 3,
        RunState::Running => 2,
        RunState::Queued => 1,
        RunState::Success => 0,
    }
}

/// The day after the last one of a year.
pub fn end_of(year: i32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, 12, 31)?.checked_add_days(Days::new(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, month, day).expect("a day")
    }

    #[test]
    fn a_day_has_its_worst_state_and_the_future_is_an_outline() {
        let counts = BTreeMap::from([(RunState::Success, 3), (RunState::Failed, 1)]);
        let year = Year {
            year: 2026,
            days: BTreeMap::from([(day(1, 5), counts), (day(1, 6), BTreeMap::from([(RunState::Success, 1)]))]),
            planned: BTreeSet::from([day(12, 31)]),
            today: day(11, 21),
        };
        let drawn = draw(&year, &|day| format!("?day={day}")).into_string();
        assert_eq!(drawn.matches(r#"class="day""#).count(), 365 - 3);
        // The first Monday of 2026 stands at the top of the second column.
        assert!(
            drawn.contains(r#"<title>2026-01-05: 3 success, 1 failed</title><rect class="day s-failed" x="52" y="20""#),
            "{drawn}"
        );
        assert!(drawn.contains(r#"class="day s-success" x="52" y="38""#));
        assert!(drawn.contains("<title>2026-12-31: planned</title>"));
    }
}
