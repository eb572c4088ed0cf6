//! The questions, one file each: what is measured, and how.

mod backlog;
mod bash_rate;
mod blocked;
mod broker;
mod catchup;
mod cli_start;
mod cold_start;
mod distributed;
mod hand_off;
mod history;
mod idle;
mod large_dag;
mod noop_rate;
mod python;
mod sequential;
mod tutorial;

use super::figure::Figure;
use super::{Bench, Result};

/// A named question.
pub struct Question {
    pub name: &'static str,
    pub asks: &'static str,
    /// Only when asked for.
    pub slow: bool,
    pub ask: fn(&Bench) -> Result<Vec<Figure>>,
}

const fn question(name: &'static str, asks: &'static str, ask: fn(&Bench) -> Result<Vec<Figure>>) -> Question {
    Question { name, asks, slow: false, ask }
}

/// In the order of issue 2.
pub const QUESTIONS: &[Question] = &[
    question("hand_off", "how long from the end of a task to the start of the next", hand_off::ask),
    question("bash_rate", "how many Bash tasks per second, against bare Bash", bash_rate::ask),
    question("python", "how fast Python tasks run, against bare forks of a warm Python", python::ask),
    question("noop_rate", "how many tasks per second when they do nothing", noop_rate::ask),
    question("backlog", "how long for 100 DAGs of 10 runs of 10 tasks", backlog::ask),
    question("blocked", "what 10,000 blocked tasks cost one that may run", blocked::ask),
    question("catchup", "how long for the tutorial's 2,516 days since 2020, all no-op", catchup::ask),
    question("history", "what a task costs beside a million old ones", history::ask),
    question("large_dag", "how a DAG of 10,000 tasks loads and runs", large_dag::ask),
    question("idle", "what a node costs that has nothing to do", idle::ask),
    question("cold_start", "how long from nothing, or from kill -9, to the first task", cold_start::ask),
    question("cli_start", "how long a command takes that does nothing", cli_start::ask),
    question("tutorial", "how long the tutorial's DAG takes, 9 s of which are sleep", tutorial::ask),
    question("broker", "how fast messages go through a broker, against bare lapin", broker::ask),
    question("distributed", "the same over RabbitMQ and Postgres, with two workers", distributed::ask),
    Question {
        slow: true,
        ..question("sequential", "how long the tutorial's DAG takes one task at a time", sequential::ask)
    },
];
