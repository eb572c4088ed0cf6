//! Workers behind a broker: who is granted what, what proves a loss, and how far a queue is filled.

use std::time::Duration;

use super::world::{ModelStore, compile, dag, settings, start_of_story};
use crate::domain::attempt::{AttemptState, Outcome, Refusal};
use crate::domain::blocker::Blocker;
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{
    AttemptId, Claim, DagId, Dispatch, Epoch, Incarnation, MapIndex, PoolName, QueueName, RunKey, TaskId, WorkerId,
};
use crate::domain::limit::Limit;
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::domain::worker::WorkerStatus;
use crate::protocol::control::{Control, Trigger, TriggeredBy};
use crate::protocol::envelope::VERSION;
use crate::protocol::work::{Beat, FromWorker, Online, Report, Standing, TaskMessage, ToWorker};
use crate::scheduler::TaskRef;
use crate::scheduler::core::{Core, Effect, FileChange, Grant, History, Ids, Input, Settings, Ticket};
use crate::store::write::{PoolRow, Write};

/// A leader over a broker; every commit succeeds, and what is said is written down.
struct Leader {
    now: Time,
    core: Core,
    store: ModelStore,
    epoch: i64,
    /// What lies in the task queues, as it was published.
    published: Vec<TaskMessage>,
    told: Vec<(WorkerId, ToWorker)>,
    /// How often the row of a worker was written.
    worker_rows: usize,
    beats: u64,
}

fn over_a_broker() -> Settings {
    Settings { grant: Grant::ByClaim, parallelism: Limit::from(100), ..settings() }
}

fn w(n: u128) -> WorkerId {
    WorkerId(uuid::Uuid::from_u128(n))
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a queue name")
}

fn standing(slots: u32, free_slots: u32) -> Standing {
    Standing { slots, free_slots, queues: vec![QueueName::default_queue()], ..Standing::default() }
}

fn online(worker: u128, incarnation: i64, standing: Standing) -> FromWorker {
    FromWorker::Online(Online {
        worker: w(worker),
        incarnation: Incarnation(incarnation),
        name: format!("w{worker}@host{worker}"),
        standing,
        version: "1.0".to_owned(),
        understands: VERSION,
        unsettled: Vec::new(),
    })
}

fn claim(worker: u128, incarnation: i64, n: i64) -> Claim {
    Claim { worker: w(worker), incarnation: Incarnation(incarnation), n }
}

impl Leader {
    fn new(definition: DagDefinition) -> Self {
        let mut core = Core::new(over_a_broker(), Epoch(1), Ids::seeded(1));
        let pool =
            PoolRow { name: PoolName::default_pool(), slots: 128, description: String::new(), include_deferred: false };
        core.set_pool(pool.clone());
        let mut leader = Self {
            now: start_of_story(),
            core,
            store: ModelStore { pools: vec![pool], ..ModelStore::default() },
            epoch: 1,
            published: Vec::new(),
            told: Vec::new(),
            worker_rows: 0,
            beats: 0,
        };
        let (file, id) = (definition.file.clone(), definition.dag_id.clone());
        let dags = vec![compile(definition)];
        let change = FileChange { file, source: String::new(), dags, problems: Vec::new(), took: Duration::ZERO };
        leader.apply(Input::FilesChanged(vec![change]));
        leader.trigger(id);
        leader
    }

    fn trigger(&mut self, dag: DagId) {
        let conf = serde_json::Map::new();
        let trigger =
            Trigger { dag, run_id: None, logical_date: None, conf, note: None, by: TriggeredBy::Cli, user: None };
        let control = Control::Trigger(trigger);
        self.apply(Input::Control { ticket: Ticket::Caller(0), control, history: History::default() });
    }

