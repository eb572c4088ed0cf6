//! Stories of backfills: runs of past dates that somebody asked for.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::Datelike;

use super::world::{World, dag, settings, start_of_story};
use crate::domain::attempt::Outcome;
use crate::domain::backfill::{BackfillRequest, MAX_ACTIVE_RUNS, Reprocess};
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{BackfillId, DagId, RunId, RunKey};
use crate::domain::limit::Limit;
use crate::domain::operator::Operator;
use crate::domain::run::RunType;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::protocol::control::{Clear, Control, Refused, Reply, Trigger, TriggeredBy};
use crate::protocol::selection::Selection;
use crate::scheduler::core::{Effect, FileChange, Input, Settings};
use crate::store::write::BackfillRow;

const FAILED: Outcome = Outcome::Failed { retryable: false };

/// A day of November 2026; the stories begin on the twenty-first.
fn day(day: u32) -> Time {
    start_of_story().with_day(day).expect("a day of November")
}

fn daily(id: &str, graph: &str) -> DagDefinition {
    let mut daily = dag(id, graph);
    daily.schedule = Schedule::parse("@daily", Family::DataInterval).expect("a schedule");
    daily.start_date = Some(day(20));
    daily
}

fn request(dag: &str, from: u32, to: u32) -> BackfillRequest {
    BackfillRequest {
        dag: DagId::new(dag).expect("a DAG id"),
        from: day(from),
        to: day(to),
        max_active_runs: MAX_ACTIVE_RUNS,
        backwards: false,
        reprocess: Reprocess::None,
        conf: serde_json::Map::new(),
    }
}

/// Runs are as many at once as `n` says.
fn at_once(n: u32, request: BackfillRequest) -> BackfillRequest {
    BackfillRequest { max_active_runs: NonZeroU32::new(n).expect("at least one"), ..request }
}

fn create(world: &mut World, request: BackfillRequest) -> Reply {
    world.control(Control::CreateBackfill { request, user: None })
}

fn refusal(reply: Reply) -> String {
    match reply {
        Reply::Refused { why } => why.to_string(),
        other => panic!("expected a refusal, got: {other:?}"),
    }
}

/// The days of the tasks that run, in the order in which they were started.
fn days(world: &World) -> Vec<u32> {
    let date = |run: &RunId| {
        let row = world.store.runs.values().find(|row| row.run_id == *run).expect("a run that is stored");
        row.logical_date.expect("a dated run").day()
    };
    world.running.iter().map(|(task, _)| date(&task.key.run)).collect()
}

fn backfill(world: &World, id: i64) -> &BackfillRow {
    &world.store.backfills[&BackfillId(id)]
}

fn succeed_next(world: &mut World) {
    let task = world.names()[0].clone();
    world.finish(&task, Outcome::Success);
}

/// A DAG whose own schedule does nothing during the story.
fn quiet_world(graph: &str) -> World {
    let mut world = World::new(settings());
    let mut quiet = daily("etl", graph);
    quiet.start_date = Some(day(30));
    world.add(quiet);
    world
}

#[test]
fn a_backfill_runs_its_dates_in_order_and_no_more_at_once_than_it_may() {
    let mut world = quiet_world("a");
    let reply = create(&mut world, at_once(2, request("etl", 1, 5)));
    let Reply::BackfillCreated(created) = reply else { panic!("{reply:?}") };
    assert_eq!((created.backfill, created.dates, created.paused), (BackfillId(1), 5, false));
    assert_eq!(days(&world), [1, 2]);
    assert_eq!(world.store.runs.len(), 2, "the others are made when there is a place for them");
    succeed_next(&mut world);
    assert_eq!(days(&world), [2, 3]);
    while !world.running.is_empty() {
        succeed_next(&mut world);
    }
    assert_eq!(world.store.runs.len(), 5);
    assert!(world.store.runs.values().all(|run| run.run_type == RunType::Backfill));
    assert_eq!(world.store.runs[&RunKey(1)].run_id.as_str(), "backfill__2026-11-02T00:00:00+00:00");
    assert_eq!(backfill(&world, 1).completed_at, Some(world.now));
    assert!(world.core.backfills.is_empty(), "what is over needs no memory");
}

#[test]
fn backwards_the_newest_date_comes_first() {
    let mut world = quiet_world("a");
    create(&mut world, at_once(2, BackfillRequest { backwards: true, ..request("etl", 1, 3) }));
    assert_eq!(days(&world), [3, 2]);
    succeed_next(&mut world);
    assert_eq!(days(&world), [2, 1]);
}

