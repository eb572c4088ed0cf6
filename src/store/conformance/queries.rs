//! What people ask for is found, and found by an index.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::domain::ids::{PoolName, RunKey, TryNumber};
use crate::domain::run::{DataInterval, RunType};
use crate::domain::skip::SKIP_KEY;
use crate::domain::state::{RunState, TaskState};
use crate::protocol::selection::{RunRange, Selection};
use crate::store::query::RunFilter;
use crate::store::write::{RunRow, Write};

use super::rows::{at, dag, dag_id, run, task, task_id, version, xcom};
use super::{Bed, on_every_database};

#[tokio::test]
async fn runs_are_found_by_dag_state_date_and_age() {
    on_every_database(async |bed| {
        let mut rows = vec![
            run(1, "a", RunState::Success),
            run(2, "a", RunState::Running),
            run(3, "b", RunState::Failed),
            run(4, "a", RunState::Success),
        ];
        for row in &mut rows {
            row.logical_date = Some(at(row.key.0 * 10));
            row.run_after = at(row.key.0 * 10 + 1);
            row.interval = row.logical_date.map(DataInterval::exact);
        }
        let mut writes: Vec<Write> = rows.iter().cloned().map(Write::Run).collect();
        for name in ["a", "b", "never_ran"] {
            writes.extend([Write::Dag(dag(name)), Write::Version(Box::new(version(name, 1)))]);
        }
        bed.write(writes).await;
        let keys = async |filter: RunFilter| -> Vec<i64> {
            bed.store.runs(&filter).await.expect("runs").into_iter().map(|run| run.key.0).collect()
        };

        assert_eq!(keys(RunFilter::default()).await, [4, 3, 2, 1], "newest first");
        let of_a = RunFilter { dag: Some(dag_id("a")), ..RunFilter::default() };
        assert_eq!(keys(of_a.clone()).await, [4, 2, 1]);
        assert_eq!(keys(RunFilter { limit: Some(1), ..of_a.clone() }).await, [4]);
        assert_eq!(keys(RunFilter { states: vec![RunState::Success], ..of_a.clone() }).await, [4, 1]);
        assert_eq!(keys(RunFilter { from: Some(at(20)), until: Some(at(30)), ..RunFilter::default() }).await, [3, 2]);

        let mut undated = run(5, "b", RunState::Success);
        undated.run_after = at(25);
        bed.write(vec![Write::Run(undated.clone())]).await;
        let of_b = RunFilter { dag: Some(dag_id("b")), ..RunFilter::default() };
        let between = |from, until| RunFilter { from: Some(at(from)), until: Some(at(until)), ..of_b.clone() };
        assert_eq!(keys(between(24, 26)).await, [5], "without a date, when it was due counts");
        assert_eq!(keys(between(26, 29)).await, [0_i64; 0]);
        bed.write(vec![Write::Run(RunRow { run_after: at(1), ..undated })]).await;

        let mut latest = bed.store.latest_runs().await.expect("runs");
        latest.sort_by_key(|run| run.key);
        assert_eq!(latest, [rows[2].clone(), rows[3].clone()], "one of each DAG that ran");
        let of_date = bed.store.run_of_date(&dag_id("a"), at(20)).await.expect("a run");
        assert_eq!(of_date.as_ref(), Some(&rows[1]));
        assert_eq!(bed.store.run_of_date(&dag_id("a"), at(30)).await.expect("none"), None);
        let previous = bed.store.previous_run(&dag_id("a"), at(40)).await.expect("a run");
        assert_eq!(previous.as_ref(), Some(&rows[1]));
        assert_eq!(bed.store.previous_run(&dag_id("a"), at(10)).await.expect("none"), None);
        assert_eq!(bed.store.dag_names().await.expect("names"), ["a", "b", "never_ran"]);
        assert_eq!(bed.store.dag(&dag_id("missing")).await.expect("none"), None);
    })
    .await;
}

#[tokio::test]
async fn the_runs_that_a_user_means_are_found_by_name_and_date_oldest_first() {
    on_every_database(async |bed| {
        let rows: Vec<_> = (1..=5)
            .map(|n| {
                let mut row = run(n, if n == 3 { "b" } else { "a" }, RunState::Success);
                row.logical_date = (n < 5).then(|| at(n * 10));
                row.clear_number = i32::try_from(n).expect("few");
                row
            })
            .collect();
        bed.write(rows.iter().cloned().map(Write::Run).collect()).await;
        let named = Selection::whole_run(dag_id("a"), rows[1].run_id.clone());
        let found = async |selection: &Selection| -> Vec<i64> {
            let runs = bed.store.selected_runs(selection).await.expect("runs");
            assert!(runs.iter().all(|run| rows.contains(run)), "as they were written");
            runs.into_iter().map(|run| run.key.0).collect()
        };
        assert_eq!(found(&named).await, [2]);
        assert_eq!(found(&Selection { past: true, ..named.clone() }).await, [1, 2]);
        assert_eq!(found(&Selection { future: true, ..named.clone() }).await, [2, 4]);
        let dates = |from, until| Selection { runs: RunRange::Dates { from, until }, ..named.clone() };
        assert_eq!(found(&dates(Some(at(20)), None)).await, [2, 4]);
        assert_eq!(found(&dates(None, None)).await, [1, 2, 4, 5], "one without a date too");
        let undated = Selection { past: true, ..Selection::whole_run(dag_id("a"), rows[4].run_id.clone()) };
        assert_eq!(found(&undated).await, [5]);
    })
    .await;
}

