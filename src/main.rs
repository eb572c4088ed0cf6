//! Only what the tests of the worker need yet: the companion.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("companion") => updraft::worker::companion::main(),
        _ => ExitCode::from(2),
    }
}
