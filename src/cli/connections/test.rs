//! `updraft connections test`: whether the system of a connection can be reached.

use std::io::Write;

use crate::domain::ids::ConnectionId;
use crate::store::{Vault, try_connection};

use super::super::error::CliError;
use super::super::session::Session;

pub async fn run(session: &mut Session, vault: &Vault, id: &ConnectionId) -> Result<(), CliError> {
    let connection = super::existing(vault, id).await?;
    match try_connection(&connection).await {
        Ok(how) => {
            session.say(how);
            Ok(writeln!(session.out, "Connection success!")?)
        }
        Err(why) => Err(CliError::failed(format!("Connection failed! {why}"))),
    }
}
