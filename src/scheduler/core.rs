//! The scheduler core: everything that is unfinished, in memory, and the one
//! entrance through which it changes.
//!
//! [`Core::apply`] takes the time and one input and returns effects: rows to
//! write, messages to send once the rows are committed, answers. It awaits
//! nothing and asks no clock. What it costs follows what becomes ready, never
//! what is unfinished and never the history.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::asset::AssetEvent;
use crate::domain::graph::Dag;
use crate::domain::ids::{
    AttemptId, BackfillId, Claim, CommandId, DagId, Epoch, Incarnation, NotificationId, PoolName, QueueName, RunKey,
    VersionNumber, WorkerId,
};
use crate::domain::limit::Limit;
use crate::domain::mapping::ExpansionIx;
use crate::domain::notification::Patience;
use crate::domain::problem::Problem;
use crate::domain::run::PlannedRun;
use crate::domain::state::RunState;
use crate::domain::template::PreviousSuccess;
use crate::domain::time::{Time, to_micros};
use crate::domain::wait::{Awaited, Seen};
use crate::protocol::control::{Control, Refused, Reply};
use crate::protocol::event::Change;
use crate::protocol::work::{FromWorker, LeaseTimes, Question, ToWorker};
use crate::store::write::{DagRow, PoolRow, RunRow, WorkerRow, Write};

use super::TaskRef;
use super::admit::Admission;
use super::assets::{Assets, Waiting};
use super::backfills::BackfillState;
use super::deadline::OpenDeadline;
use super::expansion::Measure;
pub use super::history::{History, Inquiry, KnownRun};
use super::instances::{Instance, Task};
use super::notify::{Outbox, Owed};
pub use super::past::LookBack;
use super::queues::TaskQueues;
use super::timeline::Timeline;
pub use super::timeline::{KnownPast, PreviousRun, Stands};
use super::timers::Timers;
use super::waiting::Watchers;

/// What the core must know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[core] parallelism`.
    pub parallelism: Limit,
    /// `[core] dags_are_paused_at_creation`.
    pub paused_at_creation: bool,
    /// `[core] max_map_length`: into how many instances one value may be expanded.
    pub max_map_length: u32,
    /// `[core] infra_retries`: tries that the machinery may lose without using up the user's.
    pub infra_retries: i32,
    /// `[core] max_task_retry_delay`.
    pub max_retry_delay: Duration,
    /// Airflow 2 gives a manual run the present instant as its logical date, Airflow 3 none.
    pub manual_runs_have_dates: bool,
    /// Airflow 2: `xcom_pull` that names no task takes the newest value of any.
    pub xcom_of_any_task: bool,
    /// `[core] dag_run_conf_overrides_params`.
    pub conf_overrides_params: bool,
    /// How long a task has between TERM and KILL.
    pub kill_grace: Duration,
    /// How an attempt gets its owner.
    pub grant: Grant,
    pub remote: Remote,
    pub notifications: Notifications,
}

/// What concerns workers behind a broker alone.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// What a worker is told when it is welcomed.
    pub lease: LeaseTimes,
    /// `[scheduler] redispatch_after` and `max_redispatch`
    pub redispatch_after: Duration,
    pub max_redispatch: u32,
}

/// How notifications are carried out.
#[derive(Clone, Copy, Debug)]
pub struct Notifications {
    /// `[workers] callbacks_at_once`
    pub at_once: usize,
    /// `[workers] callback_timeout`: one that takes longer is stopped, and has failed.
    pub timeout: Duration,
    /// `[workers] callback_retries` and `callback_retry_delay`
    pub patience: Patience,
}

/// How an attempt gets its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// PROTOCOL §9: the worker lives in this process, so dispatch commits the claim at once.
    InProcess,
    /// PROTOCOL §5: published, and granted to the slot that claims it.
    ByClaim,
}

