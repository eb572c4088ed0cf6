//! Dates in templates: they print, and answer to the methods, as Python's and pendulum's do.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike, Duration, Months, NaiveDate, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use minijinja::value::{Kwargs, Object, ObjectRepr, Value, from_args};
use minijinja::{Environment, Error, ErrorKind, State};

use crate::domain::time::Time;

/// `2026-11-21`
pub(super) fn ds(time: Time) -> String {
    time.format("%Y-%m-%d").to_string()
}

/// `20261121`
pub(super) fn ds_nodash(time: Time) -> String {
    time.format("%Y%m%d").to_string()
}

/// `2026-11-21T06:00:00+00:00`
pub(super) fn ts(time: Time) -> String {
    crate::domain::run::iso(time)
}

/// `20261121T060000`
pub(super) fn ts_nodash(time: Time) -> String {
    time.format("%Y%m%dT%H%M%S").to_string()
}

/// `20261121T060000+0000`
pub(super) fn ts_nodash_with_tz(time: Time) -> String {
    ts(time).replace(['-', ':'], "")
}

/// A filter's name, and what it makes of a date.
type Filter = (&'static str, fn(Time) -> String);

/// `{{ logical_date | ds }}` and its kin.
pub(super) fn add_filters(engine: &mut Environment<'static>) {
    let filters: [Filter; 5] = [
        ("ds", ds),
        ("ds_nodash", ds_nodash),
        ("ts", ts),
        ("ts_nodash", ts_nodash),
        ("ts_nodash_with_tz", ts_nodash_with_tz),
    ];
    for (name, filter) in filters {
        engine.add_filter(name, move |value: &Value| match value.downcast_object_ref::<DateTimeValue>() {
            Some(date) => Ok(filter(date.0.with_timezone(&Utc))),
            None if value.is_undefined() => Err(Error::from(ErrorKind::UndefinedError)),
            None => Err(invalid(format!("the filter `{name}` needs a date, got: {value}"))),
        });
    }
}

/// `macros.ds_add(ds, 5)`, `macros.ds_format(ds, '%Y-%m-%d', '%d.%m.%Y')`.
pub(super) fn macros() -> Value {
    Value::from_object(Macros)
}

#[derive(Debug)]
struct Macros;

impl Object for Macros {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "ds_add" => {
                let (day, days): (&str, i64) = from_args(args)?;
                let date = NaiveDate::parse_from_str(day, "%Y-%m-%d")
                    .map_err(|_| invalid(format!("expected a date such as 2026-01-31, got: {day}")))?;
                let moved = Duration::try_days(days).and_then(|days| date.checked_add_signed(days));
                moved.map(|date| Value::from(date.to_string())).ok_or_else(|| invalid("the date is out of range"))
            }
            "ds_format" => {
                let (text, from, to): (&str, &str, &str) = from_args(args)?;
                let date = NaiveDateTime::parse_from_str(text, &chrono_format(from))
                    .or_else(|_| {
                        NaiveDate::parse_from_str(text, &chrono_format(from))
                            .map(|day| day.and_time(chrono::NaiveTime::MIN))
                    })
                    .map_err(|_| invalid(format!("`{text}` is not written as {from}")))?;
                strftime(Tz::UTC.from_utc_datetime(&date), to).map(Value::from)
            }
            _ => Err(invalid(format!("`macros.{method}` is not known (known: ds_add, ds_format)"))),
        }
    }
}

/// A date with a time and a zone: pendulum's `DateTime`.
#[derive(Debug)]
pub(super) struct DateTimeValue(DateTime<Tz>);

impl DateTimeValue {
    pub fn utc(time: Time) -> Self {
        Self(time.with_timezone(&Tz::UTC))
    }
}

fn value(date: DateTime<Tz>) -> Value {
    Value::from_object(DateTimeValue(date))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

impl Object for DateTimeValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let date = &self.0;
        Some(match key.as_str()? {
            "year" => Value::from(date.year()),
            "month" => Value::from(date.month()),
            "day" => Value::from(date.day()),
            "hour" => Value::from(date.hour()),
            "minute" => Value::from(date.minute()),
            "second" => Value::from(date.second()),
            "microsecond" => Value::from(date.timestamp_subsec_micros()),
            "day_of_week" => Value::from(date.weekday().num_days_from_monday()),
            "day_of_year" => Value::from(date.ordinal()),
            "week_of_year" => Value::from(date.iso_week().week()),
            "quarter" => Value::from(date.month0() / 3 + 1),
            "int_timestamp" => Value::from(date.timestamp()),
            "timezone_name" => Value::from(date.timezone().name()),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let date = self.0;
        let none = || from_args::<()>(args);
        Ok(match method {
            "strftime" => {
                let (format,): (&str,) = from_args(args)?;
                Value::from(strftime(date, format)?)
            }
            "isoformat" => {
                let (separator,): (Option<&str>,) = from_args(args)?;
                Value::from(iso(date, separator.unwrap_or("T")))
            }
            "to_iso8601_string" => {
                none()?;
                Value::from(iso(date, "T").replace("+00:00", "Z"))
            }
            "date" | "to_date_string" => {
                none()?;
                Value::from(date.format("%Y-%m-%d").to_string())
            }
            "time" | "to_time_string" => {
                none()?;
                Value::from(date.format("%H:%M:%S").to_string())
            }
            "to_datetime_string" => {
                none()?;
                Value::from(date.format("%Y-%m-%d %H:%M:%S").to_string())
            }
            "timestamp" => {
                none()?;
                Value::from(date.timestamp_micros() as f64 / 1e6)
            }
            "weekday" => {
                none()?;
                Value::from(date.weekday().num_days_from_monday())
            }
            "isoweekday" => {
                none()?;
                Value::from(date.weekday().number_from_monday())
            }
            "add" => value(shift(date, args, 1)?),
            "subtract" => value(shift(date, args, -1)?),
            "in_timezone" | "in_tz" | "astimezone" => {
                let (name,): (&str,) = from_args(args)?;
                let zone: Tz = name.parse().map_err(|_| invalid(format!("unknown time zone `{name}`")))?;
                value(date.with_timezone(&zone))
            }
            "replace" => value(replace(date, args)?),
            "start_of" => {
                let (unit,): (&str,) = from_args(args)?;
                value(start_of(date, unit)?)
            }
            _ => return Err(invalid(format!("a date has no method `{method}`"))),
        })
    }

    /// Dates compare as instants.
    fn custom_cmp(self: &Arc<Self>, other: &minijinja::value::DynObject) -> Option<std::cmp::Ordering> {
        other.downcast_ref::<Self>().map(|other| self.0.cmp(&other.0))
    }

    /// Python's `str`: a space between date and time.
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&iso(self.0, " "))
    }
}

