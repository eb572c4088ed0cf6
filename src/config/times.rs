//! The times of the protocol (spec/PROTOCOL.md §8) and the inequalities that must hold between them.
//! Only N1 is needed for safety; the others keep a node from behaving foolishly.

use std::time::Duration;

use super::key::Name;

/// Every time of the protocol that is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub heartbeat: Duration,
    pub suspect_grace: Duration,
    pub fence_after: Duration,
    pub kill_grace: Duration,
    pub spawn_slack: Duration,
    pub worker_lost_after: Duration,
    pub lease_renew: Duration,
    pub lease_ttl: Duration,
    pub db_txn_timeout: Duration,
    pub worker_amqp_heartbeat: Duration,
    pub scheduler_amqp_heartbeat: Duration,
    pub claim_resend: Duration,
    pub claim_wait_max: Duration,
    pub marker_retry: Duration,
    pub leader_silent: Duration,
    pub long_task_after: Duration,
    pub redispatch_after: Duration,
    pub max_redispatch: u32,
    pub drain_deadline: Duration,
    pub stop_timeout: Duration,
}

/// ρ, the error of a clock's rate that is tolerated.
pub const CLOCK_RATE_ERROR: f64 = 0.01;
/// The longest wait between two attempts to reach the broker again.
pub const RECONNECT_BACKOFF: Duration = Duration::from_secs(3);
/// What a standby needs to load its state before it leads, at most.
pub const LOAD_ALLOWANCE: Duration = Duration::from_secs(2);
/// A standby leads within this time.
pub const TAKEOVER: Duration = Duration::from_secs(5);
/// RabbitMQ closes the channel of a consumer that keeps a delivery longer than this.
pub const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// What a node needs beside its tasks to stop.
pub const STOP_ALLOWANCE: Duration = Duration::from_secs(5);

/// One inequality that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} must be {relation}{} ({rule}: {left} against {right}), or {otherwise}", .keys[0], other(.keys))]
pub struct TimesViolation {
    /// The inequality as the protocol writes it.
    pub rule: &'static str,
    /// The keys that a person would change: one against a fixed time, or two against each other.
    pub keys: Vec<Name>,
    relation: &'static str,
    left: String,
    right: String,
    otherwise: &'static str,
}

fn other(keys: &[Name]) -> String {
    keys[1..].iter().map(|key| format!(" {key}")).collect()
}

/// One inequality, `left < right` or `left ≤ right`, and how to say that it does not hold.
struct Rule {
    rule: &'static str,
    keys: Vec<Name>,
    relation: &'static str,
    left: f64,
    order: Order,
    right: f64,
    otherwise: &'static str,
}

enum Order {
    Less,
    AtMost,
}

impl Rule {
    fn holds(&self) -> bool {
        match self.order {
            Order::Less => self.left < self.right,
            Order::AtMost => self.left <= self.right,
        }
    }
}

const fn scheduler(key: &'static str) -> Name {
    Name::new("scheduler", key)
}

const fn workers(key: &'static str) -> Name {
    Name::new("workers", key)
}

impl Times {
    /// Every inequality of the protocol that these times break, in the order of the protocol.
    pub fn violations(&self) -> Vec<TimesViolation> {
        let broken = self.rules().into_iter().filter(|rule| !rule.holds());
        broken
            .map(|rule| TimesViolation {
                rule: rule.rule,
                keys: rule.keys,
                relation: rule.relation,
                left: shown(rule.left),
                right: shown(rule.right),
                otherwise: rule.otherwise,
            })
            .collect()
    }