    fn apply(&mut self, input: Input) {
        let effects = self.core.apply(self.now, input);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        assert_eq!(self.core.violations(), []);
        for effect in effects {
            match effect {
                Effect::Write(write) => {
                    self.worker_rows += usize::from(matches!(write, Write::Worker(_)));
                    self.store.apply(write);
                }
                Effect::Send { to: None, message: ToWorker::Task { task, granted } } => {
                    assert_eq!(granted, None, "over a broker nothing is granted ahead");
                    self.published.push(*task);
                }
                Effect::Send { to, message } => {
                    self.told.push((to.expect("only tasks go to whoever takes them"), message));
                }
                Effect::Answer { .. }
                | Effect::Event(_)
                | Effect::LookUp { .. }
                | Effect::LookAt { .. }
                | Effect::Errand { .. }
                | Effect::LookBack(_)
                | Effect::Inquire(_) => {}
            }
        }
    }

    fn hear(&mut self, message: FromWorker) {
        self.apply(Input::Worker(message));
    }

    /// What was said since the last time, with the number of the worker.
    fn told(&mut self) -> Vec<(u128, ToWorker)> {
        self.told.drain(..).map(|(worker, message)| (worker.0.as_u128(), message)).collect()
    }

    fn claims(&mut self, attempt: AttemptId, claim: Claim) -> Vec<(u128, ToWorker)> {
        self.told.clear();
        self.hear(FromWorker::Claimed { attempt, dispatch: Dispatch(1), claim, redelivered: true });
        self.told()
    }

    fn beat(&mut self, worker: u128, incarnation: i64, held: &[(AttemptId, Claim)], standing: Standing) {
        self.beats += 1;
        let highest_n = 1_000;
        let (worker, incarnation) = (w(worker), Incarnation(incarnation));
        let held = held.to_vec();
        self.hear(FromWorker::Beat(Beat { worker, incarnation, seq: self.beats, highest_n, held, standing }));
    }

    /// Time passes; whatever is due happens.
    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.core.next_wake().filter(|due| *due <= until) {
            self.now = due.max(self.now);
            self.apply(Input::Tick);
        }
        self.now = until;
        self.apply(Input::Tick);
    }

    /// Another leader loads what this one has committed.
    fn takeover(&mut self) {
        self.epoch += 1;
        self.core = Core::restore(over_a_broker(), Epoch(self.epoch), Ids::seeded(9), self.store.unfinished());
        self.published.clear();
        self.told.clear();
        let effects = self.core.resume(self.now);
        self.take(effects);
        self.apply(Input::FolderRead);
    }

    fn attempt(&self, id: AttemptId) -> AttemptState {
        self.store.attempts[&id].state
    }

    fn status(&self, worker: u128) -> WorkerStatus {
        self.store.workers[&w(worker)].status
    }

    fn sentence(&self, task: &str) -> (Blocker, String) {
        let run = &self.core.runs[&RunKey(1)];
        let ix = run.dag.find(&TaskId::new(task).expect("an id")).expect("a task");
        let at = TaskRef { run: RunKey(1), task: ix, map: MapIndex::UNMAPPED };
        let reasons = self.core.explain(self.now, at).reasons;
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        (reasons[0].clone(), reasons[0].sentence(self.now))
    }

    fn note(&self, task: &str) -> Option<String> {
        self.store.task(RunKey(1), task).note.clone()
    }
}

fn refused(why: Refusal, claim: Claim, epoch: i64) -> ToWorker {
    ToWorker::Refused { claim, why, epoch: Epoch(epoch) }
}

fn report(attempt: AttemptId, claim: Claim, outcome: Outcome, at: Time) -> Report {
    Report {
        attempt,
        claim,
        outcome,
        exit_code: Some(0),
        message: None,
        started_at: Some(at),
        ended_at: at,
        pid: Some(1),
        xcoms: Vec::new(),
        outlet_events: Vec::new(),
        awaited: None,
    }
}

/// One task, queued, with two workers of four slots.
fn one_task() -> (Leader, AttemptId) {
    let mut leader = Leader::new(dag("d", "a"));
    leader.hear(online(1, 1, standing(4, 4)));
    leader.hear(online(2, 1, standing(4, 4)));
    let attempt = leader.published[0].attempt;
    leader.told.clear();
    (leader, attempt)
}

