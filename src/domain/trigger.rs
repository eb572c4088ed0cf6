//! Trigger rules: when a task may run, given how its direct upstreams stand (SCHEDULING §2).
//!
//! A rule sees counts, never a list of upstreams: the end of a task changes one
//! number of each dependant, and the verdict costs the same for 2 upstreams and
//! for 10,000. Nothing here knows which task is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::MapIndex;
use super::problem::did_you_mean;
use super::state::{Decision, TaskState};

/// The 13 rules of Airflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerRule {
    /// Every upstream succeeded.
    #[default]
    AllSuccess,
    /// Every upstream failed, itself or because of what is upstream of it.
    AllFailed,
    /// Every upstream is finished, whatever came of it.
    AllDone,
    /// Every upstream is finished, none was skipped and one succeeded.
    AllDoneMinOneSuccess,
    /// Every upstream is finished and, where some are setups, one setup succeeded.
    AllDoneSetupSuccess,
    /// One upstream succeeded; the others are not waited for.
    OneSuccess,
    /// One upstream failed; the others are not waited for.
    OneFailed,
    /// One upstream succeeded or failed; the others are not waited for.
    OneDone,
    /// Every upstream succeeded or was skipped.
    NoneFailed,
    /// The same, and one succeeded.
    #[serde(alias = "none_failed_or_skipped")]
    NoneFailedMinOneSuccess,
    /// Every upstream is finished and none was skipped.
    NoneSkipped,
    /// Every upstream was skipped.
    AllSkipped,
    /// At once, whatever the upstreams do.
    #[serde(alias = "dummy")]
    Always,
}

impl TriggerRule {
    pub const ALL: [Self; 13] = [
        Self::AllSuccess,
        Self::AllFailed,
        Self::AllDone,
        Self::AllDoneMinOneSuccess,
        Self::AllDoneSetupSuccess,
        Self::OneSuccess,
        Self::OneFailed,
        Self::OneDone,
        Self::NoneFailed,
        Self::NoneFailedMinOneSuccess,
        Self::NoneSkipped,
        Self::AllSkipped,
        Self::Always,
    ];

    /// Names of Airflow 1.10 and 2.x that mean a rule of today.
    pub const OLD_NAMES: [(&'static str, Self); 2] =
        [("dummy", Self::Always), ("none_failed_or_skipped", Self::NoneFailedMinOneSuccess)];

    /// Airflow's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllSuccess => "all_success",
            Self::AllFailed => "all_failed",
            Self::AllDone => "all_done",
            Self::AllDoneMinOneSuccess => "all_done_min_one_success",
            Self::AllDoneSetupSuccess => "all_done_setup_success",
            Self::OneSuccess => "one_success",
            Self::OneFailed => "one_failed",
            Self::OneDone => "one_done",
            Self::NoneFailed => "none_failed",
            Self::NoneFailedMinOneSuccess => "none_failed_min_one_success",
            Self::NoneSkipped => "none_skipped",
            Self::AllSkipped => "all_skipped",
            Self::Always => "always",
        }
    }

    /// The rule does not wait for every upstream, so it would be too early for a task that is
    /// not expanded yet and stands for all its instances.
    pub fn is_fast(self) -> bool {
        match self {
            Self::OneSuccess | Self::OneFailed | Self::OneDone | Self::NoneFailedMinOneSuccess => true,
            Self::AllSuccess
            | Self::AllFailed
            | Self::AllDone
            | Self::AllDoneMinOneSuccess
            | Self::AllDoneSetupSuccess
            | Self::NoneFailed
            | Self::NoneSkipped
            | Self::AllSkipped
            | Self::Always => false,
        }
    }

    /// The rule that `word` names, today or in an older Airflow.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.as_str() == word)
            .or_else(|| Self::OLD_NAMES.into_iter().find(|(old, _)| *old == word).map(|(_, rule)| rule))
    }
}

impl fmt::Display for TriggerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no trigger rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown trigger rule `{word}`{}", hint(*.nearest))]
pub struct UnknownTriggerRule {
    pub word: String,
    /// The rule that was probably meant.
    pub nearest: Option<&'static str>,
}

fn hint(nearest: Option<&'static str>) -> String {
    match nearest {
        Some(rule) => format!("; did you mean `{rule}`?"),
        None => format!(" (known: {})", TriggerRule::ALL.map(TriggerRule::as_str).join(", ")),
    }
}

impl FromStr for TriggerRule {
    type Err = UnknownTriggerRule;

    fn from_str(word: &str) -> Result<Self, UnknownTriggerRule> {
        Self::from_word(word).ok_or_else(|| UnknownTriggerRule {
            word: word.to_owned(),
            nearest: did_you_mean(word, Self::ALL.map(Self::as_str)),
        })
    }
}

/// How the direct upstreams of one task instance stand, as numbers.
///
/// Invariant: [`done`](Self::done) is at most `total`, and what is counted for
/// setups is counted among the upstreams too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpstreamCounts {
    /// All relevant upstream task instances, finished or not.
    pub total: u32,
    pub success: u32,
    pub skipped: u32,
    pub failed: u32,
    pub upstream_failed: u32,
    pub removed: u32,
    /// How many of `total` are setups; only a teardown's rule looks at them.
    pub setups: u32,
    pub setup_success: u32,
    pub setup_skipped: u32,
}

