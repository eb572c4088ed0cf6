//! Lamport's clock, as Celery's nodes keep it: it orders what was said, and is no time.

/// Counts what this node says and never falls behind what it heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock(i64);

impl Clock {
    pub(super) fn now(self) -> i64 {
        self.0
    }

    /// Something is said.
    pub(super) fn forward(&mut self) -> i64 {
        self.0 = self.0.saturating_add(1);
        self.0
    }

    /// Something was heard. A stranger cannot drive it to its end: what is far beyond any count is not believed.
    pub(super) fn heard(&mut self, other: i64) {
        const BELIEVED: i64 = 1 << 53;
        if other < BELIEVED {
            self.0 = self.0.max(other);
        }
        self.forward();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_on_from_the_later_of_two() {
        let mut clock = Clock::default();
        assert_eq!((clock.forward(), clock.forward()), (1, 2));
        clock.heard(40);
        assert_eq!(clock.now(), 41);
        clock.heard(7);
        assert_eq!(clock.now(), 42);
        clock.heard(i64::MAX);
        assert_eq!((clock.now(), clock.forward()), (43, 44));
    }
}
