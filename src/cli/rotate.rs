//! `updraft rotate-fernet-key`

use super::error::CliError;
use super::session::Session;

/// Says how much was done; nothing is changed when one value cannot be read.
pub async fn run(session: &mut Session) -> Result<(), CliError> {
    let rotated = session.vault().await?.rotate().await?;
    session.say(format_args!(
        "{} variables and {} connections are encrypted with the first key now; the others may go",
        rotated.variables, rotated.connections
    ));
    Ok(())
}
