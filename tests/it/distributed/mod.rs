//! Several nodes over a real broker.

mod chaos;
mod worker;
