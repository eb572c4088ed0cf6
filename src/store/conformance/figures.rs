//! How quick the writer is. Prints figures; run by hand, optimised, on a quiet machine:
//! `cargo test --release --lib store::conformance::figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::ids::Dispatch;
use crate::domain::state::TaskState;
use crate::store::write::Write;

use super::on_every_database;
use super::rows::{attempt, claim, done, task};

const HOPS: u32 = 2_000;
const ROWS: usize = 10_000;

/// The end of one task and the grant of the next: two task rows, two attempt rows, one commit.
fn hop(n: u32) -> Vec<Write> {
    let running = AttemptState::Run { dispatch: Dispatch(1), claim: claim(1) };
    let of = |n: u32| (i64::from(n / 20), format!("t{}", n % 20));
    let ((run, name), (next_run, next)) = (of(n), of(n + 1));
    vec![
        Write::Task(task(run, &name, TaskState::Success)),
        Write::Attempt(attempt(u128::from(n), run, &name, done(Outcome::Success))),
        Write::Task(task(next_run, &next, TaskState::Running)),
        Write::Attempt(attempt(u128::from(n + 1), next_run, &next, running)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures instead of judging"]
async fn figures_of_the_writer() {
    on_every_database(async |bed| {
        let (mut writer, epoch) = bed.leader().await;
        let mut hops: Vec<Duration> = Vec::new();
        for n in 0..HOPS {
            let (writes, began) = (hop(n), Instant::now());
            writer.commit(epoch, writes).await.expect("a commit");
            hops.push(began.elapsed());
        }
        hops.sort();
        println!("hop: p50 {:?}, p99 {:?}", hops[hops.len() / 2], hops[hops.len() * 99 / 100]);
        for round in 0..3 {
            let name = |n| format!("t{n}");
            let writes = (0..ROWS).map(|n| Write::Task(task(1000 + round, &name(n), TaskState::None))).collect();
            let began = Instant::now();
            writer.commit(epoch, writes).await.expect("a commit");
            println!("one commit of {ROWS}: {:.0} rows/s", ROWS as f64 / began.elapsed().as_secs_f64());
        }
    })
    .await;
}
