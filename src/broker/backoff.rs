//! How long to wait before the broker is tried again.

use std::time::Duration;

/// The longest wait; N2 of the protocol counts on it.
pub const LONGEST: Duration = Duration::from_secs(3);
const FIRST: Duration = Duration::from_millis(100);

/// The wait before the round after `failed` rounds that failed. `jitter`, from 0 to 1, keeps a thousand workers from
/// coming back in the same instant.
pub(super) fn delay(failed: u32, jitter: f64) -> Duration {
    let Some(doublings) = failed.checked_sub(1) else { return Duration::ZERO };
    let full = FIRST.saturating_mul(1 << doublings.min(10)).min(LONGEST);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_later_ones_wait_longer_up_to_the_bound() {
        let waits: Vec<u128> = (0..8).map(|failed| delay(failed, 1.0).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3000, 3000]);
        assert_eq!(delay(u32::MAX, 1.0), LONGEST);
        assert_eq!(delay(2, 0.0), Duration::from_millis(100));
    }
}
