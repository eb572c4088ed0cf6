//! Many who want the same: limits hold at every instant, nobody starves, a blocked
//! crowd costs nothing, and what is said about it is what happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::world::{compile, dag, settings, start_of_story};
use crate::domain::blocker::Blocker;
use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{DagId, PoolName, RunKey, TaskId};
use crate::domain::journal::Held;
use crate::domain::limit::Limit;
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::Time;
use crate::scheduler::TaskRef;
use crate::scheduler::core::Settings;
use crate::scheduler::simulate::{Durations, Scenario, Stage, simulate};
use crate::store::write::{PoolRow, TaskRow, Write};

const DAGS: usize = 200;
const TASKS: usize = 50;

fn pool(name: &str, slots: i32) -> PoolRow {
    let name = PoolName::new(name).expect("a name");
    PoolRow { name, slots, description: String::new(), include_deferred: false }
}

/// Ten stages of five tasks; four of the five want the one pool.
fn many_dags() -> Vec<Arc<Dag>> {
    let stage = |n: usize| (0..5).map(|m| format!("t{n}_{m}")).collect::<Vec<_>>().join(" ");
    let graph = (0..TASKS / 5).map(stage).collect::<Vec<_>>().join(" >> ");
    let made = (0..DAGS).map(|n| {
        let mut dag = dag(&format!("dag{n:03}"), &graph);
        for (at, task) in dag.tasks.iter_mut().enumerate() {
            if at % 5 != 0 {
                task.pool = PoolName::new("etl").expect("a name");
            }
        }
        compile(dag)
    });
    made.collect()
}

fn scenario(dags: Vec<Arc<Dag>>, pools: Vec<PoolRow>, parallelism: u32, days: i64) -> Scenario {
    let from = start_of_story();
    Scenario {
        settings: Settings { parallelism: Limit::from(parallelism), ..settings() },
        dags,
        pools,
        slots: Limit::Unlimited,
        from,
        until: from + chrono::Duration::days(days),
        triggered: 1,
        durations: Durations { other: Duration::from_secs(10), ..Durations::default() },
        fail: 0.0,
        seed: 1,
        keep_tasks: true,
    }
}

/// What was foretold of a task that waited, and how many have started from the pool since.
struct Foretold {
    at: TaskRef,
    said: Blocker,
    ahead: u32,
    started_since: u32,
}

#[test]
fn two_hundred_dags_share_a_pool_without_breaking_a_limit_or_starving_and_explain_foretells_it() {
    let dags = many_dags();
    let scenario = scenario(dags.clone(), vec![pool("default_pool", 128), pool("etl", 8)], 16, 30);
    let mut stage = Stage::new(&scenario);
    let mut rows: BTreeMap<(RunKey, TaskId), TaskRow> = BTreeMap::new();
    let mut first_end: BTreeMap<DagId, Time> = BTreeMap::new();
    let mut runs_over = 0;
    let (mut foretold, mut came_true, mut step) = (Vec::<Foretold>::new(), 0, 0);
    let is_etl = |task: &TaskId| !task.as_str().ends_with("_0");
    let mut happened = Some(stage.begin(&scenario));
    while let Some(now_happened) = happened {
        if let Some(ended) = &now_happened.ended {
            first_end.entry(ended.key.dag.clone()).or_insert(now_happened.now);
        }
        let mut started = Vec::new();
        for write in now_happened.writes {
            match write {
                Write::Task(row) => {
                    let before = rows.insert((row.run, row.task_id.clone()), row.clone()).map(|row| row.state);
                    if row.state == TaskState::Running && before != Some(TaskState::Running) {
                        started.push(row);
                    }
                }
                Write::Run(row) => runs_over += usize::from(row.state == RunState::Success),
                _ => {}
            }
        }
        // Never more than the limits, at no instant, counted by what really runs.
        let (all, etl) = (stage.running().len(), stage.running().filter(|run| is_etl(&run.key.task)).count());
        assert!(all <= 16 && etl <= 8, "{all} run, {etl} of them in the pool");
        foretold.retain_mut(|one| {
            let mine =
                started.iter().position(|row| row.run == one.at.run && ix(&dags[0], &row.task_id) == one.at.task);
            let until_mine = mine.unwrap_or(started.len());
            one.started_since += started[..until_mine].iter().filter(|row| is_etl(&row.task_id)).count() as u32;
            if mine.is_some() {
                assert!(one.started_since >= one.ahead, "{} started before it: {:?}", one.started_since, one.said);
                came_true += 1;
            }
            mine.is_none()
        });
        step += 1;
        if step % 100 == 0 {
            assert_eq!(stage.core.violations(), []);
            foretold.extend(foretell(&stage, &rows, &dags[0]));
        }
        happened = stage.next(scenario.until);
    }
    assert_eq!(runs_over, DAGS, "every run has come to its end");
    assert!(came_true > 50, "{came_true} foretold starts were seen");
    // Everyone makes progress: no DAG waits for another one to be done.
    let last_first = first_end.values().max().expect("tasks have ended");
    assert_eq!(first_end.len(), DAGS);
    let all = Duration::from_secs((DAGS * TASKS / 5 * 4 / 8 * 10) as u64);
    assert!((*last_first - scenario.from).to_std().expect("later") < all / 4, "{last_first}");
    // The journals say the same: the pool and the place of all have held these tasks.
    let held = |held: &Held| rows.values().any(|row| row.journal.stretches().iter().any(|s| s.held == *held));
    assert!(held(&Held::Pool { pool: PoolName::new("etl").expect("a name") }));
    for row in rows.values() {
        let (Some(ready), Some(started)) = (row.scheduled_at, row.started_at) else { panic!("{row:?}") };
        let known: Duration = row.journal.stretches().iter().map(|stretch| stretch.length()).sum();
        let unknown = (started - ready).to_std().expect("later").checked_sub(known);
        assert!(
            unknown.is_some_and(|unknown| unknown < Duration::from_millis(50)),
            "every wait has its reason: {row:?}"
        );
    }
}

