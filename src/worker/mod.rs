//! Making it happen: runs attempts, each in its own process group, and reports how they ended.
//!
//! A worker knows neither scheduler nor database: it hears `ToWorker`, says
//! `FromWorker`, and starts nothing without a claim that was granted (PROTOCOL W1).

pub mod actor;
pub mod begin;
pub mod boot_time;
pub mod claim;
pub mod companion;
pub mod journal;
pub mod leftover;
pub mod log;
mod mapped;
pub mod mask;
pub mod operator;
pub mod output;
pub mod process;
pub mod question;
pub mod render;
pub mod settings;
pub mod shipping;
pub mod slot;
pub mod state_dir;

pub use actor::{RunningWorker, start};
pub use begin::WorkerError;
pub use boot_time::BootTime;
/// The word after the program's name that makes it do a native task.
pub use operator::native::WORD as NATIVE_WORD;
pub use settings::{PythonRuntime, WorkerSettings};
