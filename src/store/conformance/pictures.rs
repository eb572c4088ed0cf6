//! What pages ask of whole runs: counted by the database, the same on every one.

use crate::domain::ids::{MapIndex, RunKey, VersionNumber};
use crate::domain::state::{RunState, TaskState};
use crate::store::query::InstanceFilter;
use crate::store::write::Write;

use super::on_every_database;
use super::rows::{at, dag, dag_id, run, task, task_id, version};

#[tokio::test]
async fn tasks_are_counted_by_run_and_state_and_listed_without_their_luggage() {
    on_every_database(async |bed| {
        let mut writes = vec![Write::Run(run(1, "a", RunState::Running)), Write::Run(run(2, "a", RunState::Success))];
        for index in 0..5 {
            let mut row = task(1, "mapped", if index < 3 { TaskState::Success } else { TaskState::Running });
            row.map_index = MapIndex(index);
            row.started_at = Some(at(10 + i64::from(index)));
            row.ended_at = (index < 3).then(|| at(20 + i64::from(index)));
            writes.push(Write::Task(row));
        }
        writes.push(Write::Task(task(2, "other", TaskState::Failed)));
        bed.write(writes).await;
        let mut tallies = bed.store.tallies(&[RunKey(1), RunKey(2)]).await.expect("tallies");
        tallies.sort_by_key(|tally| (tally.run, tally.state));
        let counted: Vec<_> =
            tallies.iter().map(|tally| (tally.run.0, tally.task_id.as_str(), tally.state, tally.count)).collect();
        let expected = [
            (1, "mapped", TaskState::Running, 2),
            (1, "mapped", TaskState::Success, 3),
            (2, "other", TaskState::Failed, 1),
        ];
        assert_eq!(counted, expected);
        assert_eq!((tallies[1].started_at, tallies[1].ended_at), (Some(at(10)), Some(at(22))));
        assert_eq!(bed.store.tallies(&[]).await.expect("none"), []);
        let mut cells = bed.store.cells(&[RunKey(1), RunKey(2)]).await.expect("cells");
        cells.sort_by_key(|cell| (cell.run, cell.state));
        let counted: Vec<_> =
            cells.iter().map(|cell| (cell.run.0, cell.task_id.as_str(), cell.state, cell.count)).collect();
        assert_eq!(counted, expected, "the same without the times");
        assert_eq!(bed.store.cells(&[]).await.expect("none"), []);

        let running = InstanceFilter { states: vec![TaskState::Running], ..InstanceFilter::default() };
        let found = bed.store.instances(RunKey(1), &running).await.expect("instances");
        assert_eq!(found.iter().map(|one| one.map_index.0).collect::<Vec<_>>(), [3, 4]);
        let second =
            InstanceFilter { task: Some(task_id("mapped")), limit: Some(2), offset: 2, ..InstanceFilter::default() };
        let found = bed.store.instances(RunKey(1), &second).await.expect("instances");
        assert_eq!(found.iter().map(|one| one.map_index.0).collect::<Vec<_>>(), [2, 3]);
    })
    .await;
}

#[tokio::test]
async fn runs_are_counted_by_half_hours_and_versions_are_listed_without_their_texts() {
    on_every_database(async |bed| {
        const HALF_HOUR: i64 = 1_800;
        let mut rows = vec![
            run(1, "a", RunState::Success),
            run(2, "a", RunState::Success),
            run(3, "a", RunState::Failed),
            run(4, "b", RunState::Success),
        ];
        for (row, second) in rows.iter_mut().zip([10, 20, HALF_HOUR + 5, 10]) {
            row.logical_date = None;
            row.run_after = at(second);
        }
        // By its logical date, where it has one.
        rows[1].logical_date = Some(at(HALF_HOUR));
        let mut writes: Vec<Write> = rows.into_iter().map(Write::Run).collect();
        writes.extend([
            Write::Dag(dag("a")),
            Write::Version(Box::new(version("a", 1))),
            Write::Version(Box::new(version("a", 2))),
        ]);
        bed.write(writes).await;
        let tallies = bed.store.run_tallies(&dag_id("a"), at(0), at(2 * HALF_HOUR)).await.expect("tallies");
        let mut counted: Vec<_> = tallies
            .iter()
            .map(|tally| (tally.at.timestamp() / HALF_HOUR - at(0).timestamp() / HALF_HOUR, tally.state, tally.count))
            .collect();
        counted.sort_unstable();
        assert_eq!(counted, [(0, RunState::Success, 1), (1, RunState::Success, 1), (1, RunState::Failed, 1)]);

        let versions = bed.store.versions_of(&dag_id("a"), 1).await.expect("versions");
        assert_eq!(versions.iter().map(|one| one.version).collect::<Vec<_>>(), [VersionNumber(2)]);
        let hash = bed.store.version_hash(&dag_id("a"), VersionNumber(1)).await.expect("a hash");
        assert_eq!(hash, Some(version("a", 1).hash));
        assert_eq!(bed.store.version_hash(&dag_id("a"), VersionNumber(9)).await.expect("none"), None);
        assert_eq!(bed.store.dag_row(&dag_id("a")).await.expect("a row"), Some(dag("a")));
    })
    .await;
}