/// What happens to the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// DAG files were read: new, changed, broken or gone.
    FilesChanged(Vec<FileChange>),
    /// A user wants something. `history` is what the store knew just before.
    Control {
        ticket: Ticket,
        control: Control,
        history: History,
    },
    /// A command that says nothing we understand still gets its answer.
    Unreadable {
        ticket: Ticket,
        why: Refused,
    },
    Worker(FromWorker),
    /// A marker proved it: nothing of this life runs any more (L6c).
    WorkerLost {
        worker: WorkerId,
        incarnation: Incarnation,
        silence: Duration,
    },
    /// There is reason to look after a worker, or no more. Neither moves anything.
    Suspect {
        worker: WorkerId,
        incarnation: Incarnation,
    },
    Trusted {
        worker: WorkerId,
        incarnation: Incarnation,
    },
    /// The store's answer to [`Effect::LookBack`].
    LookedBack {
        run: RunKey,
        past: KnownPast,
    },
    /// What the store knows about the next dates of a backfill.
    DatesKnown {
        inquiry: Inquiry,
        history: History,
    },
    /// The DAGs folder was read once: from now on the timetables are followed.
    FolderRead,
    /// The node is leaving: nothing new is handed out.
    Leaving,
    /// What the store says of something that a task instance waits for.
    Seen {
        at: TaskRef,
        awaited: Awaited,
        seen: Seen,
    },
    /// Something may be due.
    Tick,
}

/// What one DAG file says now.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// Relative to the DAGs folder.
    pub file: String,
    pub source: String,
    /// Empty when the file is gone or cannot be read.
    pub dags: Vec<Arc<Dag>>,
    pub problems: Vec<Problem>,
    /// How long it took to read.
    pub took: Duration,
}

/// Where the answer to a control goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ticket {
    /// A durable row; the answer is written with the change.
    Command(CommandId),
    /// Somebody in this process.
    Caller(u64),
    /// A running task.
    Task { claim: Claim, seq: u64 },
}

/// What the shell must do. Everything but `Write` waits for the commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Write(Write),
    /// To one worker, or to whichever the executor chooses for the task's queue.
    Send {
        to: Option<WorkerId>,
        message: ToWorker,
    },
    Answer {
        ticket: Ticket,
        reply: Reply,
    },
    /// A running task asked for something that only the store knows.
    LookUp {
        run: RunKey,
        claim: Claim,
        seq: u64,
        question: Question,
    },
    /// A task instance waits for a run that memory does not know.
    LookAt {
        at: TaskRef,
        awaited: Awaited,
    },
    /// A running task wants something that is decided like a user's wish.
    Errand {
        ticket: Ticket,
        control: Control,
    },
    /// Tasks of a run wait for the run before, which only the store knows. The answer is an input.
    LookBack(LookBack),
    /// The next dates of a backfill: the shell comes back with [`Input::DatesKnown`].
    Inquire(Inquiry),
    Event(Change),
}

/// What is written, and what is said once it is.
pub(super) fn split(effects: Vec<Effect>) -> (Vec<Write>, Vec<Effect>) {
    let mut writes = Vec::new();
    let mut after = Vec::new();
    for effect in effects {
        match effect {
            Effect::Write(write) => writes.push(write),
            Effect::Send { .. }
            | Effect::Answer { .. }
            | Effect::LookUp { .. }
            | Effect::LookAt { .. }
            | Effect::Errand { .. }
            | Effect::LookBack(_)
            | Effect::Inquire(_)
            | Effect::Event(_) => after.push(effect),
        }
    }
    (writes, after)
}

/// One DAG.
#[derive(Debug)]
pub(super) struct DagState {
    pub row: DagRow,
    pub dag: Arc<Dag>,
    /// What the timetable asks for next; `None` when paused, stale or without schedule.
    pub next: Option<PlannedRun>,
    /// Runs that hold a place under `max_active_runs`; those of a backfill have theirs there.
    pub running: BTreeSet<RunKey>,
    /// Runs that wait for one, in the order in which they get it.
    pub queued: BTreeSet<(Time, RunKey)>,
    /// Logical dates of runs that the timetable must step over, because a user made them.
    pub taken_dates: HashSet<Time>,
    /// How the latest finished runs ended, as many as `max_consecutive_failed_dag_runs`.
    pub recent: BTreeMap<(Time, RunKey), RunState>,
    /// Its runs by logical date, where tasks wait for the run before.
    pub timeline: Option<Timeline>,
    /// Its backfills in memory; at most one of them is not over.
    pub backfills: BTreeSet<BackfillId>,
    /// Asset events that no run of the DAG was given yet.
    pub waiting: Waiting,
    /// The successful run of the latest logical date, with that date.
    pub last_success: Option<(Time, PreviousSuccess)>,
}

