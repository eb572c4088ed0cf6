//! What people see. So far the health of a node; it reads, and changes nothing itself.

pub mod health;
