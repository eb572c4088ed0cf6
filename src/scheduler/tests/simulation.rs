//! Deterministic simulation: storms of crashes, duplicates, delays and restarts
//! over random DAGs, with every invariant checked after every step.
//!
//! One seed is one storm. A storm that breaks a rule prints its seed; run it
//! again with `UPDRAFT_SEED=<seed> cargo test simulation`. How many storms are
//! made is `UPDRAFT_STORMS` (default 2,000).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use super::simulation_of_telling::tell_somebody;
use super::world::{ModelStore, compile, dag, settings, start_of_story};
use crate::domain::asset::{AssetCondition, AssetRef};
use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::backfill::{BackfillRequest, Reprocess, dates_again};
use crate::domain::blocker::Blocker;
use crate::domain::dag::{DagDefinition, TaskLimitScope};
use crate::domain::expand::{Argument, Expand, Source, TaskGroup};
use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{
    AssetName, AttemptId, BackfillId, Claim, DagId, Epoch, GroupId, Incarnation, MapIndex, PoolName, QueueName, RunId,
    RunKey, TaskId, TaskKey, WorkerId,
};
use crate::domain::limit::Limit;
use crate::domain::native::{ExternalTask, Mode, MomentWatch, Native, Poking, Sensor, Watched};
use crate::domain::operator::{Decide, Operator};
use crate::domain::past::{PastRule, PastVerdict};
use crate::domain::run::RunType;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::setup::TaskRole;
use crate::domain::skip::{SKIP_KEY, SkipDecision};
use crate::domain::state::{Mark, RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::trigger::{TriggerRule, Verdict};
use crate::domain::wait::{Awaited, AwaitedRun};
use crate::protocol::control::{Clean, Clear, Control, HistoryTable, Pool, Trigger, TriggeredBy};
use crate::protocol::event::Change;
use crate::protocol::selection::Selection;
use crate::protocol::work::{Beat, FromWorker, Online, Report, Standing, TaskMessage, ToWorker};
use crate::scheduler::TaskRef;
use crate::scheduler::core::{
    Core, Effect, FileChange, Grant, History, Ids, Input, Inquiry, LookBack, Remote, Settings, Ticket,
};
use crate::scheduler::instances::Counts;
use crate::scheduler::progress::of_rule;
use crate::store::write::{AttemptRow, BackfillRow, PoolRow, RunRow, TaskRow, Write};

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) enum Mail {
    Scheduler(FromWorker),
    Worker(WorkerId, ToWorker),
    /// In a task queue, for whoever is free.
    AnyWorker(ToWorker),
    /// To the shell, which reads the store.
    LookAt(TaskRef, Awaited),
    /// The store is asked once what wanted to know is committed.
    Store(LookBack),
    /// The scheduler asks its store about the dates of a backfill.
    Inquiry(Inquiry),
}

/// A slot of the simulated worker (PROTOCOL §6).
#[derive(Clone, Debug)]
enum Slot {
    Claiming(Box<TaskMessage>),
    Running { task: Box<TaskMessage>, ends: Time, told_to_stop: bool },
}

#[derive(Debug)]
pub(super) struct SimWorker {
    pub(super) id: WorkerId,
    incarnation: Incarnation,
    next_n: i64,
    slots: BTreeMap<Claim, Slot>,
    /// Outcomes that were not settled: the journal survives a crash.
    journal: Vec<Report>,
}

/// A commit under way: what it writes, and what is said once it is done.
#[derive(Debug)]
struct Commit {
    writes: Vec<Write>,
    after: Vec<Mail>,
}

