//! Puts the embedded Python package into a cache folder, once per content.
//!
//! The folder is named by the hash of what it holds, appears by one rename, and
//! is checked before each use: a copy that something damaged is replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The files of the package; a test compares the list with the folder.
const FILES: &[(&str, &[u8])] = &[
    ("updraft_bridge/__init__.py", include_bytes!("updraft_bridge/__init__.py")),
    ("updraft_bridge/by_hand/airflow/__init__.py", include_bytes!("updraft_bridge/by_hand/airflow/__init__.py")),
    ("updraft_bridge/channel.py", include_bytes!("updraft_bridge/channel.py")),
    ("updraft_bridge/finder.py", include_bytes!("updraft_bridge/finder.py")),
    ("updraft_bridge/imports.py", include_bytes!("updraft_bridge/imports.py")),
    ("updraft_bridge/fork.py", include_bytes!("updraft_bridge/fork.py")),
    ("updraft_bridge/keeper.py", include_bytes!("updraft_bridge/keeper.py")),
    ("updraft_bridge/task_log.py", include_bytes!("updraft_bridge/task_log.py")),
    ("updraft_bridge/warm.py", include_bytes!("updraft_bridge/warm.py")),
    ("updraft_bridge/leave.py", include_bytes!("updraft_bridge/leave.py")),
    ("updraft_bridge/limits.py", include_bytes!("updraft_bridge/limits.py")),
    ("updraft_bridge/main.py", include_bytes!("updraft_bridge/main.py")),
    ("updraft_bridge/model/__init__.py", include_bytes!("updraft_bridge/model/__init__.py")),
    ("updraft_bridge/model/branching.py", include_bytes!("updraft_bridge/model/branching.py")),
    ("updraft_bridge/model/asset.py", include_bytes!("updraft_bridge/model/asset.py")),
    ("updraft_bridge/model/asset_task.py", include_bytes!("updraft_bridge/model/asset_task.py")),
    ("updraft_bridge/model/callbacks.py", include_bytes!("updraft_bridge/model/callbacks.py")),
    ("updraft_bridge/model/compat.py", include_bytes!("updraft_bridge/model/compat.py")),
    ("updraft_bridge/model/context.py", include_bytes!("updraft_bridge/model/context.py")),
    ("updraft_bridge/model/dag.py", include_bytes!("updraft_bridge/model/dag.py")),
    ("updraft_bridge/model/dates.py", include_bytes!("updraft_bridge/model/dates.py")),
    ("updraft_bridge/model/edge.py", include_bytes!("updraft_bridge/model/edge.py")),
    ("updraft_bridge/model/exceptions.py", include_bytes!("updraft_bridge/model/exceptions.py")),
    ("updraft_bridge/model/later.py", include_bytes!("updraft_bridge/model/later.py")),
    ("updraft_bridge/model/bash_task.py", include_bytes!("updraft_bridge/model/bash_task.py")),
    ("updraft_bridge/model/command.py", include_bytes!("updraft_bridge/model/command.py")),
    ("updraft_bridge/model/conditional.py", include_bytes!("updraft_bridge/model/conditional.py")),
    ("updraft_bridge/model/configuration.py", include_bytes!("updraft_bridge/model/configuration.py")),
    ("updraft_bridge/model/database.py", include_bytes!("updraft_bridge/model/database.py")),
    ("updraft_bridge/model/extension.py", include_bytes!("updraft_bridge/model/extension.py")),
    ("updraft_bridge/model/helpers.py", include_bytes!("updraft_bridge/model/helpers.py")),
    ("updraft_bridge/model/hooks.py", include_bytes!("updraft_bridge/model/hooks.py")),
    ("updraft_bridge/model/mail.py", include_bytes!("updraft_bridge/model/mail.py")),
    ("updraft_bridge/model/object_path.py", include_bytes!("updraft_bridge/model/object_path.py")),
    ("updraft_bridge/model/parsing.py", include_bytes!("updraft_bridge/model/parsing.py")),
    ("updraft_bridge/model/perform.py", include_bytes!("updraft_bridge/model/perform.py")),
    ("updraft_bridge/model/settings.py", include_bytes!("updraft_bridge/model/settings.py")),
    ("updraft_bridge/model/signature.py", include_bytes!("updraft_bridge/model/signature.py")),
    ("updraft_bridge/model/sql_check.py", include_bytes!("updraft_bridge/model/sql_check.py")),
    ("updraft_bridge/model/sql_hook.py", include_bytes!("updraft_bridge/model/sql_hook.py")),
    ("updraft_bridge/model/subdag.py", include_bytes!("updraft_bridge/model/subdag.py")),
    ("updraft_bridge/model/templates.py", include_bytes!("updraft_bridge/model/templates.py")),
    ("updraft_bridge/model/trigger_run.py", include_bytes!("updraft_bridge/model/trigger_run.py")),
    ("updraft_bridge/providers.py", include_bytes!("updraft_bridge/providers.py")),
    ("updraft_bridge/model/macros.py", include_bytes!("updraft_bridge/model/macros.py")),
    ("updraft_bridge/model/mapped.py", include_bytes!("updraft_bridge/model/mapped.py")),
    ("updraft_bridge/model/operator.py", include_bytes!("updraft_bridge/model/operator.py")),
    ("updraft_bridge/model/http.py", include_bytes!("updraft_bridge/model/http.py")),
    ("updraft_bridge/model/native.py", include_bytes!("updraft_bridge/model/native.py")),
    ("updraft_bridge/model/sensors.py", include_bytes!("updraft_bridge/model/sensors.py")),
    ("updraft_bridge/model/operators.py", include_bytes!("updraft_bridge/model/operators.py")),
    ("updraft_bridge/model/param.py", include_bytes!("updraft_bridge/model/param.py")),
    ("updraft_bridge/model/setup_teardown.py", include_bytes!("updraft_bridge/model/setup_teardown.py")),
    ("updraft_bridge/model/stack.py", include_bytes!("updraft_bridge/model/stack.py")),
    ("updraft_bridge/model/store_values.py", include_bytes!("updraft_bridge/model/store_values.py")),
    ("updraft_bridge/model/task_group.py", include_bytes!("updraft_bridge/model/task_group.py")),
    ("updraft_bridge/model/taskflow.py", include_bytes!("updraft_bridge/model/taskflow.py")),
    ("updraft_bridge/model/timetables.py", include_bytes!("updraft_bridge/model/timetables.py")),
    ("updraft_bridge/model/timezone.py", include_bytes!("updraft_bridge/model/timezone.py")),
    ("updraft_bridge/model/words.py", include_bytes!("updraft_bridge/model/words.py")),
    ("updraft_bridge/model/xcom_arg.py", include_bytes!("updraft_bridge/model/xcom_arg.py")),
    ("updraft_bridge/model/other_python.py", include_bytes!("updraft_bridge/model/other_python.py")),
    ("updraft_bridge/model/venv_cache.py", include_bytes!("updraft_bridge/model/venv_cache.py")),
    ("updraft_bridge/model/virtualenv.py", include_bytes!("updraft_bridge/model/virtualenv.py")),
    ("updraft_bridge/notes.py", include_bytes!("updraft_bridge/notes.py")),
    ("updraft_bridge/parse.py", include_bytes!("updraft_bridge/parse.py")),
    ("updraft_bridge/pendulum_stand_in.py", include_bytes!("updraft_bridge/pendulum_stand_in.py")),
    ("updraft_bridge/problem.py", include_bytes!("updraft_bridge/problem.py")),
    ("updraft_bridge/run.py", include_bytes!("updraft_bridge/run.py")),
    ("updraft_bridge/sdk_parse.py", include_bytes!("updraft_bridge/sdk_parse.py")),
    ("updraft_bridge/sdk_spec.py", include_bytes!("updraft_bridge/sdk_spec.py")),
    ("updraft_bridge/sdk_task.py", include_bytes!("updraft_bridge/sdk_task.py")),
    ("updraft_bridge/sdk_trigger.py", include_bytes!("updraft_bridge/sdk_trigger.py")),
    ("updraft_bridge/spec.py", include_bytes!("updraft_bridge/spec.py")),
    ("updraft_bridge/surface.py", include_bytes!("updraft_bridge/surface.py")),
];