#[test]
fn its_limit_and_the_dags_own_do_not_count_each_other() {
    let mut world = World::new(settings());
    let mut small = daily("etl", "a");
    small.max_active_runs = Limit::from(1);
    world.add(small);
    assert_eq!(days(&world), [20], "the run of the schedule");
    create(&mut world, at_once(3, request("etl", 1, 9)));
    assert_eq!(days(&world), [20, 1, 2, 3]);
    world.trigger("etl");
    assert_eq!(world.running.len(), 4, "a triggered run waits for the DAG's one place");
    succeed_next(&mut world);
    assert_eq!(world.running.len(), 4);
}

#[test]
fn what_happens_now_goes_before_what_a_backfill_does() {
    let mut world = World::new(Settings { parallelism: Limit::from(1), ..settings() });
    world.add(daily("etl", "a >> b"));
    world.add(dag("other", "light"));
    assert_eq!(days(&world), [20]);
    create(&mut world, request("etl", 1, 3));
    world.trigger("other");
    world.succeed(&["a", "b"]);
    assert_eq!(world.names(), ["light"], "lighter and later, but not of a backfill");
    world.succeed(&["light"]);
    assert_eq!(days(&world), [1]);
}

#[test]
fn a_date_that_has_a_run_is_left_alone_or_run_again_as_was_asked() {
    for (reprocess, expected) in
        [(Reprocess::None, vec![3]), (Reprocess::Failed, vec![2, 3]), (Reprocess::Completed, vec![1, 2, 3])]
    {
        let mut world = quiet_world("a");
        create(&mut world, request("etl", 1, 2));
        world.finish("a", Outcome::Success);
        world.finish("a", FAILED);
        assert_eq!(backfill(&world, 1).completed_at, Some(world.now));
        create(&mut world, BackfillRequest { reprocess, ..request("etl", 1, 3) });
        assert_eq!(days(&world), expected, "{reprocess:?}");
        while !world.running.is_empty() {
            succeed_next(&mut world);
        }
        assert_eq!(backfill(&world, 2).completed_at, Some(world.now));
        assert_eq!(world.store.runs.len(), 3, "each date has one run");
        assert_eq!(backfill(&world, 2).skipped as usize, 3 - expected.len());
        let tries = |key| world.store.task(RunKey(key), "a").try_number.0;
        assert_eq!((tries(1), tries(2)), (1 + i32::from(expected[0] == 1), 1 + i32::from(expected.contains(&2))));
    }
}

#[test]
fn a_scheduled_run_that_is_run_again_belongs_to_the_backfill_from_then_on() {
    let mut world = World::new(settings());
    world.add(daily("etl", "a"));
    world.succeed(&["a"]);
    create(&mut world, BackfillRequest { reprocess: Reprocess::Completed, ..request("etl", 20, 20) });
    let row = &world.store.runs[&RunKey(1)];
    assert_eq!((row.run_type, row.triggered_by, row.clear_number), (RunType::Backfill, TriggeredBy::Backfill, 1));
    assert_eq!(row.run_id.as_str(), "scheduled__2026-11-21T00:00:00+00:00", "its name stays");
    world.succeed(&["a"]);
    assert_eq!(world.run_state(1), RunState::Success);
    assert_eq!(backfill(&world, 1).completed_at, Some(world.now));
}

#[test]
fn a_run_under_way_and_a_name_that_is_taken_are_no_obstacle() {
    let mut world = quiet_world("a");
    world.control(Control::Trigger(Trigger {
        dag: DagId::new("etl").expect("an id"),
        run_id: Some(RunId::new("backfill__2026-11-03T00:00:00+00:00").expect("an id")),
        logical_date: Some(day(1)),
        conf: serde_json::Map::new(),
        note: None,
        by: TriggeredBy::Cli,
        user: None,
    }));
    create(&mut world, BackfillRequest { reprocess: Reprocess::Completed, ..request("etl", 1, 2) });
    assert_eq!(days(&world), [1, 2], "the first is the user's");
    let made = &world.store.runs[&RunKey(2)].run_id;
    assert!(made.as_str().starts_with("backfill__2026-11-03T00:00:00+00:00_"), "{made}");
    assert_eq!(backfill(&world, 1).dealt, 2);
}

