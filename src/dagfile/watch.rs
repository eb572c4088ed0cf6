//! Notices that something in the DAGs folder changed, within a moment and without a timer.
//!
//! File events say only *that* something changed; what changed is for
//! [`super::folder`] to find out. The folder may be deleted, come back, or be
//! swapped by a link. Where the system gives no file events, a slow look takes
//! their place and a problem says why. Nothing here reads a file's content.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{folder::Language, ignore};
use crate::domain::problem::{Place, Problem};

/// The times of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchTimes {
    /// A save is several events: how long it must be quiet before it is told.
    pub debounce: Duration,
    /// The longest that a folder which is never quiet is waited for.
    pub patience: Duration,
    /// How often to look where file events do not come, and while the folder is missing.
    pub fallback: Duration,
}

impl Default for WatchTimes {
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(50),
            patience: Duration::from_millis(500),
            fallback: Duration::from_secs(5),
        }
    }
}

/// What a watch has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something changed at or below these paths. The set is never empty; the folder itself means "anywhere".
    Changed(BTreeSet<PathBuf>),
    /// File events do not come (all of them); from now on the folder is looked at now and then.
    Degraded(Problem),
    /// File events come again.
    Restored,
}

/// A watched DAGs folder. Watch first, then look at the folder, then wait for notices: nothing is missed.
pub struct Watch {
    root: PathBuf,
    times: WatchTimes,
    heard: Arc<Heard>,
    state: State,
    /// A notice about the watch itself that has not been told yet.
    untold: Option<Notice>,
}

/// Whether file events come.
enum State {
    /// The watcher lives as long as this value; `folder` is what it watches.
    Armed { _watcher: RecommendedWatcher, folder: Identity },
    /// The folder is not there.
    Missing { _parent: Option<RecommendedWatcher> },
    /// The system refuses file events, or some of them.
    Degraded,
}

/// Which folder a path leads to: a folder that was swapped has another.
type Identity = (u64, u64);

/// What the watcher's thread heard and nobody asked for yet.
#[derive(Default)]
struct Heard {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Default)]
struct Pending {
    paths: BTreeSet<PathBuf>,
    failure: Option<Problem>,
    /// Counts events, so that quiet can be told from noise.
    events: u64,
}

/// More paths than this are told as the whole folder.
const MOST_PATHS: usize = 1000;

impl Watch {
    /// Starts to watch. A folder that cannot be watched is a notice, not an error.
    pub async fn start(root: impl Into<PathBuf>, times: WatchTimes) -> Self {
        let mut watch = Self {
            root: root.into(),
            times,
            heard: Arc::default(),
            state: State::Missing { _parent: None },
            untold: None,
        };
        watch.arm().await;
        watch
    }

    /// Waits for the next notice. May be dropped while it waits; nothing is lost.
    pub async fn next(&mut self) -> Notice {
        loop {
            if let Some(notice) = self.untold.take() {
                return notice;
            }
            if !self.heard.has_pending() {
                self.wait().await;
            }
            self.settle().await;
            self.check().await;
            let paths = self.heard.take_paths();
            if !paths.is_empty() {
                return Notice::Changed(paths);
            }
        }
    }

    /// Until something is heard, or the time to look has come.
    async fn wait(&self) {
        match self.state {
            State::Armed { .. } => self.heard.wake.notified().await,
            State::Missing { .. } => {
                // The return of the folder should be seen within a second, whatever the parent's events say.
                let soon = self.times.fallback.min(Duration::from_millis(500));
                let _ = timeout(soon, self.heard.wake.notified()).await;
            }
            State::Degraded => {
                if timeout(self.times.fallback, self.heard.wake.notified()).await.is_err() {
                    self.heard.add(self.root.clone());
                }
            }
        }
    }

    /// Until it has been quiet for a moment, or patience ends.
    async fn settle(&self) {
        if !self.heard.has_pending() {
            return;
        }
        let end = Instant::now() + self.times.patience;
        loop {
            let before = self.heard.events();
            tokio::select! {
                () = sleep(self.times.debounce) => {}
                () = sleep_until(end) => return,
            }
            if self.heard.events() == before {
                return;
            }
        }
    }

    /// Watches anew when the folder is another one than before, or when events failed.
    async fn check(&mut self) {
        if let Some(problem) = self.heard.take_failure() {
            self.degrade(problem);
            return;
        }
        let now = identity(&self.root);
        let stale = match &self.state {
            State::Armed { folder, .. } => now != Some(*folder),
            State::Missing { .. } => now.is_some(),
            State::Degraded => true,
        };
        if stale {
            let was_degraded = matches!(self.state, State::Degraded);
            self.arm().await;
            // What happened since the old watch ended was not heard.
            self.heard.add(self.root.clone());
            if was_degraded && matches!(self.state, State::Armed { .. }) {
                self.untold = Some(Notice::Restored);
            }
        }
    }

    /// Watches the folder as it is now. Walks it, so it runs where blocking is allowed.
    async fn arm(&mut self) {
        let (root, heard) = (self.root.clone(), Arc::clone(&self.heard));
        let armed = tokio::task::spawn_blocking(move || arm(&root, &heard)).await;
        match armed {
            Ok(Ok(state)) => self.state = state,
            Ok(Err(error)) => self.degrade(problem(&self.root, &error)),
            Err(failure) => self.degrade(Problem::warning(self.place(), format!("watching failed: {failure}"))),
        }
    }

    fn degrade(&mut self, problem: Problem) {
        // Said once, not at each new try.
        if !matches!(self.state, State::Degraded) {
            self.untold = Some(Notice::Degraded(problem));
        }
        self.state = State::Degraded;
    }

