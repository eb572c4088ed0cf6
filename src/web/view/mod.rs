//! How things look: pure functions from plain values to HTML and SVG. Nothing here reads, waits or
//! knows what time it is; nothing here writes a style attribute or an inline script, which the
//! content security policy forbids.

pub mod address;
pub mod bars;
pub mod form;
pub mod frame;
pub mod icon;
pub mod number;
pub mod param;
pub mod state;
pub mod table;
pub mod time;
pub mod toast;