#[test]
fn a_worker_that_comes_online_is_welcomed_with_the_times_that_safety_rests_on_and_so_at_its_first_beat_after_a_takeover()
 {
    let mut leader = Leader::new(dag("d", "a"));
    leader.hear(online(1, 1, standing(4, 4)));
    let times = over_a_broker().remote.lease;
    assert_eq!(leader.told(), [(1, ToWorker::Welcome { epoch: Epoch(1), times })]);
    leader.beat(1, 1, &[], standing(4, 4));
    assert_eq!(leader.told(), []);
    leader.takeover();
    leader.beat(1, 1, &[], standing(4, 4));
    assert_eq!(leader.told(), [(1, ToWorker::Welcome { epoch: Epoch(2), times })]);
    leader.beat(1, 1, &[], standing(4, 4));
    assert_eq!(leader.told(), []);
}

#[test]
fn a_task_that_is_offered_twice_goes_to_the_first_and_the_other_makes_its_owner_suspect_until_it_is_heard() {
    let (mut leader, a) = one_task();
    let epoch = Epoch(1);
    let granted = ToWorker::Granted { attempt: a, claim: claim(1, 1, 1), epoch };
    assert_eq!(leader.claims(a, claim(1, 1, 1)), [(1, granted.clone())]);
    assert_eq!(leader.claims(a, claim(1, 1, 1)), [(1, granted)], "asked again, answered again");
    let no = |n| refused(Refusal::Owned, claim(n, 1, 7), 1);
    assert_eq!(leader.claims(a, claim(1, 1, 7)), [(1, no(1))], "whoever asks lives");
    assert_eq!(leader.status(1), WorkerStatus::Online);
    assert_eq!(leader.claims(a, claim(2, 1, 7)), [(2, no(2)), (1, ToWorker::Probe)]);
    assert_eq!(leader.status(1), WorkerStatus::Suspect);
    assert_eq!(leader.attempt(a).owner(), Some(claim(1, 1, 1)), "a doubt moves nothing");
    leader.beat(1, 1, &[(a, claim(1, 1, 1))], standing(4, 3));
    assert_eq!(leader.status(1), WorkerStatus::Online);
}

#[test]
fn what_a_lost_worker_owned_is_tried_again_and_its_life_stays_dead_also_for_the_next_leader() {
    let (mut leader, a) = one_task();
    leader.claims(a, claim(1, 1, 1));
    let lost = Input::WorkerLost { worker: w(1), incarnation: Incarnation(1), silence: Duration::from_secs(61) };
    leader.apply(lost.clone());
    assert_eq!(leader.attempt(a).outcome(), Some(Outcome::Lost));
    let message = leader.store.attempts[&a].message.clone();
    assert_eq!(message.as_deref(), Some("lost: nothing was heard of worker w1@host1 for 1 min 1 s"));
    assert_eq!(leader.published.len(), 2, "its next try waits for a slot");
    let b = leader.published[1].attempt;
    for life in 1..=2 {
        assert_eq!(leader.status(1), WorkerStatus::Lost);
        let fenced = (1, ToWorker::Fenced { incarnation: Incarnation(1) });
        let no = (1, refused(Refusal::OldIncarnation, claim(1, 1, 2), life));
        assert_eq!(leader.claims(b, claim(1, 1, 2)), [no, fenced.clone()]);
        leader.beat(1, 1, &[(a, claim(1, 1, 1))], standing(4, 4));
        leader.hear(online(1, 1, standing(4, 4)));
        assert_eq!(leader.told(), [fenced.clone(), fenced]);
        leader.apply(lost.clone());
        leader.takeover();
    }
    leader.hear(online(1, 2, standing(4, 4)));
    assert_eq!(leader.status(1), WorkerStatus::Online);
    assert!(matches!(leader.claims(b, claim(1, 2, 1))[..], [(1, ToWorker::Granted { .. })]));
}