impl UpstreamCounts {
    /// `total` upstreams of which none is finished and none is a setup.
    pub fn waiting_for(total: u32) -> Self {
        Self { total, ..Self::default() }
    }

    /// Both together: those that count for every instance of a task, and those of one instance.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            success: self.success + other.success,
            skipped: self.skipped + other.skipped,
            failed: self.failed + other.failed,
            upstream_failed: self.upstream_failed + other.upstream_failed,
            removed: self.removed + other.removed,
            setups: self.setups + other.setups,
            setup_success: self.setup_success + other.setup_success,
            setup_skipped: self.setup_skipped + other.setup_skipped,
        }
    }

    /// One more upstream, which is in this state.
    pub fn add(&mut self, state: TaskState, is_setup: bool) {
        self.total += 1;
        self.setups += u32::from(is_setup);
        self.moved(TaskState::None, state, is_setup);
    }

    /// How many upstreams are finished.
    pub fn done(&self) -> u32 {
        self.success + self.skipped + self.failed + self.upstream_failed + self.removed
    }

    /// How many upstreams are failed-like.
    pub fn failed_like(&self) -> u32 {
        self.failed + self.upstream_failed
    }

    /// Every upstream is finished.
    pub fn all_done(&self) -> bool {
        self.done() >= self.total
    }

    /// One upstream went from `from` to `to`, which counts only where the two differ in how they are finished.
    pub fn moved(&mut self, from: TaskState, to: TaskState, is_setup: bool) {
        if let Some(count) = self.of(from) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.of(to) {
            *count += 1;
        }
        if is_setup {
            self.setup_success = shifted(self.setup_success, TaskState::Success, from, to);
            self.setup_skipped = shifted(self.setup_skipped, TaskState::Skipped, from, to);
        }
    }

    fn of(&mut self, state: TaskState) -> Option<&mut u32> {
        match state {
            TaskState::Success => Some(&mut self.success),
            TaskState::Skipped => Some(&mut self.skipped),
            TaskState::Failed => Some(&mut self.failed),
            TaskState::UpstreamFailed => Some(&mut self.upstream_failed),
            TaskState::Removed => Some(&mut self.removed),
            TaskState::None
            | TaskState::Scheduled
            | TaskState::Queued
            | TaskState::Running
            | TaskState::UpForRetry
            | TaskState::UpForReschedule
            | TaskState::Deferred
            | TaskState::Restarting
            | TaskState::AwaitingInput => None,
        }
    }
}

fn shifted(count: u32, counted: TaskState, from: TaskState, to: TaskState) -> u32 {
    count.saturating_sub(u32::from(from == counted)) + u32::from(to == counted)
}

/// What a rule says about a task that has not been decided yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The upstreams that are finished do not settle it.
    Wait,
    /// The rule is met.
    Run,
    /// The rule can no longer be met: this is its state, now.
    Decide(Decision),
}

/// What `rule` says when the upstreams stand as `counts`, in constant time (SCHEDULING §2).
///
/// Ask whenever an upstream finishes: the first verdict other than [`Verdict::Wait`]
/// is the one that counts. A later one could differ, for example where one
/// upstream is skipped and then another fails.
pub fn evaluate(rule: TriggerRule, counts: &UpstreamCounts) -> Verdict {
    const SKIP: Verdict = Verdict::Decide(Decision::Skipped);
    const FAIL: Verdict = Verdict::Decide(Decision::UpstreamFailed);
    let UpstreamCounts { total, success, skipped, removed, .. } = *counts;
    let failed_like = counts.failed_like();
    let all_done = counts.all_done();
    let run_if = |met| if met { Verdict::Run } else { Verdict::Wait };
    if total == 0 {
        return Verdict::Run;
    }
    match rule {
        TriggerRule::Always => Verdict::Run,
        TriggerRule::AllSuccess if failed_like > 0 => FAIL,
        TriggerRule::AllSuccess if skipped > 0 => SKIP,
        TriggerRule::AllSuccess => run_if(success + removed >= total),
        TriggerRule::AllFailed if success + skipped > 0 => SKIP,
        TriggerRule::AllFailed => run_if(failed_like + removed >= total),
        TriggerRule::AllDone => run_if(all_done),
        TriggerRule::AllDoneMinOneSuccess if skipped > 0 => SKIP,
        TriggerRule::AllDoneMinOneSuccess if all_done && success == 0 => FAIL,
        TriggerRule::AllDoneMinOneSuccess => run_if(all_done),
        TriggerRule::AllDoneSetupSuccess if all_done && counts.setups > 0 && counts.setup_success == 0 => {
            if counts.setup_skipped >= counts.setups { SKIP } else { FAIL }
        }
        TriggerRule::AllDoneSetupSuccess => run_if(all_done),
        TriggerRule::OneSuccess if success > 0 => Verdict::Run,
        TriggerRule::OneSuccess if all_done && skipped >= total => SKIP,
        TriggerRule::OneSuccess if all_done => FAIL,
        TriggerRule::OneSuccess => Verdict::Wait,
        TriggerRule::OneFailed if failed_like > 0 => Verdict::Run,
        TriggerRule::OneFailed if all_done => SKIP,
        TriggerRule::OneFailed => Verdict::Wait,
        // Skipped and upstream_failed did nothing, so they are not "done" here.
        TriggerRule::OneDone if success + counts.failed > 0 => Verdict::Run,
        TriggerRule::OneDone if all_done => SKIP,
        TriggerRule::OneDone => Verdict::Wait,
        TriggerRule::NoneFailed if failed_like > 0 => FAIL,
        TriggerRule::NoneFailed => run_if(all_done),
        TriggerRule::NoneFailedMinOneSuccess if failed_like > 0 => FAIL,
        TriggerRule::NoneFailedMinOneSuccess if skipped >= total => SKIP,
        TriggerRule::NoneFailedMinOneSuccess if all_done && success == 0 => FAIL,
        TriggerRule::NoneFailedMinOneSuccess => run_if(all_done),
        TriggerRule::NoneSkipped if skipped > 0 => SKIP,
        TriggerRule::NoneSkipped => run_if(all_done),
        TriggerRule::AllSkipped if success + failed_like > 0 => SKIP,
        // A removed upstream was not skipped: with one, this rule is never met, as in Airflow.
        TriggerRule::AllSkipped => run_if(skipped >= total),
    }
}

