//! Notifications: what is owed is written in the commit that owes it, then carried out by a worker, at least once.
//!
//! ```text
//!  a move that owes ─► row: pending ─► sent to a worker ─► done
//!                         ▲   ▲            │ failed: later, a few times, then `failed`
//!                         │   └────────────┘
//!                         └──── the worker has ended, the node was restarted: said again
//! ```
//!
//! Few are under way at once, so one that hangs holds up others at most until its timeout, and never a task.
//! Which move owes what is decided in `domain::notification`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{
    AttemptId, DagId, Dispatch, Incarnation, MapIndex, NotificationId, QueueName, RunKey, TaskId, TaskKey, TryNumber,
    WorkerId,
};
use crate::domain::notification::{
    About, MissedDeadline, Notice, Notification, NotificationState, Occasion, RunEnd, owed_by_task,
};
use crate::domain::state::{RunEvent, TaskEvent, TaskState};
use crate::domain::time::{Time, after};
use crate::protocol::event::Change;
use crate::protocol::work::{Notified, TaskMessage, ToWorker};
use crate::store::write::{NotificationRow, RunRow, TaskRow, Write};

use super::TaskRef;
use super::attempts::log_folder;
use super::context::run_context;
use super::core::{Core, Effect};
use super::timers::Timer;

/// What is owed and not done.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: BTreeMap<NotificationId, NotificationRow>,
    /// How many of them are about a run.
    of_run: BTreeMap<RunKey, usize>,
    /// To be sent as soon as there is room; the oldest first.
    ready: BTreeSet<NotificationId>,
    /// With a worker, in that life of it.
    sent: BTreeMap<NotificationId, (WorkerId, Incarnation)>,
    /// The millisecond of the newest one, and how many there were in it.
    newest: (i64, u16),
}

impl Outbox {
    /// What is owed, new or from an earlier life of the node.
    pub fn add(&mut self, row: NotificationRow) {
        if row.next_try_at.is_none() {
            self.ready.insert(row.id);
        }
        *self.of_run.entry(row.run).or_default() += 1;
        self.pending.insert(row.id, row);
    }

    /// It is not owed any more.
    fn remove(&mut self, id: NotificationId) {
        self.ready.remove(&id);
        self.sent.remove(&id);
        let Some(row) = self.pending.remove(&id) else { return };
        if let Some(count) = self.of_run.get_mut(&row.run) {
            *count -= 1;
            if *count == 0 {
                self.of_run.remove(&row.run);
            }
        }
    }

    /// Which one of its millisecond the next one is.
    fn nth(&mut self, now: Time) -> u16 {
        let millis = now.timestamp_millis();
        let nth = if self.newest.0 == millis { self.newest.1.wrapping_add(1) } else { 0 };
        self.newest = (millis, nth);
        nth
    }

    /// The run whose context the notification has, while a worker carries it out.
    pub fn run_of(&self, id: NotificationId) -> Option<RunKey> {
        self.sent.get(&id)?;
        self.pending.get(&id).map(|row| row.run)
    }

    /// Whether somebody is still to be told of this run.
    pub fn is_about(&self, run: RunKey) -> bool {
        self.of_run.contains_key(&run)
    }

