//! The executors, as data: Airflow's names and how many slots they mean.

use std::fmt;
use std::str::FromStr;

use crate::domain::limit::Limit;

/// `[core] executor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorKind {
    /// One task at a time.
    Sequential,
    /// Workers in this process.
    Local,
    /// Workers anywhere, over a message broker.
    Celery,
}

impl ExecutorKind {
    pub const ALL: [Self; 3] = [Self::Sequential, Self::Local, Self::Celery];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "SequentialExecutor",
            Self::Local => "LocalExecutor",
            Self::Celery => "CeleryExecutor",
        }
    }

    /// The slots of the worker in this process; `None` when there is none here.
    pub fn local_slots(self, parallelism: Limit) -> Option<Limit> {
        match self {
            Self::Sequential => Some(Limit::from_zero_unlimited(1)),
            Self::Local => Some(parallelism),
            Self::Celery => None,
        }
    }
}

impl fmt::Display for ExecutorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no executor's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown executor `{got}` (known: SequentialExecutor, LocalExecutor, CeleryExecutor){}",
    near.map(|kind| format!("; did you mean `{kind}`?")).unwrap_or_default()
)]
pub struct UnknownExecutor {
    got: String,
    near: Option<ExecutorKind>,
}

impl FromStr for ExecutorKind {
    type Err = UnknownExecutor;

    /// Airflow's names, with or without `Executor`, or as the path of its class. Letters of any case.
    fn from_str(name: &str) -> Result<Self, UnknownExecutor> {
        let last = name.trim().rsplit('.').next().unwrap_or_default();
        let plain = |text: &str| text.to_ascii_lowercase().trim_end_matches("executor").to_owned();
        let wanted = plain(last);
        if wanted == "rabbitmq" {
            return Ok(Self::Celery);
        }
        if let Some(kind) = Self::ALL.into_iter().find(|kind| plain(kind.as_str()) == wanted) {
            return Ok(kind);
        }
        let nearest =
            Self::ALL.into_iter().map(|kind| (strsim::damerau_levenshtein(&plain(kind.as_str()), &wanted), kind));
        let near =
            nearest.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= 3).map(|(_, kind)| kind);
        Err(UnknownExecutor { got: name.to_owned(), near })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_is_known_by_all_its_names() {
        for kind in ExecutorKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("airflow.executors.local_executor.LocalExecutor".parse(), Ok(ExecutorKind::Local));
        assert_eq!("sequential".parse(), Ok(ExecutorKind::Sequential));
        assert_eq!("RabbitMQExecutor".parse(), Ok(ExecutorKind::Celery));
    }

    #[test]
    fn a_misspelt_executor_is_named_with_what_was_meant() {
        let error = "Celry".parse::<ExecutorKind>().expect_err("misspelt").to_string();
        assert_eq!(
            error,
            "unknown executor `Celry` (known: SequentialExecutor, LocalExecutor, CeleryExecutor); did you mean `CeleryExecutor`?"
        );
        let error = "Kubernetes".parse::<ExecutorKind>().expect_err("unknown").to_string();
        assert!(error.ends_with("CeleryExecutor)"), "{error}");
    }

    #[test]
    fn slots_follow_from_the_kind_and_parallelism() {
        let four = Limit::from_zero_unlimited(4);
        assert_eq!(ExecutorKind::Sequential.local_slots(four), Some(Limit::from_zero_unlimited(1)));
        assert_eq!(ExecutorKind::Local.local_slots(four), Some(four));
        assert_eq!(ExecutorKind::Local.local_slots(Limit::Unlimited), Some(Limit::Unlimited));
        assert_eq!(ExecutorKind::Celery.local_slots(four), None);
    }
}
