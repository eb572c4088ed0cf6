//! What actix needs said once: how a message is told, and how a mailbox limit is made exact.
//!
//! Nothing here knows what is scheduled, carried out or stored.

pub mod gate;
pub mod told;
