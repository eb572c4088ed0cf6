//! The DAGs folder of a node: looks, reads what changed, and says what came of it.
//!
//! It remembers hashes and nothing else; the scheduler compares definitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dagfile::folder::{Changes, Folder, Scan, Snapshot, diff};
use crate::dagfile::hash::ContentHash;
use crate::dagfile::loader::{FileResult, Loader, LoaderOptions};
use crate::dagfile::values::{Asked, Values, Wanted, hash_of};
use crate::domain::graph::Dag;
use crate::domain::ids::DagId;
use crate::domain::problem::{Place, Problem};
use crate::scheduler::core::FileChange;

/// A DAGs folder and what is known of it.
pub struct DagFolder {
    folder: Folder,
    loader: Loader,
    known: Snapshot,
    /// What Python files imported from beside them, as it was then.
    imports: BTreeMap<String, Vec<(PathBuf, Option<ContentHash>)>>,
    /// What Python files asked for while they were loaded, and what they were told.
    asked: BTreeMap<String, Vec<Asked>>,
    values: Option<Values>,
    /// Files whose problems the scheduler was told of, although they are no DAG files (unreadable folders).
    strays: Vec<String>,
}

impl DagFolder {
    pub fn new(folder: Folder, options: LoaderOptions) -> Self {
        Self {
            folder,
            values: options.values.clone(),
            asked: BTreeMap::new(),
            loader: Loader::new(options),
            known: Snapshot::new(),
            imports: BTreeMap::new(),
            strays: Vec::new(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.folder.root
    }

    /// What the store has from before: this file defined these DAGs. A file that
    /// has gone since is then noticed, and names that are taken stay taken. With its
    /// text it is not read again unless it changed.
    pub fn remember(&mut self, file: &str, dags: Vec<DagId>, text: Option<&str>) {
        self.loader.remember(file, dags);
        let hash = ContentHash::of(text.unwrap_or_default().as_bytes());
        self.known.insert(file.to_owned(), hash);
    }

    /// Looks at the whole folder and reads what is new or different.
    pub async fn look(&mut self) -> Vec<FileChange> {
        let folder = self.folder.clone();
        let scan = match tokio::task::spawn_blocking(move || folder.scan()).await {
            Ok(scan) => scan,
            Err(panic) => {
                let problem = Problem::error(Place::file(""), format!("the DAGs folder could not be read: {panic}"));
                Scan { problems: vec![problem], unreadable: vec![String::new()], ..Scan::default() }
            }
        };
        self.forget_whose_imports_changed();
        let changes = diff(&self.known, &scan);
        // Known from now on, although slow ones are still being read: no second look begins them again.
        for file in changes.to_load() {
            self.known.extend(scan.files.get_key_value(&file.path).map(|(path, hash)| (path.clone(), *hash)));
        }
        // What was mended before the file is read again, what is broken after the file is found gone.
        let (mut found, strays) = self.strays(&scan);
        found.extend(self.read(changes).await);
        found.extend(strays);
        found
    }

    /// A file is as new when a module that it imported is.
    fn forget_whose_imports_changed(&mut self) {
        let changed =
            self.imports.extract_if(.., |_, modules| modules.iter().any(|(path, before)| hash(path) != *before));
        for (file, _) in changed {
            if let Some(known) = self.known.get_mut(&file) {
                *known = ContentHash::of(&[]);
            }
        }
    }

    /// Whether a file's DAGs depend on variables or connections that are kept.
    pub fn asks_for_values(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Looks at the folder where such a value is another one now.
    pub async fn look_if_values_changed(&mut self) -> Vec<FileChange> {
        let Some(values) = self.values.clone() else { return Vec::new() };
        let mut now: BTreeMap<Wanted, ContentHash> = BTreeMap::new();
        for asked in self.asked.values().flatten() {
            if !now.contains_key(&asked.wanted) {
                now.insert(asked.wanted.clone(), hash_of(&values.find(asked.wanted.clone()).await));
            }
        }
        let is_stale = |asked: &Asked| now.get(&asked.wanted) != Some(&asked.answer);
        let stale: Vec<String> =
            self.asked.extract_if(.., |_, all| all.iter().any(is_stale)).map(|(file, _)| file).collect();
        if stale.is_empty() {
            return Vec::new();
        }
        for file in &stale {
            if let Some(known) = self.known.get_mut(file) {
                *known = ContentHash::of(&[]);
            }
        }
        self.look().await
    }

    async fn read(&mut self, changes: Changes) -> Vec<FileChange> {
        let mut found = Vec::new();
        for file in &changes.removed {
            self.known.remove(file);
            self.loader.forget(file);
            self.imports.remove(file);
            self.asked.remove(file);
            found.push(gone(file));
        }
        let results = self.loader.load(changes.to_load().cloned().collect()).await;
        found.extend(self.take(results));
        found
    }

    /// Whether slow files are still being read.
    pub fn is_reading(&self) -> bool {
        self.loader.is_reading()
    }

    /// Waits for slow files; without one it waits for ever.
    pub async fn more(&mut self) -> Vec<FileChange> {
        let results = self.loader.more().await;
        self.take(results)
    }

    fn take(&mut self, results: Vec<FileResult>) -> Vec<FileChange> {
        let mut found = Vec::new();
        for result in results {
            if let Some(hash) = result.hash {
                self.known.insert(result.file.path.clone(), hash);
            }
            if result.asked.is_empty() {
                self.asked.remove(&result.file.path);
            } else {
                self.asked.insert(result.file.path.clone(), result.asked.clone());
            }
            let modules: Vec<_> = result.imports.iter().map(|path| (path.clone(), hash(path))).collect();
            if modules.is_empty() {
                self.imports.remove(&result.file.path);
            } else {
                self.imports.insert(result.file.path.clone(), modules);
            }
            found.push(self.change(result));
        }
        found
    }

    /// Problems that belong to no DAG file that can be read (a folder that cannot be entered, a link to nothing,
    /// an ignore file with a mistake): those that are mended, and those that are there.
    fn strays(&mut self, scan: &Scan) -> (Vec<FileChange>, Vec<FileChange>) {
        let mut found: Vec<FileChange> = Vec::new();
        for problem in &scan.problems {
            match found.iter_mut().find(|change| change.file == problem.place.file) {
                Some(change) => change.problems.push(problem.clone()),
                None => {
                    let problems = vec![problem.clone()];
                    found.push(FileChange { problems, ..gone(&problem.place.file) });
                }
            }
        }
        let mended = std::mem::replace(&mut self.strays, found.iter().map(|change| change.file.clone()).collect());
        let mended = mended.iter().filter(|file| !self.strays.contains(file)).map(|file| gone(file)).collect();
        (mended, found)
    }

    fn change(&self, result: FileResult) -> FileChange {
        let file = result.file.path;
        let mut problems = result.problems;
        let mut dags = Vec::new();
        for definition in result.dags {
            let dag_id = definition.dag_id.clone();
            match Dag::compile(definition) {
                Ok(dag) => dags.push(Arc::new(dag)),
                Err(invalid) => {
                    problems.push(Problem::error(Place::file(&file), format!("DAG `{dag_id}`: {invalid}")));
                }
            }
        }
        let source = std::fs::read(self.folder.root.join(&file)).unwrap_or_default();
        let (source, took) = (String::from_utf8_lossy(&source).into_owned(), result.took);
        FileChange { source, file, dags, problems, took }
    }
}

/// `None` for a file that cannot be read.
fn hash(path: &Path) -> Option<ContentHash> {
    std::fs::read(path).ok().map(|content| ContentHash::of(&content))
}

fn gone(file: &str) -> FileChange {
    FileChange {
        file: file.to_owned(),
        source: String::new(),
        dags: Vec::new(),
        problems: Vec::new(),
        took: std::time::Duration::ZERO,
    }
}
