//! The executor with a worker behind it.

use std::time::Duration;

use actix::prelude::*;
use updraft::actor::told::{Told, tell};
use updraft::domain::attempt::Outcome;
use updraft::domain::ids::Claim;
use updraft::domain::operator::Operator;
use updraft::executor::Executor;
use updraft::protocol::execution::ToExecutor;
use updraft::protocol::work::{FromWorker, ToWorker};

use super::world::{World, bash, ear};

pub struct Office {
    pub world: World,
    executor: Addr<Executor>,
    given_back: tokio::sync::mpsc::UnboundedReceiver<FromWorker>,
}

impl Office {
    pub async fn new(slots: u32) -> Self {
        let mut world = World::new(slots).await;
        let (said, given_back) = ear();
        // The executor has the one entrance; the world gets one that leads nowhere.
        let (closed, _) = updraft::actor::gate::Gate::open(std::num::NonZeroU32::new(1), Box::new(|_, _| {}));
        let entrance = std::mem::replace(&mut world.worker.entrance, closed);
        let executor = Executor::start(entrance, world.worker.told.clone(), said);
        Self { world, executor, given_back }
    }

    pub fn dispatch(&mut self, priority: i64, command: &str) -> Claim {
        let (task, claim) = self.world.task(Operator::Bash(bash(command)));
        self.say(priority, ToWorker::Task { task, granted: Some(claim) });
        claim
    }

    fn say(&self, priority: i64, message: ToWorker) {
        tell(&self.executor, Told(ToExecutor { priority, message }));
    }
}

#[actix::test]
async fn two_hundred_tasks_pass_four_slots_and_none_is_lost() {
    let mut office = Office::new(4).await;
    let mut expected: Vec<Claim> = (0..200).map(|_| office.dispatch(0, "true")).collect();
    let (mut running, mut most) = (0, 0);
    let mut finished = Vec::new();
    while finished.len() < expected.len() {
        match office.world.hear().await {
            FromWorker::Started { .. } => {
                running += 1;
                most = most.max(running);
            }
            FromWorker::Finish(report) => {
                assert_eq!(report.outcome, Outcome::Success);
                running -= 1;
                office.world.settle(report.claim);
                finished.push(report.claim);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert!(most <= 4, "{most} at once");
    finished.sort();
    expected.sort();
    assert_eq!(finished, expected);
}

#[actix::test]
async fn the_greater_priority_goes_first_and_what_waits_can_be_withdrawn() {
    let mut office = Office::new(1).await;
    let go = office.world.folder.path().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
    let running = office.dispatch(0, &wait);
    office.world.started().await;
    let in_mailbox = office.dispatch(0, "true");
    let [low, withdrawn, high] = [1, 5, 9].map(|priority| office.dispatch(priority, "true"));
    office.say(0, ToWorker::Terminate { claim: withdrawn, grace: Duration::ZERO });
    let Some(FromWorker::Released { claim, .. }) = office.given_back.recv().await else { panic!("given back") };
    assert_eq!(claim, withdrawn);
    std::fs::write(&go, "").expect("written");
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(office.world.finished().await.claim);
    }
    assert_eq!(order, [running, in_mailbox, high, low]);
}

#[actix::test]
async fn the_poison_pill_gives_back_what_waits_here_and_there() {
    let mut office = Office::new(1).await;
    office.dispatch(0, "true");
    let rest: Vec<Claim> = (0..5).map(|_| office.dispatch(0, "true")).collect();
    office.say(0, ToWorker::Drain { deadline: Duration::from_secs(30) });
    office.world.left().await;
    let late = office.dispatch(0, "true");
    let mut back = Vec::new();
    while let Some(FromWorker::Released { claim, .. }) = office.given_back.recv().await {
        back.push(claim);
        if claim == late {
            break;
        }
    }
    assert!(back.iter().all(|claim| rest.contains(claim) || *claim == late), "{back:?}");
    assert!(back.len() >= 4, "{back:?}");
}
