//! Which executor a configuration asks for, in all the spellings that Airflow ever took.
//! It starts nothing; `executor/` does.

use std::fmt;

use serde::Deserialize;

use super::limit::Limit;
use super::problem::did_you_mean;

/// `[core] executor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum ExecutorKind {
    /// One task at a time.
    Sequential,
    /// In parallel on this machine.
    Local,
    /// On workers behind a message broker.
    Celery,
}

/// What each word means, the words that people are told first.
const KNOWN: [(&str, ExecutorKind); 4] = [
    ("SequentialExecutor", ExecutorKind::Sequential),
    ("LocalExecutor", ExecutorKind::Local),
    ("CeleryExecutor", ExecutorKind::Celery),
    ("RabbitMQExecutor", ExecutorKind::Celery),
];

/// Executors that Airflow has and this program does not.
const UNSUPPORTED: [&str; 11] = [
    "KubernetesExecutor",
    "CeleryKubernetesExecutor",
    "LocalKubernetesExecutor",
    "DebugExecutor",
    "DaskExecutor",
    "MesosExecutor",
    "EdgeExecutor",
    "AwsBatchExecutor",
    "AwsEcsExecutor",
    "AwsLambdaExecutor",
    "InProcessExecutor",
];

/// Why a word names no executor that runs here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutorError {
    #[error("unknown executor `{got}` (known: SequentialExecutor, LocalExecutor, CeleryExecutor){}", hint(.meant))]
    Unknown { got: String, meant: Option<&'static str> },
    #[error(
        "`{got}` is an executor of Airflow that updraft does not have \
         (known: SequentialExecutor, LocalExecutor, CeleryExecutor)"
    )]
    Unsupported { got: String },
    #[error("one executor runs everything here, but `{got}` names several; keep one of them")]
    Several { got: String },
    #[error("the executor is empty (known: SequentialExecutor, LocalExecutor, CeleryExecutor)")]
    Empty,
}

fn hint(meant: &Option<&'static str>) -> String {
    meant.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

impl ExecutorKind {
    /// The slots of the worker in this process; `None` when there is none here.
    pub fn local_slots(self, parallelism: Limit) -> Option<Limit> {
        match self {
            Self::Sequential => Some(Limit::from_zero_unlimited(1)),
            Self::Local => Some(parallelism),
            Self::Celery => None,
        }
    }

    /// From `LocalExecutor`, `local`, or a class path such as `airflow.executors.local_executor.LocalExecutor`.
    ///
    /// # Errors
    /// When the word names no executor, one that is not here, or several.
    pub fn parse(text: &str) -> Result<Self, ExecutorError> {
        let text = text.trim();
        if text.contains([',', ';']) {
            return Err(ExecutorError::Several { got: text.to_owned() });
        }
        // `alias:Class` names the same executor twice; the class is what counts.
        let class = text.rsplit_once(':').map_or(text, |(_, class)| class);
        let word = class.rsplit_once('.').map_or(class, |(_, last)| last);
        if word.is_empty() {
            return Err(ExecutorError::Empty);
        }
        let same = |known: &str| {
            known.eq_ignore_ascii_case(word)
                || known.strip_suffix("Executor").is_some_and(|short| short.eq_ignore_ascii_case(word))
        };
        if let Some((_, kind)) = KNOWN.iter().find(|(known, _)| same(known)) {
            return Ok(*kind);
        }
        if UNSUPPORTED.iter().any(|known| same(known)) {
            return Err(ExecutorError::Unsupported { got: word.to_owned() });
        }
        // The ending that all of them share would hide how near the rest is.
        let short = word.strip_suffix("Executor").unwrap_or(word);
        let nearest = did_you_mean(short, KNOWN.iter().filter_map(|(known, _)| known.strip_suffix("Executor")));
        let meant = KNOWN.iter().map(|(known, _)| *known).find(|known| known.strip_suffix("Executor") == nearest);
        Err(ExecutorError::Unknown { got: word.to_owned(), meant })
    }

    /// Airflow's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "SequentialExecutor",
            Self::Local => "LocalExecutor",
            Self::Celery => "CeleryExecutor",
        }
    }
}

impl TryFrom<String> for ExecutorKind {
    type Error = ExecutorError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl fmt::Display for ExecutorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_executor_is_understood() {
        for (text, kind) in [
            ("SequentialExecutor", ExecutorKind::Sequential),
            ("LocalExecutor", ExecutorKind::Local),
            (" localexecutor ", ExecutorKind::Local),
            ("Local", ExecutorKind::Local),
            ("airflow.executors.local_executor.LocalExecutor", ExecutorKind::Local),
            ("CeleryExecutor", ExecutorKind::Celery),
            ("airflow.providers.celery.executors.celery_executor.CeleryExecutor", ExecutorKind::Celery),
            ("main:CeleryExecutor", ExecutorKind::Celery),
            ("RabbitMQExecutor", ExecutorKind::Celery),
        ] {
            assert_eq!(ExecutorKind::parse(text), Ok(kind), "{text}");
        }
    }

    #[test]
    fn what_is_no_executor_of_ours_is_answered_with_what_is() {
        for (text, message) in [
            (
                "Celry",
                "unknown executor `Celry` (known: SequentialExecutor, LocalExecutor, CeleryExecutor); \
                 did you mean `CeleryExecutor`?",
            ),
            ("zebra", "unknown executor `zebra` (known: SequentialExecutor, LocalExecutor, CeleryExecutor)"),
            (
                "KubernetesExecutor",
                "`KubernetesExecutor` is an executor of Airflow that updraft does not have \
                 (known: SequentialExecutor, LocalExecutor, CeleryExecutor)",
            ),
            (
                "LocalExecutor,CeleryExecutor",
                "one executor runs everything here, but `LocalExecutor,CeleryExecutor` names several; \
                 keep one of them",
            ),
            ("", "the executor is empty (known: SequentialExecutor, LocalExecutor, CeleryExecutor)"),
        ] {
            assert_eq!(ExecutorKind::parse(text).unwrap_err().to_string(), message);
        }
    }
}