#[test]
fn the_timetable_steps_over_what_a_backfill_has_made() {
    let mut world = World::new(settings());
    let mut late = daily("etl", "a");
    (late.start_date, late.catchup) = (Some(day(18)), true);
    late.is_paused_upon_creation = Some(true);
    world.add(late);
    create(&mut world, request("etl", 18, 20));
    assert!(world.running.is_empty(), "a paused DAG starts nothing");
    world.core.planning = false;
    world.pause("etl", false);
    world.core.planning = true;
    world.apply(Input::FolderRead);
    assert_eq!(world.store.runs.len(), 3, "each date has one run, whoever came first");
}

#[test]
fn a_paused_backfill_starts_nothing_and_goes_on_where_it_was() {
    let mut world = quiet_world("a");
    create(&mut world, at_once(1, request("etl", 1, 3)));
    let pause = |paused| Control::PauseBackfill { backfill: BackfillId(1), paused };
    let changed =
        |changed| Reply::BackfillChanged { backfill: BackfillId(1), dag: DagId::new("etl").expect("an id"), changed };
    assert_eq!(world.control(pause(true)), changed(true));
    assert_eq!(world.control(pause(true)), changed(false));
    succeed_next(&mut world);
    assert!(world.running.is_empty());
    assert!(backfill(&world, 1).is_paused);
    world.control(pause(false));
    assert_eq!(days(&world), [2]);
}

#[test]
fn a_cancelled_backfill_ends_what_waits_and_lets_run_what_runs() {
    let mut world = quiet_world("a");
    create(&mut world, at_once(2, request("etl", 1, 9)));
    succeed_next(&mut world);
    // Two of the three runs go on, and the one that is cleared waits for them.
    let selection = Selection::whole_run(DagId::new("etl").expect("an id"), world.run_ids()[0].clone());
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
    assert_eq!(world.run_state(1), RunState::Queued);
    world.control(Control::CancelBackfill { backfill: BackfillId(1) });
    assert_eq!(world.run_state(1), RunState::Failed);
    assert_eq!(world.state(1, "a"), TaskState::Skipped);
    assert_eq!(days(&world), [2, 3]);
    world.succeed(&["a", "a"]);
    assert_eq!((world.run_state(2), world.run_state(3)), (RunState::Success, RunState::Success));
    assert_eq!(world.store.runs.len(), 3, "nothing more of it begins");
    let row = backfill(&world, 1);
    assert!(row.is_cancelled && row.completed_at.is_some() && row.dealt == 3);
    assert!(world.core.backfills.is_empty());
    for control in [
        Control::CancelBackfill { backfill: BackfillId(1) },
        Control::PauseBackfill { backfill: BackfillId(1), paused: true },
    ] {
        let over = Refused::BackfillOver { backfill: BackfillId(1) };
        assert_eq!(world.control(control), Reply::Refused { why: over });
    }
}

#[test]
fn runs_of_a_backfill_that_is_over_keep_its_limit_when_they_are_cleared() {
    let mut world = quiet_world("a");
    create(&mut world, at_once(2, request("etl", 1, 4)));
    while !world.running.is_empty() {
        succeed_next(&mut world);
    }
    let runs = crate::protocol::selection::RunRange::Dates { from: None, until: None };
    let selection =
        Selection { runs, ..Selection::whole_run(DagId::new("etl").expect("an id"), world.run_ids()[0].clone()) };
    let clear = Clear { selection, only_failed: false, only_running: false, reset_runs: true, dry_run: false };
    world.control(Control::Clear(clear));
    assert_eq!(days(&world), [1, 2]);
    world.crash_and_restart(settings());
    assert_eq!(days(&world), [1, 2], "also after a restart");
    while !world.running.is_empty() {
        succeed_next(&mut world);
    }
    assert!(world.store.runs.values().all(|run| run.state == RunState::Success));
    assert!(world.core.backfills.is_empty());
}

#[test]
fn a_restart_in_the_middle_loses_nothing_and_makes_nothing_twice() {
    let mut world = quiet_world("a");
    create(&mut world, at_once(2, request("etl", 1, 6)));
    succeed_next(&mut world);
    for _ in 0..3 {
        world.crash_and_restart(settings());
        assert_eq!(days(&world).len(), 2);
        succeed_next(&mut world);
    }
    while !world.running.is_empty() {
        succeed_next(&mut world);
    }
    let made: Vec<u32> = world.store.runs.values().filter_map(|run| Some(run.logical_date?.day())).collect();
    assert_eq!(made, [1, 2, 3, 4, 5, 6]);
    assert!(backfill(&world, 1).completed_at.is_some());
}

