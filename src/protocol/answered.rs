//! Reading a [`Reply`]: whoever wished for something expects one kind of answer, or a refusal. Which answers belong to
//! which wish is said here alone.

use super::control::{BackfillCreated, Refused, Reply, TouchedTask, Triggered};
use super::explanation::{DagExplanation, Explanation};
use crate::domain::ids::{DagId, RunKey};

/// Why there is no answer of the kind that was expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unanswered {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The node that answered means something else by the wish: it is another version of the program.
    #[error("the scheduler answered something else")]
    OtherKind,
}

impl Reply {
    pub fn triggered(self) -> Result<Triggered, Unanswered> {
        let Self::Triggered(run) = self else { return Err(self.unwanted()) };
        Ok(run)
    }

    /// The DAG, and whether it is paused now.
    pub fn paused(self) -> Result<(DagId, bool), Unanswered> {
        let Self::Paused { dag, paused, changed: _ } = self else { return Err(self.unwanted()) };
        Ok((dag, paused))
    }

    pub fn pool_set(self) -> Result<(), Unanswered> {
        let Self::PoolSet { pool: _ } = self else { return Err(self.unwanted()) };
        Ok(())
    }

    pub fn pool_deleted(self) -> Result<(), Unanswered> {
        let Self::PoolDeleted { pool: _ } = self else { return Err(self.unwanted()) };
        Ok(())
    }

    pub fn touched(self) -> Result<Vec<TouchedTask>, Unanswered> {
        let Self::Touched { tasks, dry_run: _ } = self else { return Err(self.unwanted()) };
        Ok(tasks)
    }

    pub fn backfill_created(self) -> Result<BackfillCreated, Unanswered> {
        let Self::BackfillCreated(created) = self else { return Err(self.unwanted()) };
        Ok(created)
    }

    /// False when the backfill was so already.
    pub fn backfill_changed(self) -> Result<bool, Unanswered> {
        let Self::BackfillChanged { changed, .. } = self else { return Err(self.unwanted()) };
        Ok(changed)
    }

    pub fn dag_deleted(self) -> Result<(), Unanswered> {
        let Self::DagDeleted { dag: _ } = self else { return Err(self.unwanted()) };
        Ok(())
    }

    pub fn explained(self) -> Result<Explanation, Unanswered> {
        let Self::Explained { explanation } = self else { return Err(self.unwanted()) };
        Ok(*explanation)
    }

    pub fn dag_explained(self) -> Result<DagExplanation, Unanswered> {
        let Self::DagExplained { explanation } = self else { return Err(self.unwanted()) };
        Ok(*explanation)
    }

    /// How many runs went, and the one to go on after.
    pub fn cleaned(self) -> Result<(u32, Option<RunKey>), Unanswered> {
        let Self::Cleaned { runs, last } = self else { return Err(self.unwanted()) };
        Ok((runs, last))
    }

    /// The workers that were told.
    pub fn workers_ordered(self) -> Result<Vec<String>, Unanswered> {
        let Self::WorkersOrdered { workers } = self else { return Err(self.unwanted()) };
        Ok(workers)
    }

    fn unwanted(self) -> Unanswered {
        match self {
            Self::Refused { why } => Unanswered::Refused(why),
            Self::Triggered(_)
            | Self::Paused { .. }
            | Self::PoolSet { .. }
            | Self::PoolDeleted { .. }
            | Self::Touched { .. }
            | Self::RunMarked { .. }
            | Self::BackfillCreated(_)
            | Self::BackfillChanged { .. }
            | Self::DagDeleted { .. }
            | Self::RunNoted { .. }
            | Self::RunDeleted { .. }
            | Self::Explained { .. }
            | Self::DagExplained { .. }
            | Self::WorkersOrdered { .. }
            | Self::Cleaned { .. } => Unanswered::OtherKind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_was_asked_for_or_the_refusal_or_a_mistake_of_the_program() {
        let dag = DagId::new("etl").expect("an id");
        let paused = Reply::Paused { dag: dag.clone(), paused: true, changed: false };
        assert_eq!(paused.clone().paused(), Ok((dag.clone(), true)));
        assert_eq!(paused.touched(), Err(Unanswered::OtherKind));
        let why = Refused::DagNotFound { dag, hint: None };
        assert_eq!(Reply::Refused { why: why.clone() }.cleaned(), Err(Unanswered::Refused(why)));
    }
}
