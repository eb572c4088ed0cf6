//! Reads DAG files into definitions, several at once, each for itself.
//!
//! A file never fails the others: whatever is wrong with it becomes problems of
//! its own result. The loader remembers which file defines which DAG, so that
//! two files cannot fight over a name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::folder::{Language, SourceFile, unreadable};
use super::hash::ContentHash;
use super::lower::{Defaults, Lowered, lower};
use super::python::{self, Interpreter, Parsed};
use super::spec::DagSpec;
use super::values::{Asked, Values};
use super::yaml;
use crate::domain::dag::DagDefinition;
use crate::domain::ids::DagId;
use crate::domain::problem::{Place, Problem, Severity};

/// What came of one file.
///
/// A DAG of the file that is not in `dags` any more is gone, unless `problems`
/// hold an error: then it goes on as it was until the file is mended.
#[derive(Clone, Debug, PartialEq)]
pub struct FileResult {
    pub file: SourceFile,
    /// Of the bytes that were read; `None` for a file that could not be read.
    pub hash: Option<ContentHash>,
    pub dags: Vec<DagDefinition>,
    pub problems: Vec<Problem>,
    /// Files beside it that it imported: when one of them changes, so does it.
    pub imports: Vec<PathBuf>,
    /// Variables and connections that it asked for while it was loaded: when one of them changes, so does it.
    pub asked: Vec<Asked>,
    /// Reading, parsing and lowering, without the wait for a turn.
    pub took: Duration,
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// `[core] dags_folder`
    pub root: PathBuf,
    pub defaults: Defaults,
    /// `[dag_processor] parsing_processes`: how many files are read at once, at least one.
    pub parsing_processes: usize,
    /// Who reads Python files, or why nobody can.
    pub python: Result<Interpreter, String>,
    /// Who answers for variables and connections that a Python file asks for; without it only its environment does.
    pub values: Option<Values>,
}

/// Reads files and knows which of them owns which DAG.
pub struct Loader {
    options: Arc<LoaderOptions>,
    turns: Arc<Turns>,
    owners: Owners,
    reading: JoinSet<FileResult>,
    /// Read, and not handed on yet.
    read: Vec<FileResult>,
    by_file: HashMap<SourceFile, (Id, AbortHandle)>,
}

/// How long the files that are read at once wait for each other.
const PATIENCE: Duration = Duration::from_secs(1);

impl Loader {
    pub fn new(options: LoaderOptions) -> Self {
        let turns = Arc::new(Turns::new(options.parsing_processes.max(1)));
        Self {
            options: Arc::new(options),
            turns,
            owners: Owners::default(),
            reading: JoinSet::new(),
            read: Vec::new(),
            by_file: HashMap::new(),
        }
    }

    /// Says what is known from before a restart: these DAGs are this file's.
    pub fn remember(&mut self, file: &str, dags: impl IntoIterator<Item = DagId>) {
        self.owners.claim(file, dags);
    }

    /// Says that a file is gone, so that its names are free. What is still being read of it counts no more.
    pub fn forget(&mut self, file: &str) {
        self.owners.release(file);
        self.read.retain(|result| result.file.path != file);
        if let Some((_, reading)) = SourceFile::new(file).and_then(|file| self.by_file.remove(&file)) {
            reading.abort();
        }
    }

    /// Reads the files and gives their results in path order. Files that take longer
    /// than a second hold nobody up: theirs come from [`more`](Self::more).
    ///
    /// Of two files that define the same DAG the one known first keeps it; of
    /// two new ones the first in path order gets it. The other's DAG is left out
    /// and its problem names both files.
    ///
    /// Files whose DAG was left out are read again when the name is free.
    pub async fn load(&mut self, mut files: Vec<SourceFile>) -> Vec<FileResult> {
        let mut results = BTreeMap::new();
        loop {
            let freed = self.owners.freed();
            files.extend(freed.into_iter().filter(|freed| !files.contains(freed)).collect::<Vec<_>>());
            if files.is_empty() && self.read.is_empty() {
                return results.into_values().collect();
            }
            for file in std::mem::take(&mut files) {
                self.begin(file);
            }
            for result in self.collect().await {
                results.insert(result.file.clone(), result);
            }
        }
    }

    /// Whether files are still being read.
    pub fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Waits for a slow file; without one it waits for ever. May be dropped while it waits: nothing is lost.
    pub async fn more(&mut self) -> Vec<FileResult> {
        while self.read.is_empty() {
            match self.reading.join_next_with_id().await {
                Some(finished) => self.finished(finished),
                None => std::future::pending().await,
            }
        }
        self.load(Vec::new()).await
    }

