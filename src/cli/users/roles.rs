//! `updraft roles list`: what there is to be. The roles are Airflow's, and fixed.

use clap::{Args, Subcommand};

use crate::auth::{Action, Resource, Role, may};

use super::super::arguments::Output;
use super::super::error::CliError;
use super::super::output::Rows;
use super::super::session::Session;

/// Show the roles that users may have.
#[derive(Clone, Debug, Args)]
pub struct RolesCommand {
    #[command(subcommand)]
    action: RolesAction,
}

#[derive(Clone, Debug, Subcommand)]
enum RolesAction {
    /// List all roles, and with --permission what they may do.
    #[command(after_help = "Examples:\n  updraft roles list\n  updraft roles list --permission")]
    List {
        /// What each may do.
        #[arg(short = 'p', long)]
        permission: bool,
        #[command(flatten)]
        output: Output,
    },
}

impl RolesCommand {
    pub fn run(&self, session: &mut Session) -> Result<(), CliError> {
        let RolesAction::List { permission, output } = &self.action;
        if !permission {
            let mut rows = Rows::new(["name"]);
            Role::ALL.into_iter().rev().for_each(|role| rows.push([role.as_str().into()]));
            return Ok(rows.write(output.format, &mut session.out)?);
        }
        let mut rows = Rows::new(["name", "resource", "action"]);
        for role in Role::ALL.into_iter().rev() {
            for resource in Resource::ALL {
                for action in Action::ALL.into_iter().filter(|action| may(role, *action, resource)) {
                    rows.push([role.as_str().into(), resource.as_str().into(), action.as_str().into()]);
                }
            }
        }
        Ok(rows.write(output.format, &mut session.out)?)
    }
}