pub(super) struct Storm {
    pub(super) rng: fastrand::Rng,
    pub(super) now: Time,
    settings: Settings,
    core: Core,
    pub(super) store: ModelStore,
    gathering: Commit,
    committing: Option<Commit>,
    pub(super) mail: Vec<Mail>,
    pub(super) workers: Vec<SimWorker>,
    /// How often a process was started, by attempt: the side effects, counted outside.
    started: BTreeMap<AttemptId, u32>,
    /// The state in which each task instance was last heard of.
    heard: BTreeMap<TaskKey, TaskState>,
    /// Runs in which a user cleared or marked something: the rules alone no longer tell how they end.
    pub(super) revised: BTreeSet<RunKey>,
    /// Somebody had old runs forgotten.
    pub(super) cleaned: bool,
    pub(super) calm: bool,
    step: u32,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let grant = if rng.bool() { Grant::InProcess } else { Grant::ByClaim };
        // What is lost, or not taken in time, is tried as often as it takes: what a failure means is told elsewhere.
        // Mail takes hours here, one letter at a time: by a timer, copies would be published faster than they are read.
        // What nobody has taken is published again when no mail is left; the timer is the matter of `cluster`.
        let redispatch_after = Duration::from_secs(10 * 86_400);
        let remote = Remote { max_redispatch: 1_000, redispatch_after, ..settings().remote };
        let parallelism = Limit::from(rng.u32(0..6));
        let settings = Settings { parallelism, grant, remote, infra_retries: 1_000, ..settings() };
        let pools = ["default_pool", "small"].map(|name| PoolRow {
            name: PoolName::new(name).expect("a name"),
            slots: if name == "small" { 3 } else { 128 },
            description: String::new(),
            include_deferred: rng.bool(),
        });
        let mut storm = Self {
            now: start_of_story(),
            core: Core::new(settings.clone(), Epoch(0), Ids::seeded(seed)),
            settings,
            store: ModelStore { pools: pools.to_vec(), ..ModelStore::default() },
            gathering: Commit { writes: Vec::new(), after: Vec::new() },
            committing: None,
            mail: Vec::new(),
            workers: Vec::new(),
            started: BTreeMap::new(),
            heard: BTreeMap::new(),
            revised: BTreeSet::new(),
            cleaned: false,
            calm: false,
            step: 0,
            rng,
        };
        let workers = if grant == Grant::InProcess { 1 } else { 2 };
        for n in 0..workers {
            let id = WorkerId(uuid::Uuid::from_u128(n + 1));
            let worker =
                SimWorker { id, incarnation: Incarnation(0), next_n: 0, slots: BTreeMap::new(), journal: Vec::new() };
            storm.workers.push(worker);
            if grant == Grant::ByClaim {
                storm.restart_worker(storm.workers.len() - 1);
            }
        }
        storm.restore();
        storm
    }

    /// The node starts, or starts again: memory is what the store has.
    fn restore(&mut self) {
        self.heard.clear();
        let ids = Ids::seeded(self.rng.u64(..));
        // What was heard and never committed has not happened.
        self.heard = self.store.states();
        // What the shell was to look at is forgotten with it.
        self.mail.retain(|mail| !matches!(mail, Mail::LookAt(..)));
        self.core = Core::restore(self.settings.clone(), Epoch(1), ids, self.store.unfinished());
        let effects = self.core.resume(self.now);
        (self.gathering, self.committing) = (Commit { writes: Vec::new(), after: Vec::new() }, None);
        self.take(effects);
        self.apply(Input::FolderRead);
        if self.settings.grant == Grant::InProcess {
            // One process: the messages under way die with it, and so does the worker.
            self.mail.clear();
            self.restart_worker(0);
        }
    }

    /// W5, W6: processes are gone before the next incarnation speaks.
    fn restart_worker(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        worker.slots.clear();
        worker.next_n = 0;
        worker.incarnation = worker.incarnation.next();
        let online = Online {
            worker: worker.id,
            incarnation: worker.incarnation,
            name: format!("w{at}"),
            standing: Standing { queues: vec![QueueName::default_queue()], ..Standing::default() },
            version: String::new(),
            understands: 1,
            unsettled: worker.journal.clone(),
        };
        self.mail.push(Mail::Scheduler(FromWorker::Online(online)));
    }

    fn apply(&mut self, input: Input) {
        let effects = self.core.apply(self.now, input);
        self.take(effects);
    }

    /// Whoever is not finished is held by something that has a name, and whoever waits for a place by a limit.
    fn check_reasons(&self) {
        for (at, instance) in self.core.runs.values().flat_map(|run| run.instances()) {
            let (state, reasons) = (instance.row.state, self.core.explain(self.now, at).reasons);
            assert!(!reasons.is_empty(), "nothing holds {} ({state})", instance.row.task_id);
            let is_nameless = reasons.iter().any(|reason| matches!(reason, Blocker::Unclaimed { .. }));
            assert!(state != TaskState::Scheduled || !is_nameless, "{}: {reasons:?}", instance.row.task_id);
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        assert_eq!(self.core.violations(), []);
        self.check_the_past(&effects);
        if self.step.is_multiple_of(8) {
            self.check_reasons();
        }
        for effect in effects {
            match effect {
                Effect::Write(write) => self.gathering.writes.push(write),
                Effect::Send { to: Some(worker), message } => {
                    self.gathering.after.push(Mail::Worker(worker, message));
                }
                Effect::Send { to: None, message } => self.gathering.after.push(Mail::AnyWorker(message)),
                Effect::LookAt { at, awaited } => self.gathering.after.push(Mail::LookAt(at, awaited)),
                Effect::LookBack(question) => self.gathering.after.push(Mail::Store(question)),
                Effect::Inquire(inquiry) => self.gathering.after.push(Mail::Inquiry(inquiry)),
                Effect::Answer { .. } | Effect::Event(_) | Effect::LookUp { .. } | Effect::Errand { .. } => {}
            }
        }
    }

    /// What waits for the run before begins only when that has let it.
    fn check_the_past(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Event(Change::Task { key, state, try_number }) = effect else { continue };
            let before = self.heard.insert(key.clone(), *state);
            let begins = before.map_or(try_number.0 == 1, |before| before == TaskState::None);
            if !begins || *state != TaskState::Scheduled {
                continue;
            }
            // A run that came to be in the same step may stand between now, and did not when this one was let go.
            let is_new = |effect: &Effect| matches!(effect, Effect::Event(Change::Run { dag, state: RunState::Queued, .. }) if *dag == key.dag);
            if effects.iter().any(is_new) {
                continue;
            }
            let run = self.core.runs.values().find(|run| run.row.dag_id == key.dag && run.row.run_id == key.run);
            let place = run
                .and_then(|run| Some(TaskRef { run: run.row.key, task: run.dag.find(&key.task)?, map: key.map_index }));
            if let Some(at) = place {
                assert_eq!(self.core.past(at), Some(PastVerdict::Met), "{key} began in spite of the past");
            }
        }
    }

    /// One thing happens, chosen by the seed.
    fn step(&mut self) {
        self.step += 1;
        match self.rng.u32(0..100) {
            0..30 => self.commit(),
            30..62 => self.deliver(),
            62..80 => self.end_a_process(),
            80..90 => self.pass(),
            90..93 if !self.calm => self.control(),
            93..95 if !self.calm => self.change_a_file(),
            95..97 if !self.calm => self.crash(),
            97..98 if !self.calm => self.crash_a_worker(),
            98..99 if !self.calm => self.resend(),
            _ => self.commit(),
        }
    }

    /// Group commit: one at a time; while one commits the next one gathers.
    fn commit(&mut self) {
        match self.committing.take() {
            Some(done) => {
                for write in done.writes {
                    self.store.apply(write);
                }
                self.mail.extend(done.after);
            }
            None => {
                let empty = Commit { writes: Vec::new(), after: Vec::new() };
                self.committing = Some(std::mem::replace(&mut self.gathering, empty));
            }
        }
    }

    /// Any message may be next, and may come twice.
    fn deliver(&mut self) {
        if self.mail.is_empty() {
            return;
        }
        // In one process messages stay in order; over a broker nothing is ordered across queues.
        let at = if self.settings.grant == Grant::InProcess { 0 } else { self.rng.usize(0..self.mail.len()) };
        let mail = self.mail.remove(at);
        let again = !self.calm && self.settings.grant == Grant::ByClaim && self.rng.u32(0..10) == 0;
        if again {
            self.mail.push(mail.clone());
        }
        match mail {
            Mail::Scheduler(message) => self.apply(Input::Worker(message)),
            Mail::LookAt(at, awaited) => {
                let seen = self.store.judge(&awaited);
                self.apply(Input::Seen { at, awaited, seen });
            }
            Mail::Worker(id, message) => {
                if let Some(at) = self.workers.iter().position(|worker| worker.id == id) {
                    self.tell_worker(at, message);
                }
            }
            Mail::Store(question) => {
                let past = self.store.past(&question);
                self.apply(Input::LookedBack { run: question.run, past });
            }
            Mail::AnyWorker(message) => {
                let at = self.rng.usize(0..self.workers.len());
                self.tell_worker(at, message);
            }
            Mail::Inquiry(inquiry) => {
                self.commit_all();
                let history = self.store.dates(&inquiry);
                if inquiry.reprocess != Reprocess::None {
                    self.revised.extend(history.runs.iter().map(|run| run.row.key));
                }
                self.apply(Input::DatesKnown { inquiry, history });
            }
        }
    }

    fn tell_worker(&mut self, at: usize, message: ToWorker) {
        match message {
            ToWorker::Task { task, granted: Some(claim) } => {
                self.workers[at].slots.insert(claim, Slot::Claiming(task));
                self.start(at, claim);
            }
            ToWorker::Task { task, granted: None } => {
                let worker = &mut self.workers[at];
                worker.next_n += 1;
                let claim = Claim { worker: worker.id, incarnation: worker.incarnation, n: worker.next_n };
                let (attempt, dispatch) = (task.attempt, task.dispatch);
                worker.slots.insert(claim, Slot::Claiming(task));
                self.mail.push(Mail::Scheduler(FromWorker::Claimed { attempt, dispatch, claim, redelivered: false }));
            }
            ToWorker::Granted { claim, attempt, .. } => {
                // W1: an answer for a claim that is not held is given back.
                if self.workers[at].slots.contains_key(&claim) {
                    self.start(at, claim);
                } else if !self.workers[at].journal.iter().any(|report| report.claim == claim)
                    && claim.incarnation == self.workers[at].incarnation
                    && !self.started.contains_key(&attempt)
                {
                    self.mail.push(Mail::Scheduler(FromWorker::Released { attempt, claim }));
                }
            }
            ToWorker::Refused { claim, .. } => {
                if let Some(Slot::Claiming(_)) = self.workers[at].slots.get(&claim) {
                    self.workers[at].slots.remove(&claim);
                }
            }
            ToWorker::Settled { claims } => {
                self.workers[at].journal.retain(|report| claims.iter().all(|(claim, _)| *claim != report.claim));
            }
            ToWorker::Terminate { claim, .. } => match self.workers[at].slots.get_mut(&claim) {
                Some(Slot::Claiming(task)) => {
                    let attempt = task.attempt;
                    self.workers[at].slots.remove(&claim);
                    self.mail.push(Mail::Scheduler(FromWorker::Released { attempt, claim }));
                }
                Some(Slot::Running { told_to_stop, ends, .. }) => {
                    *told_to_stop = true;
                    *ends = self.now;
                }
                None => {}
            },
            ToWorker::Fenced { incarnation } => {
                if self.workers[at].incarnation == incarnation {
                    self.restart_worker(at);
                }
            }
            ToWorker::Notify { id, .. } => self.carry_out(at, id),
            ToWorker::Values { .. }
            | ToWorker::Drain { .. }
            | ToWorker::Resize { .. }
            | ToWorker::Queues { .. }
            | ToWorker::Welcome { .. }
            | ToWorker::Probe => {}
        }
    }

    /// A process starts: the moment that must come at most once for each attempt.
    fn start(&mut self, at: usize, claim: Claim) {
        let ends = self.now + Duration::from_secs(self.rng.u64(0..120));
        let worker = &mut self.workers[at];
        let slot = worker.slots.get_mut(&claim).expect("only a held claim starts");
        let Slot::Claiming(task) = slot else { return };
        if claim.incarnation != worker.incarnation {
            return;
        }
        let count = self.started.entry(task.attempt).or_default();
        *count += 1;
        assert_eq!(*count, 1, "I1 start_once: attempt {} of {} was started twice", task.attempt, task.key);
        *slot = Slot::Running { task: task.clone(), ends, told_to_stop: false };
        self.check_processes();
    }

    /// I2 one_at_a_time, I4 limits_by_processes: over what really runs.
    fn check_processes(&self) {
        let running = || {
            self.workers.iter().flat_map(|worker| worker.slots.values()).filter_map(|slot| match slot {
                Slot::Running { task, .. } => Some(task),
                Slot::Claiming(_) => None,
            })
        };
        let total = u32::try_from(running().count()).expect("few");
        assert!(self.settings.parallelism.allows_one_more(total - 1), "I4: {total} processes at once");
        let mut seen = BTreeSet::new();
        for task in running() {
            assert!(seen.insert(&task.key), "I2 one_at_a_time: two processes of {}", task.key);
        }
    }

    fn end_a_process(&mut self) {
        let due: Vec<(usize, Claim)> = self
            .workers
            .iter()
            .enumerate()
            .flat_map(|(at, worker)| worker.slots.iter().map(move |(claim, slot)| (at, *claim, slot)))
            .filter(|(_, _, slot)| matches!(slot, Slot::Running { ends, .. } if *ends <= self.now))
            .map(|(at, claim, _)| (at, claim))
            .collect();
        if due.is_empty() {
            return;
        }
        let (at, claim) = due[self.rng.usize(0..due.len())];
        let Some(Slot::Running { task, told_to_stop, .. }) = self.workers[at].slots.remove(&claim) else { return };
        let mut awaited = None;
        let outcome = match self.rng.u32(0..12) {
            _ if told_to_stop => Outcome::Killed,
            0..6 => Outcome::Success,
            6 => Outcome::Skipped,
            7 => Outcome::Failed { retryable: false },
            8 => Outcome::TimedOut,
            9 => {
                awaited = Some(Awaited::Look { at: self.now + Duration::from_secs(self.rng.u64(0..90)) });
                if self.rng.bool() { Outcome::Rescheduled } else { Outcome::Deferred }
            }
            10 => {
                awaited = self.some_run(&task.key.run);
                if awaited.is_some() { Outcome::Deferred } else { Outcome::Success }
            }
            _ => Outcome::Failed { retryable: true },
        };
        let decides = outcome == Outcome::Success && self.rng.u32(0..4) == 0;
        let mut xcoms = self.what_it_leaves(outcome);
        if decides {
            xcoms.push((SKIP_KEY.to_owned(), random_decision(&mut self.rng)));
        }
        let report = Report {
            attempt: task.attempt,
            claim,
            outcome,
            exit_code: Some(0),
            message: None,
            started_at: Some(self.now),
            ended_at: self.now,
            pid: Some(1),
            xcoms,
            outlet_events: Vec::new(),
            awaited,
        };
        self.workers[at].journal.push(report.clone());
        self.mail.push(Mail::Scheduler(FromWorker::Finish(report)));
    }

    /// A run to wait for: not one that may wait for this one in its turn.
    fn some_run(&mut self, own: &RunId) -> Option<Awaited> {
        let is_over = |run: &&RunRow| run.state.is_finished() && run.run_id != *own;
        let ended: Vec<&RunRow> = self.store.runs.values().filter(is_over).collect();
        let run = *ended.get(self.rng.usize(0..ended.len() + 1))?;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Some(Awaited::Run(AwaitedRun {
            dag: run.dag_id.clone(),
            run: run.run_id.clone(),
            allowed: words(&["success"]),
            failed: words(&["failed"]),
        }))
    }

    /// Lists of different lengths, so that whoever is expanded over them changes from try to try.
    fn what_it_leaves(&mut self, outcome: Outcome) -> Vec<(String, serde_json::Value)> {
        let length = self.rng.usize(0..4);
        match outcome {
            Outcome::Success if self.rng.u32(0..20) > 0 => {
                vec![("return_value".to_owned(), vec![serde_json::Value::from(1); length].into())]
            }
            _ => Vec::new(),
        }
    }

    /// Time goes on: to the next thing that is due, or a little.
    fn pass(&mut self) {
        let ends = self.workers.iter().flat_map(|worker| worker.slots.values()).filter_map(|slot| match slot {
            Slot::Running { ends, .. } if *ends > self.now => Some(*ends),
            Slot::Running { .. } | Slot::Claiming(_) => None,
        });
        let due = ends.chain(self.core.next_wake()).min();
        let horizon = start_of_story() + Duration::from_secs(6 * 3600);
        if let Some(due) = due.filter(|due| *due <= horizon || self.calm) {
            self.now = self.now.max(due);
        }
        self.apply(Input::Tick);
    }

    fn control(&mut self) {
        let ids: Vec<DagId> = self.store.dags.keys().cloned().collect();
        let Some(dag) = ids.get(self.rng.usize(0..ids.len().max(1))).cloned() else { return };
        let date =
            (self.rng.u32(0..3) == 0).then(|| start_of_story() + Duration::from_secs(1800 * self.rng.u64(0..12)));
        let mut history = self.history(&dag, date);
        let control = if self.rng.u32(0..8) == 0 {
            let name = PoolName::new("small").expect("a name");
            let (slots, include_deferred) = (self.rng.i32(3..5), self.rng.bool());
            Control::SetPool(Pool { name, slots, description: String::new(), include_deferred })
        } else if self.rng.bool() {
            Control::Pause { dag, paused: self.rng.bool() }
        } else if self.rng.u32(0..3) == 0 {
            let control = self.backfill(dag);
            history = self.store.history(&control);
            control
        } else if let Some(control) = self.change_of_mind(&dag) {
            history = self.store.history(&control);
            self.revised.extend(history.runs.iter().map(|run| run.row.key));
            control
        } else {
            Control::Trigger(Trigger {
                dag,
                run_id: None,
                logical_date: date,
                conf: serde_json::Map::new(),
                note: None,
                by: TriggeredBy::Cli,
                user: None,
            })
        };
        self.apply(Input::Control { ticket: Ticket::Caller(0), control, history });
    }

    /// Somebody asks for runs of past dates, or changes their mind about them, or about the whole DAG.
    fn backfill(&mut self, dag: DagId) -> Control {
        let known: Vec<BackfillId> = self.store.backfills.keys().copied().collect();
        let backfill = known.get(self.rng.usize(0..known.len().max(1))).copied().unwrap_or_default();
        match self.rng.u32(0..10) {
            0..5 => {
                let from = start_of_story() - Duration::from_secs(1800 * self.rng.u64(0..16));
                let request = BackfillRequest {
                    dag,
                    from,
                    to: from + Duration::from_secs(1800 * self.rng.u64(0..16)),
                    max_active_runs: NonZeroU32::new(self.rng.u32(1..4)).expect("at least one"),
                    backwards: self.rng.bool(),
                    reprocess: Reprocess::ALL[self.rng.usize(0..3)],
                    conf: serde_json::Map::new(),
                };
                Control::CreateBackfill { request, user: None }
            }
            5..8 => Control::PauseBackfill { backfill, paused: self.rng.bool() },
            8 => {
                // What waits of it fails without a task of it having been looked at.
                let waiting = self.core.backfills.get(&backfill).map(|b| b.queued.clone()).unwrap_or_default();
                self.revised.extend(waiting.into_iter().map(|(_, key)| key));
                Control::CancelBackfill { backfill }
            }
            _ if self.rng.bool() => {
                self.cleaned = true;
                let before = self.now - Duration::from_secs(600);
                Control::Clean(Clean { before, tables: HistoryTable::ALL.to_vec(), after: RunKey(0) })
            }
            _ => Control::DeleteDag { dag },
        }
    }

    /// Somebody clears or marks something that is under way or long over.
    fn change_of_mind(&mut self, dag: &DagId) -> Option<Control> {
        let run_ids: Vec<RunId> =
            self.store.runs.values().filter(|run| run.dag_id == *dag).map(|run| run.run_id.clone()).collect();
        let run_id = run_ids.get(self.rng.usize(0..run_ids.len() + 2))?.clone();
        let mut selection = Selection::whole_run(dag.clone(), run_id.clone());
        if self.rng.bool() {
            let task = TaskId::new(format!("t{}", self.rng.u32(0..4))).expect("an id");
            selection.tasks.extend(self.store.tasks.keys().any(|(_, known, _)| *known == task).then_some(task));
        }
        selection.upstream = self.rng.u32(0..4) == 0;
        selection.downstream = self.rng.bool();
        selection.past = self.rng.u32(0..6) == 0;
        selection.future = self.rng.u32(0..6) == 0;
        let dry_run = self.rng.u32(0..10) == 0;
        Some(match self.rng.u32(0..12) {
            0..6 => Control::Clear(Clear {
                selection,
                only_failed: self.rng.u32(0..3) == 0,
                only_running: self.rng.u32(0..3) == 0,
                reset_runs: true,
                dry_run,
            }),
            6..9 => {
                let mark = [Mark::Success, Mark::Failed, Mark::Skipped][self.rng.usize(0..3)];
                Control::MarkTasks { selection, mark, dry_run }
            }
            9 => Control::MarkRun { dag: dag.clone(), run_id, succeeded: self.rng.bool() },
            10 => Control::NoteRun { dag: dag.clone(), run_id, note: self.rng.bool().then(|| "seen".to_owned()) },
            _ => {
                self.cleaned = true;
                Control::DeleteRun { dag: dag.clone(), run_id }
            }
        })
    }

    /// The shell looks when everything before is committed.
    fn commit_all(&mut self) {
        for _ in 0..3 {
            self.commit();
        }
    }

    fn history(&mut self, dag: &DagId, date: Option<Time>) -> History {
        self.commit_all();
        let now = RunType::Manual.run_id(date.unwrap_or(self.now));
        let same_id = self.store.runs.values().find(|run| run.dag_id == *dag && run.run_id == now);
        let has_date = |run: &&RunRow| run.dag_id == *dag && date.is_some() && run.logical_date == date;
        let same_date = self.store.runs.values().find(has_date);
        let id = |run: &RunRow| run.run_id.clone();
        History { same_id: same_id.map(id), same_date: same_date.map(id), ..History::default() }
    }

    fn change_a_file(&mut self) {
        let name = format!("dag{}", self.rng.u32(0..3));
        let definition = random_dag(&name, &mut self.rng);
        self.load(definition);
    }

    fn load(&mut self, definition: DagDefinition) {
        let change = FileChange {
            file: definition.file.clone(),
            source: String::new(),
            dags: vec![compile(definition)],
            problems: Vec::new(),
            took: Duration::ZERO,
        };
        self.apply(Input::FilesChanged(vec![change]));
    }

    /// `kill -9`: what was not committed never happened.
    fn crash(&mut self) {
        // A commit under way may have reached the store, or not.
        if let Some(commit) = self.committing.take().filter(|_| self.rng.bool()) {
            for write in commit.writes {
                self.store.apply(write);
            }
        }
        self.restore();
    }

    fn crash_a_worker(&mut self) {
        let at = self.rng.usize(0..self.workers.len());
        self.restart_worker(at);
    }

    /// Unsettled reports and unanswered claims are repeated (W1), and each worker
    /// says what it holds (W8).
    fn resend(&mut self) {
        for worker in &self.workers {
            let ended = worker.journal.iter().map(|report| (report.attempt, report.claim));
            let held = worker.slots.iter().map(|(claim, slot)| match slot {
                Slot::Claiming(task) | Slot::Running { task, .. } => (task.attempt, *claim),
            });
            self.mail.push(Mail::Scheduler(FromWorker::Beat(Beat {
                worker: worker.id,
                incarnation: worker.incarnation,
                seq: u64::from(self.step),
                highest_n: worker.next_n,
                held: held.chain(ended).collect(),
                standing: Standing { queues: vec![QueueName::default_queue()], ..Standing::default() },
            })));
            for report in &worker.journal {
                self.mail.push(Mail::Scheduler(FromWorker::Finish(report.clone())));
            }
            for (claim, slot) in &worker.slots {
                if let Slot::Claiming(task) = slot {
                    let (attempt, dispatch) = (task.attempt, task.dispatch);
                    self.mail.push(Mail::Scheduler(FromWorker::Claimed {
                        attempt,
                        dispatch,
                        claim: *claim,
                        redelivered: false,
                    }));
                }
            }
        }
    }

    /// I12 ends: when faults stop, everything comes to its end.
    fn settle(&mut self) {
        self.calm = true;
        let ids: Vec<DagId> = self.core.dags.keys().cloned().collect();
        for dag in ids {
            let control = Control::Pause { dag, paused: false };
            self.apply(Input::Control { ticket: Ticket::Caller(0), control, history: History::default() });
        }
        // Schedules are endless: what matters is that nothing unfinished is left behind.
        let definitions: Vec<DagDefinition> = self.core.dags.values().map(|dag| dag.dag.definition.clone()).collect();
        for definition in definitions {
            self.load(DagDefinition { schedule: Schedule::Never, ..definition });
        }
        self.commit_all();
        let backfills: Vec<BackfillId> = self.store.backfills.keys().copied().collect();
        for backfill in backfills {
            let control = Control::PauseBackfill { backfill, paused: false };
            let history = self.store.history(&control);
            self.apply(Input::Control { ticket: Ticket::Caller(0), control, history });
        }
        for round in 0.. {
            for _ in 0..20 {
                self.step();
            }
            self.unpause_what_failed_too_often();
            self.free_what_waits_for_a_failure();
            if self.is_quiet() {
                return;
            }
            if self.mail.is_empty() {
                self.resend();
                if self.settings.grant == Grant::ByClaim {
                    self.redispatch();
                }
            }
            assert!(round < 4_000, "I12 ends: still {}", self.what_is_left());
        }
    }

    /// What waits for a run that has failed waits for a user, who gives it up here.
    fn free_what_waits_for_a_failure(&mut self) {
        let is_busy = !self.mail.is_empty() || self.workers.iter().any(|worker| !worker.slots.is_empty());
        if is_busy || self.committing.is_some() || !self.gathering.after.is_empty() {
            return;
        }
        let held = self.core.runs.values().filter(|run| run.held > 0);
        let Some(run) = held.min_by_key(|run| (run.row.logical_date, run.row.key)) else { return };
        let places: Vec<TaskRef> = run.instances().filter(|(_, task)| task.held).map(|(at, _)| at).collect();
        self.revised.insert(run.row.key);
        for at in places {
            self.core.abandon(self.now, at);
        }
        self.apply(Input::Tick);
    }

    /// `max_consecutive_failed_dag_runs` pauses also while everything comes to its end.
    fn unpause_what_failed_too_often(&mut self) {
        let paused: Vec<DagId> =
            self.core.dags.values().filter(|dag| dag.row.is_paused).map(|dag| dag.row.dag_id.clone()).collect();
        for id in paused {
            self.core.set_paused(self.now, &id, false);
            self.apply(Input::Tick);
        }
    }

    fn what_is_left(&self) -> String {
        let tasks = self.core.runs.values().flat_map(|run| {
            run.instances().map(|(_, task)| {
                let attempt = task.attempt.as_ref().map(|attempt| attempt.state);
                format!("{} {}: {} {attempt:?}\n", run.row.run_id, task.row.task_id, task.row.state)
            })
        });
        let runs = self.core.runs.values().map(|run| format!("{} {}\n", run.row.run_id, run.row.state));
        let backfills = self.core.backfills.values().map(|b| format!("{:?} {:?} {:?}\n", b.row, b.running, b.queued));
        let backfills: String = backfills.collect();
        let (owed, deadlines) = (&self.core.outbox, &self.core.deadlines);
        let left: String = runs.chain(tasks).collect();
        format!("{} messages {:?}\n{left}{backfills}{owed:?}\n{deadlines:?}", self.mail.len(), self.mail)
    }

    /// L7: a queued attempt that nobody claimed is published again.
    fn redispatch(&mut self) {
        let is_queued = |at: &TaskRef| {
            let attempt = self.core.instance(*at).attempt.as_ref();
            attempt.is_some_and(|attempt| matches!(attempt.state, AttemptState::Queued { .. }))
        };
        let queued: Vec<_> = self.core.attempts.values().copied().filter(is_queued).collect();
        for at in queued {
            self.core.publish(self.now, at);
        }
        let effects = self.core.flush();
        self.take(effects);
    }

    fn is_quiet(&self) -> bool {
        self.core.runs.is_empty()
            && self.core.backfills.is_empty()
            && self.core.owed() == 0
            && self.core.deadlines.is_empty()
            && self.mail.is_empty()
            && self.committing.is_none()
            && self.gathering.writes.is_empty()
            && self.gathering.after.is_empty()
            && self.workers.iter().all(|worker| worker.journal.is_empty())
    }

    /// Every run in the store ended as its rules say.
    fn check_the_end(&self) {
        for run in self.store.runs.values() {
            assert!(run.state.is_finished(), "run {} is {}", run.run_id, run.state);
            let dag = compile(self.store.versions[&(run.dag_id.clone(), run.version)].clone());
            let timed_out = dag.definition.dagrun_timeout.is_some() && run.state == RunState::Failed;
            if timed_out {
                continue;
            }
            // What a fast failure skipped or stopped, no rule explains.
            let failed_fast = dag.definition.fail_fast && run.state == RunState::Failed;
            if failed_fast || self.revised.contains(&run.key) {
                self.check_revised(run.key, &dag);
                continue;
            }
            let mut failed_leaf = false;
            let decisions = self.decisions_of(run.key, &dag);
            let is_mapped = dag.mapping.expansions().len() > 0;
            for (ix, task) in dag.tasks() {
                for row in self.instances(run.key, &task.task_id) {
                    failed_leaf |= dag.decides_the_run(ix) && row.state.is_failed_like();
                    // What decisions of instances leave out, no rule explains.
                    if is_mapped && !decisions.is_empty() {
                        assert!(row.state.is_finished(), "{} of run {} is {}", task.task_id, run.key, row.state);
                        continue;
                    }
                    let left_out: Vec<TaskIx> = decisions
                        .iter()
                        .filter(|(from, decision)| decision.skipped_at_once(&dag, *from).contains(&ix))
                        .map(|(from, _)| *from)
                        .collect();
                    if !left_out.is_empty() {
                        let waited =
                            dag.upstream(ix).iter().any(|up| left_out.contains(up)) && waits_for_all(task.trigger_rule);
                        self.check_left_out(row, waited);
                        continue;
                    }
                    let counts = self.final_counts(run.key, &dag, ix, row.map_index);
                    self.check_task(&dag, ix, row, of_rule(task.trigger_rule, &counts));
                }
            }
            assert_eq!(run.state == RunState::Failed, failed_leaf, "run {}", run.run_id);
        }
        self.check_assets();
        self.check_what_was_told();
        for attempt in self.store.attempts.values() {
            assert!(attempt.state.is_done(), "attempt {} is {:?}", attempt.id, attempt.state);
        }
        for row in self.store.backfills.values() {
            self.check_backfill(row);
        }
    }

    /// Each of its dates has its run, and those that it made came in its order.
    fn check_backfill(&self, row: &BackfillRow) {
        assert!(row.completed_at.is_some(), "backfill {} has dealt with {} of {}", row.id, row.dealt, row.dates);
        let dates = dates_again(&row.request, &row.schedule, row.timezone, row.created_at).expect("a schedule");
        let of_dag = || self.store.runs.values().filter(|run| run.dag_id == row.request.dag);
        for date in dates.iter().take(row.dealt as usize) {
            let has_run = of_dag().any(|run| run.logical_date == Some(date.logical_date));
            assert!(has_run || self.cleaned, "backfill {} has forgotten {}", row.id, date.logical_date);
        }
        assert!(row.is_cancelled || row.dealt as usize == dates.len());
        // By key, and so in the order in which they were made; a run that was there before has been cleared.
        let made = of_dag().filter(|run| run.clear_number == 0);
        let made: Vec<(u32, Option<Time>)> = made
            .filter_map(|run| {
                run.backfill.filter(|place| place.backfill == row.id).map(|p| (p.ordinal, run.logical_date))
            })
            .collect();
        assert!(made.is_sorted_by_key(|(ordinal, _)| *ordinal), "backfill {} is out of order", row.id);
        for (ordinal, date) in made {
            assert_eq!(date, Some(dates[ordinal as usize - 1].logical_date), "backfill {}", row.id);
        }
    }

    fn instances<'a>(&'a self, run: RunKey, task: &TaskId) -> impl Iterator<Item = &'a TaskRow> + use<'a> {
        let first = (run, task.clone(), MapIndex(i32::MIN));
        let last = (run, task.clone(), MapIndex(i32::MAX));
        self.store.tasks.range(first..=last).map(|(_, row)| row)
    }

    /// How those stand that an instance waited for, when all is over.
    fn final_counts(&self, run: RunKey, dag: &Dag, ix: TaskIx, map_index: MapIndex) -> Counts {
        let mut counts = Counts::default();
        let direct = dag.upstream(ix).iter().map(|up| (*up, false));
        let indirect = dag.setups().indirect(ix).iter().map(|up| (*up, true));
        for (up, is_indirect) in direct.chain(indirect) {
            let paired = dag.mapping.are_paired(up, ix) && map_index != MapIndex::UNMAPPED;
            for row in self.instances(run, &dag.task(up).task_id) {
                if paired && row.map_index != MapIndex::UNMAPPED && row.map_index != map_index {
                    continue;
                }
                match is_indirect {
                    true => counts.setups.add(row.state, false),
                    false => counts.upstreams.add(row.state, dag.task(up).role.is_setup()),
                }
            }
        }
        counts
    }

    /// What the tasks of a run that succeeded have decided.
    fn decisions_of(&self, run: RunKey, dag: &Dag) -> Vec<(TaskIx, SkipDecision)> {
        let rows = self.store.xcoms.values().filter(|row| row.run == run && row.key == SKIP_KEY);
        let decisions = rows.filter_map(|row| {
            let key = (run, row.task_id.clone(), row.map_index);
            let succeeded = self.store.tasks.get(&key).is_some_and(|row| row.state == TaskState::Success);
            Some((dag.find(&row.task_id)?, SkipDecision::stored(&row.value).filter(|_| succeeded)?))
        });
        decisions.collect()
    }

    /// A task that a decision left out never ran, unless it had begun before.
    fn check_left_out(&self, row: &TaskRow, waited: bool) {
        let (run, task) = (row.run, &row.task_id);
        assert!(row.state.is_finished(), "{task} of run {run} is {}", row.state);
        let is_skipped = row.try_number.0 == 0 && matches!(row.state, TaskState::Skipped | TaskState::UpstreamFailed);
        assert!(is_skipped || !waited, "{task} of run {run} ran although it was not followed");
    }

    /// Every run that assets started was given what met a condition, and nothing that another run was given.
    fn check_assets(&self) {
        for run in self.store.runs.values().filter(|run| run.run_type == RunType::AssetTriggered) {
            let events = self.store.events_of(run.key);
            assert!(!events.is_empty(), "run {} was made of nothing", run.run_id);
            let definition = &self.store.versions[&(run.dag_id.clone(), run.version)];
            // What was cleared went on with the DAG as it was then.
            if let Some(condition) = definition.schedule.assets().filter(|_| run.clear_number == 0) {
                let has = |asset: &AssetRef| events.iter().any(|event| event.refs().any(|changed| changed == *asset));
                assert!(condition.is_met(&has), "run {} was made of {events:?} for {condition}", run.run_id);
            }
        }
        for row in self.store.queue.values() {
            let dag = row.run.and_then(|run| self.store.runs.get(&run)).map(|run| &run.dag_id);
            assert!(dag.is_none_or(|dag| *dag == row.dag), "event {} went to another DAG", row.event);
        }
    }

    /// Nothing is left over, and every try that began is in the history.
    fn check_revised(&self, key: RunKey, dag: &Dag) {
        for (_, task) in dag.tasks() {
            for row in self.instances(key, &task.task_id) {
                assert!(row.state.is_finished(), "{} of run {key} is {}", task.task_id, row.state);
                let is_tried = |attempt: &&AttemptRow| {
                    (attempt.run, &attempt.task_id, attempt.map_index) == (key, &task.task_id, row.map_index)
                };
                let newest = self.store.attempts.values().filter(is_tried).map(|attempt| attempt.try_number).max();
                assert!(newest.is_none_or(|newest| newest <= row.try_number), "{} forgot a try", task.task_id);
            }
        }
    }

    /// A task instance that was tried was allowed to; one that was not was decided.
    fn check_task(&self, dag: &Dag, ix: TaskIx, row: &TaskRow, verdict: Verdict) {
        let (task, run) = (&row.task_id, row.run);
        assert!(row.state.is_finished(), "{task} of run {run} is {}", row.state);
        let is_undone = row.try_number.0 == 0 && matches!(row.state, TaskState::Skipped | TaskState::UpstreamFailed);
        // What was never expanded lacked its sources or their values.
        if dag.mapping.of_task(ix).is_some() && row.map_index == MapIndex::UNMAPPED {
            assert!(is_undone, "{task} of run {run} was not expanded and is {}", row.state);
            return;
        }
        match verdict {
            Verdict::Run => assert!(row.try_number.0 > 0, "{task} was never tried and is {}", row.state),
            // Rules decide at once, so a skip that came first stands although a failure came after it.
            Verdict::Decide(_) => {
                assert!(is_undone, "{task} of run {run} is {} after {} tries", row.state, row.try_number);
            }
            Verdict::Wait => panic!("{task} of run {run} waits although all is over"),
        }
    }
}

