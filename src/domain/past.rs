//! What a task waits for in the run before its own (SCHEDULING §3).
//!
//! A pure table over facts that somebody else gathers: which run is the one
//! before, and how its task instances stand. Nothing here knows a run or a store.

use serde::{Deserialize, Serialize};

/// A task's settings about the run before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PastRule {
    /// It waits for itself in the run before.
    pub depends_on_past: bool,
    /// It waits for its direct downstream tasks there, too.
    pub wait_for_downstream: bool,
    /// Where it has never been before, it does not wait.
    pub ignore_first_depends_on_past: bool,
    /// A skip waits, as a start does.
    pub wait_for_past_depends_before_skipping: bool,
}

impl PastRule {
    /// Whether it looks at the run before at all.
    pub fn looks_back(&self) -> bool {
        self.depends_on_past || self.wait_for_downstream
    }

    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the instances of one task in one run stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The run has none.
    Absent,
    /// All of them are success or skipped.
    Succeeded,
    /// One of them is not, or not yet.
    Unsuccessful,
}

/// The run before, as far as one task may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunBefore {
    /// With catchup: it lies before the task's start date.
    pub is_before_the_task: bool,
    /// The same task there.
    pub itself: Stand,
    /// Whether one of the task's direct downstream tasks there is not success or skipped.
    pub has_unsuccessful_downstream: bool,
    /// Whether any earlier run has the task; `None` where only the store can tell.
    pub is_known_earlier: Option<bool>,
}

/// What the past says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastVerdict {
    Met,
    Waits(PastReason),
    /// Whether any earlier run has the task must be found out first.
    AskWhetherFirst,
}

/// Why a task waits for the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastReason {
    NotThere,
    Unsuccessful,
    DownstreamUnsuccessful,
}

impl PastReason {
    /// Airflow's sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotThere => {
                "depends_on_past is true for this task's DAG, but the previous task instance has not run yet"
            }
            Self::Unsuccessful => {
                "depends_on_past is true for this task, but the previous task instance is not in a successful state"
            }
            Self::DownstreamUnsuccessful => {
                "the tasks downstream of the previous task instance have not completed, and wait_for_downstream is true"
            }
        }
    }
}

/// What `rule` says when the run before stands as `before`; `None`: there is none, or the run begins its backfill.
pub fn judge(rule: &PastRule, before: Option<&RunBefore>) -> PastVerdict {
    let Some(before) = before.filter(|before| rule.looks_back() && !before.is_before_the_task) else {
        return PastVerdict::Met;
    };
    match before.itself {
        Stand::Absent if rule.ignore_first_depends_on_past => match before.is_known_earlier {
            Some(false) => PastVerdict::Met,
            Some(true) => PastVerdict::Waits(PastReason::NotThere),
            None => PastVerdict::AskWhetherFirst,
        },
        Stand::Absent => PastVerdict::Waits(PastReason::NotThere),
        Stand::Unsuccessful => PastVerdict::Waits(PastReason::Unsuccessful),
        Stand::Succeeded if rule.wait_for_downstream && before.has_unsuccessful_downstream => {
            PastVerdict::Waits(PastReason::DownstreamUnsuccessful)
        }
        Stand::Succeeded => PastVerdict::Met,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAST: PastRule = PastRule {
        depends_on_past: true,
        wait_for_downstream: false,
        ignore_first_depends_on_past: false,
        wait_for_past_depends_before_skipping: false,
    };
    const DOWNSTREAM: PastRule = PastRule { depends_on_past: false, wait_for_downstream: true, ..PAST };
    const FIRST: PastRule = PastRule { ignore_first_depends_on_past: true, ..PAST };

    fn before(itself: Stand) -> RunBefore {
        RunBefore { is_before_the_task: false, itself, has_unsuccessful_downstream: false, is_known_earlier: None }
    }

    /// SCHEDULING §3, line by line.
    #[test]
    fn the_past_decides_as_airflow_does() {
        use PastReason as R;
        use PastVerdict::{AskWhetherFirst, Met, Waits};
        use Stand::{Absent, Succeeded, Unsuccessful};
        let too_early = |itself| Some(RunBefore { is_before_the_task: true, ..before(itself) });
        let downstream = |itself| Some(RunBefore { has_unsuccessful_downstream: true, ..before(itself) });
        let earlier = |known| Some(RunBefore { is_known_earlier: Some(known), ..before(Absent) });
        let table: [(&str, PastRule, Option<RunBefore>, PastVerdict); 15] = [
            ("no rule", PastRule::default(), Some(before(Unsuccessful)), Met),
            ("no run before", PAST, None, Met),
            ("the run before is before the task", PAST, too_early(Unsuccessful), Met),
            ("it was not there", PAST, Some(before(Absent)), Waits(R::NotThere)),
            ("it succeeded", PAST, Some(before(Succeeded)), Met),
            ("it did not succeed", PAST, Some(before(Unsuccessful)), Waits(R::Unsuccessful)),
            ("its downstream is nobody's business", PAST, downstream(Succeeded), Met),
            ("its downstream did not succeed", DOWNSTREAM, downstream(Succeeded), Waits(R::DownstreamUnsuccessful)),
            ("all went well", DOWNSTREAM, Some(before(Succeeded)), Met),
            (
                "wait_for_downstream forces depends_on_past",
                DOWNSTREAM,
                Some(before(Unsuccessful)),
                Waits(R::Unsuccessful),
            ),
            ("no run before to have a downstream", DOWNSTREAM, None, Met),
            ("perhaps it is the first", FIRST, Some(before(Absent)), AskWhetherFirst),
            ("it is the first", FIRST, earlier(false), Met),
            ("it was there before the run before", FIRST, earlier(true), Waits(R::NotThere)),
            ("the first may be ignored, a failure may not", FIRST, Some(before(Unsuccessful)), Waits(R::Unsuccessful)),
        ];
        for (case, rule, before, verdict) in table {
            assert_eq!(judge(&rule, before.as_ref()), verdict, "{case}");
        }
    }
}
