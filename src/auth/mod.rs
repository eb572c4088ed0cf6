//! Who may do what, and how somebody proves who they are. Decisions are plain functions; nothing here knows of HTTP.

pub mod accounts;
pub mod configured;
pub mod jwt;
pub mod password;
pub mod right;
pub mod role;
pub mod secret;
pub mod throttle;

pub use accounts::{Account, Accounts};
pub use configured::Configured;
pub use jwt::{Claims, Jwt};
pub use right::{Action, Resource, may};
pub use role::{Role, UnknownRole};
pub use throttle::Throttle;
