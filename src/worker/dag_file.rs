//! Whether the DAG file on this machine is the one that the scheduler read.
//!
//! Python code does not travel with a task: it imports other modules, and data beside it, so the folder has to be there
//! as a whole, shared or deployed. What travels is the file's hash. Without it, a worker to which a change has not come
//! yet would run the code of yesterday in a run of today, and nobody would see it.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::operator::Unstartable;
use crate::protocol::work::RunContext;

/// How many digits of a hash people are shown; as many as Git shows.
const SHOWN: usize = 12;

/// # Errors
/// When the file is missing here, or another one: a failure that is tried again as often as the author allows, since a
/// folder that is being deployed will be right in a moment.
pub fn check(run: &RunContext, dags_folder: &Path) -> Result<(), Unstartable> {
    let Some(expected) = &run.file_hash else { return Ok(()) };
    let folder = dags_folder.display();
    let advice = "workers need the same DAGs folder as the scheduler ([core] dags_folder), shared or deployed";
    let content = std::fs::read(dags_folder.join(&run.file)).map_err(|error| {
        Unstartable(format!(
            "the DAG file `{}`, which the scheduler read in version {}, cannot be read in {folder} on this worker \
             ({error}): {advice}",
            run.file,
            shown(expected)
        ))
    })?;
    let found: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == *expected {
        return Ok(());
    }
    Err(Unstartable(format!(
        "the DAG file `{}` has version {} in {folder} on this worker, and the scheduler read version {}: {advice}",
        run.file,
        shown(&found),
        shown(expected)
    )))
}

fn shown(hash: &str) -> &str {
    hash.get(..SHOWN).unwrap_or(hash)
}
