//! Stories about why not: what is said to hold a task is what really holds it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::world::{World, dag, settings};
use crate::domain::attempt::Outcome;
use crate::domain::blocker::{Blocker, Stop};
use crate::domain::ids::{DagId, MapIndex, PoolName, QueueName, TaskId};
use crate::domain::journal::Held;
use crate::domain::limit::Limit;
use crate::domain::schedule::Schedule;
use crate::domain::state::{RunState, TaskState};
use crate::protocol::control::{Clear, Control, Pool, Refused, Reply};
use crate::protocol::explanation::{DagExplanation, Explanation};
use crate::protocol::selection::Selection;
use crate::protocol::work::{FromWorker, Online, Standing};
use crate::scheduler::core::Settings;

fn name(text: &str) -> PoolName {
    PoolName::new(text).expect("a name")
}

fn id(text: &str) -> DagId {
    DagId::new(text).expect("an id")
}

impl World {
    /// What the core answers about a task of the n-th run.
    fn explain(&mut self, run: usize, task: &str) -> Explanation {
        let run_id = self.run_ids()[run - 1].clone();
        let dag = self.store.runs.values().find(|row| row.run_id == run_id).expect("a run").dag_id.clone();
        let (runs, tasks) = (self.store.runs.clone(), self.store.tasks.clone());
        let task = TaskId::new(task).expect("an id");
        let reply = self.control(Control::Explain { dag, run_id, task, map_index: MapIndex::UNMAPPED });
        assert!(self.store.runs == runs && self.store.tasks == tasks, "a question changes nothing");
        match reply {
            Reply::Explained { explanation } => *explanation,
            other => panic!("{other:?}"),
        }
    }

    fn explain_dag(&mut self, dag: &str) -> DagExplanation {
        match self.control(Control::ExplainDag { dag: id(dag) }) {
            Reply::DagExplained { explanation } => *explanation,
            other => panic!("{other:?}"),
        }
    }

    fn set_pool(&mut self, pool: &str, slots: i32) {
        let pool = Pool { name: name(pool), slots, description: String::new(), include_deferred: false };
        self.control(Control::SetPool(pool));
    }

    /// The worker lives again, with so many slots.
    fn slots(&mut self, slots: u32) {
        self.incarnation = self.incarnation.next();
        self.running.clear();
        self.tell(FromWorker::Online(Online {
            worker: self.worker,
            incarnation: self.incarnation,
            name: "local".to_owned(),
            standing: Standing { slots, queues: vec![QueueName::default_queue()], ..Standing::default() },
            version: String::new(),
            understands: 1,
            unsettled: Vec::new(),
        }));
    }

    fn held(&mut self, run: usize, task: &str) -> Vec<(Held, u64)> {
        let journal = self.explain(run, task).journal.into_iter();
        // The worker of a story says that a task started when it ended.
        let journal = journal.filter(|stretch| stretch.held != Held::Unclaimed);
        journal.map(|stretch| (stretch.held.clone(), stretch.length().as_secs())).collect()
    }
}

const FAILED: Outcome = Outcome::Failed { retryable: true };

#[test]
fn a_full_pool_names_who_takes_it_and_how_many_are_ahead() {
    let mut world = World::new(settings());
    world.set_pool("etl", 2);
    let mut wide = dag("d", "a b c d e");
    wide.tasks.iter_mut().for_each(|task| task.pool = name("etl"));
    world.add(wide);
    world.trigger("d");
    world.pass(Duration::from_secs(10));
    let [Blocker::Pool { pool, limit, taken, wants, by, ahead }] = &world.explain(1, "e").reasons[..] else {
        panic!("{:?}", world.explain(1, "e").reasons);
    };
    assert_eq!((pool, *limit, *taken, *wants, ahead.tasks), (&name("etl"), Limit::from(2), 2, 1, 2));
    let holders: Vec<&str> = by.shown.iter().map(|holder| holder.key.task.as_str()).collect();
    assert_eq!((holders, by.total), (vec!["a", "b"], 2));
    world.succeed(&["a"]);
    world.pass(Duration::from_secs(5));
    world.succeed(&["b", "c", "d"]);
    assert_eq!(world.held(1, "c"), [(Held::Pool { pool: name("etl") }, 10)]);
    assert_eq!(world.held(1, "e"), [(Held::Pool { pool: name("etl") }, 15)]);
    world.succeed(&["e"]);
    let finished = world.explain(1, "e");
    assert!(matches!(finished.reasons[..], [Blocker::Finished { state: TaskState::Success, .. }]));
    assert_eq!(finished.journal.len(), 1, "what held it is remembered by the store alone");
}

