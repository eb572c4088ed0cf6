//! The simulation's part of notifications and deadlines: who is told in a storm, and that everybody who is owed a
//! word is owed it exactly once, counted from the attempts that the store keeps.

use std::collections::BTreeMap;

use super::simulation::{Mail, Storm};
use crate::domain::attempt::Outcome;
use crate::domain::dag::DagDefinition;
use crate::domain::deadline::{Deadline, DeadlineState, Reference};
use crate::domain::ids::{MapIndex, NotificationId, RunKey, TaskId};
use crate::domain::notification::{Command, DagCallbacks, Notification, NotificationState, Occasion, TaskCallbacks};
use crate::domain::state::RunState;
use crate::protocol::work::{FromWorker, Notified};
use crate::store::write::{AttemptRow, NotificationRow};

/// What is told at most once: run, task, map index, try, occasion, place, and when the run ended.
type Word = (RunKey, Option<TaskId>, MapIndex, i32, Occasion, u32, u32);

/// A command that nobody runs.
pub fn command(bash: &str) -> Notification {
    Notification::Command(Command::Bash { bash: bash.to_owned() })
}

/// Somebody wants to know of everything that happens to some of the tasks, or to the runs.
pub fn tell_somebody(definition: &mut DagDefinition, rng: &mut fastrand::Rng) {
    for task in &mut definition.tasks {
        if rng.u32(0..3) == 0 {
            let one = || vec![command("true")];
            task.callbacks = TaskCallbacks {
                on_execute: one(),
                on_success: one(),
                on_failure: one(),
                on_retry: one(),
                on_skipped: one(),
            };
        }
    }
    if rng.u32(0..3) == 0 {
        definition.callbacks =
            DagCallbacks { on_success: vec![command("a"), command("b")], on_failure: vec![command("c")] };
    }
    for _ in 0..rng.u32(0..3) {
        let reference = if rng.bool() { Reference::DagrunQueuedAt } else { Reference::DagrunLogicalDate };
        let interval = f64::from(rng.i32(0..600));
        definition.deadlines.push(Deadline { name: None, reference, interval, callback: vec![command("late")] });
    }
}

impl Storm {
    /// A worker tries a notification; what it says may be said twice.
    pub fn carry_out(&mut self, at: usize, id: NotificationId) {
        let succeeded = self.calm || self.rng.u32(0..3) > 0;
        let message = (!succeeded).then(|| "nobody listens".to_owned());
        let notified = Notified { id, worker: self.workers[at].id, succeeded, message, ended_at: self.now };
        self.mail.push(Mail::Scheduler(FromWorker::Notified(notified.clone())));
        if self.rng.u32(0..20) == 0 {
            self.mail.push(Mail::Scheduler(FromWorker::Notified(notified)));
        }
    }

    /// Each owed notification exists exactly once, and nothing is told that did not happen.
    pub fn check_what_was_told(&self) {
        let mut told: BTreeMap<Word, u32> = BTreeMap::new();
        for row in self.store.notifications.values() {
            assert!(row.state != NotificationState::Pending, "notification {} is still owed", row.id);
            let notice = row.message.notice.as_ref().expect("a notification says what happened");
            // A run that is cleared may end again, and says so again.
            let end = if row.task_id.is_none() { u32::try_from(row.created_at.timestamp()).expect("2026") } else { 0 };
            let deadline = if notice.deadline.is_some() { notice.number } else { row.number };
            let key = (row.run, row.task_id.clone(), row.map_index, row.try_number.0, row.occasion, deadline, end);
            *told.entry(key).or_default() += 1;
        }
        for (key, count) in &told {
            // Two ends of a run in one second are possible where it was revised.
            let again = key.1.is_none() && self.revised.contains(&key.0);
            // A sensor that looks again starts again, in the same try.
            let again = again || key.4 == Occasion::Execute && self.has_waited(key);
            assert!(*count == 1 || again, "{key:?} was told {count} times");
        }
        for attempt in self.store.attempts.values() {
            self.check_attempt(attempt);
        }
        for run in self.store.runs.values() {
            self.check_run(run.key, run.state);
        }
    }

    fn has_waited(&self, (run, task, map_index, try_number, ..): &Word) -> bool {
        self.store.attempts.values().any(|attempt| {
            (attempt.run, attempt.map_index, attempt.try_number.0) == (*run, *map_index, *try_number)
                && Some(&attempt.task_id) == task.as_ref()
                && matches!(attempt.state.outcome(), Some(Outcome::Rescheduled | Outcome::Deferred))
        })
    }

