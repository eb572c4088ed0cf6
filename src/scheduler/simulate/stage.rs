//! Where a scenario is played: the core, and one worker whose tasks end when
//! their durations say so. The only clock is the next thing that happens.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::attempt::Outcome;
use crate::domain::dag::TaskDefinition;
use crate::domain::graph::Dag;
use crate::domain::ids::{
    AttemptId, Claim, DagId, Epoch, Incarnation, QueueName, RunKey, TaskKey, TryNumber, VersionNumber, WorkerId,
};
use crate::domain::run::DataInterval;
use crate::domain::schedule::Bounds;
use crate::domain::time::{Time, after, to_micros};
use crate::protocol::control::{Control, Trigger, TriggeredBy};
use crate::protocol::work::{FromWorker, Online, Report, Standing, TaskMessage, ToWorker};
use crate::scheduler::core::{Core, Effect, Grant, History, Ids, Input, KnownPast, LookBack, Settings, Ticket};
use crate::scheduler::restore::Unfinished;
use crate::store::write::{DagRow, Write};

use super::{Durations, Scenario};

/// The worker of every simulation.
const WORKER: WorkerId = WorkerId(uuid::Uuid::from_u128(1));
/// No process ends at the instant at which it starts.
const SHORTEST: Duration = Duration::from_millis(1);

/// An attempt that runs.
#[derive(Clone, Debug)]
pub struct Running {
    pub key: TaskKey,
    pub started: Time,
    attempt: AttemptId,
    claim: Claim,
    outcome: Outcome,
}

/// What happened at one instant.
#[derive(Debug)]
pub struct Happened {
    pub now: Time,
    pub writes: Vec<Write>,
    /// The attempt that ended, if that is what happened.
    pub ended: Option<Running>,
}

/// The core and its worker.
pub struct Stage {
    pub core: Core,
    now: Time,
    ends: BTreeMap<(Time, u64), Running>,
    by_claim: HashMap<Claim, (Time, u64)>,
    durations: Durations,
    timeouts: HashMap<TaskKeyOf, Duration>,
    fail: f64,
    seed: u64,
    started: u64,
    events: u64,
}

type TaskKeyOf = (DagId, crate::domain::ids::TaskId);

impl Stage {
    /// An installation that knows the scenario's DAGs as if they had run until just before it.
    pub fn new(scenario: &Scenario) -> Self {
        let settings = Settings { grant: Grant::InProcess, paused_at_creation: false, ..scenario.settings.clone() };
        let rows = scenario.dags.iter().map(|dag| DagRow {
            dag_id: dag.definition.dag_id.clone(),
            version: VersionNumber(1),
            is_paused: false,
            is_stale: false,
            file: dag.definition.file.clone(),
            last_interval: interval_before(dag, scenario.from),
            next_run: None,
            parsed_at: scenario.from,
        });
        let versions = scenario.dags.iter().map(|dag| ((dag.definition.dag_id.clone(), VersionNumber(1)), dag.clone()));
        let installation = Unfinished {
            dags: rows.collect(),
            versions: versions.collect(),
            pools: scenario.pools.clone(),
            next_run: RunKey(1),
            ..Unfinished::default()
        };
        let timeout =
            |dag: &DagId, task: &TaskDefinition| Some(((dag.clone(), task.task_id.clone()), task.execution_timeout?));
        let tasks = scenario.dags.iter().flat_map(|dag| dag.tasks().map(|(_, task)| (&dag.definition.dag_id, task)));
        Self {
            core: Core::restore(settings, Epoch(1), Ids::seeded(scenario.seed), installation),
            // The core knows microseconds: a clock that knew less than it shows would never be due.
            now: to_micros(scenario.from),
            ends: BTreeMap::new(),
            by_claim: HashMap::new(),
            durations: scenario.durations.clone(),
            timeouts: tasks.filter_map(|(dag, task)| timeout(dag, task)).collect(),
            fail: scenario.fail,
            seed: scenario.seed,
            started: 0,
            events: 0,
        }
    }

    /// The worker comes online, triggers are pulled, the timetables are followed.
    pub fn begin(&mut self, scenario: &Scenario) -> Happened {
        let resumed = self.core.resume(self.now);
        let mut writes = self.take(resumed);
        let online = Online {
            worker: WORKER,
            incarnation: Incarnation(1),
            name: "simulated".to_owned(),
            standing: Standing {
                slots: scenario.slots.into(),
                queues: vec![QueueName::default_queue()],
                ..Standing::default()
            },
            version: String::new(),
            understands: 1,
            unsettled: Vec::new(),
        };
        writes.extend(self.apply(Input::Worker(FromWorker::Online(online))));
        for _ in 0..scenario.triggered {
            for dag in &scenario.dags {
                // Two runs of one instant would need two names.
                self.now += chrono::Duration::microseconds(1);
                let control = Control::Trigger(Trigger {
                    dag: dag.definition.dag_id.clone(),
                    run_id: None,
                    logical_date: None,
                    conf: serde_json::Map::new(),
                    note: None,
                    by: TriggeredBy::Cli,
                    user: None,
                });
                let (ticket, history) = (Ticket::Caller(0), History::default());
                writes.extend(self.apply(Input::Control { ticket, control, history }));
            }
        }
        writes.extend(self.apply(Input::FolderRead));
        Happened { now: self.now, writes, ended: None }
    }

