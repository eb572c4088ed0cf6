//! The figures of the design (DESIGN §7), as named questions: `cargo bench`.
//!
//! ```text
//!   cargo bench                          every question but the slow ones
//!   cargo bench -- hand_off bash_rate    these alone
//!   cargo bench -- --slow --json figures.json
//! ```
//!
//! Wherever a person would run a node, the real binary runs as a process of its
//! own, in a home of its own on the disk of the build folder, with the durable
//! defaults (SQLite, `synchronous = FULL`). A baseline is taken in the same run,
//! between the measured rounds, so a busy machine slows both. Every figure is a
//! median unless its name says otherwise; nothing here decides how the program works.

mod bare;
mod figure;
mod home;
mod process;
mod question;
mod sample;
mod shape;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use figure::Figure;
use question::{QUESTIONS, Question};

/// Anything that keeps a question from being answered, as a sentence.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures updraft against the bare operating system and the targets of its design.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --")]
pub struct Bench {
    /// Only questions whose name contains one of these words.
    filter: Vec<String>,
    /// Writes the figures to this file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Answers the slow questions as well (SequentialExecutor, minutes of waiting).
    #[arg(long)]
    slow: bool,
    /// Names the questions and ends.
    #[arg(long)]
    list: bool,
    /// How often each round is repeated, where a question says so.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub rounds: usize,
    /// How many task instances the database remembers in the question about history.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    pub history: usize,
    /// How many DAGs of 10 runs of 10 Bash tasks make the backlog of Bash tasks.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub bash_backlog: usize,
    /// Cargo says this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Bench {
    fn chooses(&self, question: &Question) -> bool {
        if self.filter.is_empty() {
            return self.slow || !question.slow;
        }
        self.filter.iter().any(|word| question.name.contains(word.as_str()))
    }
}

fn main() -> ExitCode {
    let bench = Bench::parse();
    if bench.list {
        for Question { name, asks, slow, .. } in QUESTIONS {
            println!("{name:<12} {asks}{}", if *slow { " (slow)" } else { "" });
        }
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    let mut figures: Vec<Figure> = Vec::new();
    let mut failed = false;
    for question in QUESTIONS.iter().filter(|question| bench.chooses(question)) {
        eprintln!("{}: {} ...", question.name, question.asks);
        let asked = Instant::now();
        match (question.ask)(&bench) {
            Ok(answer) => {
                figures.extend(answer.into_iter().map(|figure| figure.of(question.name)));
                eprintln!("{}: answered in {:.1} s", question.name, asked.elapsed().as_secs_f64());
            }
            Err(error) => {
                failed = true;
                eprintln!("{}: cannot be answered: {error}", question.name);
            }
        }
    }
    home::remove_all();
    println!("{}", figure::table(&figures));
    eprintln!("the whole took {:.0} s", begun.elapsed().as_secs_f64());
    if let Some(path) = &bench.json
        && let Err(error) = figure::write_json(&figures, path)
    {
        failed = true;
        eprintln!("cannot write {}: {error}", path.display());
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
