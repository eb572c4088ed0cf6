//! Builds a node from its parts and takes it down again: the only folder that
//! knows them all. It hands actors the recipients they speak to; it decides
//! nothing that a part could decide.

pub mod client;
pub mod dag_folder;
pub mod nudge;
pub mod scheduling_lock;
pub mod translate;
