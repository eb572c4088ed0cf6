//! What is remembered. The only folder that names `sea_orm`.
//!
//! Every change is a whole row in a guarded commit (PROTOCOL L1): [`mod@write`]
//! says what is written, the rest of the folder how. Nothing here decides.
//!
//! ```text
//!   Vec<Write> ─► batch (one row per key) ─► convert ─► upsert ─┐ one transaction,
//!                                                               │ begun by the guard
//!   Loaded     ◄─ load  (after a takeover) ◄─┐                  ▼
//!   rows       ◄─ query (people)           ◄─┴──────────────  SQLite / Postgres / MySQL
//! ```

mod account;
mod audit;
mod batch;
mod cipher;
mod command;
mod commit;
mod convert;
mod delete;
mod entity;
mod error;
mod given;
mod load;
mod location;
mod migration;
mod mysql;
mod nodelay;
mod open;
pub mod query;
mod schema;
mod session;
mod trial;
mod upsert;
mod vault;
pub mod write;

#[cfg(test)]
mod conformance;

pub use account::AccountRow;
pub use audit::{AuditEntry, AuditFilter, AuditRow};
pub use cipher::{BadKey, Cipher};
pub use command::PendingCommand;
pub use commit::{Succession, Writer};
pub use convert::Unreadable;
pub use error::{CommitError, Refused, StoreError};
pub use given::Given;
pub use load::{Loaded, LoadedVersion};
pub use open::{OpenOptions, Store, Synchronous};
pub use schema::MigrationStep;
pub use session::{ApiTokenRow, SessionRow};
pub use trial::try_connection;
pub use vault::{Rotated, Variable, Vault, VaultError};
