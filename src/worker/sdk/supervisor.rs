//! What each request of the runner means here: a function of (what is known, request) to (reply, question, outcome).
//!
//! ```text
//!  request ──► reply at once
//!         └──► question to the scheduler ── answer ──► reply (or one more question)
//!         └──► the outcome, and an empty reply
//! ```
//!
//! Each request gets exactly one reply with its id. No clock, no socket: the channel carries what is returned.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::frame::{self, Frame};
use super::happened::outlet_events;
use super::request::{self, Deferral, Request, Runs, Skipped, TasksOf, TerminalState, XComOf};
use super::shape::{self, Shape};
use super::startup;
use crate::domain::skip::SKIP_KEY;
use crate::domain::template::PreviousSuccess;
use crate::domain::time::Time;
use crate::domain::wait::Awaited;
use crate::protocol::found::{RunsAsked, TasksAsked};
use crate::protocol::task_channel::{Finish, FinishState, FromTask};
use crate::protocol::work::{Answer, Question, TriggerDagRunRequest};

/// What follows from a request or an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A frame for the runner.
    Reply(Vec<u8>),
    /// To the slot, as any task says it.
    Say(FromTask),
}

/// Whose runner it is, and what it may know without asking.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    pub dag_id: String,
    pub run_id: String,
    pub task_id: String,
    pub map_index: i32,
    pub previous_success: Option<PreviousSuccess>,
    /// Of a sensor that looked before.
    pub waiting_since: Option<Time>,
}

/// One runner's supervisor.
#[derive(Debug)]
pub struct Supervisor {
    own: Own,
    /// The runner's first word.
    details: Value,
    /// What the scheduler was asked for the runner's sake, by the runner's id.
    open: BTreeMap<u64, Shape>,
    /// The task has decided what is skipped, in the words of a branch.
    has_decided: bool,
    /// What the task waits for, until the process asks.
    deferral: Option<Deferral>,
}

impl Supervisor {
    pub fn new(own: Own, details: Value) -> Self {
        Self { own, details, open: BTreeMap::new(), has_decided: false, deferral: None }
    }

    /// What it says unasked, once.
    pub fn first_word(&self) -> Vec<u8> {
        frame::reply(0, &self.details)
    }

    /// A frame of the runner.
    pub fn on_frame(&mut self, frame: Frame) -> Vec<Step> {
        let id = frame.id;
        if self.open.contains_key(&id) {
            return generic(id, &format!("request {id} is still being answered"));
        }
        match frame.body.and_then(request::read) {
            Ok(request) => self.on_request(id, request),
            Err(why) => generic(id, &why),
        }
    }