#[test]
fn a_restart_while_the_store_is_asked_asks_again() {
    let mut world = quiet_world("a");
    world.answers_inquiries = false;
    create(&mut world, request("etl", 1, 2));
    assert!(world.store.runs.is_empty());
    world.crash_and_restart(settings());
    assert_eq!(world.inquiries.len(), 1);
    let inquiry = world.inquiries[0].clone();
    world.inquiries.push_back(inquiry);
    while world.answer_an_inquiry() {}
    assert_eq!(world.store.runs.len(), 2, "an answer that comes twice makes nothing twice");
}

#[test]
fn a_backfill_of_a_paused_dag_waits_for_it() {
    let mut world = quiet_world("a");
    world.pause("etl", true);
    let reply = create(&mut world, request("etl", 1, 2));
    assert!(matches!(reply, Reply::BackfillCreated(created) if created.paused));
    assert!(world.store.runs.is_empty());
    world.pause("etl", false);
    assert_eq!(days(&world), [1, 2]);
}

#[test]
fn one_backfill_of_a_dag_is_active_at_a_time() {
    let mut world = quiet_world("a");
    create(&mut world, request("etl", 1, 1));
    let second = refusal(create(&mut world, request("etl", 2, 2)));
    assert!(second.starts_with("DAG `etl` already has an active backfill"), "{second}");
    world.succeed(&["a"]);
    assert!(matches!(create(&mut world, request("etl", 2, 2)), Reply::BackfillCreated(_)));
}

#[test]
fn what_cannot_be_backfilled_is_refused_in_a_sentence() {
    let mut world = quiet_world("a");
    world.add(dag("manual", "a"));
    for (request, expected) in [
        (request("manual", 1, 2), "DAG `manual` runs only when triggered: only a DAG with a periodic schedule"),
        (request("etl", 2, 1), "expected the first date (2026-11-02T00:00:00+00:00) to be no later than"),
        (request("etl", 22, 25), "DAG `etl` runs every day at 00:00: no interval of that schedule begins"),
        (request("etll", 1, 2), "no DAG is named `etll`: did you mean `etl`?"),
    ] {
        let said = refusal(create(&mut world, request));
        assert!(said.to_lowercase().contains(&expected.to_lowercase()), "{said}");
    }
    assert!(world.store.backfills.is_empty());
    let unknown = refusal(world.control(Control::CancelBackfill { backfill: BackfillId(7) }));
    assert!(unknown.starts_with("no backfill has the number 7"), "{unknown}");
}

#[test]
fn the_dates_of_tasks_do_not_bound_a_backfill() {
    let mut world = World::new(settings());
    let mut late = daily("etl", "a");
    late.tasks[0].start_date = Some(day(30));
    world.add(late);
    create(&mut world, request("etl", 1, 1));
    assert_eq!(days(&world), [1]);
}

