//! What a running task asks the scheduler to do: runs of other DAGs, in the task's name.
//!
//! The wish becomes a control like any user's, so that it is decided, committed and answered in the same place. A
//! worker that lost the answer with its connection asks again, perhaps another leader: a run that nobody named is
//! therefore named after the question, and the second time it is found instead of made.

use chrono::DateTime;
use uuid::Uuid;

use crate::domain::ids::{AttemptId, Claim, DagId, RunId};
use crate::domain::run::RunType;
use crate::domain::time::Time;
use crate::protocol::answered::Unanswered;
use crate::protocol::control::{Clear, Control, Refused, Reply, Trigger, TriggeredBy};
use crate::protocol::selection::Selection;
use crate::protocol::work::{Answer, TriggerDagRunRequest};

use super::core::{Core, Effect, Ticket};

impl Core {
    /// A run of another DAG.
    pub(super) fn on_trigger_asked(
        &mut self,
        attempt: AttemptId,
        claim: Claim,
        seq: u64,
        request: TriggerDagRunRequest,
    ) {
        match self.trigger_of(request) {
            Ok(trigger) => {
                let run_id = trigger.run_id.or_else(|| named_after(attempt, claim, seq));
                self.errand(claim, seq, Control::Trigger(Trigger { run_id, ..trigger }));
            }
            Err(why) => self.answer(claim, seq, Answer::Refused { why }),
        }
    }

    fn trigger_of(&self, request: TriggerDagRunRequest) -> Result<Trigger, String> {
        let dag = DagId::new(&request.dag_id).map_err(|invalid| invalid.to_string())?;
        if request.fail_when_paused && self.dags.get(&dag).is_some_and(|dag| dag.row.is_paused) {
            return Err(format!("Dag {dag} is paused"));
        }
        let run_id = request.run_id.filter(|id| !id.is_empty()).map(RunId::new).transpose();
        Ok(Trigger {
            dag,
            run_id: run_id.map_err(|invalid| invalid.to_string())?,
            logical_date: request.logical_date,
            conf: request.conf,
            note: request.note,
            by: TriggeredBy::Operator,
            user: None,
        })
    }

    /// All of a run again.
    pub(super) fn on_clear_asked(&mut self, claim: Claim, seq: u64, dag: String, run: String) {
        let names = DagId::new(dag).map_err(|invalid| invalid.to_string());
        let names = names.and_then(|dag| Ok((dag, RunId::new(run).map_err(|invalid| invalid.to_string())?)));
        match names {
            Ok((dag, run)) => {
                let clear = Clear {
                    selection: Selection::whole_run(dag, run),
                    only_failed: false,
                    only_running: false,
                    reset_runs: true,
                    dry_run: false,
                };
                self.errand(claim, seq, Control::Clear(clear));
            }
            Err(why) => self.answer(claim, seq, Answer::Refused { why }),
        }
    }

    fn errand(&mut self, claim: Claim, seq: u64, control: Control) {
        self.effect(Effect::Errand { ticket: Ticket::Task { claim, seq }, control });
    }

    /// A task hears what became of its errand as it hears any answer.
    pub(super) fn answer_errand(&mut self, claim: Claim, seq: u64, reply: Reply) {
        let answer = match reply.triggered() {
            Ok(run) => triggered(run.run_id, run.logical_date),
            Err(Unanswered::Refused(Refused::RunExists { run_id, .. }))
                if run_id.as_str().ends_with(&suffix(claim, seq)) =>
            {
                triggered(run_id, None)
            }
            Err(Unanswered::Refused(Refused::RunExists { run_id, .. } | Refused::LogicalDateTaken { run_id, .. })) => {
                Answer::RunExists { run_id: run_id.to_string() }
            }
            Err(Unanswered::Refused(why)) => Answer::Refused { why: why.to_string() },
            // What was cleared is not told one by one.
            Err(Unanswered::OtherKind) => Answer::Stored,
        };
        self.answer(claim, seq, answer);
    }
}

fn triggered(run_id: RunId, logical_date: Option<Time>) -> Answer {
    Answer::Triggered { run_id: run_id.to_string(), logical_date }
}

/// The id of the run that this question asks for, whoever answers it and however often.
fn named_after(attempt: AttemptId, claim: Claim, seq: u64) -> Option<RunId> {
    let (seconds, nanos) = attempt.0.get_timestamp()?.to_unix();
    let queued = DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)?;
    RunType::OperatorTriggered.suffixed_run_id(queued, &suffix(claim, seq)).ok()
}

fn suffix(claim: Claim, seq: u64) -> String {
    let question = format!("{claim}/{seq}");
    let hash = Uuid::new_v5(&claim.worker.0, question.as_bytes()).simple().to_string();
    format!("_{}", &hash[..12])
}
