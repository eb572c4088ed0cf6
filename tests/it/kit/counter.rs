//! Side effects as the outside world sees them: lines that processes append to a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file to which tasks append lines; one `write` of a short line with `O_APPEND` is whole or not at all.
pub struct Counter {
    path: PathBuf,
}

impl Counter {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A shell command that counts `what`, in which variables are expanded.
    pub fn shell(&self, what: &str) -> String {
        format!("echo \"{what}\" >> '{}'", self.path.display())
    }

    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    pub fn count(&self) -> usize {
        self.lines().len()
    }

    /// The lines that stand there more than once.
    pub fn repeated(&self) -> Vec<String> {
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for line in self.lines() {
            *seen.entry(line).or_default() += 1;
        }
        seen.into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(line, times)| format!("{line} ({times} times)"))
            .collect()
    }
}
