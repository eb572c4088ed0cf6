//! Durable commands of other processes: rows in the store become inputs of the core.

use std::collections::{HashSet, VecDeque};

use actix::prelude::*;

use crate::domain::ids::CommandId;
use crate::store::{PendingCommand, StoreError};

use super::super::core::{History, Input, Ticket};
use super::{RETRY_LONGEST, Scheduler};

impl Scheduler {
    /// Durable commands of other processes become inputs.
    pub(super) fn read_commands(&mut self, ctx: &mut Context<Self>) {
        let store = self.store.clone();
        let read = async move { store.pending_commands().await };
        let then = |pending: Result<Vec<PendingCommand>, StoreError>, this: &mut Self, ctx: &mut Context<Self>| {
            match pending {
                Ok(commands) => {
                    for command in commands {
                        this.on_command(command, ctx);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "commands cannot be read yet");
                    ctx.run_later(RETRY_LONGEST, |this, ctx| {
                        this.commands_waiting = true;
                        this.go_on(ctx);
                    });
                }
            }
        };
        ctx.spawn(read.into_actor(self).map(then));
    }

    /// Once: a list that was read before the commit of a command still names it.
    fn on_command(&mut self, command: PendingCommand, ctx: &mut Context<Self>) {
        if !self.commands.is_new(command.id) {
            return;
        }
        let ticket = Ticket::Command(command.id);
        let input = match command.control {
            Ok(control) => Input::Control { ticket, control, history: History::default() },
            Err(why) => Input::Unreadable { ticket, why },
        };
        self.gather(input, ctx);
    }
}

/// The commands that this reign has taken up, the newest of them.
#[derive(Debug, Default)]
pub(super) struct TakenUp {
    known: HashSet<CommandId>,
    order: VecDeque<CommandId>,
}

impl TakenUp {
    /// A list is never so old that it names a command before so many others.
    const REMEMBERED: usize = 10_000;

    fn is_new(&mut self, id: CommandId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > Self::REMEMBERED {
            self.order.pop_front().map(|oldest| self.known.remove(&oldest));
        }
        true
    }

    /// It could not be carried out, and is still there.
    pub(super) fn give_back(&mut self, id: CommandId) {
        self.known.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_up_once_until_it_is_given_back() {
        let mut taken = TakenUp::default();
        assert!(taken.is_new(CommandId(7)) && taken.is_new(CommandId(8)));
        assert!(!taken.is_new(CommandId(7)));
        taken.give_back(CommandId(7));
        assert!(taken.is_new(CommandId(7)) && !taken.is_new(CommandId(7)));
    }
}
