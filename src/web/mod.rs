//! What people see. So far the health of a node and the looks of pages; it reads, and changes nothing itself.

pub mod health;
pub mod view;