/// Some tasks are expanded over an earlier one or over a list, and sometimes a few as a group.
fn map_some(definition: &mut DagDefinition, rng: &mut fastrand::Rng) {
    let names: Vec<TaskId> = definition.tasks.iter().map(|task| task.task_id.clone()).collect();
    let over = |before: usize, rng: &mut fastrand::Rng| {
        let source = match before {
            0 => Source::List { values: vec![serde_json::Value::from(0); rng.usize(0..4)] },
            n => Source::XCom { task_id: names[rng.usize(0..n)].clone(), key: "return_value".to_owned() },
        };
        Expand::Product { arguments: vec![Argument { name: "x".to_owned(), source }] }
    };
    for at in 0..names.len() {
        if rng.u32(0..4) == 0 {
            let before = if rng.bool() { at } else { 0 };
            definition.tasks[at].expand = Some(over(before, rng));
        }
        if rng.u32(0..6) == 0 {
            definition.tasks[at].max_active_tis_per_dagrun = NonZeroU32::new(rng.u32(1..3));
        }
    }
    if rng.u32(0..3) == 0 {
        let first = rng.usize(0..names.len());
        let group_id = GroupId::new("g").expect("an id");
        for task in definition.tasks[first..].iter_mut().filter(|task| task.expand.is_none()).take(3) {
            task.group = Some(group_id.clone());
        }
        let before = if rng.bool() { first } else { 0 };
        let expand = Some(over(before, rng));
        definition.groups.push(TaskGroup { group_id, label: None, tooltip: None, parent: None, expand });
    }
}

