//! What is remembered. The only folder that names `sea_orm`.
//!
//! Every change is a whole row in a guarded commit (PROTOCOL L1): [`write`]
//! says what is written, the rest of the folder how. Nothing here decides.

pub mod write;
