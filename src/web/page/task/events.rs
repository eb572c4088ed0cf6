//! The part Events: everything that is known to have happened to it, in order.

use maud::{Markup, html};

use super::Subject;
use crate::domain::attempt::AttemptState;
use crate::domain::time::Time;
use crate::store::query::NotificationFilter;
use crate::web::view::number;
use crate::web::{Error, Web};

/// So many notifications of a run are looked through.
const NOTIFICATIONS: u64 = 1_000;

pub(super) async fn show(web: &Web, subject: &Subject) -> Result<Markup, Error> {
    let mut events: Vec<(Time, String)> = Vec::new();
    for attempt in &subject.attempts {
        let number = attempt.try_number;
        events.push((attempt.queued_at, format!("try {number} was queued")));
        events.extend(attempt.started_at.map(|at| (at, format!("try {number} started"))));
        if let (AttemptState::Done { outcome, .. }, Some(at)) = (attempt.state, attempt.ended_at) {
            let why = attempt.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            events.push((at, format!("try {number} ended: {}{why}", outcome.as_str())));
        }
    }
    if let Some(row) = &subject.row {
        events.extend(row.scheduled_at.map(|at| (at, "its dependencies were met".to_owned())));
        for stretch in row.journal.stretches() {
            events.push((
                stretch.to,
                format!("had waited {}: {}", number::duration(stretch.length()), stretch.held.sentence()),
            ));
        }
    }
    let filter = NotificationFilter {
        dag: Some(subject.dag.clone()),
        run: Some(subject.run.run_id.clone()),
        limit: Some(NOTIFICATIONS),
        ..NotificationFilter::default()
    };
    for told in web.store.notifications(&filter).await? {
        if told.task_id.as_ref() == Some(&subject.task) && told.map_index == subject.map_index {
            let error = told.error.map(|error| format!(": {error}")).unwrap_or_default();
            let what = format!("notification ({}) is {}{error}", told.occasion.as_str(), told.state.as_str());
            events.push((told.ended_at.unwrap_or(told.created_at), what));
        }
    }
    events.sort();
    Ok(html! {
        @if events.is_empty() { p.quiet { "Nothing has happened to it yet." } }
        ol.why-steps {
            @for (at, what) in &events { li { time datetime=(at.to_rfc3339()) { (at.format("%Y-%m-%d %H:%M:%S%.3f")) } span.break { (what) } } }
        }
    })
}
