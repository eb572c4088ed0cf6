//! How soon somebody may try a password again. Pure: time is an argument.
//!
//! A user at one address is slowed down after a few failures, a whole address after more, and a user from all
//! addresses after many: so nobody guesses a password, and nobody keeps somebody else out by guessing wrong.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::time::{Time, until};

/// So many failures cost nothing.
const FREE_OF_PAIR: u32 = 5;
const FREE_OF_ADDRESS: u32 = 30;
const FREE_OF_USER: u32 = 100;
/// The longest that anybody waits.
const LONGEST: Duration = Duration::from_secs(300);
/// After so long without a failure, all is forgotten.
const FORGET: Duration = Duration::from_secs(3_600);
/// More are not remembered at once.
const MOST: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Pair(String, String),
    Address(String),
    User(String),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    newest: Time,
}

/// What is remembered of failures.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<Key, Failures>);

impl Throttle {
    /// How long this user at this address must wait; zero: they may try.
    pub fn wait(&self, user: &str, address: &str, now: Time) -> Duration {
        keys(user, address).into_iter().map(|(key, free)| self.wait_of(&key, free, now)).max().unwrap_or_default()
    }

    fn wait_of(&self, key: &Key, free: u32, now: Time) -> Duration {
        let Some(failures) = self.0.get(key) else { return Duration::ZERO };
        let Some(over) = failures.count.checked_sub(free) else { return Duration::ZERO };
        let wait = Duration::from_secs(1 << over.min(10)).min(LONGEST);
        wait.saturating_sub(until(failures.newest, now))
    }

    pub fn failed(&mut self, user: &str, address: &str, now: Time) {
        if self.0.len() >= MOST {
            self.0.retain(|_, failures| until(failures.newest, now) < FORGET);
            if self.0.len() >= MOST {
                // Somebody tries ten thousand names an hour: their address is slowed down all the same.
                self.0.retain(|key, _| matches!(key, Key::Address(_)));
            }
        }
        for (key, _) in keys(user, address) {
            let failures = self.0.entry(key).or_insert(Failures { count: 0, newest: now });
            if until(failures.newest, now) >= FORGET {
                failures.count = 0;
            }
            (failures.count, failures.newest) = (failures.count.saturating_add(1), now);
        }
    }

    /// An attempt that was counted as a failure before its outcome was known was none.
    pub fn succeeded(&mut self, user: &str, address: &str) {
        for (key, _) in keys(user, address) {
            let Some(failures) = self.0.get_mut(&key) else { continue };
            failures.count = match key {
                Key::Pair(..) => 0,
                Key::Address(_) | Key::User(_) => failures.count.saturating_sub(1),
            };
            if failures.count == 0 {
                self.0.remove(&key);
            }
        }
    }
}

fn keys(user: &str, address: &str) -> [(Key, u32); 3] {
    // What somebody types as a name may be anything.
    let user: String = user.chars().take(250).collect();
    [
        (Key::Pair(user.clone(), address.to_owned()), FREE_OF_PAIR),
        (Key::Address(address.to_owned()), FREE_OF_ADDRESS),
        (Key::User(user), FREE_OF_USER),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::from_timestamp(second, 0).expect("an instant")
    }

    fn after(failures: usize, user: &str, address: &str) -> Throttle {
        let mut throttle = Throttle::default();
        (0..failures).for_each(|_| throttle.failed(user, address, at(0)));
        throttle
    }

    #[test]
    fn a_few_slips_cost_nothing_and_then_each_one_costs_twice_as_much() {
        let wait = |failures, second| after(failures, "ann", "a").wait("ann", "a", at(second)).as_secs();
        assert_eq!([wait(0, 0), wait(4, 0), wait(5, 0), wait(6, 0), wait(9, 0)], [0, 0, 1, 2, 16]);
        assert_eq!([wait(9, 10), wait(9, 16), wait(25, 0)], [6, 0, 300]);
    }

    #[test]
    fn who_guesses_from_elsewhere_does_not_keep_the_owner_out() {
        let throttle = after(20, "ann", "thief");
        assert_eq!(throttle.wait("ann", "home", at(0)), Duration::ZERO);
        assert_eq!(throttle.wait("bob", "thief", at(0)), Duration::ZERO);
        assert!(after(40, "ann", "thief").wait("bob", "thief", at(0)) > Duration::ZERO, "the address is slow for all");
    }

    #[test]
    fn a_right_password_ends_it_and_so_does_an_hour() {
        let mut throttle = after(9, "ann", "a");
        throttle.succeeded("ann", "a");
        assert_eq!(throttle.wait("ann", "a", at(0)), Duration::ZERO);
        let mut throttle = after(9, "ann", "a");
        throttle.failed("ann", "a", at(4_000));
        assert_eq!(throttle.wait("ann", "a", at(4_000)), Duration::ZERO);
    }

    #[test]
    fn who_is_right_is_never_slowed_down_however_often() {
        let mut throttle = Throttle::default();
        for _ in 0..1_000 {
            assert_eq!(throttle.wait("bot", "a", at(0)), Duration::ZERO);
            throttle.failed("bot", "a", at(0));
            throttle.succeeded("bot", "a");
        }
        assert!(throttle.0.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::default();
        for n in 0..3 * MOST {
            throttle.failed(&format!("user{n}"), "thief", at(0));
        }
        assert!(throttle.0.len() <= MOST + 3);
        assert!(throttle.wait("anybody", "thief", at(0)) > Duration::ZERO);
    }
}