#[test]
fn an_obituary_settles_what_it_reports_loses_the_rest_and_ends_a_life_that_nobody_had_heard_of() {
    let mut leader = Leader::new(dag("d", "a b"));
    leader.hear(online(1, 1, standing(4, 4)));
    let (a, b) = (leader.published[0].attempt, leader.published[1].attempt);
    leader.claims(a, claim(1, 1, 1));
    leader.claims(b, claim(1, 1, 2));
    let unsettled = vec![report(a, claim(1, 1, 1), Outcome::Success, leader.now)];
    // It had been fenced and died in its next life, before that was online.
    leader.hear(FromWorker::Obituary { worker: w(1), incarnation: Incarnation(2), unsettled });
    assert_eq!(leader.attempt(a).outcome(), Some(Outcome::Success));
    assert_eq!(leader.attempt(b).outcome(), Some(Outcome::Lost));
    leader.told.clear();
    leader.hear(online(1, 2, standing(4, 4)));
    assert_eq!(leader.told(), [(1, ToWorker::Fenced { incarnation: Incarnation(2) })], "its first word came too late");
    assert_eq!(leader.status(1), WorkerStatus::Lost);
    // One that speaks of a life before the present one harms nobody.
    leader.hear(online(1, 3, standing(4, 4)));
    leader.hear(FromWorker::Obituary { worker: w(1), incarnation: Incarnation(2), unsettled: Vec::new() });
    assert_eq!(leader.status(1), WorkerStatus::Online);
}

#[test]
fn a_drained_worker_gives_back_what_never_started_and_is_offline_for_good() {
    let (mut leader, a) = one_task();
    leader.claims(a, claim(1, 1, 1));
    leader.beat(1, 1, &[(a, claim(1, 1, 1))], Standing { draining: true, ..standing(4, 3) });
    assert_eq!(leader.status(1), WorkerStatus::Draining);
    leader.hear(FromWorker::Offline { worker: w(1), incarnation: Incarnation(1) });
    assert_eq!(leader.attempt(a), AttemptState::Queued { dispatch: Dispatch(2) });
    assert_eq!((leader.published.len(), leader.status(1)), (2, WorkerStatus::Offline));
    leader.hear(online(1, 1, standing(4, 4)));
    assert_eq!(leader.status(1), WorkerStatus::Offline, "a copy of its first word does not bring it back");
}

#[test]
fn that_a_worker_was_seen_is_written_with_a_change_and_once_a_minute() {
    let (mut leader, _) = one_task();
    let before = leader.worker_rows;
    for _ in 0..29 {
        leader.pass(2);
        leader.beat(1, 1, &[], standing(4, 4));
    }
    assert_eq!(leader.worker_rows, before);
    leader.pass(2);
    leader.beat(1, 1, &[], standing(4, 4));
    assert_eq!(leader.worker_rows, before + 1);
    leader.beat(1, 1, &[], standing(8, 8));
    assert_eq!(leader.worker_rows, before + 2, "more slots");
}

#[test]
fn work_that_nobody_claims_is_published_again_only_while_somebody_is_free_and_ends_with_a_reason() {
    let (mut leader, a) = one_task();
    let busy = |leader: &mut Leader| {
        leader.beat(1, 1, &[], standing(4, 0));
        leader.beat(2, 1, &[], standing(4, 0));
    };
    busy(&mut leader);
    leader.pass(3_600);
    assert_eq!(leader.published.len(), 1, "every slot is taken: nothing is wrong");
    assert_eq!(leader.core.next_wake(), None, "and nothing looks at it");
    leader.beat(1, 1, &[], standing(4, 1));
    leader.pass(29);
    busy(&mut leader);
    leader.beat(1, 1, &[], standing(4, 1));
    leader.pass(29);
    assert_eq!(leader.published.len(), 1, "it was never free for so long");
    leader.pass(1);
    assert_eq!(leader.published.len(), 2);
    leader.pass(4 * 30);
    assert_eq!(leader.published.len(), 6, "once, and five times more");
    assert!(leader.published.iter().all(|task| (task.attempt, task.dispatch) == (a, Dispatch(1))));
    leader.pass(30);
    assert_eq!(leader.attempt(a).outcome(), Some(Outcome::Undeliverable));
    assert_eq!(leader.store.task(RunKey(1), "a").state, TaskState::Failed);
    let note = "undeliverable: published 6 times to queue `default`, and no worker took it although one was free";
    assert_eq!(leader.note("a").as_deref(), Some(note));
}

