//! What a new leader loads is what the old one wrote.

use std::collections::BTreeMap;

use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::ids::{Dispatch, RunKey, VersionNumber};
use crate::domain::state::{RunState, TaskState};
use crate::store::Loaded;
use crate::store::write::{AttemptRow, RunRow, TaskRow, Write};

use super::on_every_database;
use super::rows::{attempt, claim, dag, done, run, task, version};

/// The store as it ought to be: maps by key.
#[derive(Default)]
struct Model {
    runs: BTreeMap<i64, RunRow>,
    tasks: BTreeMap<(i64, String), TaskRow>,
    attempts: BTreeMap<u128, AttemptRow>,
}

impl Model {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Run(row) => drop(self.runs.insert(row.key.0, row.clone())),
            Write::Task(row) => drop(self.tasks.insert((row.run.0, row.task_id.to_string()), row.clone())),
            Write::Attempt(row) => drop(self.attempts.insert(row.id.0.as_u128(), row.clone())),
            other => panic!("the storm does not write {other:?}"),
        }
    }

    /// Open runs, and those of which an attempt is not done.
    fn expect(&self, loaded: &Loaded) {
        let not_done: Vec<AttemptRow> =
            self.attempts.values().filter(|attempt| !attempt.state.is_done()).cloned().collect();
        let open = |run: &RunRow| !run.state.is_finished() || not_done.iter().any(|attempt| attempt.run == run.key);
        let runs: Vec<RunRow> = self.runs.values().filter(|run| open(run)).cloned().collect();
        let of_open = |task: &&TaskRow| runs.iter().any(|run| run.key == task.run);
        let tasks: Vec<TaskRow> = self.tasks.values().filter(of_open).cloned().collect();
        assert_eq!(loaded.runs, runs);
        assert_eq!(loaded.tasks, tasks);
        assert_eq!(loaded.attempts, not_done);
        assert_eq!(loaded.next_run, RunKey(self.runs.keys().max().map_or(1, |key| key + 1)));
    }
}

fn random_write(dice: &mut fastrand::Rng, model: &Model) -> Write {
    let key = dice.i64(1..40);
    let name = format!("t{}", dice.u8(0..6));
    match dice.u8(0..3) {
        0 => Write::Run(run(key, "a", RunState::ALL[dice.usize(0..4)])),
        1 => Write::Task(task(key, &name, TaskState::ALL[dice.usize(0..14)])),
        _ => {
            let id = dice.u128(1..80);
            // An attempt belongs to a run that exists, stays in it, and stays done.
            let existing = model.attempts.get(&id);
            if let Some(done) = existing.filter(|attempt| attempt.state.is_done()) {
                return Write::Attempt(done.clone());
            }
            let of = existing.map(|attempt| attempt.run.0).or_else(|| model.runs.keys().next().copied());
            let Some(of) = of else { return Write::Run(run(key, "a", RunState::Running)) };
            let dispatch = Dispatch(1);
            let state = match dice.u8(0..3) {
                0 => AttemptState::Queued { dispatch },
                1 => AttemptState::Run { dispatch, claim: claim(dice.i64(1..9)) },
                _ => done(Outcome::Success),
            };
            Write::Attempt(attempt(id, of, "t0", state))
        }
    }
}

#[tokio::test]
async fn after_any_storm_of_writes_a_takeover_loads_what_is_under_way() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    on_every_database(async |bed| {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut model = Model::default();
        bed.write(vec![Write::Dag(dag("a")), Write::Version(Box::new(version("a", 1)))]).await;
        for _ in 0..5 {
            let (mut writer, epoch) = bed.leader().await;
            for _ in 0..8 {
                let mut batch = Vec::new();
                for _ in 0..dice.usize(0..60) {
                    let write = random_write(&mut dice, &model);
                    model.apply(&write);
                    batch.push(write);
                }
                writer.commit(epoch, batch).await.expect("a commit");
            }
            let next = bed.another().await;
            next.writer().take_leadership("next").await.expect("a takeover");
            model.expect(&next.load().await.expect("the loaded state"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_leader_loads_the_current_version_and_those_that_runs_began_with() {
    on_every_database(async |bed| {
        let mut current = dag("a");
        current.version = VersionNumber(3);
        let mut finished = run(1, "a", RunState::Success);
        finished.version = VersionNumber(1);
        let mut running = run(2, "a", RunState::Running);
        running.version = VersionNumber(2);
        let mut gone = dag("b");
        gone.is_stale = true;
        let mut writes: Vec<Write> = (1..=3).map(|n| Write::Version(Box::new(version("a", n)))).collect();
        writes.push(Write::Version(Box::new(version("b", 1))));
        writes.extend([Write::Dag(current.clone()), Write::Dag(gone.clone())]);
        writes.extend([Write::Run(finished), Write::Run(running.clone())]);
        bed.write(writes).await;

        let loaded = bed.store.load().await.expect("the loaded state");
        let versions: Vec<_> =
            loaded.versions.iter().map(|version| (version.dag_id.as_str(), version.version.0)).collect();
        assert_eq!(versions, [("a", 2), ("a", 3), ("b", 1)], "version 1 has no run under way");
        assert_eq!(loaded.dags, [current, gone], "a stale DAG is remembered, paused or not");
        assert_eq!(loaded.runs, [running]);
    })
    .await;
}
