//! From DAG files to domain values.
//!
//! ```text
//! watch ──"something changed"──► folder ──new, changed, removed──► loader ──► definitions and problems
//!                                                     yaml │ python ──► spec ──► lower
//! ```
//!
//! Reading never fails as a whole: what can be used is returned, and everything
//! that is wrong comes along as a [`Problem`](crate::domain::problem::Problem)
//! that names file, line and column. Nothing here schedules, stores or runs.

pub mod folder;
mod form;
pub mod hash;
pub mod ignore;
pub mod loader;
pub mod lower;
mod outline;
pub mod python;
pub mod schema;
pub mod spec;
pub mod values;
pub mod watch;
pub mod written;
pub mod yaml;