#[tokio::test]
async fn health_counts_what_is_under_way() {
    on_every_database(async |bed| {
        bed.write(vec![
            Write::Run(run(1, "a", RunState::Running)),
            Write::Run(run(2, "a", RunState::Success)),
            Write::Task(task(1, "t", TaskState::Running)),
            Write::Task(task(1, "u", TaskState::Running)),
            Write::Task(task(2, "t", TaskState::Success)),
        ])
        .await;
        let counts = bed.store.counts().await.expect("counts");
        assert_eq!(counts.runs.into_iter().collect::<Vec<_>>(), [(RunState::Running, 1)]);
        assert_eq!(counts.tasks.into_iter().collect::<Vec<_>>(), [(TaskState::Running, 2)]);
    })
    .await;
}

#[tokio::test]
async fn the_default_pool_is_made_once_and_then_left_to_the_user() {
    on_every_database(async |bed| {
        bed.store.ensure_default_pool(128).await.expect("a pool");
        bed.store.ensure_default_pool(5).await.expect("a pool");
        let pools = bed.store.pools().await.expect("pools");
        assert_eq!(
            pools.iter().map(|pool| (&pool.name, pool.slots)).collect::<Vec<_>>(),
            [(&PoolName::default_pool(), 128)]
        );
    })
    .await;
}

/// The plan, not the clock, says whether a query reads the history.
#[tokio::test]
async fn what_is_under_way_is_found_without_reading_the_history() {
    let bed = Bed::sqlite().await;
    for (query, index) in [
        ("SELECT id FROM dag_run WHERE state IN ('queued', 'running')", "dag_run_unfinished"),
        ("SELECT * FROM attempt WHERE state <> 'done'", "attempt_not_done"),
        ("SELECT * FROM command WHERE done_at IS NULL ORDER BY id", "command_pending"),
        ("SELECT * FROM asset_queue WHERE run IS NULL", "asset_queue_of_run"),
        ("SELECT * FROM asset_event WHERE asset = 'a' ORDER BY id DESC LIMIT 5", "asset_event_of_asset"),
        ("SELECT * FROM dag_run WHERE dag_id = 'a' ORDER BY run_after DESC, id DESC LIMIT 5", "dag_run_newest"),
    ] {
        let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {query}"));
        let rows = bed.store.read.query_all_raw(explain).await.expect("a plan");
        let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(3).expect("a line")).collect();
        assert!(plan[0].contains(index), "{query}: {plan:?}");
        assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{query}: {plan:?}");
    }
}

#[tokio::test]
async fn the_run_before_and_what_was_decided_are_found() {
    on_every_database(async |bed| {
        let mut rows: Vec<_> = (1..=4).map(|n| run(n, "a", RunState::Success)).collect();
        rows[3].state = RunState::Running;
        for row in &mut rows {
            row.logical_date = Some(at(row.key.0 * 10));
            row.run_type = RunType::Scheduled;
        }
        rows[2].run_type = RunType::Manual;
        let mut left_out = task(1, "new", TaskState::Removed);
        left_out.try_number = TryNumber(0);
        let mut writes: Vec<Write> = rows.iter().cloned().map(Write::Run).collect();
        writes.extend([Write::Dag(dag("a")), Write::Version(Box::new(version("a", 1)))]);
        writes.extend([Write::Task(left_out), Write::Task(task(2, "old", TaskState::Failed))]);
        let decision = xcom(4, "old", SKIP_KEY, serde_json::json!({ "followed": ["new"] }));
        writes.extend([Write::XCom(decision.clone()), Write::XCom(xcom(4, "old", "other", serde_json::json!(1)))]);
        bed.write(writes).await;

        let (store, a) = (&bed.store, dag_id("a"));
        let before = async |date: i64, manual: bool| {
            store.run_before(&a, at(date), manual).await.expect("a look").map(|run| run.key.0)
        };
        assert_eq!((before(40, true).await, before(40, false).await), (Some(3), Some(2)));
        assert_eq!((before(10, true).await, before(11, true).await), (None, Some(1)));
        let is_followed = async |date: i64| store.has_run_after(&a, at(date), false).await.expect("a look");
        assert_eq!((is_followed(30).await, is_followed(40).await), (true, false));
        let was_there =
            async |task: &str, date: i64| store.has_task_before(&a, &task_id(task), at(date)).await.expect("a look");
        assert!(!was_there("new", 40).await, "its dates left it out");
        assert_eq!((was_there("old", 40).await, was_there("old", 20).await), (true, false));

        let of_runs = store.xcoms_of_runs(&[RunKey(4), RunKey(1)], SKIP_KEY).await.expect("values");
        assert_eq!(of_runs, std::slice::from_ref(&decision));
        let loaded = store.load().await.expect("what is unfinished");
        assert_eq!(loaded.decisions, [decision], "of the run that is not over");
    })
    .await;
}
