//! Instants and durations. Nothing here asks what time it is.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// An instant, in UTC, to the microsecond (what every database of ours keeps).
pub type Time = DateTime<Utc>;

/// Cuts an instant to the microsecond, so that memory and store agree to the bit.
pub fn to_micros(time: Time) -> Time {
    DateTime::from_timestamp_micros(time.timestamp_micros()).expect("an instant that exists can be cut")
}

/// `time + duration`, held at the end of time instead of overflowing.
pub fn after(time: Time, duration: Duration) -> Time {
    chrono::Duration::from_std(duration)
        .ok()
        .and_then(|d| time.checked_add_signed(d))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// How long from `from` until `to`; zero when `to` has passed.
pub fn until(from: Time, to: Time) -> Duration {
    (to - from).to_std().unwrap_or(Duration::ZERO)
}

/// Durations as seconds in serialized form, as Airflow's users write them.
pub mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        duration.as_secs_f64().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| D::Error::custom(format!("expected a duration of zero or more seconds, got: {seconds}")))
    }

    /// The same for a duration that may be absent.
    pub mod option {
        use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.map(|d| d.as_secs_f64()).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            #[derive(Deserialize)]
            struct Seconds(#[serde(with = "super")] Duration);
            Ok(Option::<Seconds>::deserialize(deserializer)?.map(|s| s.0))
        }
    }
}