    /// A DAG is deleted: nobody is told of it any more.
    pub fn forget(&mut self, dag: &DagId) {
        let gone: Vec<NotificationId> =
            self.pending.values().filter(|row| row.message.key.dag == *dag).map(|row| row.id).collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// How many are owed and not carried out.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// A broken rule in words: each one that is pending waits in exactly one place, and is counted.
    pub fn check(&self, is_timed: impl Fn(&NotificationRow) -> bool) -> Result<(), String> {
        for (id, row) in &self.pending {
            let places = [self.ready.contains(id), self.sent.contains_key(id), is_timed(row)];
            if places.into_iter().filter(|is_there| *is_there).count() != 1 {
                return Err(format!("notification {id} is (ready, sent, timed) {places:?}"));
            }
        }
        let mut of_run = BTreeMap::new();
        for row in self.pending.values() {
            *of_run.entry(row.run).or_insert(0) += 1;
        }
        if of_run != self.of_run {
            return Err(format!("of each run {of_run:?} are pending, but counted are {:?}", self.of_run));
        }
        let known = |id: &&NotificationId| !self.pending.contains_key(id);
        match self.ready.iter().chain(self.sent.keys()).find(known) {
            Some(id) => Err(format!("notification {id} is under way and not pending")),
            None => Ok(()),
        }
    }
}

/// Something that was seen to happen and whose telling is not written yet.
#[derive(Debug)]
pub(super) struct Owed {
    pub dag: Arc<Dag>,
    pub run: RunRow,
    /// What it is about; of a run, the task instance that tells most about its end.
    pub task: Option<(TaskIx, TaskRow)>,
    pub about: About,
    pub occasion: Occasion,
    pub reason: Option<&'static str>,
    /// Of a deadline: its number.
    pub deadline: Option<(u32, MissedDeadline)>,
}

impl Owed {
    fn list(&self) -> &[Notification] {
        let definition = &self.dag.definition;
        match (&self.deadline, self.about, &self.task) {
            (Some((number, _)), ..) => {
                let of = definition.deadlines.get(usize::try_from(*number).unwrap_or(usize::MAX));
                of.map_or(&[], |deadline| &deadline.callback)
            }
            (None, About::Run, _) => definition.callbacks.of(self.occasion),
            (None, About::Task, Some((task, _))) => self.dag.task(*task).callbacks.of(self.occasion),
            (None, About::Task, None) => &[],
        }
    }
}

impl Core {
    /// A task instance has moved: somebody may have to be told.
    pub(super) fn owe_for_task(&mut self, at: TaskRef, event: TaskEvent) {
        let run = self.run(at.run);
        if run.dag.task(at.task).callbacks.is_empty() {
            return;
        }
        let instance = run.instance(at);
        let outcome = instance.attempt.as_ref().and_then(|attempt| attempt.state.outcome());
        let owed = |occasion: &Occasion| Owed {
            dag: run.dag.clone(),
            run: run.row.clone(),
            task: Some((at.task, instance.row.clone())),
            about: About::Task,
            occasion: *occasion,
            reason: None,
            deadline: None,
        };
        // A try that was given back and starts again has begun already.
        let begun = event == TaskEvent::Started && instance.row.started_at.is_some();
        let occasions = owed_by_task(event, instance.row.state, outcome);
        let owed: Vec<Owed> = occasions.iter().filter(|_| !begun).map(owed).filter(|o| !o.list().is_empty()).collect();
        self.work.owed.extend(owed);
    }

    /// A run has ended: somebody may have to be told.
    pub(super) fn owe_for_run(&mut self, key: RunKey, end: RunEnd, event: RunEvent) {
        let Some((occasion, reason)) = end.owes(event) else { return };
        let run = self.run(key);
        if run.dag.definition.callbacks.of(occasion).is_empty() {
            return;
        }
        let owed = Owed {
            dag: run.dag.clone(),
            run: run.row.clone(),
            task: self.most_telling(key),
            about: About::Run,
            occasion,
            reason: Some(reason),
            deadline: None,
        };
        self.work.owed.push(owed);
    }

    /// The task instance that tells most about how a run stands: of those that failed, else of all, the last to end.
    pub(super) fn most_telling(&self, key: RunKey) -> Option<(TaskIx, TaskRow)> {
        let run = self.runs.get(&key)?;
        let rows = run.instances().map(|(at, instance)| (at.task, &instance.row));
        let best = rows.max_by_key(|(ix, row)| (row.state == TaskState::Failed, row.ended_at, std::cmp::Reverse(ix.0)));
        best.map(|(ix, row)| (ix, row.clone()))
    }