/// Of a task that is mapped over upstreams which have shrunk, the instances beyond what is left.
pub fn is_beyond(rule: TriggerRule, counts: &UpstreamCounts, map_index: MapIndex) -> bool {
    let beyond = u32::try_from(map_index.0).is_ok_and(|index| index >= counts.success);
    rule == TriggerRule::AllSuccess && counts.removed > 0 && counts.success > 0 && beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_written_and_read_the_same() {
        for rule in TriggerRule::ALL {
            assert_eq!(rule.as_str().parse(), Ok(rule));
            assert_eq!(serde_json::to_value(rule).expect("a word"), rule.as_str());
        }
    }

    #[test]
    fn old_names_are_understood_wherever_a_rule_is_read() {
        for (old, rule) in TriggerRule::OLD_NAMES {
            assert_eq!(old.parse(), Ok(rule));
            assert_eq!(serde_json::from_value::<TriggerRule>(old.into()).expect("an old name"), rule);
        }
    }

    #[test]
    fn a_misspelt_rule_is_answered_with_the_one_that_was_meant() {
        let error = "all_sucess".parse::<TriggerRule>().expect_err("misspelt");
        assert_eq!(error.to_string(), "unknown trigger rule `all_sucess`; did you mean `all_success`?");
        let error = "whenever".parse::<TriggerRule>().expect_err("no rule");
        assert!(error.to_string().contains("(known: all_success, all_failed, "), "{error}");
    }

    #[test]
    fn a_task_without_upstreams_runs_under_every_rule() {
        for rule in TriggerRule::ALL {
            assert_eq!(evaluate(rule, &UpstreamCounts::default()), Verdict::Run, "{rule}");
        }
    }

    #[test]
    fn a_teardown_runs_only_where_a_setup_succeeded() {
        let rule = TriggerRule::AllDoneSetupSuccess;
        let setup_and_work = UpstreamCounts { total: 2, setups: 1, ..UpstreamCounts::default() };
        let after = |setup: TaskState, work: TaskState| {
            let mut counts = setup_and_work;
            counts.moved(TaskState::Running, setup, true);
            counts.moved(TaskState::Running, work, false);
            evaluate(rule, &counts)
        };
        assert_eq!(after(TaskState::Success, TaskState::Running), Verdict::Wait);
        assert_eq!(after(TaskState::Success, TaskState::Failed), Verdict::Run);
        assert_eq!(after(TaskState::Skipped, TaskState::Success), Verdict::Decide(Decision::Skipped));
        assert_eq!(after(TaskState::Failed, TaskState::Success), Verdict::Decide(Decision::UpstreamFailed));
    }

    #[test]
    fn clearing_an_upstream_takes_its_part_of_the_verdict_back() {
        let mut counts = UpstreamCounts::waiting_for(2);
        counts.moved(TaskState::Running, TaskState::Failed, false);
        assert_eq!(evaluate(TriggerRule::AllSuccess, &counts), Verdict::Decide(Decision::UpstreamFailed));
        counts.moved(TaskState::Failed, TaskState::None, false);
        assert_eq!(counts, UpstreamCounts::waiting_for(2));
        counts.moved(TaskState::None, TaskState::Scheduled, false);
        counts.moved(TaskState::Running, TaskState::Success, false);
        counts.moved(TaskState::Running, TaskState::Success, false);
        assert_eq!(evaluate(TriggerRule::AllSuccess, &counts), Verdict::Run);
    }
}
