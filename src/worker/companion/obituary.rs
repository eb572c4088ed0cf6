//! The companion's last words: what its worker's journal still held, that nothing of it runs any more, and what its logs
//! had not yet told (PROTOCOL W7). Only here does the companion become more than a few threads.

use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::will::Will;
use crate::broker::{Broker, Event, Events, Outgoing, Published, Queue};
use crate::protocol::envelope::{Direction, Keys, SealError, Sender};
use crate::protocol::letter::{Kind, Said};
use crate::protocol::work::{FromWorker, Report};
use crate::worker::journal::Remains;
use crate::worker::shipping::{Options, Shipper};

/// Between two tries, when the broker does not take it.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// How long the broker may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Says it until the broker has confirmed it, or the leader must have found out by itself. Blocks.
///
/// # Errors
/// In a sentence, for the worker's log.
pub fn publish(will: &Will, remains: Remains) -> Result<(), String> {
    let keys = will.broker.keys().map_err(|error| error.to_string())?;
    let letters = letters(will, &keys, remains.unsettled).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    LocalSet::new().block_on(&runtime, async {
        let deadline = Instant::now() + will.worker_lost_after;
        let (broker, mut events, _replies) = Broker::open(will.broker.options());
        let said = timeout_at(deadline, say(&broker, &mut events, &letters)).await;
        broker.close();
        let closed = async { while events.recv().await.is_some_and(|event| event != Event::Closed) {} };
        // Who does not say goodbye in time is left.
        let _ = tokio::time::timeout(GOODBYE, closed).await;
        said.map_err(|_| format!("no broker took the obituary within {:?}", will.worker_lost_after))?;
        if !remains.unshipped.is_empty() {
            let options = Options {
                broker: will.broker.options(),
                keys,
                worker: will.worker,
                incarnation: will.incarnation,
                base_log_folder: will.base_log_folder.clone(),
            };
            // What is left after that is the next life's.
            Shipper::start(options, remains.unshipped, |_| {}).leave(deadline - Instant::now()).await;
        }
        Ok(())
    })
}

/// In one letter. Reports that make it too long for a broker go before it, each by itself: the queue keeps their order.
fn letters(will: &Will, keys: &Keys, unsettled: Vec<Report>) -> Result<Vec<Vec<u8>>, SealError> {
    let sender = Sender::Worker { worker: will.worker, incarnation: will.incarnation };
    let seal = |message: FromWorker| {
        let letter = Said { reply_to: String::new(), said: vec![message] };
        keys.seal(Direction::ToScheduler, sender, Kind::Said.as_str(), &letter)
    };
    let obituary = |unsettled| FromWorker::Obituary { worker: will.worker, incarnation: will.incarnation, unsettled };
    match seal(obituary(unsettled.clone())) {
        Err(SealError::TooLong { .. }) if !unsettled.is_empty() => {
            let reports = unsettled.into_iter().map(FromWorker::Finish);
            reports.chain([obituary(Vec::new())]).map(seal).collect()
        }
        sealed => Ok(vec![sealed?]),
    }
}

async fn say(broker: &Broker, events: &mut Events, letters: &[Vec<u8>]) {
    let scheduler = broker.names().scheduler();
    loop {
        if broker.reply_to().is_some() && all_confirmed(broker, &scheduler, letters).await {
            return;
        }
        tokio::select! {
            // A connection that comes up is used at once.
            Some(_) = events.recv() => {}
            () = sleep(TRY_AGAIN) => {}
        }
    }
}

async fn all_confirmed(broker: &Broker, scheduler: &Queue, letters: &[Vec<u8>]) -> bool {
    for letter in letters {
        match broker.publish(Outgoing::new(scheduler.clone(), letter.clone())).await {
            Published::Confirmed => {}
            Published::Returned { .. } => {
                // Nobody has led yet, or somebody deleted the queue: it is made, for the leader to come.
                let _ = broker.declare(scheduler.clone()).await;
                return false;
            }
            Published::Nacked { .. } | Published::Unknown { .. } => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Address, Listener, Names, Options as BrokerOptions};
    use crate::domain::attempt::Outcome;
    use crate::domain::ids::{AttemptId, Claim, Incarnation, WorkerId};
    use crate::domain::secret::Hidden;
    use crate::protocol::envelope::{Installation, MAX_LENGTH};
    use crate::worker::companion::will::BrokerAccess;
    use uuid::Uuid;

    fn will() -> Will {
        let installation = Installation::new("updraft").expect("a name");
        let addresses = Address::parse_all("amqp://ann:hunter2@host").expect("an address");
        let listener = Listener::Node(Uuid::nil());
        let options = BrokerOptions::new(addresses, Names::new(installation.clone()), listener);
        Will {
            worker: WorkerId(Uuid::from_u128(1)),
            incarnation: Incarnation(4),
            journal: "/journal".into(),
            base_log_folder: "/logs".into(),
            worker_lost_after: Duration::from_secs(60),
            broker: BrokerAccess::new(&options, installation, Hidden("0123456789abcdef".to_owned())),
        }
    }

    fn report(n: i64, result: usize) -> Report {
        Report {
            attempt: AttemptId(Uuid::from_u128(9)),
            claim: Claim { worker: WorkerId(Uuid::from_u128(1)), incarnation: Incarnation(4), n },
            outcome: Outcome::Success,
            exit_code: Some(0),
            message: None,
            started_at: None,
            ended_at: chrono::DateTime::UNIX_EPOCH,
            pid: None,
            xcoms: vec![("return_value".to_owned(), "x".repeat(result).into())],
            outlet_events: Vec::new(),
            awaited: None,
        }
    }

    fn said(letter: &[u8]) -> FromWorker {
        let keys = will().broker.keys().expect("a secret");
        let opened = keys.open(Direction::ToScheduler, letter).expect("signed");
        assert_eq!(opened.kind, "said");
        opened.read::<Said>().expect("a letter").said.remove(0)
    }

    #[test]
    fn an_obituary_encloses_what_was_not_settled() {
        let will = will();
        let letters = letters(&will, &will.broker.keys().expect("a secret"), vec![report(1, 3)]).expect("short");
        let FromWorker::Obituary { worker, incarnation, unsettled } = said(&letters[0]) else { panic!("no obituary") };
        assert_eq!((worker, incarnation, unsettled), (will.worker, will.incarnation, vec![report(1, 3)]));
        assert_eq!(letters.len(), 1);
    }

    #[test]
    fn reports_that_are_too_long_for_one_letter_go_before_it() {
        let will = will();
        let reports = vec![report(1, MAX_LENGTH / 2), report(2, MAX_LENGTH / 2)];
        let letters =
            letters(&will, &will.broker.keys().expect("a secret"), reports.clone()).expect("each is short enough");
        let said: Vec<FromWorker> = letters.iter().map(|letter| said(letter)).collect();
        let [FromWorker::Finish(first), FromWorker::Finish(second), FromWorker::Obituary { unsettled, .. }] = &said[..]
        else {
            panic!("two reports, then the obituary")
        };
        assert_eq!((vec![first.clone(), second.clone()], unsettled.len()), (reports, 0));
    }

    #[test]
    fn what_the_companion_is_told_comes_back_and_shows_no_secret() {
        let will = will();
        let told = serde_json::to_string(&will).expect("JSON");
        assert_eq!(serde_json::from_str::<Will>(&told).expect("as told"), will);
        let shown = format!("{will:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("0123456789abcdef"), "{shown}");
    }
}