    /// What was seen becomes rows, one for each who is to be told.
    pub(super) fn write_what_is_owed(&mut self, now: Time) {
        for owed in std::mem::take(&mut self.work.owed) {
            let count = owed.list().len();
            for number in 0..count {
                let nth = self.outbox.nth(now);
                let id = self.ids.notification(now, nth);
                let row = self.row(now, id, &owed, number);
                self.write(Write::Notification(Box::new(row.clone())));
                self.outbox.add(row);
            }
        }
    }

    fn row(&self, now: Time, id: NotificationId, owed: &Owed, number: usize) -> NotificationRow {
        let message = self.notice_message(now, id, owed, number);
        let task = owed.task.as_ref().filter(|_| owed.about == About::Task);
        NotificationRow {
            id,
            run: owed.run.key,
            task_id: task.map(|(_, row)| row.task_id.clone()),
            map_index: task.map_or(MapIndex::UNMAPPED, |(_, row)| row.map_index),
            try_number: message.try_number,
            occasion: owed.occasion,
            number: u32::try_from(number).unwrap_or(u32::MAX),
            message,
            state: NotificationState::Pending,
            failed_tries: 0,
            next_try_at: None,
            created_at: now,
            ended_at: None,
            error: None,
        }
    }

    /// Everything that a worker needs: it is stored, because the run may be forgotten before it is carried out.
    fn notice_message(&self, now: Time, id: NotificationId, owed: &Owed, number: usize) -> TaskMessage {
        let notification = &owed.list()[number];
        let (definition, row) = match &owed.task {
            Some((ix, row)) => (Some(owed.dag.task(*ix)), Some(row)),
            // The first one stands for a run of which nothing has begun.
            None => (owed.dag.definition.tasks.first(), None),
        };
        let place = match notification {
            Notification::Python(callback) => callback.place,
            Notification::Command(_) | Notification::Webhook(_) | Notification::Email(_) => None,
        };
        let key = TaskKey {
            dag: owed.run.dag_id.clone(),
            run: owed.run.run_id.clone(),
            task: definition.map_or_else(no_task, |task| task.task_id.clone()),
            map_index: row.map_or(MapIndex::UNMAPPED, |row| row.map_index),
        };
        let try_number = row.map_or(TryNumber(0), |row| row.try_number);
        let about_task = row.filter(|_| owed.about == About::Task);
        let notice = Notice {
            occasion: owed.occasion,
            about: owed.about,
            number: owed.deadline.as_ref().map_or(u32::try_from(number).unwrap_or(u32::MAX), |(number, _)| *number),
            place,
            summary: notification.summary(),
            state: about_task.map_or(owed.run.state.as_str(), |row| row.state.as_str()).to_owned(),
            exception: row.filter(|row| row.state != TaskState::Success).and_then(|row| row.note.clone()),
            reason: owed.reason.map(str::to_owned),
            started_at: row.and_then(|row| row.started_at),
            ended_at: row.and_then(|row| row.ended_at),
            hostname: row.and_then(|row| row.hostname.clone()),
            run_state: owed.run.state.as_str().to_owned(),
            run_ended_at: owed.run.ended_at,
            deadline: owed.deadline.as_ref().map(|(_, missed)| missed.clone()),
        };
        TaskMessage {
            attempt: AttemptId(id.0),
            dispatch: Dispatch::default(),
            log_path: notice_log_path(&key, try_number, owed, number),
            key,
            try_number,
            max_tries: row.map_or(0, |row| row.max_tries),
            operator: notification.operator(),
            operator_name: definition.map(|task| task.operator_name.clone()).unwrap_or_default(),
            retries: definition.map_or(0, |task| task.retries),
            queue: definition.map_or_else(QueueName::default_queue, |task| task.queue.clone()),
            owner: definition.map(|task| task.owner.clone()).unwrap_or_default(),
            execution_timeout: Some(self.settings.notifications.timeout),
            do_xcom_push: false,
            inlets: Vec::new(),
            outlets: Vec::new(),
            waiting_since: None,
            reschedules: 0,
            mapped: None,
            run: run_context(&owed.run, &owed.dag, definition, self.surroundings(&owed.run), now),
            notice: Some(Box::new(notice)),
        }
    }

