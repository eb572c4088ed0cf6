//! The part Why: what holds it, what held it, and how it ran.

use maud::{Markup, html};

use super::Subject;
use crate::protocol::control::Control;
use crate::web::Error;
use crate::web::page::dag::state_of;
use crate::web::page::shell::Shell;
use crate::web::view::why::{self, Ran};

pub(super) async fn show(shell: &Shell, subject: &Subject) -> Result<Markup, Error> {
    let question = Control::Explain {
        dag: subject.dag.clone(),
        run_id: subject.run.run_id.clone(),
        task: subject.task.clone(),
        map_index: subject.map_index,
    };
    // Who asks is not on the record: nothing changes by it.
    let told = (shell.web.controller)(question, shell.caller.user.clone()).await;
    let told =
        told.map_err(|error| error.to_string()).and_then(|reply| reply.explained().map_err(|error| error.to_string()));
    let ran: Vec<Ran> = subject
        .attempts
        .iter()
        .filter_map(|attempt| {
            let started_at = attempt.started_at?;
            let (number, state) = (attempt.try_number.0, state_of(attempt));
            Some(Ran { number, state, started_at, ended_at: attempt.ended_at })
        })
        .collect();
    let kept = subject.row.as_ref().map(|row| row.journal.stretches()).unwrap_or_default();
    Ok(match &told {
        Ok(told) => why::draw(Some(told), &told.journal, &ran, shell.now),
        Err(why) => html! {
            p.banner.warn { "The scheduler does not say what holds it now: " (why) }
            (why::draw(None, kept, &ran, shell.now))
        },
    })
}