    fn on_request(&mut self, id: u64, request: Request) -> Vec<Step> {
        match request {
            Request::GetVariable { key } => {
                self.open.insert(id, Shape::Variable { key: key.clone() });
                vec![Step::Say(FromTask::GetVariable { id, key })]
            }
            Request::PutVariable { key, value, description } => {
                self.open.insert(id, Shape::Nothing);
                let value = value.unwrap_or_default();
                vec![Step::Say(FromTask::SetVariable { id, key, value, description })]
            }
            Request::DeleteVariable { key } => {
                self.open.insert(id, Shape::Done);
                vec![Step::Say(FromTask::DeleteVariable { id, key })]
            }
            Request::GetConnection { conn_id } => {
                self.open.insert(id, Shape::Connection { conn_id: conn_id.clone() });
                vec![Step::Say(FromTask::GetConnection { id, conn_id })]
            }
            Request::GetXCom(of) => {
                let shape = Shape::XCom { key: of.key.clone() };
                self.ask(id, shape, get_xcom(of))
            }
            Request::GetXComCount(of) => self.ask(id, Shape::XComCount, get_xcoms(of)),
            Request::GetXComSequenceItem { of, offset } => self.ask(id, Shape::XComItem { offset }, get_xcoms(of)),
            Request::GetXComSequenceSlice { of, start, stop, step } => {
                let question = if of.include_prior_dates { get_xcom(of) } else { get_xcoms(of) };
                self.ask(id, Shape::XComSlice { start, stop, step }, question)
            }
            Request::SetXCom { of, value } => self.on_set_xcom(id, &of, value),
            // Shown where the definition is known; what the task sees of itself is its own affair.
            Request::SetRenderedFields {} | Request::SetRenderedMapIndex {} => nothing(id),
            Request::MaskSecret { value, name } => {
                self.open.insert(id, Shape::Nothing);
                vec![Step::Say(FromTask::MaskSecret { id, value, name })]
            }
            Request::SucceedTask { outlet_events: said } => {
                let (outlet_events, lost) = outlet_events(said.unwrap_or_default());
                let message = lost.map(|why| format!("An asset event is not kept: {why}"));
                finish(id, Finish { outlet_events, message, ..finished(FinishState::Success) })
            }
            Request::TaskState { state } => finish(id, of_terminal_state(state)),
            Request::RetryTask { retry_reason } => {
                let message = retry_reason;
                finish(id, Finish { retryable: true, message, ..finished(FinishState::Failed) })
            }
            Request::RescheduleTask { reschedule_date: at } => {
                let awaited = Some(Awaited::Look { at });
                finish(id, Finish { awaited, ..finished(FinishState::Rescheduled) })
            }
            Request::DeferTask(deferral) => {
                self.deferral = Some(deferral);
                nothing(id)
            }
            Request::SkipDownstreamTasks { tasks } => self.on_skip(id, tasks),
            Request::TriggerDagRun { dag_id, run_id, logical_date, conf, reset_dag_run, note } => {
                let reset = reset_dag_run.unwrap_or_default().then(|| dag_id.clone());
                let conf = conf.unwrap_or_default();
                let run_id = Some(run_id);
                let request =
                    TriggerDagRunRequest { dag_id, run_id, logical_date, conf, note, fail_when_paused: false };
                self.ask(id, Shape::Triggered { reset }, Question::TriggerDagRun(request))
            }
            Request::GetDagRunState { dag_id, run_id } => {
                let shape = Shape::RunState { run_id: run_id.clone() };
                self.ask(id, shape, Question::GetRunState { dag_id, run_id })
            }
            Request::GetDagRun { dag_id, run_id } => {
                let shape = Shape::Run { dag_id: dag_id.clone(), run_id: run_id.clone() };
                let asked = RunsAsked { dag_id, run_ids: Some(vec![run_id]), ..RunsAsked::default() };
                self.ask(id, shape, Question::FindRuns(asked))
            }
            Request::GetPreviousDagRun { dag_id, logical_date, state } => {
                let shape = Shape::PreviousRun { dag_id: dag_id.clone() };
                let states = state.map(|state| vec![state]);
                let before = Some(logical_date);
                let asked = RunsAsked { dag_id, states, before, limit: Some(1), ..RunsAsked::default() };
                self.ask(id, shape, Question::FindRuns(asked))
            }
            Request::GetPrevSuccessfulDagRun {} => answer(id, &shape::previous_success(self.own.previous_success)),
            Request::GetDagRunCount { dag_id, of, states } => {
                self.ask(id, Shape::RunCount, Question::FindRuns(RunsAsked { states, ..runs(dag_id, of) }))
            }
            Request::GetTaskCount { of, states } => {
                self.ask(id, Shape::TaskCount { states }, Question::FindTasks(tasks(of)))
            }
            Request::GetTaskStates(of) => self.ask(id, Shape::TaskStates, Question::FindTasks(tasks(of))),
            Request::GetPreviousTask { dag_id, task_id, logical_date, map_index, state } => {
                let shape = Shape::PreviousTask { dag_id: dag_id.clone(), state };
                let runs = RunsAsked { dag_id, before: logical_date, ..RunsAsked::default() };
                let task_ids = Some(vec![task_id]);
                let map_index = Some(map_index.unwrap_or(-1));
                self.ask(id, shape, Question::FindTasks(TasksAsked { runs, task_ids, group: None, map_index }))
            }
            Request::GetTaskBreadcrumbs { dag_id, run_id } => {
                let runs = RunsAsked { dag_id, run_ids: Some(vec![run_id]), ..RunsAsked::default() };
                self.ask(id, Shape::Breadcrumbs, Question::FindTasks(TasksAsked { runs, ..TasksAsked::default() }))
            }
            Request::GetTaskRescheduleStartDate {} => answer(
                id,
                &json!({ "type": "TaskRescheduleStartDate", "start_date": shape::instant(self.own.waiting_since) }),
            ),
            // An asset is known as long as a DAG names it, so none of a running task is inactive.
            Request::ValidateInletsAndOutlets {} => {
                answer(id, &json!({ "type": "InactiveAssetsResult", "inactive_assets": [] }))
            }
            Request::GetAssetEventByAsset { name, uri, after, before, limit, ascending } => {
                self.open.insert(id, Shape::AssetEvents { after, before, limit, ascending });
                vec![Step::Say(FromTask::GetAssetEvents { id, name, uri, limit: None })]
            }
            Request::Next {} => match self.deferral.take() {
                Some(deferral) => answer(id, &json!(deferral)),
                None => nothing(id),
            },
            Request::Leave { key, value } => {
                self.open.insert(id, Shape::Nothing);
                vec![Step::Say(FromTask::SetXCom { id, key, value })]
            }
            Request::Resume(resumed) => answer(id, &startup::resumed(&self.details, resumed)),
            Request::ResendLogging {} => generic(id, "Updraft hands out no log channel: write to standard output"),
            Request::Unknown => {
                let detail = json!({ "status_code": 400, "message": "Unhandled request" });
                vec![Step::Reply(frame::error(id, &shape::error("API_SERVER_ERROR", &detail)))]
            }
        }
    }

