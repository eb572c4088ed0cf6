//! The part Tries: every attempt, by whom and how it ended.

use maud::{Markup, html};

use super::Subject;
use crate::domain::attempt::AttemptState;
use crate::domain::ids::Claim;
use crate::domain::time::{Time, until};
use crate::web::page::dag::state_of;
use crate::web::view::state::badge;
use crate::web::view::{number, time};

pub(super) fn show(subject: &Subject, now: Time) -> Markup {
    if subject.attempts.is_empty() {
        return html! { p.quiet { "It has not been tried." } };
    }
    html! {
        div.scroll { table.list {
            thead { tr { th.number { "try" } th { "ended" } th { "queued" } th.number { "waited" } th { "started" } th.number { "ran" } th.number { "exit" } th { "worker" } th { "message" } } }
            tbody { @for attempt in &subject.attempts {
                @let waited = attempt.started_at.or(attempt.ended_at).unwrap_or(now);
                tr id=(format!("try-{}", attempt.id)) {
                    td.number { a href=(format!("{}?try={}", subject.path(), attempt.try_number)) { (attempt.try_number) } }
                    td.tight { @match attempt.state {
                        AttemptState::Done { outcome, .. } => { (badge(state_of(attempt))) " " span.quiet { (outcome.as_str()) } }
                        AttemptState::Queued { .. } | AttemptState::Run { .. } | AttemptState::Ending { .. } => { (badge(state_of(attempt))) }
                    } }
                    td.tight { (time::clock(attempt.queued_at, chrono_tz::UTC, now)) }
                    td.number.tight { (number::duration(until(attempt.queued_at, waited))) }
                    td.tight { (attempt.started_at.map_or_else(time::dash, |at| time::clock(at, chrono_tz::UTC, now))) }
                    td.number.tight { (time::took(attempt.started_at, attempt.ended_at, now)) }
                    td.number { (attempt.exit_code.map(|code| code.to_string()).unwrap_or_default()) }
                    td.tight { @if let Some(claim) = claim(attempt.state) { code title=(claim.worker) { (claim.worker.to_string().chars().take(8).collect::<String>()) } } }
                    td { span.break { (attempt.message.as_deref().unwrap_or_default()) } }
                }
            } }
        } }
    }
}

fn claim(state: AttemptState) -> Option<Claim> {
    match state {
        AttemptState::Queued { .. } => None,
        AttemptState::Run { claim, .. } | AttemptState::Ending { claim, .. } => Some(claim),
        AttemptState::Done { claim, .. } => claim,
    }
}
