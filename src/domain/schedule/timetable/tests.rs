//! Runs in stories: catchup, changes of a schedule, the end date, and what unpausing creates.

use std::time::Instant;

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;

fn utc(text: &str) -> Time {
    text.parse().expect("an instant")
}

fn cron(expression: &str, family: Family) -> Timetable {
    Timetable::compile(&Schedule::Cron { expression: expression.to_owned(), family }).expect("a schedule")
}

fn every(period: Duration, family: Family) -> Timetable {
    Timetable::compile(&Schedule::Every { period, family }).expect("a schedule")
}

fn from(start: &str, catchup: bool) -> Bounds {
    Bounds { earliest: Some(utc(start)), latest: None, catchup, timezone: Tz::UTC }
}

const DAY: Duration = Duration::from_hours(24);

#[test]
fn unpausing_with_catchup_creates_every_run_since_the_start_date_and_without_it_one() {
    let now = utc("2026-11-21T12:57:00Z");
    let seven_years_ago = |catchup| from("2020-01-01T00:00:00Z", catchup);
    let daily = cron("@daily", Family::DataInterval);
    assert_eq!(daily.due(&seven_years_ago(true), None, now).count(), 2_516);
    assert_eq!(daily.due(&seven_years_ago(false), None, now).count(), 1);
    let daily = cron("@daily", Family::Trigger);
    assert_eq!(daily.due(&seven_years_ago(true), None, now).count(), 2_517);
    assert_eq!(daily.due(&seven_years_ago(false), None, now).count(), 1);
}

#[test]
fn a_hundred_thousand_missed_ticks_are_counted_while_the_user_waits() {
    let every_minute = cron("* * * * *", Family::DataInterval);
    let bounds = Bounds { timezone: Tz::Europe__Zurich, ..from("2026-01-01T00:00:30Z", true) };
    let begun = Instant::now();
    let counted = every_minute.due(&bounds, None, utc("2026-11-21T00:00:00Z")).take(100_000).count();
    assert_eq!(counted, 100_000);
    // The promise is one second of an optimised build; an unoptimised one gets ten times that.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_run_of_a_day_happens_after_the_day_or_at_its_instant_as_the_family_says() {
    let now = utc("2024-05-01T15:00:00Z");
    let bounds = from("2024-05-01T00:00:00Z", true);
    let covering = cron("@daily", Family::DataInterval).next(&bounds, None, now).expect("a run");
    assert_eq!((covering.logical_date, covering.run_after), (utc("2024-05-01T00:00:00Z"), utc("2024-05-02T00:00:00Z")));
    let instant = cron("@daily", Family::Trigger).next(&bounds, None, now).expect("a run");
    assert_eq!((instant.logical_date, instant.run_after), (utc("2024-05-01T00:00:00Z"), utc("2024-05-01T00:00:00Z")));
}

