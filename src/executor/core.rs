//! Which task goes next, and what becomes of those that wait. Pure: no message is sent here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::{AttemptId, Claim};
use crate::protocol::work::TaskMessage;

/// A task that no worker has taken yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    pub task: Box<TaskMessage>,
    pub granted: Option<Claim>,
}

/// A task that is given back: nothing started, and nothing will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenBack {
    pub attempt: AttemptId,
    pub claim: Claim,
}

/// What waits for a worker: the greater priority first, equals in the order in which they came.
#[derive(Debug, Default)]
pub struct Waiting {
    line: BTreeMap<Place, Carried>,
    by_claim: HashMap<Claim, Place>,
    came: u64,
    closed: bool,
}

type Place = (Reverse<i64>, u64);

impl Waiting {
    /// A task was dispatched. `Some` when it is given back at once, because the executor is draining.
    pub fn on_dispatch(&mut self, priority: i64, carried: Carried) -> Option<GivenBack> {
        if self.closed {
            return given_back(&carried);
        }
        self.came += 1;
        self.put((Reverse(priority), self.came), carried);
        None
    }

    /// A task is to end before it began. `None` when it is not here: then it is with the worker.
    pub fn on_terminate(&mut self, claim: Claim) -> Option<GivenBack> {
        let place = self.by_claim.remove(&claim)?;
        given_back(&self.line.remove(&place)?)
    }

    /// Nothing more is carried.
    pub fn on_drain(&mut self) -> Vec<GivenBack> {
        self.closed = true;
        self.by_claim.clear();
        std::mem::take(&mut self.line).values().filter_map(given_back).collect()
    }

    /// The task that goes next, with its place for [`Waiting::put_back`].
    pub fn take_next(&mut self) -> Option<(Place, Carried)> {
        let (place, carried) = self.line.pop_first()?;
        if let Some(claim) = carried.granted {
            self.by_claim.remove(&claim);
        }
        Some((place, carried))
    }

    /// No worker had a place: it waits where it was.
    pub fn put_back(&mut self, place: Place, carried: Carried) {
        self.put(place, carried);
    }

    pub fn len(&self) -> usize {
        self.line.len()
    }

    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    fn put(&mut self, place: Place, carried: Carried) {
        if let Some(claim) = carried.granted {
            self.by_claim.insert(claim, place);
        }
        self.line.insert(place, carried);
    }
}

/// A task without a claim belongs to nobody: there is nothing to give back.
fn given_back(carried: &Carried) -> Option<GivenBack> {
    carried.granted.map(|claim| GivenBack { attempt: carried.task.attempt, claim })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{
        DagId, Dispatch, Incarnation, MapIndex, QueueName, RunId, TaskId, TaskKey, TryNumber, WorkerId,
    };
    use crate::domain::operator::Operator;
    use crate::domain::run::RunType;
    use crate::protocol::work::RunContext;
    use uuid::Uuid;

    fn claim(n: i64) -> Claim {
        Claim { worker: WorkerId(Uuid::nil()), incarnation: Incarnation(1), n }
    }

    fn carried(n: i64) -> Carried {
        let task = TaskMessage {
            attempt: AttemptId(Uuid::from_u128(u128::from(n.unsigned_abs()))),
            dispatch: Dispatch(1),
            key: TaskKey {
                dag: DagId::new("d").expect("valid"),
                run: RunId::new("r").expect("valid"),
                task: TaskId::new("t").expect("valid"),
                map_index: MapIndex::UNMAPPED,
            },
            try_number: TryNumber(1),
            max_tries: 0,
            operator: Operator::Empty,
            operator_name: "EmptyOperator".to_owned(),
            retries: 0,
            queue: QueueName::default_queue(),
            owner: String::new(),
            execution_timeout: None,
            do_xcom_push: false,
            log_path: String::new(),
            inlets: Vec::new(),
            outlets: Vec::new(),
            waiting_since: None,
            reschedules: 0,
            run: RunContext {
                run_type: RunType::Manual,
                logical_date: None,
                interval: None,
                run_after: chrono::DateTime::UNIX_EPOCH,
                started_at: None,
                conf: serde_json::Map::new(),
                params: serde_json::Map::new(),
                previous_logical_date: None,
                next_logical_date: None,
                previous_success: None,
                xcom_of_any_task: false,
                native_templates: false,
                description: None,
                tags: Vec::new(),
                file: String::new(),
                file_hash: None,
                template_searchpath: Vec::new(),
                asset_events: Vec::new(),
            },
            mapped: None,
            notice: None,
        };
        Carried { task: Box::new(task), granted: Some(claim(n)) }
    }

    fn waiting(dispatched: &[(i64, i64)]) -> Waiting {
        let mut waiting = Waiting::default();
        for (n, priority) in dispatched {
            assert_eq!(waiting.on_dispatch(*priority, carried(*n)), None);
        }
        waiting
    }

    fn order(mut waiting: Waiting) -> Vec<i64> {
        std::iter::from_fn(|| waiting.take_next()).filter_map(|(_, carried)| Some(carried.granted?.n)).collect()
    }

    #[test]
    fn the_greater_priority_goes_first_and_equals_in_their_order() {
        assert_eq!(order(waiting(&[(1, 0), (2, 5), (3, 0), (4, 5), (5, -1)])), [2, 4, 1, 3, 5]);
    }

    #[test]
    fn what_no_worker_took_keeps_its_place() {
        let mut waiting = waiting(&[(1, 0), (2, 0)]);
        let (place, first) = waiting.take_next().expect("two wait");
        assert_eq!(waiting.on_dispatch(0, carried(3)), None);
        waiting.put_back(place, first);
        assert_eq!(order(waiting), [1, 2, 3]);
    }

    #[test]
    fn what_waits_is_given_back_once_and_what_has_gone_is_not_ours() {
        let mut waiting = waiting(&[(1, 0), (2, 0), (3, 0)]);
        waiting.take_next().expect("the first goes to a worker");
        assert_eq!(waiting.on_terminate(claim(1)), None, "it is with the worker");
        assert_eq!(waiting.on_terminate(claim(2)).map(|back| back.claim), Some(claim(2)));
        assert_eq!(waiting.on_terminate(claim(2)), None);
        assert_eq!(waiting.on_drain().iter().map(|back| back.claim).collect::<Vec<_>>(), [claim(3)]);
        assert_eq!(waiting.on_dispatch(9, carried(4)).map(|back| back.claim), Some(claim(4)), "draining");
        assert!(waiting.is_empty());
    }
}
