//! The lease of one incarnation: until when its tasks may live, renewed by what the broker confirms (PROTOCOL W3, W4).
//!
//! ```text
//!   beat sent at s ──► confirmed ──► until = s + fence_after            (the newest one sent counts)
//!                  └─► returned, refused, unknown: as if it had not been sent
//!   until is reached ──► lapsed, for good: only the next incarnation has a lease again
//! ```
//!
//! Times are of CLOCK_BOOTTIME, which counts while the machine sleeps. Nothing here reads the clock or tells anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use super::boot_time::BootTime;

/// Counts the letters that may renew the lease.
pub type LetterId = u64;

/// What a confirm means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Tasks may live until then.
    Until(BootTime),
    /// A newer beat was confirmed before, or this one began no lease in time: nothing changes.
    Nothing,
    /// It came too late: the incarnation ends (W4, W5).
    Lapsed,
}

/// The lease of one incarnation.
#[derive(Debug)]
pub struct Lease {
    fence_after: Duration,
    /// When the beats left that nobody has confirmed yet.
    sent: BTreeMap<LetterId, BootTime>,
    until: Option<BootTime>,
    lapsed: bool,
}

impl Lease {
    /// None is held yet: the first confirmed word begins it.
    pub fn new(fence_after: Duration) -> Self {
        Self { fence_after, sent: BTreeMap::new(), until: None, lapsed: false }
    }

    /// A beat leaves now; `at` is taken before it is handed to the broker.
    pub fn on_sent(&mut self, letter: LetterId, at: BootTime) {
        self.sent.insert(letter, at);
    }

    /// The broker has the beat in its queue.
    pub fn on_confirmed(&mut self, letter: LetterId, now: BootTime) -> Renewal {
        let sent = self.sent.remove(&letter);
        if self.has_lapsed(now) {
            return Renewal::Lapsed;
        }
        let Some(until) = sent.map(|sent| sent + self.fence_after) else { return Renewal::Nothing };
        if until <= now || self.until.is_some_and(|held| until <= held) {
            return Renewal::Nothing;
        }
        self.until = Some(until);
        Renewal::Until(until)
    }

    /// The beat was returned, refused, or nobody knows: no renewal (W3).
    pub fn on_failed(&mut self, letter: LetterId) {
        self.sent.remove(&letter);
    }

    /// Whether the lease that was held is over. Once it is, it stays so (W4).
    pub fn has_lapsed(&mut self, now: BootTime) -> bool {
        self.lapsed |= self.until.is_some_and(|until| now >= until);
        self.lapsed
    }

    /// Whether one is held now.
    pub fn is_valid(&mut self, now: BootTime) -> bool {
        self.until.is_some() && !self.has_lapsed(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> BootTime {
        BootTime::after_boot(Duration::from_secs(seconds))
    }

    fn lease() -> Lease {
        Lease::new(Duration::from_secs(45))
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Sent(LetterId, u64),
        Confirmed(LetterId, u64, Renewal),
        Failed(LetterId),
        Valid(u64, bool),
        Lapsed(u64, bool),
    }

    fn play(steps: &[Step]) {
        let mut lease = lease();
        for step in steps {
            match *step {
                Step::Sent(letter, when) => lease.on_sent(letter, at(when)),
                Step::Confirmed(letter, when, expected) => {
                    assert_eq!(lease.on_confirmed(letter, at(when)), expected, "{step:?} of {steps:?}");
                }
                Step::Failed(letter) => lease.on_failed(letter),
                Step::Valid(when, expected) => {
                    assert_eq!(lease.is_valid(at(when)), expected, "{step:?} of {steps:?}");
                }
                Step::Lapsed(when, expected) => {
                    assert_eq!(lease.has_lapsed(at(when)), expected, "{step:?} of {steps:?}");
                }
            }
        }
    }

    #[test]
    fn the_lease_is_counted_from_the_sending_of_what_was_confirmed() {
        use Renewal::{Lapsed as Late, Nothing, Until};
        use Step::{Confirmed, Failed, Lapsed, Sent, Valid};
        let until = |seconds: u64| Until(at(seconds));
        let stories: [&[Step]; 7] = [
            // Nothing is held before the first confirm, and nothing can lapse.
            &[Sent(1, 0), Valid(1, false), Lapsed(1000, false)],
            // From the sending, not from the confirm.
            &[Sent(1, 100), Confirmed(1, 110, until(145)), Valid(144, true), Valid(145, false)],
            // The newest sent counts, in whatever order the confirms come.
            &[Sent(1, 0), Sent(2, 2), Confirmed(2, 3, until(47)), Confirmed(1, 4, Nothing), Valid(46, true)],
            // What was returned renews nothing, even if somebody says later that it was confirmed.
            &[
                Sent(1, 0),
                Confirmed(1, 0, until(45)),
                Sent(2, 20),
                Failed(2),
                Confirmed(2, 21, Nothing),
                Valid(45, false),
            ],
            // W4: a confirm at or after the end is void, and so is every later one.
            &[
                Sent(1, 0),
                Confirmed(1, 0, until(45)),
                Sent(2, 44),
                Confirmed(2, 45, Late),
                Sent(3, 46),
                Confirmed(3, 46, Late),
            ],
            // A lapse that was seen is not forgotten when a clock is asked again.
            &[Sent(1, 0), Confirmed(1, 0, until(45)), Lapsed(45, true), Lapsed(44, true), Valid(44, false)],
            // A first word that took longer than a lease begins none; the next one may.
            &[Sent(1, 0), Confirmed(1, 45, Nothing), Lapsed(46, false), Sent(2, 46), Confirmed(2, 47, until(91))],
        ];
        stories.into_iter().for_each(play);
    }

    proptest! {
        /// Whatever is sent, confirmed and lost: no confirmed beat gives more than its own sending plus `fence_after`,
        /// and after a lapse nothing is held any more.
        #[test]
        fn a_lapsed_lease_is_never_renewed(events in prop::collection::vec((0u8..3, 0u64..6, 0u64..30), 1..80)) {
            let (mut lease, mut now, mut lapsed) = (lease(), 0u64, false);
            let mut sent: BTreeMap<LetterId, u64> = BTreeMap::new();
            for (kind, letter, later) in events {
                now += later;
                match kind {
                    0 => {
                        sent.insert(letter, now);
                        lease.on_sent(letter, at(now));
                    }
                    1 => match lease.on_confirmed(letter, at(now)) {
                        Renewal::Until(until) => {
                            prop_assert!(!lapsed);
                            prop_assert_eq!(until, at(sent[&letter] + 45));
                        }
                        Renewal::Lapsed => lapsed = true,
                        Renewal::Nothing => {}
                    },
                    _ => lease.on_failed(letter),
                }
                lapsed |= lease.has_lapsed(at(now));
                prop_assert!(!(lapsed && lease.is_valid(at(now))));
            }
        }
    }
}
