//! Durable commands of other processes: rows in the store become inputs of the core.

use actix::prelude::*;

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

    /// A command that is gathered already is not gathered twice.
    fn on_command(&mut self, command: PendingCommand, ctx: &mut Context<Self>) {
        let ticket = Ticket::Command(command.id);
        let known = self.gathered.iter().any(|input| matches!(input, Input::Control { ticket: t, .. } if *t == ticket));
        if known {
            return;
        }
        let input = match command.control {
            Ok(control) => Input::Control { ticket, control, history: History::default() },
            Err(why) => Input::Unreadable { ticket, why },
        };
        self.gather(input, ctx);
    }
}
