//! Instants for people: how far away they are, with the exact one on hover. The script lets the
//! relative ones go on; without it they are right for the moment in which the page was made.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeZone};
use chrono_tz::Tz;
use maud::{Markup, html};

use crate::domain::time::{Time, until};

use super::number;

/// `3 min ago`, `in 2 h`, `now`.
pub fn relative(at: Time, now: Time) -> String {
    let (apart, is_past) = if at <= now { (until(at, now), true) } else { (until(now, at), false) };
    let seconds = apart.as_secs();
    let text = match seconds {
        0 => return "now".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    };
    if is_past { format!("{text} ago") } else { format!("in {text}") }
}

/// `2026-11-20 14:03:07 UTC`.
pub fn exact<Z: TimeZone<Offset: std::fmt::Display>>(at: &DateTime<Z>) -> String {
    at.format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn machine(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// How far away an instant is, with the exact one on hover.
pub fn ago(at: Time, now: Time) -> Markup {
    html! { time.nowrap datetime=(machine(at)) title=(exact(&at)) data-relative { (relative(at, now)) } }
}

/// The same where there may be none.
pub fn ago_or_dash(at: Option<Time>, now: Time) -> Markup {
    at.map_or_else(dash, |at| ago(at, now))
}

/// The exact instant in a zone, with how far away it is on hover.
pub fn clock(at: Time, zone: Tz, now: Time) -> Markup {
    html! { time.nowrap datetime=(machine(at)) title=(relative(at, now)) { (exact(&at.with_timezone(&zone))) } }
}

/// How long something took; while it goes on (`ended` is `None`) the script counts.
pub fn took(started: Option<Time>, ended: Option<Time>, now: Time) -> Markup {
    match (started, ended) {
        (None, _) => dash(),
        (Some(started), Some(ended)) => span(until(started, ended)),
        (Some(started), None) => html! {
            time.nowrap datetime=(machine(started)) title={ "since " (exact(&started)) } data-since {
                (number::duration(until(started, now)))
            }
        },
    }
}

/// A duration.
pub fn span(duration: Duration) -> Markup {
    html! { span.nowrap { (number::duration(duration)) } }
}

/// Nothing to say here.
pub fn dash() -> Markup {
    html! { span.quiet { "–" } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().expect("an instant")
    }

    #[test]
    fn instants_are_told_by_how_far_away_they_are() {
        let now = at("2026-11-20T12:00:00Z");
        let told = ["2026-11-20T11:57:00Z", "2026-11-20T14:00:00Z", "2026-11-20T12:00:00.4Z", "2026-11-13T12:00:00Z"]
            .map(|text| relative(at(text), now));
        assert_eq!(told, ["3 min ago", "in 2 h", "now", "7 d ago"]);
    }

    #[test]
    fn the_exact_instant_is_on_hover_and_for_machines() {
        let html = ago(at("2026-11-20T11:57:00Z"), at("2026-11-20T12:00:00Z")).into_string();
        assert!(html.contains(r#"datetime="2026-11-20T11:57:00.000Z""#), "{html}");
        assert!(html.contains(r#"title="2026-11-20 11:57:00 UTC""#), "{html}");
        let zurich = clock(at("2026-11-20T11:57:00Z"), chrono_tz::Europe::Zurich, at("2026-11-20T12:00:00Z"));
        assert!(zurich.into_string().contains("2026-11-20 12:57:00 CET"));
    }
}