/// Why the package is not where an interpreter can read it.
#[derive(Debug, thiserror::Error)]
#[error("cannot put the Python package into {folder}: {source}")]
pub struct PackageError {
    folder: PathBuf,
    source: io::Error,
}

/// The folder under `cache` that holds the package, written if it is not there or not whole.
///
/// # Errors
/// When the cache folder cannot be written.
pub fn install_package(cache: &Path) -> Result<PathBuf, PackageError> {
    let folder = cache.join(format!("python-{}", content_hash()));
    if !is_whole(&folder) {
        put(cache, &folder).map_err(|source| PackageError { folder: folder.clone(), source })?;
    }
    name(cache, &folder).map_err(|source| PackageError { folder: folder.clone(), source })?;
    Ok(folder)
}

/// `cache/python` leads to the newest copy, for people: the name of the folder changes with each version.
fn name(cache: &Path, folder: &Path) -> io::Result<()> {
    let (link, target) = (cache.join("python"), folder.file_name().unwrap_or_default());
    if fs::read_link(&link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    let fresh = cache.join(format!(".python-link-{}-{:08x}", std::process::id(), fastrand::u32(..)));
    std::os::unix::fs::symlink(target, &fresh)?;
    fs::rename(&fresh, &link)
}

fn content_hash() -> String {
    let mut hash = Sha256::new();
    for (name, content) in FILES {
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(content);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn is_whole(folder: &Path) -> bool {
    FILES.iter().all(|(name, content)| fs::read(folder.join(name)).is_ok_and(|found| found == *content))
}

/// Writes beside the folder and renames; of two processes at once, one wins and both are served.
fn put(cache: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(cache)?;
    let unique = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
    let fresh = cache.join(format!(".python-new-{unique}"));
    let written = write_files(&fresh).and_then(|()| swap_in(cache, &fresh, folder, &unique));
    if written.is_err() {
        // What remains is only our own half-written copy; the first error is the one to tell.
        let _ = fs::remove_dir_all(&fresh);
    }
    written
}

fn write_files(fresh: &Path) -> io::Result<()> {
    for (name, content) in FILES {
        let path = fresh.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}

fn swap_in(cache: &Path, fresh: &Path, folder: &Path, unique: &str) -> io::Result<()> {
    let aside = cache.join(format!(".python-old-{unique}"));
    // A damaged copy steps aside first, since a folder cannot be renamed over one that is not empty.
    let had_old = !is_whole(folder) && fs::rename(folder, &aside).is_ok();
    let renamed = fs::rename(fresh, folder);
    if had_old {
        fs::remove_dir_all(&aside)?;
    }
    match renamed {
        Err(_) if is_whole(folder) => fs::remove_dir_all(fresh),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_embedded_files_is_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dagfile/python");
        let mut found = Vec::new();
        let mut folders = vec![root.join("updraft_bridge")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the package's folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "py") {
                    found.push(path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        let mut listed: Vec<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        listed.sort();
        assert_eq!(listed, found);
    }

    #[test]
    fn a_damaged_copy_is_repaired_and_a_whole_one_is_left_alone() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = install_package(cache.path()).expect("installed");
        let victim = folder.join(FILES[0].0);
        fs::write(&victim, b"broken").expect("written");
        fs::remove_file(folder.join(FILES[1].0)).expect("removed");
        assert_eq!(install_package(cache.path()).expect("repaired"), folder);
        assert!(is_whole(&folder));

        let marker = folder.join("__pycache__");
        fs::create_dir(&marker).expect("made");
        assert_eq!(install_package(cache.path()).expect("still there"), folder);
        assert!(marker.exists(), "a whole copy is not written again");
        let entries = fs::read_dir(cache.path()).expect("listed").count();
        assert_eq!(entries, 2, "beside it is only the link to it");
        assert_eq!(fs::canonicalize(cache.path().join("python")).ok(), fs::canonicalize(&folder).ok());
    }

    #[test]
    fn many_at_once_end_with_one_whole_copy() {
        let cache = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = install_package(cache.path()).expect("installed");
                    assert!(is_whole(&folder));
                });
            }
        });
        assert_eq!(fs::read_dir(cache.path()).expect("listed").count(), 2, "the copy and the link to it");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let cache = tempfile::NamedTempFile::new().expect("a file, not a folder");
        let error = install_package(cache.path()).expect_err("not a folder");
        assert!(error.to_string().contains(&cache.path().display().to_string()), "{error}");
    }
}
