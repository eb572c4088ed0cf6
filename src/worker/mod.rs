//! Making it happen: runs attempts, each in its own process group, and reports how they ended.
//!
//! A worker knows neither scheduler nor database: it hears `ToWorker`, says
//! `FromWorker`, and starts nothing without a claim that was granted (PROTOCOL W1).

pub mod actor;
pub mod autoscale;
pub mod begin;
pub mod boot_time;
pub mod claim;
pub mod companion;
mod dag_file;
pub mod intake;
pub mod journal;
pub mod lease;
pub mod leftover;
pub mod log;
pub mod mapped;
pub mod mask;
pub mod operator;
pub mod output;
pub mod process;
pub mod question;
pub mod remote;
pub mod render;
pub mod sdk;
pub mod settings;
pub mod shipping;
pub mod slot;
pub mod state_dir;

pub use actor::{RemoteWorker, RunningWorker, start, start_remote};
pub use autoscale::Autoscale;
pub use begin::WorkerError;
pub use boot_time::BootTime;
/// The word after the program's name that makes it do a native task.
pub use operator::native::WORD as NATIVE_WORD;
pub use remote::{RemoteSettings, RemoteTimes};
pub use settings::{Posted, PythonRuntime, WorkerSettings};
