//! The command line: one file per command group. Data goes to stdout, talk goes to stderr.
//!
//! ```text
//!  arguments ─► Cli (clap) ─► Session (environment, streams) ─► command ─► exit code (error.rs)
//!                                  └─ config, store, scheduler: each only for commands that need it
//! ```
//!
//! Nothing here decides what happens to a run: wishes go to the scheduler as controls.

mod arguments;
mod assets;
mod backfill;
mod celery;
mod cheat_sheet;
mod completion;
pub mod config;
mod connections;
mod dags;
mod db;
pub mod error;
mod foreign;
mod info;
mod jobs;
mod lookup;
mod node;
mod notifications;
pub mod output;
mod pools;
mod progress;
mod rotate;
mod secret_prompt;
mod services;
mod session;
mod simulate;
mod tail;
mod tasks;
mod users;
mod variables;
mod webserver;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use error::{CliError, Exit};
use session::Session;

/// As `Cargo.toml` has it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A workflow orchestrator that does Apache Airflow's job as one fast program.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "updraft",
    version = VERSION,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:
  updraft standalone                  # everything in one process, in this folder
  updraft dags list                   # what there is
  updraft dags trigger parallel_dag   # run it
  updraft cheat-sheet                 # all commands on one screen"
)]
struct Cli {
    /// Say more, on stderr.
    #[arg(short = 'v', long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Run everything that a person needs to begin, in one process.
    #[command(
        after_help = "Examples:\n  updraft standalone\n  updraft standalone --dags-folder ~/flows --port 9090\n  updraft standalone --executor SequentialExecutor"
    )]
    Standalone(node::Standalone),
    /// Run the scheduler, and nothing to look at: with a worker of its own, or (CeleryExecutor) for workers elsewhere.
    #[command(
        after_help = "Examples:\n  updraft scheduler --parallelism 8\n  updraft scheduler --executor CeleryExecutor     # a second one, in a home of its own, stands by"
    )]
    Scheduler(node::Scheduler),
    /// Serve the pages and the API from a process of its own, over the same database: Airflow 2's name.
    #[command(after_help = "Example:\n  updraft webserver -p 8080")]
    Webserver(webserver::Webserver),
    /// Serve the pages and the API from a process of its own, over the same database: Airflow 3's name.
    #[command(after_help = "Example:\n  updraft api-server -p 8080")]
    ApiServer(webserver::Webserver),
    /// Do nothing until asked to stop: the scheduler reads DAG files itself. For unit files of Airflow.
    #[command(after_help = "Example:\n  updraft dag-processor")]
    DagProcessor(services::DagProcessor),
    /// Do nothing until asked to stop: the scheduler waits for triggers itself. For unit files of Airflow.
    #[command(after_help = "Example:\n  updraft triggerer")]
    Triggerer(services::Triggerer),
    /// Take tasks from the broker and run them here: the name that Airflow 1.10 had for `celery worker`.
    #[command(after_help = "Example:\n  updraft worker -q etl -c 8")]
    Worker(celery::Worker),
    Celery(celery::CeleryCommand),
    Dags(dags::DagsCommand),
    Tasks(tasks::TasksCommand),
    #[command(visible_alias = "datasets")]
    Assets(assets::AssetsCommand),
    Backfill(backfill::BackfillCommand),
    Jobs(jobs::JobsCommand),
    Pools(pools::PoolsCommand),
    Notifications(notifications::NotificationsCommand),
    Variables(variables::VariablesCommand),
    Connections(connections::ConnectionsCommand),
    Users(users::UsersCommand),
    Roles(users::RolesCommand),
    Db(db::DbCommand),
    /// Encrypt all variables and connections anew, with the first of the keys.
    #[command(
        after_help = "Example:\n  updraft rotate-fernet-key     # after a new key was put before the old one, with a comma, in fernet_key"
    )]
    RotateFernetKey,
    Config(config::ConfigCommand),
    /// Show what would happen in the next days: runs, queues, missed deadlines and busy slots, within seconds.
    #[command(
        after_help = "Examples:\n  updraft simulate etl reports --days 30 --slots 4 --fail 2%\n  updraft simulate --all --from 2026-01-01 --pool etl=4 --svg january.svg\n  updraft simulate on_demand --runs 10 --duration 30s --duration load=5m -o json"
    )]
    Simulate(simulate::Simulate),
    /// Print the version.
    #[command(after_help = "Example:\n  updraft version")]
    Version,
    /// Show what this installation works with: files, database, interpreters.
    #[command(after_help = "Examples:\n  updraft info\n  updraft info --anonymize     # to be shown to others")]
    Info(info::Info),
    /// List all commands on one screen.
    #[command(after_help = "Example:\n  updraft cheat-sheet")]
    CheatSheet(cheat_sheet::CheatSheet),
    /// Print the script that completes commands in a shell.
    #[command(
        after_help = "Examples:\n  updraft completion bash > ~/.local/share/bash-completion/completions/updraft\n  updraft completion zsh > ~/.zfunc/_updraft\n  updraft completion fish > ~/.config/fish/completions/updraft.fish"
    )]
    Completion(completion::Completion),
}

