//! Whether the DAG file on this machine is the one that the scheduler read.
//!
//! Python code does not travel with a task: it imports other modules, and data beside it, so the folder has to be there
//! as a whole, shared or deployed. What travels is the file's hash. Without it, a worker to which a change has not come
//! yet would run the code of yesterday in a run of today, and nobody would see it.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::operator::Unstartable;

/// How many digits of a hash people are shown; as many as Git shows.
const SHOWN: usize = 12;

/// # Errors
/// When the file is missing here, or another one: a failure that is tried again as often as the author allows, since a
/// folder that is being deployed will be right in a moment.
pub fn check(file: &str, expected: Option<&str>, dags_folder: &Path) -> Result<(), Unstartable> {
    let Some(expected) = expected else { return Ok(()) };
    let folder = dags_folder.display();
    let advice = "workers need the same DAGs folder as the scheduler ([core] dags_folder), shared or deployed";
    let content = std::fs::read(dags_folder.join(file)).map_err(|error| {
        Unstartable(format!(
            "the DAG file `{file}`, which the scheduler read in version {}, cannot be read in {folder} on this worker \
             ({error}): {advice}",
            shown(expected)
        ))
    })?;
    let found: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    Err(Unstartable(format!(
        "the DAG file `{file}` has version {} in {folder} on this worker, and the scheduler read version {}: {advice}",
        shown(&found),
        shown(expected)
    )))
}

fn shown(hash: &str) -> &str {
    hash.get(..SHOWN).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_that_the_scheduler_read_is_run_and_anything_else_is_said_with_both_versions() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("etl.py"), "abc").expect("written");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let said =
            |file: &str, expected: Option<&str>| check(file, expected, folder.path()).map_err(|Unstartable(why)| why);
        assert_eq!(said("etl.py", Some(abc)), Ok(()));
        // In one process there is one folder, and nothing to compare.
        assert_eq!(said("nowhere.py", None), Ok(()));
        let other = said("etl.py", Some(&abc.replace("ba78", "0000"))).expect_err("another version");
        for part in ["`etl.py`", "ba7816bf8f01", "000016bf8f01", &folder.path().display().to_string(), "dags_folder"] {
            assert!(other.contains(part), "{part}: {other}");
        }
        let missing = said("late.py", Some(abc)).expect_err("it is not there");
        assert!(missing.contains("`late.py`") && missing.contains("ba7816bf8f01"), "{missing}");
    }
}
