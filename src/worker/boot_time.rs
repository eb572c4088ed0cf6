//! An instant of the clock by which leases are counted: CLOCK_BOOTTIME, which goes on while the machine sleeps.
//!
//! Worker and companion are on one machine and share it. It must never be compared with an instant of another machine,
//! nor with the wall clock, which people and time servers set.

use std::ops::Add;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Microseconds since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(u64);

impl BootTime {
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let part = |n: i64| u64::try_from(n).unwrap_or(0);
        Self(part(now.tv_sec) * 1_000_000 + part(now.tv_nsec) / 1_000)
    }

    /// So long after the machine started.
    pub fn after_boot(passed: Duration) -> Self {
        Self(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long ago `earlier` was; nothing, when it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, passes: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(passes.as_micros()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_and_is_counted_in_both_directions() {
        let now = BootTime::now();
        assert!(BootTime::now() >= now && now > BootTime::default());
        let later = now + Duration::from_millis(1500);
        assert_eq!((later.since(now), now.since(later)), (Duration::from_millis(1500), Duration::ZERO));
        assert_eq!(now + Duration::MAX, BootTime(u64::MAX), "a lease without end does not wrap around");
    }
}