/// Python's `isoformat`: microseconds only if there are any.
fn iso(date: DateTime<Tz>, separator: &str) -> String {
    let format = if date.timestamp_subsec_micros() == 0 { "%H:%M:%S%:z" } else { "%H:%M:%S%.6f%:z" };
    format!("{}{separator}{}", date.format("%Y-%m-%d"), date.format(format))
}

/// Python counts fractions in microseconds.
fn chrono_format(format: &str) -> String {
    format.replace("%f", "%6f")
}

fn strftime(date: DateTime<Tz>, format: &str) -> Result<String, Error> {
    let items: Vec<Item> = StrftimeItems::new(format).collect();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return Err(invalid(format!("`{format}` is no date format")));
    }
    let mut text = String::new();
    write!(text, "{}", date.format(&chrono_format(format)))
        .map_err(|_| invalid(format!("`{format}` is no date format")))?;
    Ok(text)
}

/// `add(days=1, hours=2)` and `subtract(...)`: calendar units on the wall clock, the others as elapsed time.
fn shift(date: DateTime<Tz>, args: &[Value], sign: i64) -> Result<DateTime<Tz>, Error> {
    let (kwargs,): (Kwargs,) = from_args(args)?;
    let amount = |unit: &str| Ok::<i64, Error>(kwargs.get::<Option<i64>>(unit)?.unwrap_or(0).saturating_mul(sign));
    let months = amount("years")?.saturating_mul(12).saturating_add(amount("months")?);
    let days = amount("weeks")?.saturating_mul(7).saturating_add(amount("days")?);
    let seconds = amount("hours")?
        .saturating_mul(3600)
        .saturating_add(amount("minutes")?.saturating_mul(60))
        .saturating_add(amount("seconds")?);
    let micros = amount("microseconds")?;
    kwargs.assert_all_used()?;
    let out_of_range = || invalid("the date is out of range");
    let count = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| out_of_range())?);
    let local = date.naive_local();
    let moved = if months < 0 { local.checked_sub_months(count) } else { local.checked_add_months(count) };
    let moved = moved.and_then(|moved| moved.checked_add_signed(Duration::try_days(days)?)).ok_or_else(out_of_range)?;
    let moved = if moved == local { date } else { at_wall_time(moved, date.timezone()) };
    Duration::try_seconds(seconds)
        .and_then(|elapsed| moved.checked_add_signed(elapsed + Duration::microseconds(micros)))
        // Python's dates end where the year has a fifth digit.
        .filter(|moved| (1..=9999).contains(&moved.year()))
        .ok_or_else(out_of_range)
}

/// A wall time that the clock skips is read as UTC's; of two instants the later one is meant.
fn at_wall_time(local: NaiveDateTime, zone: Tz) -> DateTime<Tz> {
    zone.from_local_datetime(&local).latest().unwrap_or_else(|| zone.from_utc_datetime(&local))
}

fn replace(date: DateTime<Tz>, args: &[Value]) -> Result<DateTime<Tz>, Error> {
    let (kwargs,): (Kwargs,) = from_args(args)?;
    let part = |name: &str, now: u32| Ok::<u32, Error>(kwargs.get::<Option<u32>>(name)?.unwrap_or(now));
    let year = kwargs.get::<Option<i32>>("year")?.unwrap_or(date.year());
    let day = NaiveDate::from_ymd_opt(year, part("month", date.month())?, part("day", date.day())?);
    let (hour, minute) = (part("hour", date.hour())?, part("minute", date.minute())?);
    let (second, micro) = (part("second", date.second())?, part("microsecond", date.timestamp_subsec_micros())?);
    kwargs.assert_all_used()?;
    day.and_then(|day| day.and_hms_micro_opt(hour, minute, second, micro))
        .map(|local| at_wall_time(local, date.timezone()))
        .ok_or_else(|| invalid("there is no such date"))
}

fn start_of(date: DateTime<Tz>, unit: &str) -> Result<DateTime<Tz>, Error> {
    let day = date.date_naive();
    let (day, hour) = match unit {
        "hour" => (Some(day), date.hour()),
        "day" => (Some(day), 0),
        "week" => (day.checked_sub_signed(Duration::days(i64::from(day.weekday().num_days_from_monday()))), 0),
        "month" => (day.with_day(1), 0),
        "year" => (NaiveDate::from_ymd_opt(day.year(), 1, 1), 0),
        _ => return Err(invalid(format!("expected hour, day, week, month or year, got: {unit}"))),
    };
    day.and_then(|day| day.and_hms_opt(hour, 0, 0))
        .map(|local| at_wall_time(local, date.timezone()))
        .ok_or_else(|| invalid("the date is out of range"))
}
