//! How a command fails: one error type, and the one table of exit codes. What is said is `error: …`, then `hint: …`.

use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::domain::problem::Problem;
use crate::node::client::ClientError;
use crate::node::run::NodeError;
use crate::protocol::answered::Unanswered;
use crate::protocol::control::Refused;
use crate::store::{StoreError, VaultError};

/// The exit codes of the program.
///
/// | code | meaning |
/// | ---- | ------- |
/// | 0 | done; also when the reader of the output went away |
/// | 1 | it was tried and failed, or was refused |
/// | 2 | the command line makes no sense |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nobody is wrong when the reader has gone (`… | head -1`).
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    #[error("{message}")]
    Failed { message: String, hint: Option<String> },
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error(transparent)]
    Store(Box<StoreError>),
    #[error(transparent)]
    Vault(Box<VaultError>),
    #[error(transparent)]
    Client(Box<ClientError>),
    #[error(transparent)]
    Node(Box<NodeError>),
    #[error(transparent)]
    Refused(Box<Refused>),
}

/// Boxed where it is large: every command returns this type.
impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Client(error) => error.into(),
            error => Self::Node(Box::new(error)),
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        Self::Client(Box::new(error))
    }
}

impl From<Refused> for CliError {
    fn from(why: Refused) -> Self {
        Self::Refused(Box::new(why))
    }
}

impl From<Unanswered> for CliError {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Refused(why) => why.into(),
            other @ Unanswered::OtherKind => Self::failed(other.to_string())
                .hint("it is another version of the program: restart it with this one".to_owned()),
        }
    }
}

impl From<VaultError> for CliError {
    fn from(error: VaultError) -> Self {
        Self::Vault(Box::new(error))
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl CliError {
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: None }
    }

    /// Adds what the reader may do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<Option<String>>) -> Self {
        let hint = hint.into();
        match self {
            Self::Usage { message, .. } => Self::Usage { message, hint },
            other => Self::Failed { message: other.to_string(), hint },
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Usage { .. } => Exit::Usage,
            Self::Output(_)
            | Self::Failed { .. }
            | Self::Configuration(_)
            | Self::Store(_)
            | Self::Vault(_)
            | Self::Client(_)
            | Self::Node(_)
            | Self::Refused(_) => Exit::Failed,
        }
    }

    /// Each message with its hint, in the order in which they are to be read.
    pub fn messages(&self) -> Vec<(String, Option<String>)> {
        let of_problem = |problem: &Problem| (format!("{}: {}", problem.place, problem.message), problem.hint.clone());
        let plain = || vec![(self.to_string(), None)];
        match self {
            Self::Usage { message, hint } | Self::Failed { message, hint } => vec![(message.clone(), hint.clone())],
            Self::Configuration(error) => error.problems.iter().map(of_problem).collect(),
            Self::Node(error) => match &**error {
                NodeError::Configuration(problem) => vec![of_problem(problem)],
                NodeError::Lock(_)
                | NodeError::Store(_)
                | NodeError::Client(_)
                | NodeError::Worker(_)
                | NodeError::WorkerVanished
                | NodeError::SchedulerVanished
                | NodeError::Broker(_)
                | NodeError::Deposed { .. }
                | NodeError::PidFile(_)
                | NodeError::Listen { .. }
                | NodeError::System { .. } => plain(),
            },
            Self::Client(error) => match &**error {
                ClientError::Configuration(problem) => vec![of_problem(problem)],
                ClientError::Store(_) | ClientError::Lock(_) | ClientError::Key(_) | ClientError::NoAnswer { .. } => {
                    plain()
                }
            },
            Self::Refused(why) => match &**why {
                Refused::DagNotFound { dag, hint } => vec![no_such_dag(dag.as_str(), hint.clone())],
                Refused::PoolNotFound { pool, hint } => {
                    vec![(format!("Pool {pool} does not exist"), hint.clone())]
                }
                Refused::TaskNotFound { dag, task, hint } => {
                    vec![(format!("DAG `{dag}` has no task `{task}`"), hint.clone())]
                }
                Refused::RunNotFound { .. }
                | Refused::RunExists { .. }
                | Refused::LogicalDateTaken { .. }
                | Refused::DefaultPool { .. }
                | Refused::BackfillNotFound { .. }
                | Refused::BackfillActive { .. }
                | Refused::BackfillOver { .. }
                | Refused::RunNotOver { .. }
                | Refused::TaskRuns { .. }
                | Refused::WorkerNotFound { .. }
                | Refused::Invalid { .. } => plain(),
            },
            Self::Output(_) | Self::Store(_) | Self::Vault(_) => plain(),
        }
    }
}

/// The one way to say it, whoever noticed; without a better idea the hint names the list.
pub fn no_such_dag(dag: &str, hint: Option<String>) -> (String, Option<String>) {
    let hint = hint.unwrap_or_else(|| {
        "`updraft dags list` shows all DAGs, `updraft dags list-import-errors` files with mistakes".to_owned()
    });
    (format!("no DAG is named `{dag}`"), Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DagId;

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is() {
        let broken = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let full = CliError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!((broken.exit(), full.exit()), (Exit::Done, Exit::Failed));
        assert_eq!(CliError::usage("x").hint("y".to_owned()).exit(), Exit::Usage);
    }

    #[test]
    fn an_unknown_dag_reads_the_same_whoever_noticed_and_always_has_a_hint() {
        let dag = DagId::new("helo").unwrap();
        let said = |hint: Option<&str>| {
            CliError::from(Refused::DagNotFound { dag: dag.clone(), hint: hint.map(str::to_owned) }).messages()
        };
        let with = said(Some("did you mean `hello`?"));
        assert_eq!(with, [("no DAG is named `helo`".to_owned(), Some("did you mean `hello`?".to_owned()))]);
        assert!(said(None)[0].1.as_ref().unwrap().contains("dags list"));
    }
}