    /// The next thing that happens until then.
    pub fn next(&mut self, until: Time) -> Option<Happened> {
        let end = self.ends.first_key_value().map(|(key, _)| *key);
        let wake = self.core.next_wake();
        // Who ends at the instant of a timer ends before it.
        let ends_first = end.is_some_and(|(at, _)| wake.is_none_or(|wake| at <= wake));
        let due = if ends_first { end.map(|(at, _)| at) } else { wake }?;
        if due >= until {
            return None;
        }
        self.now = due.max(self.now);
        self.events += 1;
        let ended = if ends_first { self.ends.pop_first().map(|(_, running)| running) } else { None };
        let input = match &ended {
            Some(running) => {
                self.by_claim.remove(&running.claim);
                Input::Worker(FromWorker::Finish(self.report(running)))
            }
            None => Input::Tick,
        };
        let writes = self.apply(input);
        Some(Happened { now: self.now, writes, ended })
    }

    fn apply(&mut self, input: Input) -> Vec<Write> {
        let effects = self.core.apply(self.now, input);
        self.take(effects)
    }

    /// Nothing was before the first run, and every later one is in memory.
    fn look_back(&mut self, question: &LookBack) -> Vec<Write> {
        self.apply(Input::LookedBack { run: question.run, past: KnownPast { is_newest: true, ..KnownPast::default() } })
    }

    pub fn now(&self) -> Time {
        self.now
    }

    pub fn events(&self) -> u64 {
        self.events
    }

    /// The attempts that run, in the order in which they end.
    pub fn running(&self) -> impl ExactSizeIterator<Item = &Running> {
        self.ends.values()
    }

    fn take(&mut self, effects: Vec<Effect>) -> Vec<Write> {
        let (mut writes, mut questions) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Write(write) => writes.push(write),
                Effect::Send { message: ToWorker::Task { task, granted: Some(claim) }, .. } => self.start(&task, claim),
                Effect::LookBack(question) => questions.push(question),
                Effect::Send { message: ToWorker::Terminate { claim, .. }, .. } => self.stop(claim),
                // Nobody else listens, no task asks for anything, and other DAGs have no runs but those in memory.
                Effect::Send { .. }
                | Effect::Answer { .. }
                | Effect::LookUp { .. }
                | Effect::LookAt { .. }
                | Effect::Errand { .. }
                | Effect::Inquire(_)
                | Effect::Event(_) => {}
            }
        }
        for question in questions {
            writes.extend(self.look_back(&question));
        }
        writes
    }

    fn start(&mut self, task: &TaskMessage, claim: Claim) {
        let key = task.key.clone();
        let takes = self.durations.of(&key.dag, &key.task).max(SHORTEST);
        let timeout = self.timeouts.get(&(key.dag.clone(), key.task.clone())).copied();
        let (takes, outcome) = match timeout.filter(|timeout| *timeout < takes) {
            Some(timeout) => (timeout, Outcome::TimedOut),
            None if self.fails(&key, task.try_number) => (takes, Outcome::Failed { retryable: true }),
            None => (takes, Outcome::Success),
        };
        let running = Running { key, started: self.now, attempt: task.attempt, claim, outcome };
        self.started += 1;
        let entry = (after(self.now, takes), self.started);
        self.by_claim.insert(claim, entry);
        self.ends.insert(entry, running);
    }

    /// A task that is told to stop does so at once.
    fn stop(&mut self, claim: Claim) {
        let Some(entry) = self.by_claim.remove(&claim) else { return };
        let Some(mut running) = self.ends.remove(&entry) else { return };
        running.outcome = Outcome::Killed;
        let entry = (self.now, entry.1);
        self.by_claim.insert(claim, entry);
        self.ends.insert(entry, running);
    }

    /// Decided by the attempt's name, so that the order in which attempts run changes no failure.
    fn fails(&self, key: &TaskKey, try_number: TryNumber) -> bool {
        let name = format!("{}/{}/{}/{}/{try_number}", key.dag, key.run, key.task, key.map_index);
        // FNV-1a: short, and the same in every version of this program.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ self.seed, hash);
        fastrand::Rng::with_seed(seed).f64() < self.fail
    }

    fn report(&self, running: &Running) -> Report {
        Report {
            attempt: running.attempt,
            claim: running.claim,
            outcome: running.outcome,
            exit_code: None,
            message: None,
            started_at: Some(running.started),
            ended_at: self.now,
            pid: None,
            xcoms: Vec::new(),
            outlet_events: Vec::new(),
            awaited: None,
        }
    }
}

/// The interval of the newest run that was due before this instant: the timetable goes on after it.
pub(super) fn interval_before(dag: &Dag, from: Time) -> Option<DataInterval> {
    let bounds = Bounds { catchup: false, ..dag.bounds() };
    let before = from - chrono::Duration::microseconds(1);
    let newest = dag.timetable.next(&bounds, None, before)?;
    (newest.run_after < from).then_some(newest.interval)
}
