//! Builds a node from its parts and takes it down again: the only folder that
//! knows them all. It hands actors the recipients they speak to; it decides
//! nothing that a part could decide.

pub mod broker;
mod celery;
pub mod client;
mod courier;
pub mod dag_folder;
pub mod dependencies;
mod fernet_key;
pub mod file_values;
pub mod files;
mod first_user;
pub mod idle;
pub mod leader;
pub mod log_keeper;
pub mod nudge;
mod onlooker;
pub mod pid_file;
pub mod render;
pub mod run;
pub mod scheduling_lock;
mod signals;
pub mod simulate;
pub mod standalone;
mod standby;
pub mod test_run;
pub mod translate;
mod web;
pub mod web_server;
pub mod worker;