/// Whether a rule is met only when every upstream has ended.
fn waits_for_all(rule: TriggerRule) -> bool {
    !matches!(rule, TriggerRule::Always | TriggerRule::OneSuccess | TriggerRule::OneFailed | TriggerRule::OneDone)
}

fn random_decision(rng: &mut fastrand::Rng) -> serde_json::Value {
    let some = |rng: &mut fastrand::Rng| -> Vec<String> {
        // Now and then one that is not there.
        (0..rng.usize(0..3)).map(|_| format!("t{}", rng.u32(0..6))).collect()
    };
    match rng.u32(0..5) {
        0 | 1 => serde_json::json!({ "branch": some(rng) }),
        2 => serde_json::json!({ "short_circuit": "all" }),
        3 => serde_json::json!({ "short_circuit": "direct" }),
        _ => serde_json::json!({ "skipped": some(rng) }),
    }
}

fn random_dag(id: &str, rng: &mut fastrand::Rng) -> DagDefinition {
    let names: Vec<String> = (0..rng.usize(1..9)).map(|n| format!("t{n}")).collect();
    let mut definition = dag(id, &names.join(" "));
    for at in 0..definition.tasks.len() {
        let upstream: Vec<TaskId> =
            definition.tasks[..at].iter().filter(|_| rng.u32(0..3) == 0).map(|t| t.task_id.clone()).collect();
        let task = &mut definition.tasks[at];
        task.upstream = upstream;
        if rng.u32(0..3) == 0 {
            task.trigger_rule = TriggerRule::ALL[rng.usize(0..TriggerRule::ALL.len())];
        }
        if rng.u32(0..5) == 0 {
            task.operator = Operator::Empty;
        }
        if rng.u32(0..3) == 0 {
            task.pool = PoolName::new("small").expect("a name");
            task.pool_slots = rng.u32(1..4);
        }
        if rng.u32(0..4) == 0 {
            task.max_active_tis_per_dag = NonZeroU32::new(rng.u32(1..3));
        }
        if rng.u32(0..4) == 0 {
            task.operator = random_sensor(rng);
        }
        task.retries = rng.u32(0..3);
        task.retry_delay = Duration::from_secs(rng.u64(0..60));
        task.priority_weight = rng.i32(1..5);
    }
    map_some(&mut definition, rng);
    let (has_setups, looks_back) = (rng.u32(0..4) == 0, rng.u32(0..4) == 0);
    for task in &mut definition.tasks {
        match rng.u32(0..5) {
            0 | 1 if has_setups => task.role = TaskRole::Setup,
            2 if has_setups => {
                task.role = TaskRole::Teardown { on_failure_fail_dagrun: rng.bool() };
                task.trigger_rule = TriggerRule::AllDoneSetupSuccess;
            }
            3 if rng.u32(0..3) == 0 => task.operator = Operator::Decide(Decide::LatestOnly),
            _ => {}
        }
        if looks_back && rng.bool() {
            task.past = PastRule {
                depends_on_past: true,
                wait_for_downstream: rng.u32(0..3) == 0,
                ignore_first_depends_on_past: rng.bool(),
                wait_for_past_depends_before_skipping: rng.bool(),
            };
        }
    }
    link_assets(&mut definition, rng);
    definition.max_active_tasks = Limit::from(rng.u32(0..4));
    definition.max_active_runs = Limit::from(rng.u32(1..4));
    if rng.bool() {
        definition.max_active_tasks_scope = TaskLimitScope::EachRun;
    }
    if rng.u32(0..5) == 0 {
        definition.max_consecutive_failed_runs = NonZeroU32::new(rng.u32(1..4));
    }
    if rng.u32(0..5) == 0 {
        definition.fail_fast = true;
        for task in definition.tasks.iter_mut().filter(|task| !task.role.is_teardown()) {
            task.trigger_rule = TriggerRule::AllSuccess;
        }
    }
    if rng.u32(0..6) == 0 {
        definition.dagrun_timeout = Some(Duration::from_secs(rng.u64(30..600)));
    }
    tell_somebody(&mut definition, rng);
    if rng.bool() {
        definition.schedule = Schedule::Every { period: Duration::from_secs(3600), family: Family::DataInterval };
        definition.start_date = Some(start_of_story() - Duration::from_secs(3600 * rng.u64(0..5)));
        definition.catchup = rng.bool();
    }
    if rng.u32(0..3) == 0 {
        let time = (definition.schedule != Schedule::Never).then(|| Box::new(definition.schedule.clone()));
        definition.schedule = Schedule::Assets { condition: random_condition(rng, 2), time };
    }
    definition
}