#[test]
fn a_pool_that_nobody_gets_into_says_why() {
    let mut world = World::new(settings());
    world.set_pool("closed", 0);
    world.set_pool("small", 2);
    let mut pools = dag("d", "a b c");
    pools.tasks[0].pool = name("smal");
    pools.tasks[1].pool = name("closed");
    (pools.tasks[2].pool, pools.tasks[2].pool_slots) = (name("small"), 3);
    world.add(pools);
    world.trigger("d");
    let reason = |world: &mut World, task| world.explain(1, task).reasons.remove(0);
    let unknown = reason(&mut world, "a");
    assert_eq!(unknown.hint().as_deref(), Some("did you mean `small`?"), "{unknown:?}");
    assert_eq!(reason(&mut world, "b"), Blocker::PoolClosed { pool: name("closed") });
    assert_eq!(reason(&mut world, "c"), Blocker::PoolTooSmall { pool: name("small"), slots: 2, wants: 3 });
}

#[test]
fn a_task_that_waits_for_others_names_those_that_are_not_finished() {
    let mut world = World::new(settings());
    world.add(dag("d", "a b c >> z"));
    world.trigger("d");
    world.pass(Duration::from_secs(7));
    world.succeed(&["b"]);
    let [Blocker::Upstreams { total: 3, unfinished, .. }] = &world.explain(1, "z").reasons[..] else {
        panic!("{:?}", world.explain(1, "z").reasons);
    };
    let waited: Vec<(&str, TaskState)> = unfinished.shown.iter().map(|up| (up.task.as_str(), up.state)).collect();
    assert_eq!(waited, [("a", TaskState::Running), ("c", TaskState::Running)]);
    world.pass(Duration::from_secs(3));
    world.succeed(&["a", "c"]);
    let last = Held::Upstream { task: TaskId::new("c").expect("an id") };
    assert_eq!(world.held(1, "z"), [(last, 10)]);
    assert!(matches!(world.explain(1, "z").reasons[..], [Blocker::Running { .. }]));
}

#[test]
fn a_retry_says_when_it_is_due_and_stays_in_the_journal() {
    let mut world = World::new(settings());
    let mut retried = dag("d", "a");
    retried.tasks[0].retries = 1;
    world.add(retried);
    world.trigger("d");
    world.finish("a", FAILED);
    world.pass(Duration::from_secs(260));
    let now = world.now;
    let waiting = world.explain(1, "a");
    assert!(waiting.reasons[0].sentence(now).contains("is due in 40 s"), "{:?}", waiting.reasons);
    assert_eq!(world.held(1, "a"), [(Held::Retry, 260)]);
    world.pass(Duration::from_secs(60));
    world.succeed(&["a"]);
    assert_eq!(world.held(1, "a"), [(Held::Retry, 300)]);
}

#[test]
fn a_run_that_is_queued_and_a_dag_that_is_paused_hold_every_task() {
    let mut world = World::new(settings());
    let mut single = dag("d", "a >> b");
    single.max_active_runs = Limit::from(1);
    world.add(single);
    for _ in 0..3 {
        world.trigger("d");
        world.pass(Duration::from_secs(1));
    }
    let [Blocker::RunQueued { running, ahead: 1, .. }] = &world.explain(3, "a").reasons[..] else {
        panic!("{:?}", world.explain(3, "a").reasons);
    };
    assert_eq!(running.shown, world.run_ids()[..1]);
    world.pause("d", true);
    let paused = world.explain(2, "b").reasons;
    assert!(matches!(paused[0], Blocker::DagPaused { .. }), "{paused:?}");
    assert!(matches!(paused[paused.len() - 1], Blocker::Upstreams { .. }), "{paused:?}");
    assert!(matches!(world.explain_dag("d").reasons[0], Blocker::DagPaused { .. }));
}