    fn place(&self) -> Place {
        Place::file(self.root.display().to_string())
    }
}

fn arm(root: &Path, heard: &Arc<Heard>) -> notify::Result<State> {
    let handler = {
        let (root, heard) = (root.to_owned(), Arc::clone(heard));
        move |event: notify::Result<Event>| heard.on_event(&root, event)
    };
    let mut watcher = notify::recommended_watcher(handler)?;
    // The parent tells of a link that is swapped and of a folder that comes back; a folder that goes says so itself.
    // Beside a plain folder the parent stays unwatched: it is mostly the home, where the database would wake this
    // watcher at every write (measured: eight times per task).
    let needs_parent = !std::fs::symlink_metadata(root).is_ok_and(|found| found.is_dir());
    let parent = root.parent().filter(|parent| needs_parent && !parent.as_os_str().is_empty());
    let parent_is_watched = parent.is_some_and(|parent| watcher.watch(parent, RecursiveMode::NonRecursive).is_ok());
    let Some(folder) = identity(root) else {
        return Ok(State::Missing { _parent: parent_is_watched.then_some(watcher) });
    };
    match watcher.watch(root, RecursiveMode::Recursive) {
        Ok(()) => Ok(State::Armed { _watcher: watcher, folder }),
        Err(error) if matches!(error.kind, ErrorKind::PathNotFound) && identity(root).is_none() => {
            Ok(State::Missing { _parent: parent_is_watched.then_some(watcher) })
        }
        Err(error) => Err(error),
    }
}

fn identity(root: &Path) -> Option<Identity> {
    std::fs::metadata(root).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Why file events do not come, and what to do.
fn problem(root: &Path, error: &notify::Error) -> Problem {
    let place = Place::file(root.display().to_string());
    let too_many = |error: &std::io::Error| {
        error.raw_os_error().is_some_and(|code| {
            [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|errno| errno.raw_os_error() == code)
        })
    };
    let (message, hint) = match &error.kind {
        ErrorKind::MaxFilesWatch => (
            "the system's limit of watched folders is reached, so changes are found by a slow look at the folder"
                .into(),
            Some("raise it: sysctl fs.inotify.max_user_watches=524288"),
        ),
        ErrorKind::Io(error) if too_many(error) => (
            "the system's limit of watchers is reached, so changes are found by a slow look at the folder".into(),
            Some("raise it: sysctl fs.inotify.max_user_instances=1024"),
        ),
        ErrorKind::Generic(_)
        | ErrorKind::Io(_)
        | ErrorKind::PathNotFound
        | ErrorKind::WatchNotFound
        | ErrorKind::InvalidConfig(_) => {
            (format!("the folder cannot be watched, so changes are found by a slow look at it: {error}"), None)
        }
    };
    let problem = Problem::warning(place, message);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

impl Heard {
    /// Runs on the watcher's thread.
    fn on_event(&self, root: &Path, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.add(root.to_owned()),
            Ok(event) => {
                let matters = |path: &&PathBuf| matters(root, path, event.kind);
                event.paths.iter().filter(matters).for_each(|path| self.add(path.clone()));
            }
            Err(error) => {
                let failure = problem(root, &error);
                self.lock().failure = Some(failure);
                self.add(root.to_owned());
            }
        }
    }

    fn add(&self, path: PathBuf) {
        let mut pending = self.lock();
        pending.events += 1;
        if pending.paths.len() < MOST_PATHS {
            pending.paths.insert(path);
        } else if let Some(folder) = path.parent() {
            // Too many to name: the folders they lie in say enough.
            let folder = folder.to_owned();
            pending.paths.retain(|path| !path.starts_with(&folder));
            pending.paths.insert(folder);
        }
        drop(pending);
        self.wake.notify_one();
    }

    fn has_pending(&self) -> bool {
        !self.lock().paths.is_empty()
    }

    fn events(&self) -> u64 {
        self.lock().events
    }

    fn take_paths(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.lock().paths)
    }

    fn take_failure(&self) -> Option<Problem> {
        self.lock().failure.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a file has the ending of those that Python files open to make their DAGs of them.
fn may_be_read_by_one(path: &Path) -> bool {
    const ENDINGS: [&str; 10] = ["json", "toml", "ini", "cfg", "conf", "csv", "tsv", "txt", "sql", "j2"];
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Whether an event can mean that DAG files changed. Reading must not count, or each look would cause the next.
fn matters(root: &Path, path: &Path, kind: EventKind) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let hidden = inside.components().any(|part| match part {
        Component::Normal(name) => {
            name == "__pycache__" || name != ignore::FILE_NAME && name.as_encoded_bytes().starts_with(b".")
        }
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => false,
    });
    let whole = inside.as_os_str().is_empty();
    let is_dag_file = Language::of(path).is_some()
        || may_be_read_by_one(path)
        || inside.file_name().is_some_and(|name| name == ignore::FILE_NAME);
    let counts = match kind {
        // Something was written, or a file came or went: only files that can be DAGs count.
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Create(CreateKind::File)
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Other)
        | EventKind::Remove(RemoveKind::File) => is_dag_file,
        // Folders, links and renames may bring or take whole trees.
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => true,
        // Rights may have changed, so that a file can be read now.
        EventKind::Modify(ModifyKind::Metadata(_)) => is_dag_file || whole,
        EventKind::Any | EventKind::Other => true,
        EventKind::Access(_) => false,
    };
    counts && !hidden
}

#[cfg(test)]
mod tests;