fn random_asset(rng: &mut fastrand::Rng) -> AssetRef {
    AssetRef::Asset(AssetName::new(["x", "y", "z"][rng.usize(0..3)]).expect("a name"))
}

/// Some tasks make assets, which some DAGs wait for: in circles, too.
fn link_assets(definition: &mut DagDefinition, rng: &mut fastrand::Rng) {
    for task in &mut definition.tasks {
        if rng.u32(0..5) == 0 {
            task.outlets = (0..rng.usize(1..3)).map(|_| random_asset(rng)).collect();
            task.outlets.dedup();
        }
    }
}

fn random_condition(rng: &mut fastrand::Rng, depth: u32) -> AssetCondition {
    match rng.u32(0..3) {
        0 if depth > 0 => AssetCondition::All((0..2).map(|_| random_condition(rng, depth - 1)).collect()),
        1 if depth > 0 => AssetCondition::Any((0..2).map(|_| random_condition(rng, depth - 1)).collect()),
        _ => AssetCondition::One(random_asset(rng)),
    }
}

/// A sensor that the scheduler itself can watch for; its patience has an end.
fn random_sensor(rng: &mut fastrand::Rng) -> Operator {
    let watched = if rng.bool() {
        Watched::Moment(MomentWatch { delta: Some(Duration::from_secs(rng.u64(0..900))), ..MomentWatch::default() })
    } else {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Watched::ExternalTask(ExternalTask {
            external_dag_id: format!("dag{}", rng.u32(0..3)),
            external_task_id: rng.bool().then(|| format!("t{}", rng.u32(0..3))),
            external_task_ids: None,
            external_task_group_id: None,
            allowed_states: words(&["success", "running"]),
            skipped_states: words(&["skipped"]),
            failed_states: if rng.bool() { words(&["failed", "upstream_failed"]) } else { Vec::new() },
            execution_delta: Some(Duration::from_secs(3600 * rng.u64(0..2))),
            check_existence: rng.u32(0..4) == 0,
        })
    };
    let poking = Poking {
        mode: Mode::Reschedule,
        timeout: Duration::from_secs(rng.u64(1..2_000)),
        soft_fail: rng.bool(),
        deferrable: rng.bool(),
        ..Poking::default()
    };
    Operator::Native(Box::new(Native::Sensor(Sensor { poking, watched })))
}

fn storm(seed: u64) {
    let mut storm = Storm::new(seed);
    for n in 0..storm.rng.u32(1..4) {
        let definition = random_dag(&format!("dag{n}"), &mut storm.rng);
        storm.load(definition);
    }
    for _ in 0..storm.rng.u32(50..500) {
        storm.step();
    }
    storm.settle();
    storm.check_the_end();
}

#[test]
fn no_storm_breaks_a_promise() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("UPDRAFT_SEED") {
        return storm(seed);
    }
    for seed in 0..number("UPDRAFT_STORMS").unwrap_or(2_000) {
        let result = std::panic::catch_unwind(|| storm(seed));
        if let Err(panic) = result {
            eprintln!("storm {seed} broke a promise; run it again with UPDRAFT_SEED={seed} cargo test no_storm");
            std::panic::resume_unwind(panic);
        }
    }
}
