//! One run of the program: its environment, its configuration once it is needed, and its three standard streams.
//! Data goes to `out`; [`Session::say`] is talk. A stderr that nobody reads is no reason to fail.

use std::fmt;
use std::io::{self, BufRead, BufWriter, IsTerminal, StdoutLock, Write};
use std::rc::Rc;

use crate::config::{Config, Environment, Flag, load};
use crate::domain::problem::Problem;
use crate::node::client::Client;
use crate::store::Vault;
use crate::telemetry;

use super::error::CliError;

/// What a command works with.
pub struct Session {
    pub environment: Environment,
    pub out: BufWriter<StdoutLock<'static>>,
    pub verbose: bool,
    config: Option<Rc<Config>>,
}

impl Session {
    /// Reads nothing but the environment variables: many commands need no more.
    ///
    /// # Errors
    /// When the current folder is gone.
    pub fn new(verbose: bool) -> Result<Self, CliError> {
        let environment = Environment::from_process().map_err(|why| {
            CliError::failed(format!("the current folder cannot be used: {why}"))
                .hint("change to a folder that exists".to_owned())
        })?;
        Ok(Self { environment, out: BufWriter::new(io::stdout().lock()), verbose, config: None })
    }

    /// The configuration; its warnings are said when it is read, which happens once.
    pub fn config(&mut self) -> Result<Rc<Config>, CliError> {
        match &self.config {
            Some(config) => Ok(Rc::clone(config)),
            None => self.configure(&[]),
        }
    }

    /// The configuration with values from the command line.
    pub fn configure(&mut self, flags: &[Flag]) -> Result<Rc<Config>, CliError> {
        let loaded = load(&self.environment, flags)?;
        for warning in &loaded.warnings {
            self.warn(warning);
        }
        let config = Rc::new(loaded.config);
        self.config = Some(Rc::clone(&config));
        Ok(config)
    }

    /// The way to the store and to the scheduler, if one runs.
    pub async fn client(&mut self) -> Result<Client, CliError> {
        let config = self.config()?;
        telemetry::init(if self.verbose { "debug" } else { "warn" }, self.colours());
        Ok(Client::open(config.settings()).await?)
    }

    /// The same, with the store brought up to date with the DAGs folder.
    pub async fn client_with_dags(&mut self) -> Result<Client, CliError> {
        let client = self.client().await?;
        client.sync_dags().await?;
        Ok(client)
    }

    /// Variables and connections.
    pub async fn vault(&mut self) -> Result<Vault, CliError> {
        let client = self.client().await?;
        Ok(client.vault(&self.environment)?)
    }

    /// One line of talk. On a terminal it stands below the data that was written before it.
    pub fn say(&mut self, line: impl fmt::Display) {
        // What could not be written stays, and the last flush says so.
        let _ = self.out.flush();
        let _ = writeln!(io::stderr(), "{line}");
    }

    pub fn warn(&mut self, problem: &Problem) {
        let warning = self.word(YELLOW, "warning");
        self.say(format_args!("{warning}: {}: {}", problem.place, problem.message));
        self.hint(problem.hint.as_deref());
    }

    /// Says why a command failed.
    pub fn fail(&mut self, error: &CliError) {
        for (message, hint) in error.messages() {
            let word = self.word(RED, "error");
            self.say(format_args!("{word}: {message}"));
            self.hint(hint.as_deref());
        }
    }

    fn hint(&mut self, hint: Option<&str>) {
        if let Some(hint) = hint {
            let word = self.word(CYAN, "hint");
            self.say(format_args!("{word}: {hint}"));
        }
    }

    fn word(&self, colour: &str, word: &str) -> String {
        if self.colours() && io::stderr().is_terminal() {
            format!("\x1b[1;{colour}m{word}\x1b[0m")
        } else {
            word.into()
        }
    }

    /// <https://no-color.org>: set to anything but nothing.
    pub fn colours(&self) -> bool {
        self.environment.get("NO_COLOR").is_none_or(str::is_empty) && self.environment.get("TERM") != Some("dumb")
    }

    /// Who types, for the record.
    pub fn user(&self) -> Option<&str> {
        ["USER", "LOGNAME"].into_iter().find_map(|name| self.environment.get_filled(name))
    }

    /// Asks a question that only `y` answers with yes.
    ///
    /// # Errors
    /// When there is nobody to ask: then `--yes` is the answer to give beforehand.
    pub fn confirm(&mut self, question: &str) -> Result<bool, CliError> {
        if !io::stdin().is_terminal() {
            return Err(CliError::failed("this needs a confirmation, and there is no terminal to ask for it")
                .hint("add --yes to say yes beforehand".to_owned()));
        }
        self.out.flush()?;
        let mut stderr = io::stderr();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(|why| CliError::failed(format!("the answer cannot be read: {why}")))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";