#[test]
fn what_was_claimed_in_time_is_not_published_again_and_a_takeover_publishes_what_was_not() {
    let mut leader = Leader::new(dag("d", "a b"));
    leader.hear(online(1, 1, standing(4, 4)));
    let a = leader.published[0].attempt;
    leader.pass(20);
    leader.claims(a, claim(1, 1, 1));
    leader.takeover();
    let names: Vec<&str> = leader.published.iter().map(|task| task.key.task.as_str()).collect();
    assert_eq!(names, ["b"]);
    leader.beat(1, 1, &[(a, claim(1, 1, 1))], standing(4, 3));
    leader.pass(29);
    assert_eq!(leader.published.len(), 1);
    leader.pass(1);
    assert_eq!(leader.published.len(), 2, "and again when nobody takes it although one is free");
}

/// Forty tasks in queue `busy`, and one in `other` that comes last.
fn forty_and_one() -> DagDefinition {
    let names: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    let mut definition = dag("d", &format!("{} last", names.join(" ")));
    definition.max_active_tasks = Limit::Unlimited;
    for task in &mut definition.tasks {
        task.queue = queue(if task.task_id.as_str() == "last" { "other" } else { "busy" });
        task.priority_weight = if task.task_id.as_str() == "last" { 1 } else { 9 };
    }
    definition
}

fn of_queue(name: &str, slots: u32) -> Standing {
    Standing { slots, free_slots: slots, queues: vec![queue(name)], ..Standing::default() }
}

#[test]
fn a_queue_is_filled_as_far_as_its_workers_will_soon_take_it_and_holds_up_no_other() {
    let mut leader = Leader::new(forty_and_one());
    assert_eq!(leader.published.len(), 0);
    assert_eq!(leader.sentence("last").1, "no worker takes work from queue `other`");
    leader.hear(online(1, 1, of_queue("busy", 2)));
    assert_eq!(leader.published.len(), 20, "twice its slots and sixteen");
    let (blocker, sentence) = leader.sentence("t39");
    assert!(matches!(blocker, Blocker::QueueFull { unclaimed: 20, .. }), "{blocker:?}");
    assert_eq!(
        sentence,
        "the queue `busy` has its window full: 20 of 20 wait there for a slot; 19 tasks are ahead of it"
    );
    leader.hear(online(2, 1, of_queue("other", 1)));
    assert_eq!(leader.published[20].key.task.as_str(), "last", "whatever waits ahead of it for another queue");
    // Each claim makes room for one more.
    let first = leader.published[0].attempt;
    leader.claims(first, claim(1, 1, 1));
    assert_eq!(leader.published.len(), 22);
    leader.hear(online(3, 1, of_queue("busy", 1)));
    assert_eq!(leader.published.len(), 24, "a further slot is worth two");
    // A worker that drains or ends takes its part of the window with it, and nothing is taken back.
    leader.beat(1, 1, &[(first, claim(1, 1, 1))], Standing { draining: true, ..of_queue("busy", 2) });
    let second = leader.published[1].attempt;
    leader.claims(second, claim(3, 1, 1));
    assert_eq!(leader.published.len(), 24);
    leader.takeover();
    assert_eq!(leader.published.len(), 21 + 1, "what was published and not claimed, and no more");
}

#[test]
fn workers_that_do_not_understand_the_messages_get_none_and_the_task_says_so() {
    let mut leader = Leader::new(dag("d", "a"));
    let FromWorker::Online(old) = online(1, 1, standing(4, 4)) else { unreachable!("it is an online") };
    leader.hear(FromWorker::Online(Online { understands: VERSION - 1, ..old }));
    assert_eq!(leader.published.len(), 0);
    let (blocker, sentence) = leader.sentence("a");
    assert_eq!(sentence, "the worker of queue `default` understands only messages of an older version");
    assert_eq!(blocker.hint().as_deref(), Some("upgrade the workers that listen to `default`"));
    leader.hear(online(2, 1, standing(4, 4)));
    assert_eq!(leader.published.len(), 1);
}
