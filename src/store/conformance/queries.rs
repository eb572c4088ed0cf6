//! What people ask for is found, and found by an index.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::domain::ids::PoolName;
use crate::domain::run::DataInterval;
use crate::domain::state::{RunState, TaskState};
use crate::protocol::selection::{RunRange, Selection};
use crate::store::query::RunFilter;
use crate::store::write::Write;

use super::rows::{at, dag, dag_id, run, task, version};
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
        ("SELECT * FROM dag_run WHERE dag_id = 'a' ORDER BY run_after DESC, id DESC LIMIT 5", "dag_run_newest"),
    ] {
        let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {query}"));
        let rows = bed.store.read.query_all_raw(explain).await.expect("a plan");
        let plan: Vec<String> = rows.iter().map(|row| row.try_get_by_index(3).expect("a line")).collect();
        assert!(plan[0].contains(index), "{query}: {plan:?}");
        assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{query}: {plan:?}");
    }
}