/// One run that is not finished, or whose attempts are not.
#[derive(Debug)]
pub(super) struct Run {
    pub row: RunRow,
    pub dag: Arc<Dag>,
    /// In the order of the DAG's tasks; empty before the run starts.
    pub tasks: Vec<Task>,
    /// How long the expansions of the DAG are, as far as it is known.
    pub measured: Vec<Option<Measure>>,
    /// Task instances that are not finished.
    pub unfinished: u32,
    /// Of those, the ones that something is going to happen to by itself.
    pub moving: u32,
    /// Task instances that only wait for the run before.
    pub held: u32,
    /// Leaves that failed, or whose upstream did.
    pub failed_leaves: u32,
    /// Attempts that are not done.
    pub open_attempts: u32,
    /// The asset events that it was made of.
    pub events: Vec<Arc<AssetEvent>>,
}

/// One worker, as the leader knows it.
#[derive(Debug)]
pub(super) struct WorkerState {
    pub row: WorkerRow,
    /// It was heard under this leader.
    pub is_here: bool,
    /// It says that a slot of it has nothing to do.
    pub is_free: bool,
    /// The number of its newest beat: an older one is a copy.
    pub beats: u64,
    /// What was written of it last.
    pub written: Option<WorkerRow>,
    /// The queues that count on it.
    pub joined: Vec<QueueName>,
    /// The number of the newest claim that was granted ahead (in-process only).
    pub last_n: i64,
    /// Attempts that it owns.
    pub owned: BTreeSet<AttemptId>,
}

/// All that is unfinished.
#[derive(Debug)]
pub struct Core {
    pub(super) settings: Settings,
    /// The reign that this memory belongs to; named in what is said, decides nothing here.
    pub(super) epoch: Epoch,
    pub(super) dags: BTreeMap<DagId, DagState>,
    /// SHA-256 of each DAG file as it was read last, by its path.
    pub(super) file_hashes: HashMap<String, String>,
    pub(super) versions: HashMap<(DagId, VersionNumber), Arc<Dag>>,
    pub(super) runs: HashMap<RunKey, Run>,
    pub(super) attempts: HashMap<AttemptId, TaskRef>,
    /// Attempts that wait for a slot although they have their places: given back, or reloaded.
    pub(super) unowned: BTreeSet<TaskRef>,
    pub(super) backfills: BTreeMap<BackfillId, BackfillState>,
    pub(super) workers: BTreeMap<WorkerId, WorkerState>,
    pub(super) queues: TaskQueues,
    pub(super) pools: BTreeMap<PoolName, PoolRow>,
    pub(super) assets: Assets,
    pub(super) admission: Admission,
    pub(super) timers: Timers,
    pub(super) watchers: Watchers,
    pub(super) next_run: RunKey,
    pub(super) next_backfill: BackfillId,
    /// Whether the timetables are followed. A core that was restored waits for the
    /// DAG files, so that a schedule that is gone by now makes no run.
    pub(super) planning: bool,
    pub(super) leaving: bool,
    /// Led by a process that only carries out commands: there is no node.
    pub(super) is_momentary: bool,
    pub(super) arrivals: u64,
    pub(super) ids: Ids,
    pub(super) outbox: Outbox,
    pub(super) deadlines: BTreeMap<(RunKey, u32), OpenDeadline>,
    pub(super) work: Work,
}

