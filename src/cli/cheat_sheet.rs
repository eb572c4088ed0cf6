//! `updraft cheat-sheet`: the commands as the parser knows them, so that the sheet cannot be out of date.

use std::io::Write;

use clap::{Args, Command, CommandFactory};

use super::arguments::Output;
use super::error::CliError;
use super::output::{OutputFormat, Rows};
use super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct CheatSheet {
    #[command(flatten)]
    output: Output,
}

impl CheatSheet {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let mut program = super::Cli::command();
        // Usage lines have their full paths only then.
        program.build();
        let (groups, single): (Vec<&Command>, Vec<&Command>) =
            program.get_subcommands().filter(|command| !command.is_hide_set()).partition(|c| c.has_subcommands());
        match self.output.format {
            OutputFormat::Table => {
                write_block(session, "Miscellaneous commands", &single)?;
                for group in groups {
                    let commands: Vec<&Command> = group.get_subcommands().collect();
                    write_block(session, &about(group), &commands)?;
                }
                Ok(())
            }
            format @ (OutputFormat::Json | OutputFormat::Yaml | OutputFormat::Plain) => {
                let mut rows = Rows::new(["command", "help"]);
                for command in single.into_iter().chain(groups.into_iter().flat_map(Command::get_subcommands)) {
                    rows.push([invocation(command).into(), about(command).into()]);
                }
                Ok(rows.write(format, &mut session.out)?)
            }
        }
    }
}

fn write_block(session: &mut Session, title: &str, commands: &[&Command]) -> Result<(), CliError> {
    writeln!(session.out, "{title}")?;
    let mut rows = Rows::new(["command", "help"]);
    for command in commands {
        rows.push([invocation(command).into(), about(command).into()]);
    }
    Ok(rows.write(OutputFormat::Table, &mut session.out)?)
}

/// The command with the arguments that it must have.
fn invocation(command: &Command) -> String {
    let mut words = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    for argument in command.get_positionals() {
        let name = argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
        let required = argument.is_required_set();
        words.push_str(&if required { format!(" {name}") } else { format!(" [{name}]") });
    }
    words
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}