#[test]
fn a_pause_that_held_a_scheduled_task_is_remembered() {
    let mut world = World::new(Settings { parallelism: Limit::from(1), ..settings() });
    world.add(dag("d", "a b"));
    world.trigger("d");
    world.pause("d", true);
    world.succeed(&["a"]);
    world.pass(Duration::from_secs(30));
    world.pause("d", false);
    assert_eq!(world.held(1, "b"), [(Held::DagPaused, 30)]);
}

#[test]
fn limits_of_dag_task_and_node_each_have_their_reason() {
    let mut world = World::new(Settings { parallelism: Limit::from(3), ..settings() });
    let mut two = dag("two", "a b c");
    two.max_active_tasks = Limit::from(2);
    world.add(two);
    let mut one = dag("one", "a");
    one.tasks[0].max_active_tis_per_dag = NonZeroU32::new(1);
    world.add(one);
    world.trigger("two");
    world.pass(Duration::from_secs(1));
    world.trigger("one");
    world.pass(Duration::from_secs(1));
    world.trigger("one");
    let [first, second] = &world.explain(1, "c").reasons[..] else { panic!("two limits") };
    assert!(matches!(first, Blocker::MaxActiveTasks { run: None, taken: 2, .. }), "{first:?}");
    let Blocker::Parallelism { taken: 3, by, .. } = second else { panic!("{second:?}") };
    assert_eq!(by.total, 3);
    let reasons = world.explain(3, "a").reasons;
    assert!(
        matches!(&reasons[..], [Blocker::MaxActiveTis { taken: 1, .. }, Blocker::Parallelism { .. }]),
        "{reasons:?}"
    );
    world.pass(Duration::from_secs(8));
    world.succeed(&["a", "b"]);
    assert_eq!(world.held(1, "c"), [(Held::MaxActiveTasks, 10)]);
}

#[test]
fn who_waits_at_a_pool_with_room_waits_for_what_its_best_one_waits_for() {
    let mut world = World::new(Settings { parallelism: Limit::from(3), ..settings() });
    world.set_pool("etl", 1);
    let mut first = dag("first", "a b x");
    first.tasks.iter_mut().take(2).for_each(|task| task.pool = name("etl"));
    world.add(first);
    let mut second = dag("second", "c");
    second.tasks[0].pool = name("etl");
    world.add(second);
    world.add(dag("third", "y"));
    world.trigger("first");
    world.pass(Duration::from_micros(1));
    world.trigger("second");
    assert_eq!(world.names(), ["a", "x"]);
    assert!(matches!(&world.explain(2, "c").reasons[..], [Blocker::Pool { .. }]), "one place is free");
    // Room in the pool is no help when the last place is taken at the same time.
    world.pass(Duration::from_secs(10));
    world.trigger("third");
    world.set_pool("etl", 3);
    let reasons = world.explain(2, "c").reasons;
    let [Blocker::Parallelism { ahead, .. }] = &reasons[..] else { panic!("{reasons:?}") };
    assert_eq!(ahead.tasks, 1, "b comes before it");
    world.pass(Duration::from_secs(5));
    world.succeed(&["x", "y"]);
    assert_eq!(world.names(), ["a", "b", "c"]);
    let pool = Held::Pool { pool: name("etl") };
    assert_eq!(world.held(2, "c"), [(pool, 10), (Held::Parallelism, 5)]);
}

#[test]
fn without_a_worker_or_a_free_slot_that_is_the_reason() {
    let mut world = World::new(settings());
    world.slots(1);
    world.add(dag("d", "a b"));
    world.trigger("d");
    let reasons = world.explain(1, "b").reasons;
    assert!(matches!(reasons[..], [Blocker::NoFreeSlot { workers: 1, taken: 1, .. }]), "{reasons:?}");
    world.pass(Duration::from_secs(4));
    world.tell(FromWorker::Offline { worker: world.worker, incarnation: world.incarnation });
    assert_eq!(world.explain(1, "b").reasons, [Blocker::NoWorker]);
    assert_eq!(world.explain(1, "a").reasons, [Blocker::NoWorker], "it was given back");
    world.pass(Duration::from_secs(6));
    world.slots(2);
    assert_eq!(world.held(1, "b"), [(Held::NoFreeSlot, 4), (Held::NoWorker, 6)]);
}

