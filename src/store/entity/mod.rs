//! The tables as SeaORM sees them, one file per table.
//!
//! Only four kinds of columns exist, because they mean the same on every
//! database: integers, booleans, texts and UUIDs. An instant is an integer of
//! microseconds since 1970: exact, ordered as time is ordered, and compared
//! without parsing, where SQLite has no type for it at all. JSON is text:
//! a database's own JSON type reorders keys and refuses U+0000.
//!
//! There are no foreign keys: the one writer keeps rows together in one
//! transaction, and a check per row would be paid on the way of every task.

pub mod account;
pub mod account_role;
pub mod api_token;
pub mod asset;
pub mod asset_event;
pub mod asset_queue;
pub mod attempt;
pub mod audit_log;
pub mod backfill;
pub mod command;
pub mod connection;
pub mod dag;
pub mod dag_run;
pub mod dag_version;
pub mod deadline;
pub mod import_error;
pub mod leader;
pub mod notification;
pub mod pool;
pub mod session;
pub mod task_instance;
pub mod variable;
pub mod worker;
pub mod xcom;
