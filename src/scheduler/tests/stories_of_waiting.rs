//! Stories of sensors: who waits holds no slot, and is told at once.

use std::time::Duration;

use super::world::{World, compile, dag, settings, start_of_story};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::expand::TaskGroup;
use crate::domain::ids::{DagId, Epoch, GroupId, PoolName, RunId, RunKey};
use crate::domain::journal::{Held, Stretch};
use crate::domain::native::{ExternalTask, Mode, MomentWatch, Native, Poking, Sensor, Watched};
use crate::domain::operator::Operator;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::domain::wait::{Awaited, AwaitedRun};
use crate::protocol::control::{Control, Pool, Reply, Trigger, TriggeredBy};
use crate::protocol::work::{Answer, FromWorker, Question, TriggerDagRunRequest};
use crate::scheduler::core::{Core, FileChange, Ids, Input};

const MINUTE: Duration = Duration::from_secs(60);

fn sensor(poking: Poking, watched: Watched) -> Operator {
    Operator::Native(Box::new(Native::Sensor(Sensor { poking, watched })))
}

fn reschedule() -> Poking {
    Poking { mode: Mode::Reschedule, timeout: 10 * MINUTE, ..Poking::default() }
}

fn after_run(delta: Duration) -> Watched {
    Watched::Moment(MomentWatch { delta: Some(delta), ..MomentWatch::default() })
}

fn task_of(dag: &str, task: Option<&str>) -> ExternalTask {
    ExternalTask {
        external_dag_id: dag.to_owned(),
        external_task_id: task.map(str::to_owned),
        external_task_ids: None,
        external_task_group_id: None,
        allowed_states: vec!["success".to_owned()],
        skipped_states: vec!["skipped".to_owned()],
        failed_states: vec!["failed".to_owned()],
        execution_delta: None,
        check_existence: false,
    }
}

/// `wait >> work`, where `wait` is this sensor.
fn waiting(id: &str, operator: Operator) -> DagDefinition {
    let mut definition = dag(id, "wait >> work");
    definition.tasks[0].operator = operator;
    definition
}

fn trigger_at(world: &mut World, dag: &str, date: Time) {
    let reply = world.control(Control::Trigger(Trigger {
        dag: DagId::new(dag).expect("a DAG id"),
        run_id: None,
        logical_date: Some(date),
        conf: serde_json::Map::new(),
        note: None,
        by: TriggeredBy::Cli,
        user: None,
    }));
    assert!(matches!(reply, Reply::Triggered(_)), "{reply:?}");
}