/// What one `apply` has still to do, and what it has done.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub effects: Vec<Effect>,
    pub dirty_tasks: BTreeSet<TaskRef>,
    pub dirty_attempts: BTreeSet<TaskRef>,
    pub dirty_runs: BTreeSet<RunKey>,
    pub dirty_dags: BTreeSet<DagId>,
    pub dirty_backfills: BTreeSet<BackfillId>,
    /// DAGs that go before anything else of this step is written.
    pub deleted_dags: Vec<DagId>,
    /// Task instances whose upstreams have moved.
    pub undecided: VecDeque<TaskRef>,
    /// Task instances that wait for a run which moved: that one, or any that memory knows.
    pub watched: Vec<(TaskRef, Option<RunKey>)>,
    /// Expansions whose sources have moved, or that have never been looked at.
    pub expansions: BTreeSet<(RunKey, ExpansionIx)>,
    /// Runs whose last task instance may just have ended.
    pub maybe_over: BTreeSet<RunKey>,
    /// DAGs for which enough assets may have changed.
    pub maybe_triggered: BTreeSet<DagId>,
    /// Runs that memory may no longer need.
    pub maybe_forgotten: BTreeSet<RunKey>,
    /// Backfills that memory may no longer need.
    pub touched_backfills: BTreeSet<BackfillId>,
    /// What happened that somebody is to be told of.
    pub owed: Vec<Owed>,
}

impl Work {
    /// Whether something waits for a decision.
    pub fn has_undecided(&self) -> bool {
        !self.undecided.is_empty() || !self.expansions.is_empty()
    }
}

/// Makes ids from a seed: the same seed and the same inputs give the same ids.
#[derive(Debug)]
pub struct Ids(fastrand::Rng);