#[test]
fn a_new_schedule_changes_nothing_about_a_backfill_under_way() {
    let mut world = quiet_world("a");
    create(&mut world, at_once(1, request("etl", 1, 3)));
    let mut hourly = daily("etl", "a b");
    hourly.start_date = Some(day(30));
    hourly.schedule = Schedule::parse("@hourly", Family::DataInterval).expect("a schedule");
    world.add(hourly);
    succeed_next(&mut world);
    assert_eq!((days(&world), world.names()), (vec![2, 2], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(backfill(&world, 1).dates, 3);
}

#[test]
fn ten_thousand_dates_are_no_burst() {
    let mut world = quiet_world("a");
    world.answers_inquiries = false;
    let from = day(1) - Duration::from_secs(9_999 * 86_400);
    let wish = Control::CreateBackfill { request: BackfillRequest { from, ..request("etl", 1, 1) }, user: None };
    let effects_of = |world: &mut World, input| {
        let effects = world.core.apply(world.now, input);
        effects.iter().filter(|effect| matches!(effect, Effect::Write(_))).count()
    };
    let history = world.store.history(&wish);
    let ticket = crate::scheduler::core::Ticket::Caller(0);
    let effects = world.core.apply(world.now, Input::Control { ticket, control: wish, history });
    let inquiry = effects.iter().find_map(|effect| {
        let Effect::Inquire(inquiry) = effect else { return None };
        Some(inquiry.clone())
    });
    let inquiry = inquiry.expect("the first dates are asked about");
    assert!(inquiry.dates.len() < 100);
    let history = world.store.dates(&inquiry);
    let written = effects_of(&mut world, Input::DatesKnown { inquiry, history });
    assert!(written <= 1 + 10 * 3, "{written} rows for ten runs of one task");
    assert_eq!(world.core.runs.len(), 10);
}

#[test]
fn a_long_backfill_of_nothing_to_do_ends_by_itself() {
    let mut world = World::new(settings());
    let mut empty = daily("etl", "a >> b");
    empty.start_date = Some(day(30));
    for task in &mut empty.tasks {
        task.operator = Operator::Empty;
    }
    world.add(empty);
    create(&mut world, BackfillRequest { from: day(1) - Duration::from_secs(99 * 86_400), ..request("etl", 1, 1) });
    assert_eq!(world.store.runs.len(), 100);
    let dates: Vec<_> = world.store.runs.values().filter_map(|run| run.logical_date).collect();
    assert!(dates.is_sorted(), "the order of the dates is that of the runs");
    assert!(backfill(&world, 1).completed_at.is_some());
}

#[test]
fn a_deleted_dag_begins_anew_and_one_that_runs_is_not_deleted() {
    let mut world = quiet_world("a >> b");
    let id = DagId::new("etl").expect("an id");
    create(&mut world, at_once(1, request("etl", 1, 5)));
    let delete = || Control::DeleteDag { dag: DagId::new("etl").expect("an id") };
    let said = refusal(world.control(delete()));
    assert!(said.starts_with("task `a` of run `backfill__2026-11-02T00:00:00+00:00` still runs"), "{said}");
    world.pause("etl", true);
    world.succeed(&["a"]);
    assert_eq!(world.state(1, "b"), TaskState::Scheduled);
    assert_eq!(world.control(delete()), Reply::DagDeleted { dag: id.clone() });
    assert!(world.store.runs.is_empty() && world.store.tasks.is_empty() && world.store.backfills.is_empty());
    assert_eq!(world.store.dags[&id].version.0, 1, "its file still defines it");
    assert!(!world.store.dags[&id].is_paused);
    create(&mut world, at_once(1, request("etl", 1, 1)));
    world.succeed(&["a", "b"]);
    assert!(world.store.backfills.values().all(|row| row.completed_at.is_some()));

    let gone = FileChange {
        file: "etl.yaml".to_owned(),
        source: String::new(),
        dags: Vec::new(),
        problems: Vec::new(),
        took: std::time::Duration::ZERO,
    };
    world.apply(Input::FilesChanged(vec![gone]));
    world.control(delete());
    assert!(world.store.dags.is_empty(), "what no file defines is gone for good");
    assert!(matches!(world.control(delete()), Reply::Refused { why: Refused::DagNotFound { .. } }));
}

#[test]
fn tasks_that_wait_for_their_past_are_backfilled_in_order_and_the_first_does_not_wait() {
    let mut world = World::new(settings());
    let mut waits = daily("etl", "a");
    waits.start_date = Some(day(30));
    waits.tasks[0].past.depends_on_past = true;
    world.add(waits);
    let wish = BackfillRequest { reprocess: Reprocess::Failed, ..request("etl", 1, 3) };
    let backwards = refusal(create(&mut world, BackfillRequest { backwards: true, ..wish.clone() }));
    assert!(backwards.contains("cannot be backfilled backwards: its task `a`"), "{backwards}");
    let held_up = refusal(create(&mut world, BackfillRequest { reprocess: Reprocess::None, ..wish.clone() }));
    assert!(held_up.contains("choose the reprocess behavior failed or completed"), "{held_up}");
    create(&mut world, wish);
    assert_eq!(days(&world), [1], "the others wait for the one before");
    succeed_next(&mut world);
    assert_eq!(days(&world), [2]);
    succeed_next(&mut world);
    assert_eq!(days(&world), [3]);
    succeed_next(&mut world);
    assert!(backfill(&world, 1).completed_at.is_some());
}

#[test]
fn the_first_run_of_a_backfill_waits_for_no_past_and_the_others_do() {
    let mut world = World::new(settings());
    let mut quiet = daily("etl", "a");
    quiet.start_date = Some(day(30));
    quiet.tasks[0].past.depends_on_past = true;
    world.add(quiet);
    let reprocess = Reprocess::Failed;
    create(&mut world, BackfillRequest { reprocess, ..request("etl", 1, 1) });
    world.finish("a", FAILED);
    create(&mut world, BackfillRequest { reprocess, ..request("etl", 2, 3) });
    assert_eq!(days(&world), [2], "what another backfill left is no hindrance; the third waits for the second");
    succeed_next(&mut world);
    assert_eq!(days(&world), [3]);
}
