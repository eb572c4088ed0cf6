//! What the program says about itself: one line per event on stderr, with fixed
//! field names (dag, run, task, attempt, worker) and a constant phrase.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Begins to write log lines to stderr from `level` on; libraries speak only to warn. Colours only for a terminal.
/// lapin is silent: it would print whole messages, and what it has to say comes back as errors.
pub fn init(level: &str, colours: bool) {
    let filter = EnvFilter::new(format!("warn,lapin=off,updraft={level}"));
    let layer = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours && std::io::stderr().is_terminal())
        .with_target(false);
    // A second call (in tests) leaves the first one's choice.
    let _ = layer.try_init();
}
