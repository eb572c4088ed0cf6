//! Standing by: waits until nobody leads. One cheap query each time, and only the database's clock judges the leader.

use std::time::Duration;

use crate::domain::ids::Epoch;
use crate::store::Store;

/// How a leader is judged.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimes {
    /// How often a leader says that it lives, and how often it is looked at.
    pub renew: Duration,
    /// How long its word lasts.
    pub ttl: Duration,
}

impl LeaseTimes {
    /// When to look again at a leader of this age; `None`: its lease is over.
    fn look_again_in(self, age: Duration) -> Option<Duration> {
        /// The clock that judges is another machine's: better a little late than once more for nothing.
        const SLACK: Duration = Duration::from_millis(20);
        let rest = self.ttl.checked_sub(age).filter(|rest| !rest.is_zero())?;
        Some((rest + SLACK).min(self.renew))
    }
}

/// Waits until there is no leader, and names the epoch to be followed.
pub async fn until_nobody_leads(store: &Store, times: LeaseTimes) -> Epoch {
    let (mut seen, mut is_silent) = (None, false);
    loop {
        let wait = match store.leader().await {
            Ok(leader) => {
                if std::mem::take(&mut is_silent) {
                    tracing::info!("the database answers again");
                }
                let Some(wait) = times.look_again_in(leader.age) else { return leader.epoch };
                if seen != Some(leader.epoch) {
                    tracing::info!(leader = %leader.holder, epoch = leader.epoch.0, "standing by");
                    seen = Some(leader.epoch);
                }
                wait
            }
            Err(error) => {
                if !std::mem::replace(&mut is_silent, true) {
                    tracing::warn!(%error, "standing by, but the database does not answer");
                }
                times.renew
            }
        };
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_followed_as_soon_as_its_lease_is_over() {
        let times = LeaseTimes { renew: Duration::from_secs(1), ttl: Duration::from_secs(3) };
        for (age, wait) in [
            (0, Some(1_000)),
            (1_500, Some(1_000)),
            (2_500, Some(520)),
            (2_999, Some(21)),
            (3_000, None),
            (u64::MAX, None),
        ] {
            assert_eq!(times.look_again_in(Duration::from_millis(age)), wait.map(Duration::from_millis), "{age}");
        }
    }
}