impl Ids {
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// UUID v7, so that the store's index grows at its end.
    pub(super) fn attempt(&mut self, now: Time) -> AttemptId {
        let mut random = [0; 10];
        self.0.fill(&mut random);
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        AttemptId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The same; those of one millisecond are in the order of `nth`.
    pub(super) fn notification(&mut self, now: Time, nth: u16) -> NotificationId {
        let mut random = [0; 10];
        self.0.fill(&mut random);
        // Twelve bits come first after the time.
        random[..2].copy_from_slice(&(nth & 0x0fff).to_be_bytes());
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        NotificationId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Keeps two runs of one instant apart.
    pub(super) fn suffix(&mut self) -> String {
        let uuid = Uuid::from_u128(self.0.u128(..));
        format!("_{}", &uuid.simple().to_string()[..8])
    }
}

impl Core {
    /// An empty installation.
    pub fn new(settings: Settings, epoch: Epoch, ids: Ids) -> Self {
        let admission = Admission::new(settings.parallelism);
        Self {
            settings,
            epoch,
            dags: BTreeMap::new(),
            file_hashes: HashMap::new(),
            versions: HashMap::new(),
            runs: HashMap::new(),
            attempts: HashMap::new(),
            unowned: BTreeSet::new(),
            backfills: BTreeMap::new(),
            workers: BTreeMap::new(),
            queues: TaskQueues::default(),
            pools: BTreeMap::new(),
            assets: Assets::default(),
            admission,
            timers: Timers::default(),
            watchers: Watchers::default(),
            next_run: RunKey(1),
            next_backfill: BackfillId(1),
            planning: true,
            leaving: false,
            is_momentary: false,
            arrivals: 0,
            ids,
            outbox: Outbox::default(),
            deadlines: BTreeMap::new(),
            work: Work::default(),
        }
    }

    /// The one entrance: lets the state react to `input` at `now`.
    pub fn apply(&mut self, now: Time, input: Input) -> Vec<Effect> {
        let now = to_micros(now);
        self.admission.begin(now);
        match input {
            Input::FilesChanged(changes) => self.on_files_changed(now, changes),
            Input::Control { ticket, control, history } => self.on_control(now, ticket, control, &history),
            Input::Unreadable { ticket, why } => self.reply(now, ticket, Reply::Refused { why }),
            Input::Worker(message) => self.on_worker(now, message),
            Input::WorkerLost { worker, incarnation, silence } => {
                self.on_worker_lost(now, worker, incarnation, silence);
            }
            Input::Suspect { worker, incarnation } => self.on_suspect(now, worker, incarnation),
            Input::Trusted { worker, incarnation } => self.on_trusted(now, worker, incarnation),
            Input::LookedBack { run, past } => self.on_looked_back(run, past),
            Input::DatesKnown { inquiry, history } => self.on_dates_known(now, &inquiry, &history),
            Input::FolderRead => self.on_folder_read(now),
            Input::Leaving => self.leaving = true,
            Input::Seen { at, awaited, seen } => self.on_looked_at(now, at, &awaited, seen),
            Input::Tick => {}
        }
        self.on_due(now);
        self.settle(now);
        self.flush()
    }

    /// When something is due next, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Runs in memory, and task instances that hold a place.
    pub fn load(&self) -> (usize, u32) {
        (self.runs.len(), self.admission.taken())
    }

    /// Whoever leads only carries out commands and is gone: no node will act on what is decided.
    pub fn only_for_a_moment(&mut self) {
        self.is_momentary = true;
    }

    /// How many lanes the admission has looked at: what picking is measured by.
    pub fn steps(&self) -> u64 {
        self.admission.steps()
    }

    /// Notifications that are owed and not carried out.
    pub fn owed(&self) -> usize {
        self.outbox.len()
    }

    /// Claim numbers go on where the memory before had them: a claim is never reused inside an incarnation.
    pub fn never_reuse_claims_of(&mut self, before: &Self) {
        for (id, worker) in &mut self.workers {
            let old = before.workers.get(id).filter(|old| old.row.incarnation == worker.row.incarnation);
            worker.last_n = worker.last_n.max(old.map_or(0, |old| old.last_n));
        }
    }

    /// Follows every consequence until nothing more happens at this instant.
    pub(super) fn settle(&mut self, now: Time) {
        self.follow_everything(now);
        self.write_what_is_owed(now);
        self.send_notifications();
    }

    fn follow_everything(&mut self, now: Time) {
        loop {
            self.decide_all(now);
            self.judge_watched(now);
            self.close_runs(now);
            if self.work.has_undecided() || !self.work.watched.is_empty() {
                continue;
            }
            self.trigger_by_assets(now);
            if self.work.has_undecided() {
                continue;
            }
            self.admit_all(now);
            let work = &self.work;
            let is_quiet = !work.has_undecided() && work.maybe_over.is_empty() && work.watched.is_empty();
            if is_quiet && work.maybe_triggered.is_empty() {
                return;
            }
        }
    }

    /// Turns what changed into rows, each once.
    pub(super) fn flush(&mut self) -> Vec<Effect> {
        let work = std::mem::take(&mut self.work);
        let mut writes = Vec::with_capacity(work.dirty_tasks.len() + work.dirty_attempts.len() + work.effects.len());
        writes.extend(work.deleted_dags.into_iter().map(|id| Effect::Write(Write::DeleteDag(id))));
        writes.extend(
            work.dirty_dags.iter().filter_map(|id| self.dags.get(id)).map(|d| Effect::Write(Write::Dag(d.row.clone()))),
        );
        let backfills = work.dirty_backfills.iter().filter_map(|id| self.backfills.get(id));
        writes.extend(backfills.map(|b| Effect::Write(Write::Backfill(Box::new(b.row.clone())))));
        for key in &work.dirty_runs {
            if let Some(run) = self.runs.get(key) {
                writes.push(Effect::Write(Write::Run(run.row.clone())));
            }
        }
        for at in &work.dirty_tasks {
            if let Some(run) = self.runs.get(&at.run) {
                writes.push(Effect::Write(Write::Task(run.instance(*at).row.clone())));
            }
        }
        for at in &work.dirty_attempts {
            let attempt = self.runs.get(&at.run).and_then(|run| run.instance(*at).attempt.clone());
            writes.extend(attempt.map(|row| Effect::Write(Write::Attempt(row))));
        }
        writes.extend(work.effects);
        self.forget_finished(&work.maybe_forgotten);
        self.forget_backfills(&work.touched_backfills);
        writes
    }

    pub(super) fn run(&self, key: RunKey) -> &Run {
        self.runs.get(&key).expect("a run is named only while it is in memory")
    }

    pub(super) fn run_mut(&mut self, key: RunKey) -> &mut Run {
        self.runs.get_mut(&key).expect("a run is named only while it is in memory")
    }

    pub(super) fn instance(&self, at: TaskRef) -> &Instance {
        self.run(at.run).instance(at)
    }

    pub(super) fn instance_mut(&mut self, at: TaskRef) -> &mut Instance {
        self.run_mut(at.run).instance_mut(at)
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.work.effects.push(effect);
    }

    pub(super) fn write(&mut self, write: Write) {
        self.effect(Effect::Write(write));
    }
}
