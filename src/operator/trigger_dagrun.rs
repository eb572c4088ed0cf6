//! A run of another DAG (`TriggerDagRunOperator`): the scheduler makes it, and this process may wait for its end.

use serde_json::Value;

use super::channel::{Channel, ChannelError};
use super::{End, say};
use crate::domain::ids::{DagId, RunId};
use crate::domain::native::{TriggerDagRun, parse_moment};
use crate::domain::state::RunState;
use crate::domain::wait::{Awaited, AwaitedRun, Seen};
use crate::protocol::work::{Question, TriggerDagRunRequest};

/// The XCom under which Airflow keeps the run's id.
const RUN_ID: &str = "trigger_run_id";

pub(super) fn run(trigger: &TriggerDagRun, channel: &mut Channel) -> Result<Value, End> {
    let request = TriggerDagRunRequest {
        dag_id: trigger.trigger_dag_id.clone(),
        run_id: trigger.trigger_run_id.clone(),
        logical_date: logical_date(trigger)?,
        conf: trigger.conf().map_err(End::FailedForGood)?,
        note: trigger.note.clone(),
        fail_when_paused: trigger.fail_when_dag_is_paused,
    };
    let reply = channel.question(Question::TriggerDagRun(request))?;
    let text = |key: &str| reply.get(key).and_then(Value::as_str).map(str::to_owned);
    let run_id = match (text("triggered"), text("exists")) {
        (Some(run_id), _) => {
            say(&format!("Triggered {}, run {run_id}", trigger.trigger_dag_id));
            run_id
        }
        (None, Some(run_id)) if trigger.reset_dag_run => {
            let dag_id = trigger.trigger_dag_id.clone();
            channel.question(Question::ClearRun { dag_id, run_id: run_id.clone() })?;
            say(&format!("Cleared {}, run {run_id}", trigger.trigger_dag_id));
            run_id
        }
        (None, Some(run_id)) if trigger.skip_when_already_exists => {
            return Err(End::Skipped(format!(
                "Skipping because the run {run_id} of {} exists",
                trigger.trigger_dag_id
            )));
        }
        (None, Some(run_id)) => {
            return Err(End::Failed(format!("a run of {} exists already: {run_id}", trigger.trigger_dag_id)));
        }
        (None, None) => return Err(End::Failed("the scheduler's answer names no run".to_owned())),
    };
    channel.push(RUN_ID, Value::String(run_id.clone()))?;
    if !trigger.wait_for_completion {
        return Ok(Value::Null);
    }
    let awaited = awaited(trigger, &run_id).map_err(End::FailedForGood)?;
    if trigger.deferrable {
        return Err(End::Deferred(Box::new(Awaited::Run(awaited))));
    }
    wait(trigger, &awaited, channel)
}

fn logical_date(trigger: &TriggerDagRun) -> Result<Option<crate::domain::time::Time>, End> {
    let Some(text) = trigger.logical_date.as_deref().filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let date = parse_moment(text, chrono_tz::Tz::UTC);
    date.map(Some).ok_or_else(|| End::FailedForGood(format!("expected `logical_date` to be a date, got: `{text}`")))
}

fn awaited(trigger: &TriggerDagRun, run_id: &str) -> Result<AwaitedRun, String> {
    Ok(AwaitedRun {
        dag: DagId::new(&trigger.trigger_dag_id).map_err(|invalid| invalid.to_string())?,
        run: RunId::new(run_id).map_err(|invalid| invalid.to_string())?,
        allowed: trigger.allowed_states.clone(),
        failed: trigger.failed_states.clone(),
    })
}

/// Looks at the run until its state decides.
fn wait(trigger: &TriggerDagRun, awaited: &AwaitedRun, channel: &mut Channel) -> Result<Value, End> {
    loop {
        say(&format!("Waiting for {} on {} to become {}", awaited.dag, awaited.run, awaited.allowed.join(" or ")));
        std::thread::sleep(trigger.poke_interval);
        let question = Question::GetRunState { dag_id: awaited.dag.to_string(), run_id: awaited.run.to_string() };
        let answer = channel.question(question)?;
        let state: Option<RunState> =
            serde_json::from_value(answer).map_err(|error| ChannelError::Refused(error.to_string()))?;
        match awaited.judge(state) {
            Seen::NotYet => {}
            Seen::Done => return Ok(Value::Null),
            Seen::Failed { why } => return Err(End::Failed(why)),
            Seen::Skipped { why } => return Err(End::Skipped(why)),
        }
    }
}