    fn told_of(&self, run: RunKey, occasion: Occasion) -> impl Iterator<Item = &NotificationRow> {
        let rows = self.store.notifications.values();
        rows.filter(move |row| row.run == run && row.occasion == occasion)
    }

    fn check_attempt(&self, attempt: &AttemptRow) {
        let run = &self.store.runs[&attempt.run];
        // A run that was cleared goes on in another version, whose callbacks are others.
        if self.revised.contains(&run.key) {
            return;
        }
        let definition = &self.store.versions[&(run.dag_id.clone(), run.version)];
        let Some(task) = definition.tasks.iter().find(|task| task.task_id == attempt.task_id) else { return };
        let told = |occasion| {
            let of_it = |row: &&NotificationRow| {
                row.task_id.as_ref() == Some(&attempt.task_id)
                    && (row.map_index, row.try_number) == (attempt.map_index, attempt.try_number)
            };
            self.told_of(run.key, occasion).filter(of_it).count()
        };
        let counts = Occasion::ALL.map(told);
        if task.callbacks.is_empty() {
            assert_eq!(counts, [0; 6], "{} tells nobody", attempt.task_id);
            return;
        }
        let outcome = attempt.state.outcome().expect("all is over");
        // Execute, Success, Failure, Retry, Skipped, Deadline.
        let fits = match outcome {
            // What was made to end with its run tells nothing, and may have ended by itself just before it was told to.
            _ if definition.fail_fast || definition.dagrun_timeout.is_some() => counts[1..].iter().sum::<usize>() <= 1,
            // An attempt that succeeded and chose a branch that is not there has failed after all.
            Outcome::Success => {
                let chose_wrongly = [[1, 0, 1, 0, 0, 0], [1, 0, 0, 1, 0, 0]].contains(&counts);
                counts == [1, 1, 0, 0, 0, 0] || chose_wrongly
            }
            Outcome::Skipped => counts == [1, 0, 0, 0, 1, 0],
            // It goes on in the same try.
            Outcome::Rescheduled | Outcome::Deferred => true,
            Outcome::Failed { retryable: false } => counts == [1, 0, 1, 0, 0, 0],
            Outcome::Failed { retryable: true } | Outcome::TimedOut => {
                counts == [1, 0, 1, 0, 0, 0] || (task.retries > 0 && counts == [1, 0, 0, 1, 0, 0])
            }
            // The machinery repeats it by itself.
            Outcome::Lost | Outcome::Fenced | Outcome::Killed | Outcome::NeverStarted | Outcome::Undeliverable => {
                counts[0] <= 1 && counts[1..] == [0; 5]
            }
        };
        assert!(fits, "try {} of {} ended as {outcome:?} and told {counts:?}", attempt.try_number, attempt.task_id);
    }

    fn check_run(&self, key: RunKey, state: RunState) {
        let run = &self.store.runs[&key];
        let definition = &self.store.versions[&(run.dag_id.clone(), run.version)];
        let about_run = |occasion| self.told_of(key, occasion).filter(|row| row.task_id.is_none()).count();
        if !self.revised.contains(&key) {
            let owed = |list: &Vec<Notification>, wanted| if state == wanted { list.len() } else { 0 };
            let callbacks = &definition.callbacks;
            assert_eq!(about_run(Occasion::Success), owed(&callbacks.on_success, RunState::Success), "run {key}");
            assert_eq!(about_run(Occasion::Failure), owed(&callbacks.on_failure, RunState::Failed), "run {key}");
            let dated = |deadline: &&Deadline| deadline.due(run.queued_at, run.logical_date).is_some();
            let expected = definition.deadlines.iter().filter(dated).count();
            let kept = self.store.deadlines.keys().filter(|(of, _)| *of == key).count();
            assert_eq!(kept, expected, "the deadlines of run {key}");
        }
        let of_run = || self.store.deadlines.values().filter(|row| row.run == key);
        assert!(of_run().all(|row| row.state != DeadlineState::Pending), "a deadline of run {key} is open for ever");
        let missed = of_run().filter(|row| row.state == DeadlineState::Missed).count();
        // A run that goes on after a clear has its deadlines anew, and each of its lives may miss them.
        let (told, lives) = (about_run(Occasion::Deadline), 1 + run.clear_number.unsigned_abs() as usize);
        let fits = if lives > 1 { told >= missed && told <= of_run().count() * lives } else { told == missed };
        assert!(fits, "run {key} missed {missed} deadlines in {lives} lives and told {told}");
    }
}