    fn rules(&self) -> Vec<Rule> {
        let s = |duration: Duration| duration.as_secs_f64();
        vec![
            Rule {
                rule: "N1, (fence_after + kill_grace + spawn_slack) × 1.01 < worker_lost_after × 0.99",
                keys: vec![workers("fence_after"), scheduler("worker_lost_after")],
                relation: "shorter than",
                left: s(self.fence_after + self.kill_grace + self.spawn_slack) * (1.0 + CLOCK_RATE_ERROR),
                order: Order::Less,
                right: s(self.worker_lost_after) * (1.0 - CLOCK_RATE_ERROR),
                otherwise: "a task could run twice at the same time",
            },
            Rule {
                rule: "N2, 4 × heartbeat + 3 s of reconnecting < fence_after",
                keys: vec![workers("heartbeat"), workers("fence_after")],
                relation: "much shorter than",
                left: s(self.heartbeat * 4 + RECONNECT_BACKOFF),
                order: Order::Less,
                right: s(self.fence_after),
                otherwise: "a short restart of the broker kills running tasks",
            },
            Rule {
                rule: "N3, 2 × heartbeat < suspect_grace",
                keys: vec![workers("heartbeat"), scheduler("suspect_grace")],
                relation: "less than half of",
                left: s(self.heartbeat * 2),
                order: Order::Less,
                right: s(self.suspect_grace),
                otherwise: "healthy workers are shown as suspect",
            },
            Rule {
                rule: "N3, suspect_grace < worker_lost_after",
                keys: vec![scheduler("suspect_grace"), scheduler("worker_lost_after")],
                relation: "shorter than",
                left: s(self.suspect_grace),
                order: Order::Less,
                right: s(self.worker_lost_after),
                otherwise: "a worker is lost before it is shown as suspect",
            },
            self.heartbeat_of_the_broker(workers("amqp_heartbeat"), self.worker_amqp_heartbeat),
            self.heartbeat_of_the_broker(scheduler("amqp_heartbeat"), self.scheduler_amqp_heartbeat),
            Rule {
                rule: "N5, lease_renew + db_txn_timeout ≤ lease_ttl",
                keys: vec![scheduler("lease_renew"), scheduler("lease_ttl"), Name::new("database", "db_txn_timeout")],
                relation: "shorter than the rest that these two leave:",
                left: s(self.lease_renew + self.db_txn_timeout),
                order: Order::AtMost,
                right: s(self.lease_ttl),
                otherwise: "a healthy leader is replaced because of one slow transaction",
            },
            Rule {
                rule: "N5, lease_ttl + 2 s of loading ≤ 5 s",
                keys: vec![scheduler("lease_ttl")],
                relation: "at most 3 s",
                left: s(self.lease_ttl + LOAD_ALLOWANCE),
                order: Order::AtMost,
                right: s(TAKEOVER),
                otherwise: "a standby leads too late",
            },
            within_the_consumer_timeout(workers("long_task_after"), self.long_task_after),
            within_the_consumer_timeout(workers("claim_wait_max"), self.claim_wait_max),
            Rule {
                rule: "N7, drain_deadline + kill_grace + 5 s < stop_timeout",
                keys: vec![workers("drain_deadline"), workers("stop_timeout")],
                relation: "shorter than",
                left: s(self.drain_deadline + self.kill_grace + STOP_ALLOWANCE),
                order: Order::Less,
                right: s(self.stop_timeout),
                otherwise: "the supervisor kills the node while it still drains",
            },
            Rule {
                rule: "N8, 3 × claim_resend < redispatch_after",
                keys: vec![workers("claim_resend"), scheduler("redispatch_after")],
                relation: "less than a third of",
                left: s(self.claim_resend * 3),
                order: Order::Less,
                right: s(self.redispatch_after),
                otherwise: "a task is sent again while its claim is still under way",
            },
        ]
    }

    fn heartbeat_of_the_broker(&self, key: Name, heartbeat: Duration) -> Rule {
        Rule {
            rule: "N4, 3 × amqp_heartbeat ≤ worker_lost_after",
            keys: vec![key, scheduler("worker_lost_after")],
            relation: "at most a third of",
            left: (heartbeat * 3).as_secs_f64(),
            order: Order::AtMost,
            right: self.worker_lost_after.as_secs_f64(),
            otherwise: "the broker keeps the messages of a dead worker for too long",
        }
    }
}

fn within_the_consumer_timeout(key: Name, time: Duration) -> Rule {
    Rule {
        rule: "N6, half of RabbitMQ's consumer timeout",
        keys: vec![key],
        relation: "at most 900 s",
        left: time.as_secs_f64(),
        order: Order::AtMost,
        right: (CONSUMER_TIMEOUT / 2).as_secs_f64(),
        otherwise: "the broker closes the channel of the worker",
    }
}

