//! Backfills come back as they went, and a deleted DAG leaves nothing.

use std::num::NonZeroU32;

use sea_orm::{ConnectionTrait, Statement};

use crate::domain::attempt::Outcome;
use crate::domain::backfill::{BackfillRequest, Reprocess};
use crate::domain::ids::{BackfillId, RunId};
use crate::domain::run::BackfillPlace;
use crate::domain::schedule::{Family, Schedule};
use crate::domain::state::{RunState, TaskState};
use crate::store::write::{BackfillRow, Write};

use super::on_every_database;
use super::rows::{at, attempt, dag, dag_id, done, run, task, version, xcom};

fn backfill(id: i64, dag: &str) -> BackfillRow {
    BackfillRow {
        id: BackfillId(id),
        request: BackfillRequest {
            dag: dag_id(dag),
            from: at(-9),
            to: at(-1),
            max_active_runs: NonZeroU32::new(u32::MAX).expect("not zero"),
            backwards: true,
            reprocess: Reprocess::Failed,
            conf: serde_json::json!({"z": 1, "a": "ü\u{0}"}).as_object().cloned().expect("an object"),
        },
        schedule: Schedule::parse("0 6 * * MON", Family::DataInterval).expect("a schedule"),
        timezone: chrono_tz::Europe::Zurich,
        dates: u32::MAX,
        dealt: 4,
        skipped: 1,
        is_paused: true,
        is_cancelled: false,
        user: Some("ann".to_owned()),
        created_at: at(1),
        updated_at: at(2),
        completed_at: None,
    }
}

#[tokio::test]
async fn a_backfill_comes_back_as_it_went_with_how_its_runs_stand() {
    on_every_database(async |bed| {
        let active = backfill(1, "a");
        let over = BackfillRow { is_cancelled: true, completed_at: Some(at(3)), user: None, ..backfill(2, "a") };
        let ending = BackfillRow { completed_at: Some(at(3)), ..backfill(3, "b") };
        let mut runs = [
            run(1, "a", RunState::Success),
            run(2, "a", RunState::Success),
            run(3, "a", RunState::Failed),
            run(4, "b", RunState::Running),
        ];
        for (row, id) in runs.iter_mut().zip([1, 1, 1, 3]) {
            let ordinal = u32::try_from(row.key.0).expect("few");
            row.backfill = Some(BackfillPlace { backfill: BackfillId(id), ordinal });
            row.logical_date = Some(at(row.key.0));
        }
        let rows = [&active, &over, &ending].map(|row| Write::Backfill(Box::new(row.clone())));
        let mut writes: Vec<Write> = runs.iter().cloned().map(Write::Run).chain(rows).collect();
        for name in ["a", "b"] {
            writes.extend([Write::Dag(dag(name)), Write::Version(Box::new(version(name, 1)))]);
        }
        bed.write(writes).await;

        let found = bed.store.backfills(None, true).await.expect("backfills");
        assert_eq!(found.iter().map(|entry| &entry.row).collect::<Vec<_>>(), [&ending, &over, &active]);
        let of_a = bed.store.backfills(Some(&dag_id("a")), false).await.expect("backfills");
        assert_eq!(of_a.len(), 1, "one that is over is hidden");
        assert_eq!(
            of_a[0].runs.clone().into_iter().collect::<Vec<_>>(),
            [(RunState::Success, 2), (RunState::Failed, 1)]
        );
        assert_eq!(of_a[0].left(), u64::from(u32::MAX - 4));
        assert_eq!(bed.store.backfill(BackfillId(1)).await.expect("a backfill").as_ref(), Some(&of_a[0]));
        assert_eq!(bed.store.backfill(BackfillId(9)).await.expect("none"), None);
        assert_eq!(bed.store.run_by_key(runs[0].key).await.expect("a run").as_ref(), Some(&runs[0]));

        let between = bed.store.runs_between(&dag_id("a"), at(2), at(4)).await.expect("runs");
        assert_eq!(between, runs[1..3]);
        let names = [runs[0].run_id.clone(), RunId::new("nobody").expect("an id")];
        assert_eq!(bed.store.taken_run_ids(&dag_id("a"), &names).await.expect("ids"), names[..1]);
        assert_eq!(bed.store.taken_run_ids(&dag_id("b"), &names).await.expect("ids"), []);

        let loaded = bed.store.load().await.expect("the loaded state");
        assert_eq!(loaded.backfills, [active, ending], "what is active, and what a run is under way of");
        assert_eq!(loaded.next_backfill, BackfillId(4));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_dag_leaves_nothing_and_may_come_back_in_the_same_commit() {
    on_every_database(async |bed| {
        let mut writes = Vec::new();
        for (name, key) in [("a", 1), ("b", 2)] {
            writes.extend([
                Write::Dag(dag(name)),
                Write::Version(Box::new(version(name, 1))),
                Write::Run(run(key, name, RunState::Success)),
                Write::Task(task(key, "t", TaskState::Success)),
                Write::Attempt(attempt(key.unsigned_abs().into(), key, "t", done(Outcome::Success))),
                Write::XCom(xcom(key, "t", "k", 1.into())),
                Write::Backfill(Box::new(backfill(key, name))),
            ]);
        }
        bed.write(writes).await;
        let count = async |table: &str| -> i64 {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let statement = Statement::from_string(bed.store.read.get_database_backend(), sql);
            let row = bed.store.read.query_one_raw(statement).await.expect("a count").expect("a row");
            row.try_get_by_index(0).expect("a number")
        };
        let tables = ["dag", "dag_version", "dag_run", "task_instance", "attempt", "xcom", "backfill"];

        let mut anew = version("a", 1);
        anew.hash = "another".to_owned();
        bed.write(vec![
            Write::Run(run(9, "a", RunState::Success)),
            Write::DeleteDag(dag_id("a")),
            Write::Dag(dag("a")),
            Write::Version(Box::new(anew.clone())),
        ])
        .await;
        for table in tables {
            let expected = if table.starts_with("dag") && table != "dag_run" { 2 } else { 1 };
            assert_eq!(count(table).await, expected, "{table}");
        }
        assert_eq!(bed.store.version(&dag_id("a"), None).await.expect("a version"), Some(anew));
        bed.write(vec![Write::DeleteDag(dag_id("b")), Write::DeleteDag(dag_id("a"))]).await;
        for table in tables {
            assert_eq!(count(table).await, 0, "{table}");
        }
    })
    .await;
}