#[test]
fn the_end_date_is_compared_with_the_start_of_the_interval_and_is_included() {
    let bounds = Bounds { latest: Some(utc("2024-03-03T00:00:00Z")), ..from("2024-03-01T00:00:00Z", true) };
    let now = utc("2024-06-01T00:00:00Z");
    for family in [Family::DataInterval, Family::Trigger] {
        let dates: Vec<_> = cron("@daily", family).due(&bounds, None, now).map(|run| run.logical_date).collect();
        assert_eq!(dates, ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"].map(utc));
    }
}

#[test]
fn a_changed_schedule_goes_on_where_the_old_one_ended() {
    let bounds = from("2024-03-01T00:00:00Z", true);
    let now = utc("2024-03-15T00:00:00Z");
    let hourly_ended = DataInterval { start: utc("2024-03-05T09:00:00Z"), end: utc("2024-03-05T10:00:00Z") };
    let run = cron("@daily", Family::DataInterval).next(&bounds, Some(&hourly_ended), now).expect("a run");
    assert_eq!(run.logical_date, utc("2024-03-06T00:00:00Z"), "the 5th was begun by the hourly runs");
    let daily_ended = DataInterval { start: utc("2024-03-04T00:00:00Z"), end: utc("2024-03-05T00:00:00Z") };
    let run = cron("@hourly", Family::DataInterval).next(&bounds, Some(&daily_ended), now).expect("a run");
    assert_eq!(run.logical_date, utc("2024-03-05T00:00:00Z"));
}

#[test]
fn without_catchup_a_scheduler_that_was_down_goes_on_with_the_newest_run() {
    let bounds = from("2024-01-01T00:00:00Z", false);
    let last = DataInterval { start: utc("2024-02-01T00:00:00Z"), end: utc("2024-02-02T00:00:00Z") };
    let now = utc("2024-03-15T10:00:00Z");
    let run = cron("@daily", Family::DataInterval).next(&bounds, Some(&last), now).expect("a run");
    assert_eq!(run.logical_date, utc("2024-03-14T00:00:00Z"));
    let run = cron("@daily", Family::Trigger).next(&bounds, Some(&last), now).expect("a run");
    assert_eq!(run.logical_date, utc("2024-03-15T00:00:00Z"));
}

#[test]
fn without_a_start_date_the_first_run_is_near() {
    let bounds = |catchup| Bounds { earliest: None, latest: None, catchup, timezone: Tz::UTC };
    let first = |expression: &str, family, catchup, now: &str| {
        cron(expression, family).next(&bounds(catchup), None, utc(now)).map(|run| run.logical_date)
    };
    assert_eq!(first("@daily", Family::DataInterval, true, "2024-03-15T10:00:00Z"), None, "since when?");
    let yesterday = Some(utc("2024-03-14T00:00:00Z"));
    assert_eq!(first("@daily", Family::DataInterval, false, "2024-03-15T10:00:00Z"), yesterday);
    let (today, tomorrow) = (Some(utc("2024-03-15T00:00:00Z")), Some(utc("2024-03-16T00:00:00Z")));
    assert_eq!(first("@daily", Family::Trigger, true, "2024-03-15T02:00:00Z"), today, "a tenth of a day is 2.4 hours");
    assert_eq!(first("@daily", Family::Trigger, true, "2024-03-15T03:00:00Z"), tomorrow);
    assert_eq!(first("@daily", Family::Trigger, false, "2024-03-15T03:00:00Z"), today);
    let passed = Some(utc("2024-03-15T03:00:00Z"));
    assert_eq!(first("*/10 * * * *", Family::Trigger, true, "2024-03-15T03:04:59Z"), passed, "at least five minutes");
}

#[test]
fn a_distance_without_catchup_takes_the_grid_of_the_epoch_and_months_their_own_steps() {
    let now = utc("2024-03-15T10:20:30Z");
    let bounds = from("2024-01-31T03:30:00Z", false);
    let run = every(Duration::from_hours(6), Family::DataInterval).next(&bounds, None, now).expect("a run");
    assert_eq!(run.interval, DataInterval { start: utc("2024-03-15T00:00:00Z"), end: utc("2024-03-15T06:00:00Z") });
    let monthly = Schedule::EveryMonths { months: 1, plus: Duration::ZERO, family: Family::DataInterval };
    let monthly = Timetable::compile(&monthly).expect("a schedule");
    let run = monthly.next(&bounds, None, utc("2024-06-01T00:00:00Z")).expect("a run");
    assert_eq!(run.interval, DataInterval { start: utc("2024-04-29T03:30:00Z"), end: utc("2024-05-29T03:30:00Z") });
}

#[test]
fn a_continuous_dag_never_makes_two_runs_of_one_logical_date() {
    let timetable = Timetable::compile(&Schedule::Continuous).expect("a schedule");
    let bounds = from("2024-03-15T12:00:00Z", true);
    let planned_ahead = timetable.next(&bounds, None, utc("2024-03-15T10:00:00Z")).expect("a run");
    assert_eq!(planned_ahead.run_after, utc("2024-03-15T12:00:00Z"));
    let (mut last, mut dates) = (planned_ahead, vec![planned_ahead.logical_date]);
    for minute in 1..5 {
        let now = planned_ahead.run_after + TimeDelta::minutes(minute);
        assert_eq!(timetable.due(&bounds, Some(&last.interval), now).count(), 1, "the next waits for this one's end");
        last = timetable.next(&bounds, Some(&last.interval), now).expect("a run");
        assert_eq!(last.interval.end, now);
        dates.push(last.logical_date);
    }
    assert!(dates.is_sorted_by(|a, b| a < b), "{dates:?}");
}

#[test]
fn a_dag_that_runs_once_or_never_is_not_asked_again() {
    let bounds = from("2024-01-01T00:00:00Z", false);
    let now = utc("2026-01-01T00:00:00Z");
    let once = Timetable::compile(&Schedule::Once).expect("a schedule");
    let run = once.next(&bounds, None, now).expect("a run");
    assert_eq!(run, at(utc("2024-01-01T00:00:00Z")));
    assert_eq!(once.next(&bounds, Some(&run.interval), now), None);
    let never = Timetable::compile(&Schedule::Never).expect("a schedule");
    assert_eq!(never.next(&bounds, None, now), None);
}

#[test]
fn a_manual_run_covers_the_last_complete_period() {
    let at = utc("2024-03-15T10:20:30Z");
    let covers = |timetable: &Timetable| timetable.manual_interval(Tz::UTC, at);
    let yesterday = DataInterval { start: utc("2024-03-14T00:00:00Z"), end: utc("2024-03-15T00:00:00Z") };
    assert_eq!(covers(&cron("@daily", Family::DataInterval)), yesterday);
    assert_eq!(covers(&cron("@daily", Family::Trigger)), DataInterval::exact(at));
    let the_day_before = DataInterval { start: utc("2024-03-14T10:20:30Z"), end: at };
    assert_eq!(covers(&every(DAY, Family::DataInterval)), the_day_before);
    assert_eq!(covers(&every(DAY, Family::Trigger)), DataInterval::exact(at));
    assert_eq!(covers(&Timetable::compile(&Schedule::Never).expect("a schedule")), DataInterval::exact(at));
}

#[test]
fn a_schedule_is_summed_up_in_words() {
    let months = |months, plus| Schedule::EveryMonths { months, plus, family: Family::DataInterval };
    let period = |period| Schedule::Every { period, family: Family::Trigger };
    let table = [
        (Schedule::Never, "only when triggered"),
        (Schedule::Once, "once, at the start date"),
        (Schedule::parse("@daily", Family::Trigger).expect("a preset"), "every day at 00:00"),
        (period(DAY), "every day"),
        (period(Duration::from_hours(6)), "every 6 hours"),
        (period(Duration::from_secs(5400)), "every 1 hour and 30 minutes"),
        (period(Duration::from_millis(2500)), "every 2 seconds and 500 milliseconds"),
        (months(1, Duration::ZERO), "every month"),
        (months(3, DAY * 2), "every 3 months and 2 days"),
    ];
    for (schedule, words) in table {
        assert_eq!(Timetable::compile(&schedule).expect("a schedule").summary(), words);
    }
}

#[test]
fn a_schedule_that_cannot_be_is_refused_when_it_is_read() {
    let refused = |schedule: &Schedule| Timetable::compile(schedule).expect_err("refused").to_string();
    let zero = refused(&Schedule::Every { period: Duration::ZERO, family: Family::Trigger });
    assert!(zero.starts_with("expected the time between two runs to be at least a microsecond"), "{zero}");
    refused(&Schedule::EveryMonths { months: 0, plus: Duration::ZERO, family: Family::Trigger });
    refused(&Schedule::Every { period: Duration::MAX, family: Family::Trigger });
    assert_eq!(
        Schedule::parse("@Daily", Family::Trigger).expect_err("refused").to_string(),
        "unknown schedule `@Daily`; did you mean `@daily`?"
    );
    assert_eq!(Schedule::parse(" @once ", Family::Trigger), Ok(Schedule::Once));
}

#[test]
fn a_year_with_clock_changes_has_one_run_a_day_and_hours_enough() {
    let zone = Tz::Europe__Zurich;
    let new_year = |year| {
        use chrono::TimeZone;
        let local = NaiveDate::from_ymd_opt(year, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).expect("a date");
        zone.from_local_datetime(&local).single().expect("new year is nowhere skipped").to_utc()
    };
    for family in [Family::DataInterval, Family::Trigger] {
        let runs = |expression: &str| {
            let bounds = Bounds { earliest: Some(new_year(2024)), latest: None, catchup: true, timezone: zone };
            cron(expression, family)
                .due(&bounds, None, new_year(2026))
                .filter(|run| run.logical_date < new_year(2025))
                .count()
        };
        assert_eq!(runs("@daily"), 366);
        assert_eq!(runs("30 2 * * *"), 366);
        assert_eq!(runs("@hourly"), 366 * 24);
    }
}

#[test]
fn at_the_ends_of_time_there_are_no_runs_and_no_panic() {
    let schedules = [
        Schedule::Cron { expression: "@daily".to_owned(), family: Family::DataInterval },
        Schedule::Cron { expression: "30 * * * *".to_owned(), family: Family::Trigger },
        Schedule::Every { period: DAY, family: Family::DataInterval },
        Schedule::EveryMonths { months: 1, plus: DAY, family: Family::Trigger },
        Schedule::Continuous,
    ];
    let ends = [Time::MIN_UTC, Time::MAX_UTC];
    for timetable in schedules.map(|schedule| Timetable::compile(&schedule).expect("a schedule")) {
        for (earliest, now) in ends.into_iter().flat_map(|earliest| ends.map(|now| (earliest, now))) {
            for (catchup, timezone) in [(true, Tz::Pacific__Apia), (false, Tz::America__New_York)] {
                let bounds = Bounds { earliest: Some(earliest), latest: None, catchup, timezone };
                let last = DataInterval::exact(now);
                for last in [None, Some(&last)] {
                    let run = timetable.next(&bounds, last, now);
                    assert!(run.is_none_or(|run| run.interval.start <= run.interval.end), "{run:?}");
                }
                timetable.manual_interval(timezone, now);
            }
        }
    }
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let family = || prop_oneof![Just(Family::DataInterval), Just(Family::Trigger)];
    let expressions =
        ["@hourly", "@daily", "@weekly", "@monthly", "*/7 * * * *", "30 2 * * *", "0 0 13 * 5", "0 0 L * *"];
    prop_oneof![
        (proptest::sample::select(expressions.to_vec()), family())
            .prop_map(|(expression, family)| Schedule::Cron { expression: expression.to_owned(), family }),
        (60..1_000_000_u64, family())
            .prop_map(|(seconds, family)| Schedule::Every { period: Duration::from_secs(seconds), family }),
        (1..30_u32, 0..1_000_000_u64, family()).prop_map(|(months, seconds, family)| Schedule::EveryMonths {
            months,
            plus: Duration::from_secs(seconds),
            family
        }),
    ]
}

fn instant() -> impl Strategy<Value = Time> {
    // From 2001 to 2033.
    (1_000_000_000_000_000..2_000_000_000_000_000_i64)
        .prop_map(|micros| chrono::DateTime::from_timestamp_micros(micros).expect("an instant"))
}

fn zone() -> impl Strategy<Value = Tz> {
    proptest::sample::select(vec![Tz::UTC, Tz::Europe__Zurich, Tz::America__New_York, Tz::Australia__Lord_Howe])
}

proptest! {
    #[test]
    fn logical_dates_only_grow(
        schedule in schedule(), timezone in zone(), earliest in proptest::option::of(instant()),
        catchup in any::<bool>(), now in instant(), pauses in proptest::collection::vec(0..10_000_000_u64, 1..30)
    ) {
        let timetable = Timetable::compile(&schedule).expect("a schedule");
        let bounds = Bounds { earliest, latest: None, catchup, timezone };
        let (mut now, mut last) = (now, None::<PlannedRun>);
        for pause in pauses {
            let Some(run) = timetable.next(&bounds, last.as_ref().map(|run| &run.interval), now) else {
                prop_assert!(last.is_none() && earliest.is_none(), "only without a start date there may be no run");
                break;
            };
            prop_assert!(run.logical_date == run.interval.start && run.interval.start <= run.interval.end);
            prop_assert!(run.run_after == run.interval.end);
            if let Some(last) = last {
                prop_assert!(run.logical_date > last.logical_date, "{:?} after {:?}", run, last);
                prop_assert!(run.interval.start >= last.interval.end, "{:?} overlaps {:?}", run, last);
            }
            last = Some(run);
            now = now.max(run.run_after) + TimeDelta::seconds(pause.try_into().expect("a few months"));
        }
    }

    #[test]
    fn catchup_leaves_no_hole_and_does_nothing_twice(
        schedule in schedule(), earliest in instant(), now in instant(), chunk in 1..40_usize
    ) {
        let timetable = Timetable::compile(&schedule).expect("a schedule");
        let bounds = Bounds { earliest: Some(earliest), latest: None, catchup: true, timezone: Tz::UTC };
        let at_once: Vec<_> = timetable.due(&bounds, None, now).take(100).collect();
        for pair in at_once.windows(2) {
            match &timetable.rule {
                Rule::Ticking { family: Family::DataInterval, .. } => {
                    prop_assert_eq!(pair[1].interval.start, pair[0].interval.end);
                }
                Rule::Ticking { ticks, family: Family::Trigger } => {
                    prop_assert_eq!(Some(pair[1].logical_date), ticks.next(Tz::UTC, pair[0].logical_date));
                }
                Rule::Never | Rule::Once | Rule::Continuous => unreachable!("not among the schedules of this test"),
            }
        }
        // A restart in the middle changes nothing.
        let mut in_chunks: Vec<PlannedRun> = Vec::new();
        while in_chunks.len() < at_once.len() {
            let last = in_chunks.last().map(|run| run.interval);
            in_chunks.extend(timetable.due(&bounds, last.as_ref(), now).take(chunk.min(at_once.len() - in_chunks.len())));
        }
        prop_assert_eq!(in_chunks, at_once);
    }
}
