//! Asks for a password without showing it.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::error::CliError;

/// Asks twice on a terminal; a program writes the password to stdin, on one line.
///
/// # Errors
/// When the two differ, or nothing can be read.
pub fn new_password() -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        return read_line();
    }
    let first = ask("Password: ")?;
    if ask("Repeat for confirmation: ")? != first {
        return Err(CliError::failed("Passwords did not match"));
    }
    Ok(first)
}

fn ask(question: &str) -> Result<String, CliError> {
    let mut stderr = io::stderr();
    // Who does not see the question sees that something waits.
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let silence = Silence::begin();
    let answer = read_line();
    drop(silence);
    let _ = writeln!(stderr);
    answer
}

fn read_line() -> Result<String, CliError> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|why| CliError::failed(format!("the password cannot be read: {why}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that has gone needs no echo.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}