    /// A file that is being read already has changed meanwhile: what it said before counts no more.
    fn begin(&mut self, file: SourceFile) {
        if let Some((_, before)) = self.by_file.remove(&file) {
            before.abort();
        }
        let (options, turns) = (Arc::clone(&self.options), Arc::clone(&self.turns));
        let task = self.reading.spawn(load_one(file.clone(), options, turns));
        self.by_file.insert(file, (task.id(), task));
    }

    /// Everything that is read within the patience.
    async fn collect(&mut self) -> Vec<FileResult> {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                finished = self.reading.join_next_with_id() => match finished {
                    Some(finished) => self.finished(finished),
                    None => break,
                },
                () = &mut patience => break,
            }
        }
        let mut results = std::mem::take(&mut self.read);
        results.sort_by(|a, b| a.file.cmp(&b.file));
        self.owners.settle(&mut results);
        results
    }

    /// A reading that was given up says nothing, also when it had ended by then.
    fn finished(&mut self, finished: Result<(Id, FileResult), JoinError>) {
        match finished {
            Ok((id, result)) => {
                if self.by_file.get(&result.file).is_some_and(|(known, _)| *known == id) {
                    self.by_file.remove(&result.file);
                    self.read.push(result);
                }
            }
            Err(failure) if failure.is_cancelled() => {}
            // A panic of a library over one file is that file's problem.
            Err(failure) => {
                let file = self.by_file.iter().find(|(_, (id, _))| *id == failure.id()).map(|(file, _)| file.clone());
                if let Some(file) = file {
                    self.by_file.remove(&file);
                    self.read.push(failed(file, &failure));
                }
            }
        }
    }
}

/// Places for Python files: each is a process. A file that is slow gives its turn to the next one, as long as there
/// is a place among the slow ones, so that a few hanging files hold nobody up.
struct Turns {
    quick: Semaphore,
    slow: Semaphore,
}

impl Turns {
    fn new(processes: usize) -> Self {
        Self { quick: Semaphore::new(processes), slow: Semaphore::new((2 * processes).max(4)) }
    }

    /// Does the work when it has its turn.
    async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        let turn = self.quick.acquire().await;
        tokio::pin!(work);
        if let Ok(done) = tokio::time::timeout(PATIENCE, &mut work).await {
            return done;
        }
        let place = self.slow.try_acquire();
        if place.is_ok() {
            drop(turn);
        }
        work.await
    }
}

async fn load_one(file: SourceFile, options: Arc<LoaderOptions>, turns: Arc<Turns>) -> FileResult {
    match file.language {
        Language::Yaml => {
            let start = Instant::now();
            let (for_failure, path) = (file.clone(), options.root.join(&file.path));
            let read = tokio::task::spawn_blocking(move || load_yaml(file, &path, &options.defaults, start));
            read.await.unwrap_or_else(|failure| failed(for_failure, &failure))
        }
        Language::Python => turns.take(load_python(file, &options)).await,
    }
}

async fn load_python(file: SourceFile, options: &LoaderOptions) -> FileResult {
    // Not before: the wait for a turn is no fault of the file.
    let start = Instant::now();
    let (hash, mut problems) = match tokio::fs::read(options.root.join(&file.path)).await {
        Ok(content) => (Some(ContentHash::of(&content)), Vec::new()),
        Err(error) => (None, vec![unreadable(&file.path, &error)]),
    };
    let parsed = python_specs(&file, options).await;
    problems.extend(parsed.problems);
    let dags = lower_all(parsed.dags, &file.path, None, &options.defaults, &mut problems);
    let (imports, asked) = (parsed.local_modules, parsed.asked);
    FileResult { file, hash, dags, problems, imports, asked, took: start.elapsed() }
}

/// The DAGs of a Python file, as its interpreter tells them.
async fn python_specs(file: &SourceFile, options: &LoaderOptions) -> Parsed {
    match &options.python {
        Ok(interpreter) => {
            let path = options.root.join(&file.path);
            python::parse(interpreter, &options.root, &path, options.values.as_ref()).await
        }
        Err(why) => {
            let problem = Problem::error(Place::file(file.path.as_str()), why.clone());
            Parsed { problems: vec![problem], ..Parsed::default() }
        }
    }
}

