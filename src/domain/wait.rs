//! What a task instance waits for while it holds no slot, and when the waiting is over (SCHEDULING §9).
//!
//! It is stored with the task instance, so that a restart goes on with the same
//! beginning and the same aim. Nothing here looks anything up: the states come as arguments.

use serde::{Deserialize, Serialize};

use super::dag::DagDefinition;
use super::ids::{DagId, RunId, TaskId};
use super::state::{RunState, TaskState};
use super::time::Time;

/// The waiting of one task instance, over all its looks since it was cleared last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// When it looked for the first time: the timeout counts from here.
    pub since: Time,
    /// How often it went back to waiting.
    pub reschedules: u32,
    pub awaited: Awaited,
}

/// What has to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case")]
pub enum Awaited {
    /// The next look, by an attempt of its own.
    Look { at: Time },
    /// A moment; nobody needs to look.
    Moment { at: Time },
    /// Tasks, or the whole run, of another DAG at a logical date.
    Tasks(AwaitedTasks),
    /// The end of a run that the task triggered.
    Run(AwaitedRun),
}

/// Tasks of another DAG; without any, its whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedTasks {
    pub dag: DagId,
    pub date: Time,
    #[serde(default)]
    pub tasks: Vec<TaskId>,
    /// All tasks of this group instead.
    #[serde(default)]
    pub group: Option<String>,
    pub allowed: Vec<String>,
    #[serde(default)]
    pub skipped: Vec<String>,
    #[serde(default)]
    pub failed: Vec<String>,
    /// Whether a DAG that does not exist ends the waiting.
    #[serde(default)]
    pub check_existence: bool,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedRun {
    pub dag: DagId,
    pub run: RunId,
    pub allowed: Vec<String>,
    pub failed: Vec<String>,
}

/// What looking at it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    NotYet,
    Done,
    /// One of the states that fail the waiting task.
    Failed {
        why: String,
    },
    /// One of the states that skip it.
    Skipped {
        why: String,
    },
}

impl Awaited {
    /// When it comes by itself.
    pub fn due(&self) -> Option<Time> {
        match self {
            Self::Look { at } | Self::Moment { at } => Some(*at),
            Self::Tasks(_) | Self::Run(_) => None,
        }
    }
}

impl AwaitedTasks {
    /// Judges the run of that date, if there is one, and its task instances; `dag` is what that run runs by.
    pub fn judge(&self, run: Option<RunState>, instances: &[(TaskId, TaskState)], dag: Option<&DagDefinition>) -> Seen {
        let Some(run) = run else { return Seen::NotYet };
        if self.tasks.is_empty() && self.group.is_none() {
            return self.judge_words(&format!("the run of {}", self.dag), &[run.as_str()]);
        }
        let members = dag.zip(self.group.as_deref()).map(|(dag, group)| dag.tasks_of_group(group)).unwrap_or_default();
        let watched = |task: &TaskId| self.tasks.contains(task) || members.contains(task);
        let states: Vec<&str> =
            instances.iter().filter(|(task, _)| watched(task)).map(|(_, state)| state.as_str()).collect();
        let all_there = self.tasks.iter().all(|task| instances.iter().any(|(known, _)| known == task));
        match self.judge_words(&format!("a task of {}", self.dag), &states) {
            Seen::Done if !all_there || states.is_empty() => Seen::NotYet,
            seen => seen,
        }
    }

    /// A failed state decides before a skipped one, and both before the good ones.
    fn judge_words(&self, what: &str, states: &[&str]) -> Seen {
        let among = |words: &[String]| states.iter().find(|state| words.iter().any(|word| word == *state)).copied();
        if let Some(state) = among(&self.failed) {
            return Seen::Failed { why: format!("{what} is {state}, which is one of failed_states") };
        }
        if let Some(state) = among(&self.skipped) {
            return Seen::Skipped { why: format!("{what} is {state}, which is one of skipped_states") };
        }
        let is_good = |state: &&str| self.allowed.iter().any(|word| word == state);
        if states.iter().all(is_good) { Seen::Done } else { Seen::NotYet }
    }
}

impl AwaitedRun {
    /// Judges the run as it stands; `None`: it is gone.
    pub fn judge(&self, run: Option<RunState>) -> Seen {
        let Some(run) = run else {
            return Seen::Failed { why: format!("the run {} of {} is gone", self.run, self.dag) };
        };
        let is_one_of = |words: &[String]| words.iter().any(|word| word == run.as_str());
        if is_one_of(&self.failed) {
            return Seen::Failed { why: format!("{} failed with failed states {run}", self.dag) };
        }
        if is_one_of(&self.allowed) { Seen::Done } else { Seen::NotYet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn awaited(tasks: &[&str], group: Option<&str>) -> AwaitedTasks {
        AwaitedTasks {
            dag: DagId::new("other").expect("an id"),
            date: chrono::Utc.with_ymd_and_hms(2026, 11, 21, 0, 0, 0).single().expect("a date"),
            tasks: tasks.iter().map(|id| TaskId::new(*id).expect("an id")).collect(),
            group: group.map(str::to_owned),
            allowed: vec!["success".to_owned()],
            skipped: vec!["skipped".to_owned()],
            failed: vec!["failed".to_owned()],
            check_existence: false,
        }
    }

    fn states(pairs: &[(&str, TaskState)]) -> Vec<(TaskId, TaskState)> {
        pairs.iter().map(|(id, state)| (TaskId::new(*id).expect("an id"), *state)).collect()
    }

    #[test]
    fn a_run_that_is_not_there_is_waited_for() {
        assert_eq!(awaited(&[], None).judge(None, &[], None), Seen::NotYet);
        assert_eq!(awaited(&["a"], None).judge(None, &[], None), Seen::NotYet);
    }

    #[test]
    fn every_named_task_must_be_good_and_a_bad_one_decides_at_once() {
        use TaskState as S;
        let table: [(&[(&str, S)], &str); 6] = [
            (&[("a", S::Success), ("b", S::Success), ("c", S::Failed)], "done"),
            (&[("a", S::Success), ("b", S::Running)], "not_yet"),
            (&[("a", S::Success)], "not_yet"),
            (&[("a", S::Running), ("b", S::Failed)], "failed"),
            (&[("a", S::Skipped), ("b", S::Failed)], "failed"),
            (&[("a", S::Skipped), ("b", S::None)], "skipped"),
        ];
        for (pairs, expected) in table {
            let seen = awaited(&["a", "b"], None).judge(Some(RunState::Running), &states(pairs), None);
            let word = serde_json::to_value(&seen).expect("a word")["seen"].clone();
            assert_eq!(word, expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_whole_run_is_judged_by_its_own_state() {
        assert_eq!(awaited(&[], None).judge(Some(RunState::Running), &[], None), Seen::NotYet);
        assert_eq!(awaited(&[], None).judge(Some(RunState::Success), &[], None), Seen::Done);
        assert!(matches!(awaited(&[], None).judge(Some(RunState::Failed), &[], None), Seen::Failed { .. }));
    }
}
