//! Limits. That Airflow writes "unlimited" as 0 is known here alone.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// How many of a thing may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum Limit {
    Unlimited,
    AtMost(NonZeroU32),
}

impl Limit {
    /// Airflow's spelling: 0 is unlimited.
    pub fn from_zero_unlimited(n: u32) -> Self {
        NonZeroU32::new(n).map_or(Self::Unlimited, Self::AtMost)
    }

    /// Whether one more may join `taken`.
    pub fn allows_one_more(self, taken: u32) -> bool {
        self.room(taken) > 0
    }

    /// How many more may join `taken`; a limit lowered below what is taken leaves no room.
    pub fn room(self, taken: u32) -> u32 {
        match self {
            Self::Unlimited => u32::MAX,
            Self::AtMost(n) => n.get().saturating_sub(taken),
        }
    }
}

impl From<u32> for Limit {
    fn from(n: u32) -> Self {
        Self::from_zero_unlimited(n)
    }
}

impl From<Limit> for u32 {
    fn from(limit: Limit) -> u32 {
        match limit {
            Limit::Unlimited => 0,
            Limit::AtMost(n) => n.get(),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.pad("unlimited"),
            Self::AtMost(n) => n.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_unlimited_and_a_lowered_limit_leaves_no_room() {
        assert_eq!(Limit::from(0), Limit::Unlimited);
        assert!(Limit::from(0).allows_one_more(u32::MAX - 1));
        assert_eq!(Limit::from(4).room(6), 0);
        assert_eq!(Limit::from(4).room(3), 1);
        assert_eq!(u32::from(Limit::from(7)), 7);
    }
}