#[test]
fn whoever_leads_only_for_a_moment_says_first_that_no_node_runs() {
    let mut world = World::new(settings());
    world.add(dag("d", "a >> b"));
    world.trigger("d");
    world.core.only_for_a_moment();
    let reasons = world.explain(1, "b").reasons;
    assert!(matches!(&reasons[..], [Blocker::NoNode, Blocker::Upstreams { .. }]), "{reasons:?}");
}

#[test]
fn a_task_that_is_being_stopped_says_what_for() {
    let mut world = World::new(settings());
    world.add(dag("d", "a"));
    world.trigger("d");
    let selection = Selection::whole_run(id("d"), world.run_ids().remove(0));
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
    assert_eq!(world.explain(1, "a").reasons, [Blocker::Stopping { why: Stop::Cleared }]);
}

#[test]
fn waits_survive_a_restart_as_far_as_they_were_written() {
    let mut world = World::new(Settings { parallelism: Limit::from(1), ..settings() });
    let mut retried = dag("d", "a b");
    retried.tasks[0].retries = 1;
    retried.tasks[0].priority_weight = 5;
    world.add(retried);
    world.trigger("d");
    world.pass(Duration::from_secs(20));
    world.finish("a", FAILED);
    assert_eq!(world.held(1, "b"), [(Held::Parallelism, 20)]);
    world.pass(Duration::from_secs(400));
    let before = world.held(1, "a");
    assert_eq!(before, [(Held::Retry, 300), (Held::Parallelism, 100)], "b has the one place");
    world.pause("d", true);
    world.crash_and_restart(Settings { parallelism: Limit::from(1), ..settings() });
    assert_eq!(world.held(1, "a"), before[..1], "a wait that goes on is known from the restart on");
    world.pass(Duration::from_secs(30));
    assert_eq!(world.held(1, "a"), [(Held::Retry, 300), (Held::DagPaused, 30)]);
}

#[test]
fn what_is_not_there_is_said() {
    let mut world = World::new(settings());
    world.add(dag("d", "load"));
    world.trigger("d");
    let run_id = world.run_ids().remove(0);
    let ask = |world: &mut World, task: &str, map_index: i32| {
        let task = TaskId::new(task).expect("an id");
        let (dag, run_id) = (id("d"), run_id.clone());
        world.control(Control::Explain { dag, run_id, task, map_index: MapIndex(map_index) })
    };
    let Reply::Refused { why: Refused::TaskNotFound { hint, .. } } = ask(&mut world, "laod", -1) else { panic!() };
    assert_eq!(hint.as_deref(), Some("did you mean `load`?"));
    assert!(matches!(ask(&mut world, "load", 3), Reply::Refused { .. }));
}

#[test]
fn a_dag_says_when_its_next_run_is_due_or_why_there_is_none() {
    let mut world = World::new(settings());
    world.add(dag("manual", "a"));
    assert!(matches!(world.explain_dag("manual").reasons[..], [Blocker::NoSchedule { .. }]));
    let mut daily = dag("daily", "a");
    daily.schedule = Schedule::parse("@daily", crate::domain::schedule::Family::Trigger).expect("a schedule");
    daily.max_active_runs = Limit::from(1);
    world.add(daily);
    world.pass(Duration::from_secs(86_400));
    let explained = world.explain_dag("daily");
    let [Blocker::RunsFull { active: 1, .. }, Blocker::NextRun { due, .. }] = explained.reasons[..] else {
        panic!("{explained:?}");
    };
    assert_eq!(explained.running, 1);
    assert!(due > world.now - chrono::Duration::days(1), "{due}");
    assert_eq!(world.run_state(1), RunState::Running);
}
