//! Workers come back as they went, and a list of them says what each has under way.

use uuid::Uuid;

use crate::domain::attempt::{AttemptState, Outcome, Wish};
use crate::domain::ids::{Claim, Dispatch, Incarnation, QueueName, WorkerId};
use crate::domain::limit::Limit;
use crate::domain::state::RunState;
use crate::domain::worker::WorkerStatus;
use crate::store::write::{WorkerRow, Write};

use super::on_every_database;
use super::rows::{at, attempt, run};

fn worker(n: u128, name: &str, status: WorkerStatus) -> WorkerRow {
    let queue = |name| QueueName::new(name).expect("a queue name");
    WorkerRow {
        id: WorkerId(Uuid::from_u128(n)),
        name: format!("{name}@höst"),
        host: "höst".to_owned(),
        incarnation: Incarnation(4),
        status,
        slots: Limit::from(if n == 1 { 0 } else { 16 }),
        queues: vec![queue("default"), queue("with \"quotes\" and ü")],
        version: "0.1.0".to_owned(),
        understands: 3,
        seen_at: at(1),
    }
}

#[tokio::test]
async fn workers_come_back_as_they_went_however_they_stand() {
    on_every_database(async |bed| {
        let rows: Vec<WorkerRow> =
            (1..).zip(WorkerStatus::ALL).map(|(n, status)| worker(n, &n.to_string(), status)).collect();
        bed.write(rows.iter().cloned().map(Write::Worker).collect()).await;
        assert_eq!(bed.store.workers().await.expect("workers"), rows);
        assert_eq!(bed.store.load().await.expect("what a leader needs").workers.len(), rows.len());
        let ended = WorkerRow { status: WorkerStatus::Lost, queues: Vec::new(), seen_at: at(9), ..rows[0].clone() };
        bed.write(vec![Write::Worker(ended.clone())]).await;
        assert_eq!(bed.store.workers().await.expect("workers")[0], ended, "the last word counts");
    })
    .await;
}

#[tokio::test]
async fn a_list_of_workers_says_how_much_each_has_under_way() {
    on_every_database(async |bed| {
        let rows = [worker(1, "a", WorkerStatus::Online), worker(2, "b", WorkerStatus::Suspect)];
        let claim = |n, worker: &WorkerRow| Claim { worker: worker.id, incarnation: Incarnation(4), n };
        let dispatch = Dispatch(1);
        let states = [
            AttemptState::Queued { dispatch },
            AttemptState::Run { dispatch, claim: claim(1, &rows[1]) },
            AttemptState::Ending { dispatch, claim: claim(2, &rows[1]), wish: Wish::Abandon },
            AttemptState::Done { dispatch, claim: Some(claim(3, &rows[1])), outcome: Outcome::Success },
            AttemptState::Done { dispatch, claim: Some(claim(1, &rows[0])), outcome: Outcome::Lost },
        ];
        let attempts = (1..).zip(states).map(|(n, state)| Write::Attempt(attempt(n, 1, "t", state)));
        let workers = rows.iter().cloned().map(Write::Worker);
        let run = Write::Run(run(1, "a", RunState::Running));
        bed.write([run].into_iter().chain(attempts).chain(workers).collect()).await;
        let listed = bed.store.list_workers().await.expect("workers");
        let owned: Vec<(&WorkerRow, u64)> = listed.iter().map(|listed| (&listed.row, listed.owned)).collect();
        assert_eq!(owned, [(&rows[0], 0), (&rows[1], 2)]);
    })
    .await;
}