#[test]
fn a_moment_is_waited_for_by_a_timer_alone() {
    let mut world = World::new(settings());
    world.add(waiting("w", sensor(reschedule(), after_run(5 * MINUTE))));
    world.trigger("w");
    assert_eq!(world.state(1, "wait"), TaskState::UpForReschedule);
    assert!(world.running.is_empty() && world.open_attempts() == 0, "no process and no attempt");
    assert_eq!(world.core.next_wake(), Some(start_of_story() + 5 * MINUTE));
    world.pass(5 * MINUTE);
    assert_eq!(world.state(1, "wait"), TaskState::Success);
    assert_eq!(world.names(), ["work"]);
    world.succeed(&["work"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(world.core.next_wake(), None);
}

#[test]
fn patience_ends_in_failure_that_no_retry_mends_or_in_a_skip() {
    for (soft_fail, state) in [(false, TaskState::Failed), (true, TaskState::Skipped)] {
        let mut world = World::new(settings());
        let poking = Poking { soft_fail, deferrable: true, ..reschedule() };
        let mut definition = waiting("w", sensor(poking, after_run(60 * MINUTE)));
        definition.tasks[0].retries = 3;
        world.add(definition);
        world.trigger("w");
        assert_eq!(world.state(1, "wait"), TaskState::Deferred);
        world.pass(10 * MINUTE);
        assert_eq!(world.state(1, "wait"), state);
        let note = world.store.task(RunKey(1), "wait").note.clone().unwrap_or_default();
        assert!(note.contains("Sensor has timed out; run duration of 600 seconds"), "{note}");
    }
}

#[test]
fn another_dags_task_wakes_who_waits_for_it_in_the_same_step() {
    let mut world = World::new(settings());
    world.add(dag("other", "t >> u"));
    world.add(waiting("w", sensor(reschedule(), Watched::ExternalTask(task_of("other", Some("t"))))));
    let date = start_of_story();
    // First it waits for a run that is not even there.
    trigger_at(&mut world, "w", date);
    assert_eq!(world.state(1, "wait"), TaskState::UpForReschedule);
    trigger_at(&mut world, "other", date);
    trigger_at(&mut world, "other", date + MINUTE);
    let of_date = |world: &World, minutes: i64| {
        let at = |message: &crate::protocol::work::TaskMessage| {
            message.run.logical_date == Some(date + chrono::Duration::minutes(minutes))
        };
        world.running.iter().position(|(message, _)| at(message)).expect("it runs")
    };
    let (message, claim) = {
        let at = of_date(&world, 1);
        world.running.remove(at)
    };
    let report = world.report(&message, claim, Outcome::Success);
    world.tell(FromWorker::Finish(report));
    assert_eq!(world.state(1, "wait"), TaskState::UpForReschedule, "another date does not count");
    let (message, claim) = {
        let at = of_date(&world, 0);
        world.running.remove(at)
    };
    let report = world.report(&message, claim, Outcome::Success);
    world.tell(FromWorker::Finish(report));
    assert_eq!(world.state(1, "wait"), TaskState::Success);
    assert!(world.names().contains(&"work".to_owned()), "what is downstream starts in the same step");
}

#[test]
fn what_ended_long_ago_is_found_in_the_store() {
    let mut world = World::new(settings());
    world.add(dag("other", "t"));
    let date = start_of_story();
    trigger_at(&mut world, "other", date);
    world.succeed(&["t"]);
    world.add(waiting("w", sensor(reschedule(), Watched::ExternalTask(task_of("other", None)))));
    trigger_at(&mut world, "w", date);
    assert_eq!(world.state(2, "wait"), TaskState::Success);
}

/// `outer` holds `a` and the group `inner` with `b`; `outer.c` is only called so.
fn grouped() -> DagDefinition {
    let mut definition = dag("other", "a; b; outer.c");
    let id = |name: &str| GroupId::new(name).expect("an id");
    let group = |name: &str, parent: Option<&str>| TaskGroup {
        group_id: id(name),
        label: None,
        tooltip: None,
        parent: parent.map(id),
        expand: None,
    };
    definition.groups = vec![group("inner", Some("outer")), group("outer", None), group("empty", None)];
    definition.tasks[0].group = Some(id("outer"));
    definition.tasks[1].group = Some(id("inner"));
    definition
}

fn group_of(group: &str) -> Watched {
    let task = task_of("other", None);
    Watched::ExternalTask(ExternalTask {
        external_task_group_id: Some(group.to_owned()),
        check_existence: true,
        ..task
    })
}

#[test]
fn a_group_is_whoever_stands_in_it_whatever_their_names() {
    let mut world = World::new(settings());
    world.add(grouped());
    world.add(waiting("w", sensor(reschedule(), group_of("outer"))));
    world.add(waiting("never", sensor(reschedule(), group_of("empty"))));
    for dag in ["w", "never", "other"] {
        trigger_at(&mut world, dag, start_of_story());
    }
    world.succeed(&["a"]);
    assert_eq!(world.state(1, "wait"), TaskState::UpForReschedule, "b runs");
    world.succeed(&["b"]);
    assert_eq!(world.state(1, "wait"), TaskState::Success, "outer.c does not count");
    world.succeed(&["outer.c"]);
    assert_eq!(world.state(2, "wait"), TaskState::UpForReschedule, "nobody stands in the empty group");

    // The run has ended: the store is asked.
    world.add(waiting("later", sensor(reschedule(), group_of("inner"))));
    trigger_at(&mut world, "later", start_of_story());
    assert_eq!(world.state(4, "wait"), TaskState::Success);
    world.add(waiting("wrong", sensor(reschedule(), group_of("otter"))));
    trigger_at(&mut world, "wrong", start_of_story());
    assert_eq!(world.state(5, "wait"), TaskState::Failed);
    let note = world.store.task(RunKey(5), "wait").note.clone().unwrap_or_default();
    assert_eq!(note, "The external task group 'otter' in DAG 'other' does not exist.");
}

#[test]
fn bad_states_of_the_other_task_fail_or_skip_the_sensor() {
    for (outcome, soft_fail, expected) in [
        (Outcome::Failed { retryable: false }, false, TaskState::Failed),
        (Outcome::Failed { retryable: false }, true, TaskState::Skipped),
        (Outcome::Skipped, false, TaskState::Skipped),
    ] {
        let mut world = World::new(settings());
        world.add(dag("other", "t"));
        let poking = Poking { soft_fail, ..reschedule() };
        world.add(waiting("w", sensor(poking, Watched::ExternalTask(task_of("other", Some("t"))))));
        trigger_at(&mut world, "w", start_of_story());
        trigger_at(&mut world, "other", start_of_story());
        world.finish("t", outcome);
        assert_eq!(world.state(1, "wait"), expected, "{outcome:?}, soft_fail {soft_fail}");
    }
}

#[test]
fn a_dag_that_does_not_exist_is_said_at_once_where_that_is_asked_for() {
    let mut world = World::new(settings());
    let task = ExternalTask { check_existence: true, ..task_of("nowhere", None) };
    world.add(waiting("w", sensor(reschedule(), Watched::ExternalTask(task))));
    trigger_at(&mut world, "w", start_of_story());
    assert_eq!(world.state(1, "wait"), TaskState::Failed);
}

#[test]
fn an_attempt_that_looks_again_later_is_the_same_try_and_knows_since_when() {
    let mut world = World::new(settings());
    world.add(dag("p", "look"));
    world.trigger("p");
    for look in 1..=3 {
        let (message, claim) = world.running.remove(0);
        assert_eq!((message.try_number.0, message.reschedules), (1, look - 1));
        assert_eq!(message.waiting_since, (look > 1).then_some(start_of_story()));
        let mut report = world.report(&message, claim, Outcome::Rescheduled);
        report.awaited = Some(Awaited::Look { at: world.now + MINUTE });
        world.tell(FromWorker::Finish(report));
        assert_eq!(world.state(1, "look"), TaskState::UpForReschedule);
        assert_eq!(world.open_attempts(), 0);
        world.pass(MINUTE);
        assert_eq!(world.names(), ["look"]);
    }
    world.finish("look", Outcome::Failed { retryable: true });
    assert_eq!(world.state(1, "look"), TaskState::Failed);
    let selection =
        crate::protocol::selection::Selection::whole_run(DagId::new("p").expect("a DAG id"), world.run_ids().remove(0));
    let clear = crate::protocol::control::Clear {
        selection,
        only_failed: false,
        only_running: false,
        reset_runs: true,
        dry_run: false,
    };
    world.control(Control::Clear(clear));
    let (message, _) = &world.running[0];
    assert_eq!((message.waiting_since, message.reschedules), (None, 0), "a clear forgets the waiting");
}

#[test]
fn a_triggered_run_is_waited_for_without_a_slot() {
    let mut world = World::new(settings());
    world.add(dag("child", "c"));
    world.add(dag("parent", "call >> done"));
    world.trigger("parent");
    let (message, claim) = world.running.remove(0);
    let request = TriggerDagRunRequest {
        dag_id: "child".to_owned(),
        run_id: Some("mine".to_owned()),
        logical_date: None,
        conf: serde_json::Map::new(),
        note: None,
        fail_when_paused: false,
    };
    let ask = |world: &mut World, seq| {
        let question = Question::TriggerDagRun(request.clone());
        world.tell(FromWorker::Asked { attempt: message.attempt, claim, seq, question });
        world.told.pop().expect("every question is answered")
    };
    assert!(matches!(ask(&mut world, 1), Answer::Triggered { run_id, .. } if run_id == "mine"));
    assert!(matches!(ask(&mut world, 2), Answer::RunExists { run_id } if run_id == "mine"));
    assert_eq!(world.store.runs[&RunKey(2)].run_type, crate::domain::run::RunType::OperatorTriggered);
    let mut report = world.report(&message, claim, Outcome::Deferred);
    report.awaited = Some(Awaited::Run(AwaitedRun {
        dag: DagId::new("child").expect("a DAG id"),
        run: RunId::new("mine").expect("a run id"),
        allowed: vec!["success".to_owned()],
        failed: vec!["failed".to_owned()],
    }));
    world.tell(FromWorker::Finish(report));
    assert_eq!(world.state(1, "call"), TaskState::Deferred);
    world.succeed(&["c"]);
    assert_eq!(world.state(1, "call"), TaskState::Success);
    assert_eq!(world.names(), ["done"]);
}

#[test]
fn a_run_asked_for_again_after_its_answer_was_lost_is_made_once_by_any_leader() {
    let mut world = World::new(settings());
    world.add(dag("child", "c"));
    world.add(dag("parent", "call"));
    world.trigger("parent");
    let (message, claim) = world.running.remove(0);
    let request = TriggerDagRunRequest {
        dag_id: "child".to_owned(),
        run_id: None,
        logical_date: None,
        conf: serde_json::Map::new(),
        note: None,
        fail_when_paused: false,
    };
    let ask = |world: &mut World, seq| {
        let question = Question::TriggerDagRun(request.clone());
        world.tell(FromWorker::Asked { attempt: message.attempt, claim, seq, question });
        match world.told.pop() {
            Some(Answer::Triggered { run_id, .. }) => run_id,
            other => panic!("{other:?}"),
        }
    };
    let first = ask(&mut world, 1);
    world.now += MINUTE;
    assert_eq!(ask(&mut world, 1), first);
    world.core = Core::restore(settings(), Epoch(2), Ids::seeded(2), world.store.unfinished());
    let effects = world.core.resume(world.now);
    world.take(effects);
    assert_eq!(ask(&mut world, 1), first, "the next leader finds it too");
    assert_ne!(ask(&mut world, 2), first, "another question is another run");
    assert_eq!(world.store.runs.values().filter(|run| run.dag_id.as_str() == "child").count(), 2);
}

#[test]
fn who_waits_goes_on_waiting_after_a_restart() {
    let mut world = World::new(settings());
    world.add(dag("other", "t"));
    world.add(waiting("w", sensor(reschedule(), Watched::ExternalTask(task_of("other", Some("t"))))));
    world.add(waiting("m", sensor(reschedule(), after_run(5 * MINUTE))));
    trigger_at(&mut world, "w", start_of_story());
    trigger_at(&mut world, "m", start_of_story());
    world.now += MINUTE;
    world.core = Core::restore(settings(), Epoch(2), Ids::seeded(2), world.store.unfinished());
    let effects = world.core.resume(world.now);
    world.take(effects);
    world.start_worker(Vec::new());
    assert_eq!(world.core.next_wake(), Some(start_of_story() + 5 * MINUTE), "the same moment as before");
    trigger_at(&mut world, "other", start_of_story());
    world.succeed(&["t"]);
    assert_eq!(world.state(1, "wait"), TaskState::Success);
    world.pass(4 * MINUTE);
    assert_eq!(world.state(2, "wait"), TaskState::Success);
}

#[test]
fn a_sensor_that_is_marked_or_whose_run_ends_is_watched_for_no_longer() {
    let mut world = World::new(settings());
    world.add(waiting("w", sensor(reschedule(), Watched::ExternalTask(task_of("other", None)))));
    trigger_at(&mut world, "w", start_of_story());
    let (dag, run_id) = (DagId::new("w").expect("a DAG id"), world.run_ids().remove(0));
    world.control(Control::MarkRun { dag, run_id, succeeded: false });
    assert_eq!(world.run_state(1), RunState::Failed);
    assert_eq!(world.core.next_wake(), None);
    assert!(world.core.watchers.is_empty());
}

/// 5,000 sensors wait: what it costs to have them and to be told. Printed, so that people can see it.
#[test]
fn five_thousand_waiting_sensors_cost_one_timer_and_little_memory() {
    let mut world = World::new(settings());
    let names: Vec<String> = (0..5_000).map(|n| format!("s{n}")).collect();
    let mut definition = dag("many", &names.join(" "));
    for (n, task) in definition.tasks.iter_mut().enumerate() {
        task.operator = match n % 2 {
            0 => sensor(Poking { deferrable: true, ..reschedule() }, after_run(5 * MINUTE)),
            _ => sensor(reschedule(), Watched::ExternalTask(task_of("other", Some("t")))),
        };
    }
    let files = [dag("other", "t"), definition].map(|dag| FileChange {
        file: dag.file.clone(),
        source: String::new(),
        dags: vec![compile(dag)],
        took: Default::default(),
        problems: Vec::new(),
    });
    world.core.apply(world.now, Input::FilesChanged(files.into()));
    let control = |dag: &str| {
        Control::Trigger(Trigger {
            dag: DagId::new(dag).expect("a DAG id"),
            run_id: None,
            logical_date: Some(start_of_story()),
            conf: serde_json::Map::new(),
            note: None,
            by: TriggeredBy::Cli,
            user: None,
        })
    };
    let tell = |world: &mut World, dag: &str| {
        let began = std::time::Instant::now();
        let ticket = crate::scheduler::core::Ticket::Caller(0);
        let input = Input::Control { ticket, control: control(dag), history: Default::default() };
        let effects = world.core.apply(world.now, input).len();
        println!("{dag}: {effects} effects in {:?}", began.elapsed());
    };
    tell(&mut world, "many");
    assert_eq!(world.core.load(), (1, 0), "nobody holds a place");
    let effects = world.core.apply(world.now + MINUTE, Input::Tick).len();
    assert_eq!(effects, 0, "while they wait, nothing happens and nothing is written");
    assert_eq!(world.core.next_wake(), Some(start_of_story() + 5 * MINUTE));
    tell(&mut world, "other");
    assert_eq!(world.core.load().1, 1, "only the watched task runs");
    let began = std::time::Instant::now();
    world.core.apply(start_of_story() + 5 * MINUTE, Input::Tick);
    println!("2,500 moments: {:?}", began.elapsed());
    assert_eq!(world.core.violations(), []);
}

fn etl(slots: i32, include_deferred: bool) -> Control {
    let name = PoolName::new("etl").expect("a name");
    Control::SetPool(Pool { name, slots, description: String::new(), include_deferred })
}

/// `wait` is deferred for five minutes; it and `work`, which comes after it in the queue, want the pool `etl`.
fn in_one_pool(graph: &str) -> DagDefinition {
    let mut definition = dag("w", graph);
    let poking = Poking { deferrable: true, timeout: 60 * MINUTE, ..reschedule() };
    definition.tasks[0].operator = sensor(poking, after_run(5 * MINUTE));
    definition.tasks[0].priority_weight = 10;
    for task in &mut definition.tasks {
        task.pool = PoolName::new("etl").expect("a name");
    }
    definition
}

#[test]
fn who_is_deferred_keeps_its_slots_of_a_pool_that_includes_it() {
    let mut world = World::new(settings());
    world.control(etl(1, true));
    world.add(in_one_pool("wait work"));
    world.trigger("w");
    assert_eq!((world.state(1, "wait"), world.state(1, "work")), (TaskState::Deferred, TaskState::Scheduled));
    world.crash_and_restart(settings());
    assert_eq!(world.state(1, "work"), TaskState::Scheduled, "after a restart as well");
    world.pass(5 * MINUTE);
    assert_eq!(world.state(1, "wait"), TaskState::Success);
    assert_eq!(world.names(), ["work"], "the end of the wait gives the slot back in the same step");
    world.succeed(&["work"]);
    assert_eq!(world.run_state(1), RunState::Success);
    let waited = Stretch { from: start_of_story(), to: start_of_story() + 5 * MINUTE, held: Held::Deferred };
    assert_eq!(world.store.task(RunKey(1), "wait").journal.stretches(), [waited]);
}

#[test]
fn a_pool_that_no_longer_includes_the_deferred_lets_others_in_at_once() {
    let mut world = World::new(settings());
    world.control(etl(1, true));
    world.add(in_one_pool("wait work"));
    world.trigger("w");
    assert!(world.running.is_empty());
    world.control(etl(1, false));
    assert_eq!((world.names(), world.state(1, "wait")), (vec!["work".to_owned()], TaskState::Deferred));
    world.control(etl(1, true));
    world.trigger("w");
    world.succeed(&["work"]);
    assert!(world.running.is_empty(), "who is deferred holds the one slot again");
    world.control(etl(2, true));
    // The second sensor comes first, and takes the second slot without a process.
    assert_eq!((world.state(2, "wait"), world.state(2, "work")), (TaskState::Deferred, TaskState::Scheduled));
    assert_eq!(world.open_attempts(), 0);
}

#[test]
fn a_deleted_dag_gives_back_what_its_deferred_tasks_held() {
    let mut world = World::new(settings());
    world.control(etl(1, true));
    world.add(in_one_pool("wait"));
    let mut other = dag("other", "work");
    other.tasks[0].pool = PoolName::new("etl").expect("a name");
    world.add(other);
    world.trigger("w");
    world.trigger("other");
    assert!(world.running.is_empty());
    world.control(Control::DeleteDag { dag: DagId::new("w").expect("a DAG id") });
    assert_eq!(world.names(), ["work"]);
}

#[test]
fn max_active_tis_per_dag_counts_who_is_deferred() {
    let mut world = World::new(settings());
    let mut limited = in_one_pool("wait");
    limited.tasks[0].max_active_tis_per_dag = std::num::NonZeroU32::new(1);
    world.control(etl(-1, false));
    world.add(limited);
    world.trigger("w");
    world.trigger("w");
    assert_eq!((world.state(1, "wait"), world.state(2, "wait")), (TaskState::Deferred, TaskState::Scheduled));
    world.crash_and_restart(settings());
    assert_eq!((world.state(1, "wait"), world.state(2, "wait")), (TaskState::Deferred, TaskState::Scheduled));
    world.pass(5 * MINUTE);
    world.pass(Duration::from_secs(1));
    assert_eq!((world.run_state(1), world.run_state(2)), (RunState::Success, RunState::Success));
}
