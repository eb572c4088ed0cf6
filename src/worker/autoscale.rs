//! How many slots a worker has when nobody fixed the number (`--autoscale max,min`): more while the broker has work for
//! them, fewer when they have been idle for a while. Pure.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// So long must slots have been idle before they go: growing costs a channel each, so a short pause keeps them.
pub const IDLE: Duration = Duration::from_secs(30);

/// The bounds of the number of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autoscale {
    pub min: NonZeroU32,
    pub max: NonZeroU32,
}

/// Why a text is no pair of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected two numbers above zero, the greater first, such as 16,4, got: `{0}`")]
pub struct InvalidAutoscale(String);

impl FromStr for Autoscale {
    type Err = InvalidAutoscale;

    /// As Celery writes it: `max,min`.
    fn from_str(text: &str) -> Result<Self, InvalidAutoscale> {
        let bounds = || {
            let (max, min) = text.split_once(',')?;
            Some(Self { max: max.trim().parse().ok()?, min: min.trim().parse().ok()? })
        };
        bounds().filter(|bounds| bounds.min <= bounds.max).ok_or_else(|| InvalidAutoscale(text.to_owned()))
    }
}

/// How the slots are used at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub slots: u32,
    pub busy: u32,
    /// Messages in the worker's queues that nobody has taken.
    pub ready: u64,
    /// For how long not all slots have been busy.
    pub idle: Duration,
}

impl Autoscale {
    /// The number of slots that there should be.
    pub fn wanted(self, now: Use) -> u32 {
        let (min, max) = (self.min.get(), self.max.get());
        let wanted = if now.busy >= now.slots && now.ready > 0 {
            now.slots.saturating_add(u32::try_from(now.ready).unwrap_or(u32::MAX))
        } else if now.ready == 0 && now.idle >= IDLE {
            now.busy
        } else {
            now.slots
        };
        wanted.clamp(min, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_grow_with_the_work_that_waits_and_go_when_they_are_idle() {
        let autoscale: Autoscale = "8,2".parse().expect("bounds");
        let s = Duration::from_secs;
        for (what, slots, busy, ready, idle, expected) in [
            ("nothing to do at first", 2, 0, 0, s(0), 2),
            ("all are busy and nothing waits", 2, 2, 0, s(0), 2),
            ("all are busy and one waits", 2, 2, 1, s(0), 3),
            ("far more waits than may be", 2, 2, 1000, s(0), 8),
            ("some are free, so what waits will be taken", 4, 3, 9, s(60), 4),
            ("a short pause", 8, 1, 0, s(29), 8),
            ("a long pause keeps what is busy", 8, 3, 0, s(30), 3),
            ("never below the least", 8, 0, 0, s(300), 2),
            ("never above the most", 20, 20, 5, s(0), 8),
        ] {
            assert_eq!(autoscale.wanted(Use { slots, busy, ready, idle }), expected, "{what}");
        }
    }

    #[test]
    fn bounds_are_read_as_celery_writes_them() {
        assert!("16, 4".parse::<Autoscale>().is_ok());
        for wrong in ["4,16", "4", "0,0", "x,1", ""] {
            let error = wrong.parse::<Autoscale>().expect_err(wrong).to_string();
            assert!(error.contains("such as 16,4"), "{error}");
        }
    }
}
