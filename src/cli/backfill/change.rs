//! `updraft backfill pause`, `unpause` and `cancel`.

use std::io::Write;

use clap::Args;

use crate::domain::ids::BackfillId;
use crate::node::client::Client;
use crate::protocol::control::Control;

use super::super::error::CliError;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Change {
    /// The number of the backfill, as `updraft backfill list` shows it.
    #[arg(value_name = "BACKFILL_ID")]
    backfill: i64,
}

impl Change {
    pub async fn pause(self, session: &mut Session, paused: bool) -> Result<(), CliError> {
        let backfill = BackfillId(self.backfill);
        let client = session.client().await?;
        let changed = change(&client, session, Control::PauseBackfill { backfill, paused }).await?;
        let word = if paused { "paused" } else { "unpaused" };
        if !changed {
            session.say(format_args!("backfill {backfill} was {word} already"));
        }
        Ok(writeln!(session.out, "Backfill {backfill} {word}")?)
    }

    pub async fn cancel(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.client().await?;
        cancel(&client, session, BackfillId(self.backfill)).await
    }
}

/// Ends a backfill, and says what goes on all the same.
pub async fn cancel(client: &Client, session: &mut Session, backfill: BackfillId) -> Result<(), CliError> {
    change(client, session, Control::CancelBackfill { backfill }).await?;
    writeln!(session.out, "Backfill {backfill} cancelled")?;
    let running = client.store.backfill(backfill).await?.map_or(0, |entry| entry.unfinished());
    if running > 0 {
        session.say(format_args!("{running} of its runs are under way and go on"));
    }
    Ok(())
}

/// False when it was so already.
async fn change(client: &Client, session: &Session, control: Control) -> Result<bool, CliError> {
    Ok(client.control(&control, session.user()).await?.backfill_changed()?)
}
