//! Cron against the wall clock: descriptions, clock changes, and a slow but
//! obvious list of ticks that the fast search has to agree with.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use proptest::prelude::*;

use super::*;

fn cron(expression: &str) -> CronExpression {
    CronExpression::parse(expression).expect("an expression")
}

fn utc(text: &str) -> Time {
    text.parse().expect("an instant")
}

/// The first `n` ticks after `from`, as UTC.
fn ticks(expression: &str, zone: Tz, from: &str, n: usize) -> Vec<String> {
    let cron = cron(expression);
    std::iter::successors(cron.next(zone, utc(from)), |tick| cron.next(zone, *tick))
        .take(n)
        .map(|tick| tick.format("%m-%dT%H:%MZ").to_string())
        .collect()
}

#[test]
fn an_expression_is_described_in_words() {
    let table = [
        ("@daily", "every day at 00:00"),
        ("30 2 * * *", "every day at 02:30"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("@hourly", "at minute 0 past every hour"),
        ("0 12 * * 1-5", "at 12:00, on Monday, Tuesday, Wednesday, Thursday, and Friday"),
        ("0 0 L * *", "at 00:00, on the last day of the month"),
        ("0 0 * * 5#2", "at 00:00, on the 2nd Friday of the month"),
        ("0 0 * * L5", "at 00:00, on the last Friday of the month"),
        ("0 0 * * * 30", "every day at 00:00:30"),
    ];
    for (expression, words) in table {
        assert_eq!(cron(expression).describe(), words, "{expression}");
    }
}

#[test]
fn an_expression_that_matches_no_date_is_refused_at_once() {
    let error = CronExpression::parse("0 0 30 2 *").expect_err("30 February");
    assert_eq!(error.to_string(), "the cron expression `0 0 30 2 *` matches no date at all");
    cron("0 0 29 2 *");
}

#[test]
fn restricted_days_of_month_and_of_week_are_joined_by_or() {
    let first = ["01-12T00:00Z", "01-13T00:00Z", "01-19T00:00Z"];
    assert_eq!(ticks("0 0 13 * 5", Tz::UTC, "2024-01-10T05:00:00Z", 3), first);
    let every_friday = ["01-12T00:00Z", "01-19T00:00Z"];
    assert_eq!(ticks("0 0 1-31 * 5", Tz::UTC, "2024-01-10T05:00:00Z", 2), every_friday);
}

#[test]
fn a_skipped_wall_clock_time_happens_later_by_the_gap() {
    let zurich = Tz::Europe__Zurich;
    assert_eq!(ticks("30 2 * * *", zurich, "2023-03-25T12:00:00Z", 2), ["03-26T01:30Z", "03-27T00:30Z"]);
    assert_eq!(ticks("15,45 2 * * *", zurich, "2023-03-25T12:00:00Z", 2), ["03-26T01:15Z", "03-26T01:45Z"]);
    // Seen from inside the hour after the gap, where the wall clock is past 02:30 already.
    let cron = cron("30 2 * * *");
    assert_eq!(cron.next(zurich, utc("2023-03-26T01:10:00Z")), Some(utc("2023-03-26T01:30:00Z")));
    assert_eq!(cron.previous(zurich, utc("2023-03-26T01:10:00Z")), Some(utc("2023-03-25T01:30:00Z")));
    assert_eq!(cron.align_down(zurich, utc("2023-03-26T01:30:00Z")), Some(utc("2023-03-26T01:30:00Z")));
}

#[test]
fn a_zone_that_skips_a_whole_day_moves_its_ticks_by_a_day() {
    let samoa = Tz::Pacific__Apia;
    assert_eq!(ticks("0 12 30 12 *", samoa, "2011-12-01T00:00:00Z", 1), ["12-30T22:00Z"]);
    assert_eq!(ticks("@daily", samoa, "2011-12-29T00:00:00Z", 3), ["12-29T10:00Z", "12-30T10:00Z", "12-31T10:00Z"]);
}

#[test]
fn a_repeated_wall_clock_time_happens_the_second_time_and_every_hour_means_both() {
    let zurich = Tz::Europe__Zurich;
    assert_eq!(ticks("30 2 * * *", zurich, "2023-10-28T12:00:00Z", 2), ["10-29T01:30Z", "10-30T01:30Z"]);
    assert_eq!(
        ticks("30 * * * *", zurich, "2023-10-28T23:00:00Z", 4),
        ["10-28T23:30Z", "10-29T00:30Z", "10-29T01:30Z", "10-29T02:30Z"]
    );
    // From the first pass, with a wall clock that is past 02:00: today's tick is still ahead.
    assert_eq!(ticks("0 2 * * *", zurich, "2023-10-29T00:15:00Z", 1), ["10-29T01:00Z"]);
}

#[test]
fn a_year_with_clock_changes_has_its_number_of_ticks() {
    let year = |expression: &str, zone: Tz| {
        let cron = cron(expression);
        let midnight = |year| {
            let local = NaiveDate::from_ymd_opt(year, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).expect("a date");
            zone.from_local_datetime(&local).single().expect("new year is nowhere skipped").to_utc()
        };
        let end = midnight(2025);
        std::iter::successors(cron.align_up(zone, midnight(2024)), |tick| cron.next(zone, *tick))
            .take_while(|tick| *tick < end)
            .count()
    };
    for zone in [Tz::UTC, Tz::Europe__Zurich, Tz::America__New_York, Tz::Asia__Kolkata] {
        assert_eq!(year("@daily", zone), 366, "{zone}");
        assert_eq!(year("30 2 * * *", zone), 366, "{zone}");
        assert_eq!(year("@hourly", zone), 366 * 24, "{zone}");
        assert_eq!(year("*/15 * * * *", zone), 366 * 24 * 4, "{zone}");
        assert_eq!(year("@weekly", zone), 52, "{zone}");
    }
    // The hour that Zurich skips is even, so its tick moves; the one that it repeats ticks once.
    assert_eq!(year("0 */2 * * *", Tz::Europe__Zurich), 366 * 12);
}

/// Fields as sets, so that the test knows what they mean without reading cron.
#[derive(Clone, Debug)]
struct Fields {
    minutes: BTreeSet<u32>,
    hours: Option<BTreeSet<u32>>,
    weekdays: Option<BTreeSet<u32>>,
}

impl Fields {
    fn expression(&self) -> String {
        let list = |set: &BTreeSet<u32>| set.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let star = |set: &Option<BTreeSet<u32>>| set.as_ref().map_or("*".to_owned(), list);
        format!("{} {} * * {}", list(&self.minutes), star(&self.hours), star(&self.weekdays))
    }

    fn match_wall_clock(&self, local: NaiveDateTime) -> bool {
        let among = |set: &Option<BTreeSet<u32>>, value| set.as_ref().is_none_or(|set| set.contains(&value));
        self.minutes.contains(&local.minute())
            && among(&self.hours, local.hour())
            && among(&self.weekdays, local.weekday().num_days_from_sunday())
    }

    /// Every tick from `from` on, minute by minute on the wall clock, in the words of SCHEDULING §4.
    fn all_ticks(&self, zone: Tz, from: NaiveDateTime, days: i64) -> BTreeSet<Time> {
        let every_hour = self.hours.as_ref().is_none_or(|hours| hours.len() == 24);
        let wall_clock = (0..days * 24 * 60).map(|minute| from + TimeDelta::minutes(minute));
        let mut ticks = BTreeSet::new();
        for local in wall_clock.filter(|local| self.match_wall_clock(*local)) {
            match zone.from_local_datetime(&local) {
                LocalResult::Single(only) => ticks.extend([only.to_utc()]),
                LocalResult::Ambiguous(first, second) if every_hour => ticks.extend([first.to_utc(), second.to_utc()]),
                LocalResult::Ambiguous(_, second) => ticks.extend([second.to_utc()]),
                // All zones of this test skip exactly one hour.
                LocalResult::None => {
                    let moved = zone.from_local_datetime(&(local + TimeDelta::hours(1)));
                    ticks.extend([moved.single().expect("after the gap").to_utc()]);
                }
            }
        }
        ticks
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let set = |range: std::ops::Range<u32>| proptest::collection::btree_set(range, 1..5);
    (set(0..60), proptest::option::of(set(0..24)), proptest::option::weighted(0.2, set(0..7)))
        .prop_map(|(minutes, hours, weekdays)| Fields { minutes, hours, weekdays })
}

fn zone() -> impl Strategy<Value = Tz> {
    proptest::sample::select(vec![Tz::UTC, Tz::Europe__Zurich, Tz::America__New_York, Tz::Australia__Sydney])
}

/// A day before a change of the clock in one of those zones, or any other day.
fn day() -> impl Strategy<Value = NaiveDateTime> {
    let changes =
        [(2023, 3, 25), (2023, 10, 28), (2024, 3, 9), (2024, 11, 2), (2024, 4, 6), (2024, 10, 5), (2024, 2, 27)];
    proptest::sample::select(changes.to_vec()).prop_map(|(year, month, day)| {
        NaiveDate::from_ymd_opt(year, month, day).and_then(|day| day.and_hms_opt(0, 0, 0)).expect("a date")
    })
}

/// The first place where two lists of ticks part.
fn difference(got: &[Time], expected: &[Time]) -> Option<(Option<Time>, Option<Time>)> {
    let longest = got.len().max(expected.len());
    (0..longest).map(|i| (got.get(i).copied(), expected.get(i).copied())).find(|(got, expected)| got != expected)
}

proptest! {
    #[test]
    fn walking_forward_and_backward_meets_every_tick_once(fields in fields(), zone in zone(), day in day()) {
        let cron = cron(&fields.expression());
        // A day around the walk, because ticks at its ends may be moved into it.
        let all = fields.all_ticks(zone, day - TimeDelta::days(1), 11);
        let start = zone.from_local_datetime(&day).earliest().expect("midnight").to_utc();
        let end = start + TimeDelta::days(8);
        let expected: Vec<Time> = all.range(start..end).copied().collect();

        let forward: Vec<Time> = std::iter::successors(cron.align_up(zone, start), |tick| cron.next(zone, *tick))
            .take_while(|tick| *tick < end)
            .collect();
        prop_assert_eq!(difference(&forward, &expected), None);

        let mut backward: Vec<Time> = std::iter::successors(cron.previous(zone, end), |tick| cron.previous(zone, *tick))
            .take_while(|tick| *tick >= start)
            .collect();
        backward.reverse();
        prop_assert_eq!(difference(&backward, &expected), None);
    }

    #[test]
    fn from_any_instant_the_ticks_around_it_are_the_nearest(
        fields in fields(), zone in zone(), day in day(), second in 0..8 * 86_400_i64
    ) {
        let cron = cron(&fields.expression());
        let all = fields.all_ticks(zone, day - TimeDelta::days(9), 28);
        let at = zone.from_local_datetime(&day).earliest().expect("midnight").to_utc() + TimeDelta::seconds(second);
        prop_assert_eq!(cron.next(zone, at), all.range(at + TimeDelta::microseconds(1)..).next().copied());
        prop_assert_eq!(cron.align_up(zone, at), all.range(at..).next().copied());
        prop_assert_eq!(cron.previous(zone, at), all.range(..at).next_back().copied());
        prop_assert_eq!(cron.align_down(zone, at), all.range(..=at).next_back().copied());
    }
}