    /// Hands out what is ready while there is room and a worker to take it.
    pub(super) fn send_notifications(&mut self) {
        let most = self.settings.notifications.at_once;
        while self.outbox.sent.len() < most {
            if self.outbox.ready.is_empty() || self.leaving {
                return;
            }
            let Some((worker, incarnation)) = self.somebody_online() else { return };
            let Some(id) = self.outbox.ready.pop_first() else { return };
            let Some(row) = self.outbox.pending.get(&id) else { continue };
            let task = Box::new(row.message.clone());
            self.outbox.sent.insert(id, (worker, incarnation));
            self.effect(Effect::Send { to: Some(worker), message: ToWorker::Notify { id, task } });
        }
    }

    fn somebody_online(&self) -> Option<(WorkerId, Incarnation)> {
        // Whoever was just heard, before one that may be gone.
        let best = self.workers_here().min_by_key(|worker| worker.row.status)?;
        Some((best.row.id, best.row.incarnation))
    }

    /// A worker says what became of a try. One that was done already stays as it is.
    pub(super) fn on_notified(&mut self, now: Time, notified: Notified) {
        let patience = self.settings.notifications.patience;
        let Some(row) = self.outbox.pending.get_mut(&notified.id) else { return };
        self.outbox.sent.remove(&notified.id);
        self.outbox.ready.remove(&notified.id);
        if let Some(due) = row.next_try_at.take() {
            self.timers.cancel(due, Timer::Notification(notified.id));
        }
        row.error = notified.message;
        if notified.succeeded {
            (row.state, row.ended_at, row.error) = (NotificationState::Done, Some(notified.ended_at), None);
        } else {
            row.failed_tries = row.failed_tries.saturating_add(1);
            match patience.after(row.failed_tries) {
                Some(wait) => {
                    let due = after(now, wait);
                    row.next_try_at = Some(due);
                    self.timers.set(due, Timer::Notification(row.id));
                }
                None => (row.state, row.ended_at) = (NotificationState::Failed, Some(notified.ended_at)),
            }
        }
        let row = row.clone();
        if row.state != NotificationState::Pending {
            self.outbox.remove(row.id);
        }
        self.effect(Effect::Event(Change::Notification {
            key: row.message.key.clone(),
            occasion: row.occasion,
            state: row.state,
            error: row.error.clone(),
        }));
        self.write(Write::Notification(Box::new(row)));
    }

    /// It failed a while ago and is tried again.
    pub(super) fn on_notification_due(&mut self, id: NotificationId) {
        if let Some(row) = self.outbox.pending.get_mut(&id) {
            row.next_try_at = None;
            self.outbox.ready.insert(id);
        }
    }

    /// What a worker had in a life that is over is said again.
    pub(super) fn take_back_notifications(&mut self, worker: WorkerId, living: Option<Incarnation>) {
        let gone = |of: &(WorkerId, Incarnation)| of.0 == worker && living.is_none_or(|living| of.1 < living);
        let back: Vec<NotificationId> = self.outbox.sent.extract_if(.., |_, of| gone(of)).map(|(id, _)| id).collect();
        self.outbox.ready.extend(back);
    }
}

/// Stands where a task is named for a run of a DAG that has none.
fn no_task() -> TaskId {
    TaskId::new("_").expect("one character is a task id")
}

/// Beside the log of the attempt, or in the folder of the run. Every try of a notification goes on in the same file.
fn notice_log_path(key: &TaskKey, try_number: TryNumber, owed: &Owed, number: usize) -> String {
    let occasion = owed.occasion.as_str();
    match (owed.about, &owed.deadline) {
        (About::Task, _) => format!("{}attempt={try_number}.{occasion}_callback={number}.log", log_folder(key)),
        (About::Run, None) => format!("dag_id={}/run_id={}/{occasion}_callback={number}.log", key.dag, key.run),
        (About::Run, Some((deadline, _))) => {
            format!("dag_id={}/run_id={}/deadline={deadline}.callback={number}.log", key.dag, key.run)
        }
    }
}
