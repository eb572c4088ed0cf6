//! How things look: pure functions from plain values to HTML and SVG. Nothing here reads, waits or
//! knows what time it is; nothing here writes a style attribute or an inline script, which the
//! content security policy forbids.

pub mod address;
pub mod bars;
pub mod calendar;
pub mod code;
#[cfg(test)]
pub(super) mod examples;
pub mod form;
pub mod frame;
pub mod gantt;
pub mod graph;
pub mod grid;
pub mod icon;
pub mod log;
pub mod number;
pub mod param;
mod shorten;
pub mod state;
pub mod table;
pub mod tally;
pub mod time;
pub mod toast;
pub mod tree;
pub mod why;

pub use shorten::shorten;
