//! The program `updraft`: hands the command line to `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = updraft::config::arguments().collect();
    // Before anything else is initialised: every worker has a companion, and it is meant to be tiny.
    if arguments.get(1).is_some_and(|word| word == "companion") {
        return updraft::worker::companion::main();
    }
    if arguments.get(1).is_some_and(|word| word == updraft::worker::NATIVE_WORD) {
        return updraft::operator::main();
    }
    updraft::cli::main(arguments)
}