fn ix(dag: &Dag, task: &TaskId) -> TaskIx {
    dag.find(task).expect("a task of the DAG")
}

/// Some of those that wait for the pool now, with what explain says of them.
fn foretell(stage: &Stage, rows: &BTreeMap<(RunKey, TaskId), TaskRow>, dag: &Dag) -> Vec<Foretold> {
    let waiting = rows.values().filter(|row| row.state == TaskState::Scheduled && row.pool.as_str() == "etl");
    let mut made = Vec::new();
    for row in waiting.step_by(97).take(5) {
        let at = TaskRef { run: row.run, task: ix(dag, &row.task_id), map: row.map_index };
        let explained = stage.core.explain(stage.now(), at);
        assert!(!explained.reasons.is_empty(), "{row:?}");
        for reason in explained.reasons {
            let Blocker::Pool { taken, ahead, by, .. } = &reason else {
                assert!(matches!(reason, Blocker::Parallelism { taken: 16, .. }), "{reason:?}");
                continue;
            };
            let really = stage.running().filter(|run| run.key.task.as_str().ends_with("_0")).count();
            assert_eq!((*taken, by.total), (8, 8), "{really}");
            for holder in &by.shown {
                assert!(stage.running().any(|run| run.key == holder.key), "{holder:?} does not run");
            }
            let (ahead, said) = (ahead.tasks, reason.clone());
            made.push(Foretold { at, said, ahead, started_since: 0 });
        }
    }
    made
}

#[test]
fn ten_thousand_blocked_tasks_ahead_cost_the_one_that_may_run_nothing() {
    let names = |n: usize| (0..n).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
    let steps = |blocked: usize| {
        let mut crowd = dag("crowd", &names(blocked));
        crowd.max_active_tasks = Limit::Unlimited;
        for task in &mut crowd.tasks {
            (task.pool, task.priority_weight) = (PoolName::new("full").expect("a name"), 100);
        }
        let one = dag("one", "a");
        let scenario =
            scenario(vec![compile(crowd), compile(one)], vec![pool("default_pool", 128), pool("full", 1)], 32, 1);
        let mut stage = Stage::new(&scenario);
        let before = stage.core.steps();
        stage.begin(&scenario);
        assert!(stage.running().any(|run| run.key.task.as_str() == "a"), "the free one runs at once");
        assert_eq!(stage.running().len(), 2);
        stage.core.steps() - before
    };
    assert_eq!(steps(10), steps(10_000), "as many looks however many are blocked");
}

#[test]
fn a_simulation_is_the_same_for_the_same_seed_and_another_for_another() {
    let of = |seed: u64, fail: f64| {
        let dags = vec![compile(dag("d", "a b c d e f g h"))];
        let mut scenario = scenario(dags, vec![pool("default_pool", 128)], 2, 1);
        (scenario.seed, scenario.fail, scenario.triggered) = (seed, fail, 5);
        let simulated = simulate(&scenario).expect("few events");
        let states: Vec<TaskState> = simulated.tasks.iter().map(|task| task.state).collect();
        (simulated.tasks, states)
    };
    assert_eq!(of(1, 0.3).0, of(1, 0.3).0);
    assert_ne!(of(1, 0.3).1, of(2, 0.3).1);
    assert!(of(1, 0.0).1.iter().all(|state| *state == TaskState::Success));
    assert!(of(1, 1.0).1.iter().all(|state| *state == TaskState::Failed));
}

#[test]
fn two_years_of_a_dag_with_fifty_tasks_are_simulated_in_seconds() {
    let mut daily = dag("daily", &(0..50).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" "));
    daily.schedule =
        crate::domain::schedule::Schedule::parse("@daily", crate::domain::schedule::Family::Trigger).expect("daily");
    daily.catchup = true;
    daily.start_date = Some(start_of_story() - chrono::Duration::days(1_000));
    let mut scenario = scenario(vec![compile(daily)], vec![pool("default_pool", 128)], 4, 730);
    (scenario.triggered, scenario.fail) = (0, 0.02);
    scenario.durations.other = Duration::from_secs(7_200);
    let begun = std::time::Instant::now();
    let simulated = simulate(&scenario).expect("few events");
    let took = begun.elapsed();
    println!("730 days of 50 tasks took {took:?}");
    // An optimised build takes a tenth of this.
    assert!(took < Duration::from_secs(60), "{took:?}");
    let daily = &simulated.dags[0];
    assert_eq!(daily.runs + daily.not_made, 730, "what was due before the first day is not made up for");
    assert!(daily.not_made > 0, "max_active_runs keeps some from being made");
    // 50 tasks of two hours on four slots take 26 hours a day: ever more runs wait.
    assert!(daily.overran > 700 && daily.unfinished > 10, "{daily:?}");
    assert_eq!(simulated.held[0].by, "parallelism", "{:?}", simulated.held);
    assert!((simulated.utilisation.mean - 4.0).abs() < 0.05, "{}", simulated.utilisation.mean);
}