fn load_yaml(file: SourceFile, path: &Path, defaults: &Defaults, start: Instant) -> FileResult {
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) => {
            let problems = vec![unreadable(&file.path, &error)];
            return FileResult {
                file,
                hash: None,
                dags: Vec::new(),
                problems,
                imports: Vec::new(),
                asked: Vec::new(),
                took: start.elapsed(),
            };
        }
    };
    let hash = Some(ContentHash::of(&content));
    let (dags, problems) = match std::str::from_utf8(&content) {
        Ok(text) => {
            let (specs, mut problems) = yaml::parse(&file.path, text);
            let dags = lower_all(specs, &file.path, Some(text), defaults, &mut problems);
            (dags, problems)
        }
        Err(error) => {
            let before = &content[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u32;
            let problem = Problem::error(Place::line(file.path.as_str(), line), "the file is not UTF-8 text");
            (Vec::new(), vec![problem])
        }
    };
    FileResult { file, hash, dags, problems, imports: Vec::new(), asked: Vec::new(), took: start.elapsed() }
}

/// Lowers the DAGs of one file. One name twice in a file is a problem of the second.
fn lower_all(
    specs: Vec<DagSpec>,
    file: &str,
    text: Option<&str>,
    defaults: &Defaults,
    problems: &mut Vec<Problem>,
) -> Vec<DagDefinition> {
    let mut dags: Vec<DagDefinition> = Vec::with_capacity(specs.len());
    for spec in specs {
        let line = spec.line;
        let Lowered { dag, problems: found } = lower(spec, file, defaults);
        problems.extend(found.into_iter().map(|problem| match text {
            Some(text) => yaml::with_snippet(problem, text),
            None => problem,
        }));
        let Some(dag) = dag else { continue };
        if dags.iter().any(|other| other.dag_id == dag.dag_id) {
            let message = format!("DAG `{}` is defined twice in this file; the first one is used", dag.dag_id);
            problems.push(Problem::error(Place { line, ..Place::file(file) }, message));
        } else {
            dags.push(dag);
        }
    }
    dags
}

/// A file whose reading panicked: a fault of ours or of a library, said as the file's problem.
fn failed(file: SourceFile, failure: &tokio::task::JoinError) -> FileResult {
    let problem = Problem::error(Place::file(file.path.as_str()), format!("reading the file failed: {failure}"))
        .hint("this is a fault of the program: please report it with the file");
    FileResult {
        file,
        hash: None,
        dags: Vec::new(),
        problems: vec![problem],
        imports: Vec::new(),
        asked: Vec::new(),
        took: Duration::ZERO,
    }
}

/// Which file defines which DAG.
#[derive(Debug, Default)]
struct Owners {
    owner: BTreeMap<DagId, String>,
    /// Files that define a DAG which another file owns.
    waiting: BTreeSet<(DagId, SourceFile)>,
}

impl Owners {
    fn claim(&mut self, file: &str, dags: impl IntoIterator<Item = DagId>) {
        for dag in dags {
            self.owner.entry(dag).or_insert_with(|| file.to_owned());
        }
    }

    fn release(&mut self, file: &str) {
        self.owner.retain(|_, owner| owner != file);
        self.waiting.retain(|(_, waiting)| waiting.path != file);
    }

    /// Files that wait for a name which nobody has any more.
    fn freed(&self) -> BTreeSet<SourceFile> {
        let free = self.waiting.iter().filter(|(dag, _)| !self.owner.contains_key(dag));
        free.map(|(_, file)| file.clone()).collect()
    }

    /// Takes DAGs of another file's name out of the results, which are in path order.
    fn settle(&mut self, results: &mut [FileResult]) {
        for result in results.iter() {
            self.waiting.retain(|(_, waiting)| *waiting != result.file);
            // A file that could be read and dropped a DAG has no claim on it any more.
            // One with errors keeps its claims: its DAGs go on as they were.
            if result.problems.iter().all(|problem| problem.severity != Severity::Error) {
                let path = &result.file.path;
                self.owner.retain(|dag, owner| owner != path || result.dags.iter().any(|d| d.dag_id == *dag));
            }
        }
        for FileResult { file, dags, problems, .. } in results {
            dags.retain(|dag| {
                let owner = self.owner.entry(dag.dag_id.clone()).or_insert_with(|| file.path.clone());
                if *owner != file.path {
                    self.waiting.insert((dag.dag_id.clone(), file.clone()));
                    let message = format!("DAG `{}` is defined in {owner} already, and that one is used", dag.dag_id);
                    let problem = Problem::error(Place::file(file.path.as_str()), message);
                    problems.push(problem.hint("give one of them another `dag_id`"));
                }
                *owner == file.path
            });
        }
    }
}

#[cfg(test)]
mod tests;
