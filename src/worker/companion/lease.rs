//! Until when the worker's processes may live (PROTOCOL W2, W4). Pure: the keeper asks, and does what follows.
//!
//! ```text
//!  Open                              in one process: as long as the worker
//!  Awaited ── renewed ──► Until(t) ── t has come ──► Over          over a broker
//!                          └─ renewed ─┘
//! ```

use crate::worker::boot_time::BootTime;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lease {
    /// There is none: as long as the socket is open.
    #[default]
    Open,
    /// The first one has not come: nothing may start, and there is nothing to end.
    Awaited,
    Until(BootTime),
    /// It has lapsed, at that time. It is never renewed (W4).
    Over(BootTime),
}

impl Lease {
    /// As it is now.
    pub fn at(self, now: BootTime) -> Self {
        match self {
            Self::Until(until) if now >= until => Self::Over(until),
            Self::Open | Self::Awaited | Self::Until(_) | Self::Over(_) => self,
        }
    }

    /// A renewal came. Several threads take them, so an earlier one may come later.
    pub fn renewed(self, until: BootTime, now: BootTime) -> Self {
        match self.at(now) {
            Self::Awaited => Self::Until(until).at(now),
            Self::Until(before) => Self::Until(before.max(until)),
            Self::Open | Self::Over(_) => self.at(now),
        }
    }

    pub fn may_start(self, now: BootTime) -> bool {
        match self.at(now) {
            Self::Open | Self::Until(_) => true,
            Self::Awaited | Self::Over(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn t(seconds: u64) -> BootTime {
        BootTime::after_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn every_lease_at_every_time() {
        use Lease::{Awaited, Open, Over, Until};
        for (lease, now, then, may_start) in [
            (Open, 100, Open, true),
            (Awaited, 100, Awaited, false),
            (Until(t(10)), 9, Until(t(10)), true),
            // At the instant itself it is over: the leader may count on it.
            (Until(t(10)), 10, Over(t(10)), false),
            (Until(t(10)), 11, Over(t(10)), false),
            (Over(t(10)), 5, Over(t(10)), false),
        ] {
            assert_eq!((lease.at(t(now)), lease.may_start(t(now))), (then, may_start), "{lease:?} at {now}");
        }
    }

    #[test]
    fn a_renewal_prolongs_what_lives_and_never_what_has_lapsed() {
        use Lease::{Awaited, Open, Over, Until};
        for (lease, until, now, then) in [
            (Open, 50, 1, Open),
            (Awaited, 50, 1, Until(t(50))),
            (Awaited, 50, 60, Over(t(50))),
            (Until(t(10)), 50, 9, Until(t(50))),
            (Until(t(50)), 10, 9, Until(t(50))),
            (Until(t(10)), 50, 10, Over(t(10))),
            (Over(t(10)), 50, 11, Over(t(10))),
        ] {
            assert_eq!(lease.renewed(t(until), t(now)), then, "{lease:?} renewed until {until} at {now}");
        }
    }
}