/// Does what the arguments say; the first one is the program's name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    let mut session = match Session::new(cli.verbose) {
        Ok(session) => session,
        Err(error) => {
            // Nobody is left to tell when this fails too.
            let _ = writeln!(io::stderr(), "error: {error}");
            return error.exit().into();
        }
    };
    let done = cli.command.run(&mut session).and_then(|()| Ok(session.out.flush()?));
    match done {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            let exit = error.exit();
            if exit != Exit::Done {
                // What was written before the failure belongs to the answer; a second failure adds nothing.
                let _ = session.out.flush();
                session.fail(&error);
            }
            exit.into()
        }
    }
}

/// Help and version are answers, everything else is a usage error.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    // Whoever does not read it cannot be told so.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
        ErrorKind::InvalidSubcommand => {
            if let Some(hint) = foreign::hint(arguments) {
                let _ = writeln!(io::stderr(), "hint: {hint}");
            }
            Exit::Usage.into()
        }
        _ => Exit::Usage.into(),
    }
}

impl Command {
    fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self {
            Self::Standalone(standalone) => standalone.run(session),
            Self::Scheduler(scheduler) => scheduler.run(session),
            Self::Webserver(server) | Self::ApiServer(server) => server.run(session),
            Self::DagProcessor(service) => service.run(session),
            Self::Triggerer(service) => service.run(session),
            Self::Worker(worker) => worker.run(session),
            Self::Celery(celery) => celery.run(session),
            Self::Dags(dags) => block_on(dags.run(session)),
            Self::Tasks(tasks) => block_on(tasks.run(session)),
            Self::Assets(assets) => block_on(assets.run(session)),
            Self::Backfill(backfill) => block_on(backfill.run(session)),
            Self::Jobs(jobs) => block_on(jobs.run(session)),
            Self::Pools(pools) => block_on(pools.run(session)),
            Self::Notifications(notifications) => block_on(notifications.run(session)),
            Self::Variables(variables) => block_on(variables.run(session)),
            Self::Connections(connections) => block_on(connections.run(session)),
            Self::Users(users) => block_on(users.run(session)),
            Self::Roles(roles) => roles.run(session),
            Self::Db(db) => block_on(db.run(session)),
            Self::Simulate(simulate) => block_on(simulate.run(session)),
            Self::RotateFernetKey => block_on(rotate::run(session)),
            Self::Config(command) => {
                let config = session.config()?;
                Ok(command.run(&config, &mut session.out, &mut io::stderr())?)
            }
            Self::Version => Ok(writeln!(session.out, "{VERSION}")?),
            Self::Info(info) => info.run(session),
            Self::CheatSheet(sheet) => sheet.run(session),
            Self::Completion(completion) => completion.run(session),
        }
    }
}

/// A runtime is started only here, so that commands without a database start in no time.
/// It is actix's, because a test run starts a whole node.
fn block_on(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    actix::System::new().block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed_and_each_has_an_example() {
        Cli::command().debug_assert();
        fn visit(command: &clap::Command, path: &str, seen: &mut usize) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_about().is_some(), "`{path}` has no help");
                if sub.has_subcommands() {
                    visit(sub, &path, seen);
                } else {
                    let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                    assert!(help.starts_with("Example"), "`{path}` has no example");
                    assert!(help.contains(&path), "the example of `{path}` shows another command");
                    *seen += 1;
                }
            }
        }
        let mut seen = 0;
        visit(&Cli::command(), "updraft", &mut seen);
        assert!(seen >= 27, "{seen}");
    }
}
