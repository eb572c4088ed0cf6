//! When a worker takes messages from its broker (PROTOCOL W10), whose word is new (§10), and whether its times fit those
//! of its leader (§8). Pure: facts in, a decision out.

use std::time::Duration;

use crate::domain::ids::Epoch;
use crate::protocol::work::LeaseTimes;

/// What is known at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// A leader knows this incarnation, and its times fit ours. Until then a message could only be put aside: with the
    /// wrong secret each of them would look forged.
    pub is_welcome: bool,
    /// The broker confirmed a word of this incarnation over the connection that it has now.
    pub is_confirmed: bool,
    pub has_lease: bool,
    /// How long the oldest claim has been without an answer.
    pub unanswered: Option<Duration>,
    pub leader_silent: Duration,
    pub is_leaving: bool,
    /// Its journal can be written, and somebody can start processes.
    pub can_start: bool,
}

impl Facts {
    pub fn may_take(&self) -> bool {
        let is_answered = self.unanswered.is_none_or(|silent| silent < self.leader_silent);
        self.is_welcome && self.is_confirmed && self.has_lease && is_answered && !self.is_leaving && self.can_start
    }
}

/// The newest letter from a leader. Orders in one that is not newer are copies.
#[derive(Debug, Default)]
pub struct Newest(Option<(Epoch, u64)>);

impl Newest {
    /// Whether its orders count.
    pub fn admits(&mut self, epoch: Epoch, seq: u64) -> bool {
        let is_new = self.0.is_none_or(|newest| (epoch, seq) > newest);
        if is_new {
            self.0 = Some((epoch, seq));
        }
        is_new
    }
}

/// Why this worker must not work for that leader: with longer times than the leader counts on, a task could run twice.
pub fn misfit(own: &LeaseTimes, leader: &LeaseTimes) -> Option<String> {
    let times = [
        ("[workers] fence_after", own.fence_after, leader.fence_after),
        ("[workers] kill_grace", own.kill_grace, leader.kill_grace),
        ("[workers] spawn_slack", own.spawn_slack, leader.spawn_slack),
    ];
    let longer: Vec<String> = times
        .into_iter()
        .filter(|(_, own, leader)| own > leader)
        .map(|(key, own, leader)| {
            format!("{key} is {} s here and {} s at the scheduler", own.as_secs_f64(), leader.as_secs_f64())
        })
        .collect();
    (!longer.is_empty()).then(|| longer.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: Facts = Facts {
        is_welcome: true,
        is_confirmed: true,
        has_lease: true,
        unanswered: None,
        leader_silent: Duration::from_secs(15),
        is_leaving: false,
        can_start: true,
    };

    #[test]
    fn one_fact_that_is_not_so_is_enough_to_take_nothing() {
        let s = Duration::from_secs;
        for (what, facts, expected) in [
            ("all is well", READY, true),
            ("a claim was asked for a moment ago", Facts { unanswered: Some(s(14)), ..READY }, true),
            ("the leader is silent", Facts { unanswered: Some(s(15)), ..READY }, false),
            ("no leader has answered yet", Facts { is_welcome: false, ..READY }, false),
            ("nothing is confirmed over this connection", Facts { is_confirmed: false, ..READY }, false),
            ("there is no lease", Facts { has_lease: false, ..READY }, false),
            ("it drains", Facts { is_leaving: true, ..READY }, false),
            ("nothing could be started", Facts { can_start: false, ..READY }, false),
        ] {
            assert_eq!(facts.may_take(), expected, "{what}");
        }
    }

    #[test]
    fn orders_only_grow() {
        let mut newest = Newest::default();
        for (epoch, seq, expected) in
            [(3, 5, true), (3, 5, false), (3, 4, false), (3, 6, true), (2, 9, false), (4, 1, true), (3, 7, false)]
        {
            assert_eq!(newest.admits(Epoch(epoch), seq), expected, "({epoch}, {seq})");
        }
    }

    #[test]
    fn longer_times_than_the_leaders_are_refused_by_name_and_shorter_ones_are_not() {
        let times = |fence, grace, slack| LeaseTimes {
            fence_after: Duration::from_secs(fence),
            kill_grace: Duration::from_secs(grace),
            spawn_slack: Duration::from_secs(slack),
            worker_lost_after: Duration::from_secs(60),
        };
        let leader = times(45, 5, 1);
        assert_eq!(misfit(&leader, &leader), None);
        assert_eq!(misfit(&times(30, 2, 1), &leader), None);
        assert_eq!(
            misfit(&times(50, 5, 2), &leader).as_deref(),
            Some(
                "[workers] fence_after is 50 s here and 45 s at the scheduler, \
                 [workers] spawn_slack is 2 s here and 1 s at the scheduler"
            )
        );
    }
}
