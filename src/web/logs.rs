//! Where task logs are, for reading. Which file holds a try's log stands in its attempt's row (`log_path`).

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

/// `[logging] base_log_folder`.
#[derive(Clone, Debug)]
pub struct LogFolder(PathBuf);

impl LogFolder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// Opens the log of an attempt.
    ///
    /// # Errors
    /// As for any file; a path that leads out of the folder is not found.
    pub fn open(&self, log_path: &str) -> io::Result<File> {
        let stays_inside = Path::new(log_path).components().all(|part| matches!(part, Component::Normal(_)));
        let root = self.0.canonicalize()?;
        let path = root.join(log_path).canonicalize()?;
        if !stays_inside || !path.starts_with(&root) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }
}
