//! Leading for a moment: one process without a node carries out what waits, and is gone.
//!
//! The same core and the same guarded commits as a node's; but nothing is planned
//! and nobody is there to be sent anything.

use chrono::Utc;

use crate::domain::ids::Epoch;
use crate::store::{CommitError, Store, StoreError, Writer};

use super::core::{Core, Input, Settings, Ticket, split};
use super::load::{fresh_ids, load};
use super::lookup;

/// A short reign.
pub struct Interlude {
    store: Store,
    writer: Writer,
    epoch: Epoch,
    core: Core,
}

impl Interlude {
    pub async fn begin(store: &Store, settings: Settings, holder: &str) -> Result<Self, StoreError> {
        let mut writer = store.writer();
        let epoch = writer.take_leadership(holder).await?;
        let mut core = Core::restore(settings, epoch, fresh_ids(), load(store).await?);
        core.only_for_a_moment();
        Ok(Self { store: store.clone(), writer, epoch, core })
    }

    /// Lets the core react and commits what it says.
    pub async fn apply(&mut self, input: Input) -> Result<(), StoreError> {
        let (writes, _) = split(self.core.apply(Utc::now(), input));
        let committed = self.writer.commit(self.epoch, writes).await;
        committed.map_err(|error| error.for_giving_up(self.store.describe()))
    }

    /// Every command that waits is answered.
    pub async fn carry_out_commands(&mut self) -> Result<(), StoreError> {
        for command in self.store.pending_commands().await? {
            let ticket = Ticket::Command(command.id);
            let input = match command.control {
                Ok(control) => {
                    let history = lookup::history(&self.store, &control).await?;
                    Input::Control { ticket, control, history }
                }
                Err(why) => Input::Unreadable { ticket, why },
            };
            self.apply(input).await?;
        }
        Ok(())
    }

    /// Leaves at once, so that nobody waits for a lease that nobody renews.
    pub async fn end(mut self) -> Result<(), StoreError> {
        match self.writer.resign_leadership(self.epoch).await {
            // Whoever took over meanwhile holds a lease of its own.
            Ok(()) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.for_giving_up(self.store.describe())),
        }
    }
}