fn shown(seconds: f64) -> String {
    format!("{} s", (seconds * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        let s = Duration::from_secs;
        Times {
            heartbeat: s(2),
            suspect_grace: s(5),
            fence_after: s(45),
            kill_grace: s(5),
            spawn_slack: s(1),
            worker_lost_after: s(60),
            lease_renew: s(1),
            lease_ttl: s(3),
            db_txn_timeout: s(2),
            worker_amqp_heartbeat: s(10),
            scheduler_amqp_heartbeat: s(4),
            claim_resend: s(5),
            claim_wait_max: s(600),
            marker_retry: s(5),
            leader_silent: s(15),
            long_task_after: s(300),
            redispatch_after: s(30),
            max_redispatch: 5,
            drain_deadline: s(60),
            stop_timeout: s(90),
        }
    }

    #[test]
    fn the_times_of_the_protocol_break_none_of_its_inequalities() {
        assert_eq!(times().violations(), []);
    }

    #[test]
    fn each_inequality_is_noticed_when_it_alone_is_broken_and_names_its_keys() {
        let s = Duration::from_secs;
        type Change = fn(&mut Times);
        let cases: [(&str, &[&str], Change); 11] = [
            ("N1", &["[workers] fence_after", "[scheduler] worker_lost_after"], |t| {
                t.fence_after = Duration::from_secs(53)
            }),
            ("N2", &["[workers] heartbeat", "[workers] fence_after"], |t| t.fence_after = Duration::from_secs(11)),
            ("N3", &["[workers] heartbeat", "[scheduler] suspect_grace"], |t| t.suspect_grace = Duration::from_secs(4)),
            ("N3", &["[scheduler] suspect_grace", "[scheduler] worker_lost_after"], |t| {
                t.suspect_grace = Duration::from_secs(60)
            }),
            ("N4", &["[workers] amqp_heartbeat", "[scheduler] worker_lost_after"], |t| {
                t.worker_amqp_heartbeat = Duration::from_secs(21)
            }),
            ("N4", &["[scheduler] amqp_heartbeat", "[scheduler] worker_lost_after"], |t| {
                t.scheduler_amqp_heartbeat = Duration::from_secs(21)
            }),
            ("N5", &["[scheduler] lease_renew", "[scheduler] lease_ttl"], |t| {
                t.lease_renew = Duration::from_millis(1001)
            }),
            ("N6", &["[workers] long_task_after"], |t| t.long_task_after = Duration::from_secs(901)),
            ("N6", &["[workers] claim_wait_max"], |t| t.claim_wait_max = Duration::from_secs(901)),
            ("N7", &["[workers] drain_deadline", "[workers] stop_timeout"], |t| {
                t.stop_timeout = Duration::from_secs(70)
            }),
            ("N8", &["[workers] claim_resend", "[scheduler] redispatch_after"], |t| {
                t.redispatch_after = Duration::from_secs(15)
            }),
        ];
        for (rule, keys, change) in cases {
            let mut changed = times();
            change(&mut changed);
            let violations = changed.violations();
            assert_eq!(violations.len(), 1, "{rule} {keys:?}: {violations:?}");
            let said = violations[0].to_string();
            assert!(said.contains(rule), "{said}");
            assert!(keys.iter().all(|key| said.contains(key)), "{said}");
        }
        let slow = Times { lease_ttl: s(4), ..times() };
        assert_eq!(
            slow.violations()[0].to_string(),
            "[scheduler] lease_ttl must be at most 3 s (N5, lease_ttl + 2 s of loading ≤ 5 s: 6 s against 5 s), \
             or a standby leads too late"
        );
    }

    #[test]
    fn the_bound_that_safety_needs_is_exact() {
        // 51.51 < 59.4 by default; (F + 6) × 1.01 reaches 59.4 between 52 and 53 seconds.
        let at = |seconds| Times { fence_after: Duration::from_secs(seconds), ..times() };
        assert_eq!(at(52).violations(), []);
        assert_eq!(
            at(53).violations()[0].to_string(),
            "[workers] fence_after must be shorter than [scheduler] worker_lost_after \
             (N1, (fence_after + kill_grace + spawn_slack) × 1.01 < worker_lost_after × 0.99: 59.59 s against 59.4 s), \
             or a task could run twice at the same time"
        );
    }
}
