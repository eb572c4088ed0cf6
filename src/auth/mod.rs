//! Who may do what, and how somebody proves who they are. Decisions are plain functions; nothing here knows of HTTP.

pub mod right;
pub mod role;

pub use right::{Action, Resource, may};
pub use role::Role;
