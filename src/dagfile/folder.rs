//! The DAGs folder: which DAG files are in it, and what changed since the last look.
//!
//! Looking reads every file once, for its hash, and keeps no content. What
//! cannot be read is a problem, and never a reason to think that it is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};

use super::hash::ContentHash;
use super::ignore::{Ignore, Syntax};
use crate::domain::problem::{Place, Problem};

/// Where DAG files are and which files count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// `[core] dags_folder`
    pub root: PathBuf,
    /// `[core] dag_ignore_file_syntax`
    pub ignore_syntax: Syntax,
    /// `[core] dag_discovery_safe_mode`: only Python files that mention both DAG and Airflow count.
    pub safe_mode: bool,
}

/// The language of a DAG file, which its ending tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Yaml,
    Python,
}

impl Language {
    /// `None` for a file that is no DAG file.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Self::Yaml),
            "py" => Some(Self::Python),
            _ => None,
        }
    }
}

/// A DAG file: its path relative to the DAGs folder, with `/` between the parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceFile {
    pub path: String,
    pub language: Language,
}

impl SourceFile {
    /// `None` for a path that is no DAG file.
    pub fn new(path: impl Into<String>) -> Option<Self> {
        let path = path.into();
        Language::of(Path::new(&path)).map(|language| Self { path, language })
    }
}

/// The DAG files by path, each with its hash: what one look at the folder found.
pub type Snapshot = BTreeMap<String, ContentHash>;

/// One look at the folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    pub files: Snapshot,
    /// Files and folders that are there (or may be) and could not be read, relative; `""` is the whole folder.
    pub unreadable: Vec<String>,
    pub problems: Vec<Problem>,
}

/// What is different between two looks. Each list is in path order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub new: Vec<SourceFile>,
    pub changed: Vec<SourceFile>,
    pub removed: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// The files to read: the new and the changed ones.
    pub fn to_load(&self) -> impl Iterator<Item = &SourceFile> {
        self.new.iter().chain(&self.changed)
    }
}

/// Compares what was known with what is there. A file that could not be read is as it was.
pub fn diff(known: &Snapshot, scan: &Scan) -> Changes {
    let mut changes = Changes::default();
    for (path, hash) in &scan.files {
        let Some(file) = SourceFile::new(path.as_str()) else { continue };
        match known.get(path) {
            None => changes.new.push(file),
            Some(before) if before != hash => changes.changed.push(file),
            Some(_) => {}
        }
    }
    let hidden = |path: &str| scan.unreadable.iter().any(|unreadable| lies_in(path, unreadable));
    changes.removed = known.keys().filter(|path| !scan.files.contains_key(*path) && !hidden(path)).cloned().collect();
    changes
}

/// Whether `path` is `folder` or lies below it.
fn lies_in(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Folder {
    /// A folder with the defaults of Airflow 3.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), ignore_syntax: Syntax::Glob, safe_mode: true }
    }

    /// Looks at the whole folder. Blocking; some 10 µs per file.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        let rules = Arc::new(Ignore::new(&self.root, self.ignore_syntax));
        for entry in self.walk(&rules) {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => self.look_at(&entry, &mut scan),
                Ok(_) => {}
                Err(error) => self.unwalkable(&error, &mut scan),
            }
        }
        scan.problems.extend(rules.take_problems());
        scan
    }

    /// Everything that is not hidden, not `__pycache__` and not ignored; links are followed, loops are errors.
    fn walk(&self, rules: &Arc<Ignore>) -> ignore::Walk {
        let rules = Arc::clone(rules);
        WalkBuilder::new(&self.root)
            .standard_filters(false)
            .hidden(true)
            .follow_links(true)
            .filter_entry(move |entry| {
                let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
                let is_cache = is_folder && entry.file_name() == "__pycache__";
                entry.depth() == 0 || !is_cache && !rules.is_ignored(entry.path(), is_folder)
            })
            .build()
    }

    fn look_at(&self, entry: &DirEntry, scan: &mut Scan) {
        let Some(language) = Language::of(entry.path()) else { return };
        let Some(path) = self.relative(entry.path()) else {
            let file = entry.path().display().to_string();
            scan.problems.push(Problem::error(Place::file(file), "the file's name is not UTF-8"));
            return;
        };
        match std::fs::read(entry.path()) {
            Ok(content) if self.safe_mode && language == Language::Python && !might_be_a_dag(&content) => {}
            Ok(content) => {
                scan.files.insert(path, ContentHash::of(&content));
            }
            // Removed between the listing and the reading.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                scan.problems.push(unreadable(&path, &error));
                scan.unreadable.push(path);
            }
        }
    }

    fn unwalkable(&self, error: &ignore::Error, scan: &mut Scan) {
        if let Some((link, ancestor)) = as_loop(error) {
            let ancestor =
                self.relative(ancestor).filter(|path| !path.is_empty()).unwrap_or_else(|| "the folder".into());
            let message = format!("the link leads back to {ancestor} and is not followed");
            let file = self.relative(link).unwrap_or_else(|| link.display().to_string());
            scan.problems.push(Problem::warning(Place::file(file), message));
            return;
        }
        let path = path_of(error);
        let relative = path.and_then(|path| self.relative(path)).unwrap_or_default();
        let is_gone = error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        if is_gone && !relative.is_empty() {
            // A link that leads nowhere, or something that was removed during the walk.
            self.say_if_broken_link(&relative, scan);
            return;
        }
        let (place, message) = if relative.is_empty() {
            let place = Place::file(self.root.display().to_string());
            (place, format!("the DAGs folder cannot be read: {}", reason(error)))
        } else {
            (Place::file(relative.clone()), format!("the folder cannot be read: {}", reason(error)))
        };
        scan.problems.push(Problem::error(place, message));
        scan.unreadable.push(relative);
    }

    /// A DAG file that is a link to nothing is no DAG any more; its author is told why.
    fn say_if_broken_link(&self, relative: &str, scan: &mut Scan) {
        let Ok(target) = std::fs::read_link(self.root.join(relative)) else { return };
        if Language::of(Path::new(relative)).is_some() {
            let message = format!("the link leads to {}, which is not there", target.display());
            scan.problems.push(Problem::error(Place::file(relative), message));
        }
    }

    /// The path relative to the root, as text with `/`.
    fn relative(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }
}

/// Airflow's safe mode: a Python file counts if it mentions both words, in any case.
pub fn might_be_a_dag(content: &[u8]) -> bool {
    let lower = content.to_ascii_lowercase();
    let mentions = |word: &[u8]| lower.windows(word.len()).any(|window| window == word);
    mentions(b"dag") && mentions(b"airflow")
}

/// A file that is there and cannot be read.
pub(super) fn unreadable(path: &str, error: &std::io::Error) -> Problem {
    let problem = Problem::error(Place::file(path), format!("the file cannot be read: {error}"));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => problem.hint("allow the user of the scheduler to read it"),
        _ => problem,
    }
}

/// The system's own words, which are the last of the chain.
fn reason(error: &ignore::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = error.io_error().map(|error| error as _);
    let mut words = error.to_string();
    while let Some(error) = cause {
        words = error.to_string();
        cause = error.source();
    }
    words
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

/// The link and the folder above it that it leads to.
fn as_loop(error: &ignore::Error) -> Option<(&Path, &Path)> {
    match error {
        ignore::Error::Loop { ancestor, child } => Some((child, ancestor)),
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => as_loop(err),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
