//! What is said: the messages between the parts, as serde types and nothing else.
//!
//! One file per border, one enum per direction; every wire name is spelt once,
//! here. A message never carries a handle, a closure or a database row.

pub mod answered;
pub mod control;
pub mod envelope;
pub mod event;
pub mod execution;
pub mod explanation;
pub mod found;
pub mod letter;
pub mod selection;
pub mod status;
pub mod task_channel;
pub mod work;