    /// The scheduler's answer to a request of the runner; one that nobody waits for is dropped.
    pub fn on_answer(&mut self, id: u64, answered: Answer) -> Vec<Step> {
        let Some(shape) = self.open.remove(&id) else { return Vec::new() };
        // A run of that name that is to be brought back: one more question before the reply.
        if let (Shape::Triggered { reset: Some(dag_id) }, Answer::RunExists { run_id }) = (&shape, &answered) {
            let question = Question::ClearRun { dag_id: dag_id.clone(), run_id: run_id.clone() };
            return self.ask(id, Shape::Done, question);
        }
        match shape.reply(answered) {
            Ok(body) => answer(id, &body),
            Err(why) => generic(id, &why),
        }
    }

    fn ask(&mut self, id: u64, shape: Shape, question: Question) -> Vec<Step> {
        self.open.insert(id, shape);
        vec![Step::Say(FromTask::Ask { id, question })]
    }

    /// A task leaves values of its own; nobody's else.
    fn on_set_xcom(&mut self, id: u64, of: &XComOf, value: Value) -> Vec<Step> {
        let own = &self.own;
        let is_own = of.dag_id == own.dag_id && of.run_id == own.run_id && of.task_id == own.task_id;
        if !is_own || of.map_index.is_some_and(|index| index != own.map_index) {
            return generic(id, &format!("task `{}` cannot leave an XCom for task `{}`", own.task_id, of.task_id));
        }
        self.has_decided |= of.key == SKIP_KEY;
        self.open.insert(id, Shape::Nothing);
        vec![Step::Say(FromTask::SetXCom { id, key: of.key.clone(), value })]
    }

    /// The scheduler skips what a decision leaves out, and the runner names the same tasks once more.
    fn on_skip(&mut self, id: u64, tasks: Vec<Skipped>) -> Vec<Step> {
        if self.has_decided {
            return nothing(id);
        }
        let names: BTreeSet<String> = tasks
            .into_iter()
            .map(|skipped| match skipped {
                Skipped::Task(task) | Skipped::Instance(task, _) => task,
            })
            .collect();
        self.has_decided = true;
        self.open.insert(id, Shape::Nothing);
        vec![Step::Say(FromTask::SetXCom { id, key: SKIP_KEY.to_owned(), value: json!({ "skipped": names }) })]
    }
}

fn of_terminal_state(state: TerminalState) -> Finish {
    match state {
        TerminalState::Failed => Finish { retryable: false, ..finished(FinishState::Failed) },
        TerminalState::Skipped => finished(FinishState::Skipped),
        TerminalState::Removed => Finish {
            retryable: false,
            message: Some("there is nothing left to do for this map index".to_owned()),
            ..finished(FinishState::Failed)
        },
    }
}

fn finished(state: FinishState) -> Finish {
    Finish { state, retryable: true, message: None, outlet_events: Vec::new(), awaited: None }
}

fn get_xcom(of: XComOf) -> Question {
    let XComOf { key, dag_id, run_id, task_id, map_index, include_prior_dates } = of;
    let (dag_id, run_id) = (Some(dag_id), Some(run_id));
    if include_prior_dates {
        return Question::GetNewestXCom { task_id: Some(task_id), key, run_id, dag_id, prior_dates: true };
    }
    Question::GetXCom { task_id, map_index: Some(map_index.unwrap_or(-1)), key, run_id, dag_id }
}

fn get_xcoms(of: XComOf) -> Question {
    let XComOf { key, dag_id, run_id, task_id, map_index: _, include_prior_dates: _ } = of;
    Question::GetXComs { task_id, key, run_id: Some(run_id), dag_id: Some(dag_id) }
}

fn runs(dag_id: String, of: Runs) -> RunsAsked {
    RunsAsked { dag_id, run_ids: of.run_ids, logical_dates: of.logical_dates, ..RunsAsked::default() }
}

fn tasks(of: TasksOf) -> TasksAsked {
    let TasksOf { dag_id, runs: which, task_ids, task_group_id: group, map_index } = of;
    TasksAsked { runs: runs(dag_id, which), task_ids, group, map_index }
}

fn finish(id: u64, finish: Finish) -> Vec<Step> {
    vec![Step::Say(FromTask::Finish(finish)), Step::Reply(frame::reply(id, &Value::Null))]
}

fn nothing(id: u64) -> Vec<Step> {
    answer(id, &Value::Null)
}

fn answer(id: u64, body: &Value) -> Vec<Step> {
    vec![Step::Reply(frame::reply(id, body))]
}

/// Raised in the task with this sentence.
fn generic(id: u64, why: &str) -> Vec<Step> {
    vec![Step::Reply(frame::error(id, &shape::error("GENERIC_ERROR", &json!({ "message": why }))))]
}
