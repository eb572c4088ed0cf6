//! Why a task instance has not started, or what held it: sentences, and a line of time from the first wait to the end.

use maud::{Markup, html};

use crate::domain::blocker::{Blocker, length as duration};
use crate::domain::journal::Stretch;
use crate::domain::state::TaskState;
use crate::domain::time::{Time, until};
use crate::protocol::explanation::Explanation;

/// One try, as far as the line of time needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    pub number: i32,
    pub state: TaskState,
    pub started_at: Time,
    pub ended_at: Option<Time>,
}

/// `told` is what the scheduler says of it; without a scheduler there is still the journal.
pub fn draw(told: Option<&Explanation>, journal: &[Stretch], ran: &[Ran], now: Time) -> Markup {
    html! {
        @if let Some(told) = told { (reasons(told)) }
        (line(journal, ran, now))
        @if !journal.is_empty() || !ran.is_empty() { (sentences(journal, ran, now)) }
    }
}

fn reasons(told: &Explanation) -> Markup {
    html! {
        section.why-now {
            h2 { (if told.state.is_finished() { "Now" } else { "What holds it now" }) }
            ul.why { @for reason in &told.reasons { (sentence(reason, told.at)) } }
        }
    }
}

fn sentence(reason: &Blocker, at: Time) -> Markup {
    html! {
        li {
            (ticked(&reason.sentence(at)))
            @if let Some(hint) = reason.hint() { p.hint { (ticked(&hint)) } }
        }
    }
}

/// Names in back ticks are names.
fn ticked(sentence: &str) -> Markup {
    html! {
        @for (at, part) in sentence.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// All waits and tries on one line, to scale.
fn line(journal: &[Stretch], ran: &[Ran], now: Time) -> Markup {
    let starts = journal.iter().map(|stretch| stretch.from).chain(ran.iter().map(|ran| ran.started_at));
    let ends = journal.iter().map(|stretch| stretch.to).chain(ran.iter().map(|ran| ran.ended_at.unwrap_or(now)));
    let (Some(first), Some(last)) = (starts.min(), ends.max()) else { return html! {} };
    let whole = until(first, last).as_secs_f64().max(0.001);
    let share = |at: Time| until(first, at).as_secs_f64() / whole * 100.0;
    let part =
        |from: Time, to: Time| (format!("{:.2}%", share(from)), format!("{:.2}%", (share(to) - share(from)).max(0.3)));
    html! {
        svg.why-line xmlns="http://www.w3.org/2000/svg" width="100%" height="44" role="img" aria-label="Waits and tries over time" {
            line.floor x1="0" x2="100%" y1="15" y2="15" {}
            @for stretch in journal {
                @let (x, width) = part(stretch.from, stretch.to);
                rect.waited x=(x) y="12" width=(width) height="6" rx="2" {
                    title { (duration(stretch.length())) ": " (stretch.held.sentence()) }
                }
            }
            @for ran in ran {
                @let end = ran.ended_at.unwrap_or(now);
                @let (x, width) = part(ran.started_at, end);
                rect class=(format!("ran s-{}", ran.state.as_str())) x=(x) y="5" width=(width) height="20" rx="3" {
                    title { "try " (ran.number) ", " (duration(until(ran.started_at, end))) ": " (ran.state.as_str()) }
                }
            }
            text.from x="0" y="41" { (first.format("%H:%M:%S%.3f UTC")) }
            text.to x="100%" y="41" text-anchor="end" { "+" (duration(until(first, last))) }
        }
    }
}

/// The same in words, in the order in which it happened.
fn sentences(journal: &[Stretch], ran: &[Ran], now: Time) -> Markup {
    enum Happened<'a> {
        Held(&'a Stretch),
        Ran(&'a Ran),
    }
    let held = journal.iter().map(|stretch| (stretch.from, Happened::Held(stretch)));
    let mut all: Vec<(Time, Happened<'_>)> =
        held.chain(ran.iter().map(|ran| (ran.started_at, Happened::Ran(ran)))).collect();
    all.sort_by_key(|(at, _)| *at);
    html! {
        section {
            h2 { "What happened" }
            ol.why-steps {
                @for (at, what) in &all {
                    li {
                        time datetime=(at.to_rfc3339()) { (at.format("%H:%M:%S%.3f")) }
                        @match what {
                            Happened::Held(stretch) => span.waited { "waited " b { (duration(stretch.length())) } ": " (ticked(&stretch.held.sentence())) },
                            Happened::Ran(ran) => span class=(format!("ran s-{}", ran.state.as_str())) {
                                "try " (ran.number) " ran " b { (duration(until(ran.started_at, ran.ended_at.unwrap_or(now)))) } ": " (ran.state.as_str())
                            },
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::journal::Held;
    use crate::web::view::examples::at;

    #[test]
    fn waits_and_tries_stand_in_the_order_in_which_they_happened() {
        let journal = [
            Stretch { from: at(0), to: at(2), held: Held::Parallelism },
            Stretch { from: at(5), to: at(9), held: Held::Retry },
        ];
        let ran = [
            Ran { number: 1, state: TaskState::UpForRetry, started_at: at(2), ended_at: Some(at(5)) },
            Ran { number: 2, state: TaskState::Running, started_at: at(9), ended_at: None },
        ];
        insta::assert_snapshot!(draw(None, &journal, &ran, at(10)).into_string().replace('>', ">\n"));
    }
}
