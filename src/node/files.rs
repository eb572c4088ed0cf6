//! Follows the DAGs folder of a node: reads it once, then whenever it changes.

use std::time::Duration;

use actix::prelude::*;
use tokio::task::JoinHandle;

use crate::config;
use crate::dagfile::python::Interpreter;
use crate::dagfile::watch::{Notice, Watch, WatchTimes};
use crate::domain::problem::Severity;
use crate::scheduler::actor::Scheduler;
use crate::scheduler::core::FileChange;
use crate::scheduler::message::{FilesChanged, FolderRead};
use crate::store::Store;

use super::client::{dag_folder, remember_all};
use super::dag_folder::DagFolder;
use super::nudge::Ear;
use super::run::NodeError;

/// What goes on in the background, for one scheduler. Dropped, it goes on as long as that one lives.
pub struct Following(Vec<JoinHandle<()>>);

impl Following {
    /// Ends it now: somebody else leads, and neither files nor nudges concern this node.
    pub async fn end(self) {
        for task in self.0 {
            task.abort();
            // An error is what an abort looks like.
            let _ = task.await;
        }
    }
}

/// Reads the folder, lets the timetables run, and goes on in the background.
/// From here on the node also hears the nudges of other processes.
pub async fn follow(
    settings: &config::Settings,
    store: &Store,
    python: &Result<Interpreter, String>,
    scheduler: Addr<Scheduler>,
) -> Result<Following, NodeError> {
    let mut folder = dag_folder(settings, python.clone(), store)?;
    remember_all(store, &mut folder, false).await?;
    // Watched before it is looked at, so that nothing falls in between.
    let watch = Watch::start(folder.root(), WatchTimes::default()).await;
    let changes = folder.look().await;
    tell(&scheduler, changes).await;
    // A mailbox that has closed belongs to a node that is stopping.
    let _ = scheduler.send(FolderRead).await;
    // Only now: a command about a DAG of a file that nobody has read yet would be refused.
    let ear = Ear::open(&settings.home)
        .map_err(|why| NodeError::System { what: "cannot listen for commands in the home folder", why })?;
    let listening = actix::spawn(listen(ear, scheduler.clone()));
    // Zero is "as often as can be" in Airflow.
    let pause = settings.dag_processor.min_file_process_interval.max(Duration::from_millis(100));
    Ok(Following(vec![listening, actix::spawn(watch_on(watch, folder, scheduler, pause))]))
}

/// `pause` is how late a changed variable may be seen in a file that asks for it while it is loaded.
async fn watch_on(mut watch: Watch, mut folder: DagFolder, scheduler: Addr<Scheduler>, pause: Duration) {
    while scheduler.connected() {
        let changes = tokio::select! {
            notice = watch.next() => {
                heed(notice);
                folder.look().await
            }
            slow = folder.more() => slow,
            // Nobody says that a variable was set; only files that asked for one are worth this look.
            () = tokio::time::sleep(pause), if folder.asks_for_values() => folder.look_if_values_changed().await,
        };
        tell(&scheduler, changes).await;
    }
}

fn heed(notice: Notice) {
    match notice {
        Notice::Changed(_) => {}
        Notice::Degraded(problem) => tracing::warn!(%problem, "the DAGs folder is looked at now and then"),
        Notice::Restored => tracing::info!("changes in the DAGs folder are noticed at once again"),
    }
}

async fn tell(scheduler: &Addr<Scheduler>, changes: Vec<FileChange>) {
    if changes.is_empty() {
        return;
    }
    for change in &changes {
        log(change);
    }
    // A mailbox that has closed belongs to a node that is stopping.
    let _ = scheduler.send(FilesChanged(changes)).await;
}

fn log(change: &FileChange) {
    for problem in &change.problems {
        match problem.severity {
            Severity::Error => tracing::error!(%problem, "DAG file cannot be used"),
            Severity::Warning => tracing::warn!(%problem, "DAG file"),
        }
    }
    for dag in &change.dags {
        tracing::info!(dag = %dag.definition.dag_id, file = change.file, tasks = dag.definition.tasks.len(), "dag read");
    }
}

async fn listen(ear: Ear, scheduler: Addr<Scheduler>) {
    while scheduler.connected() {
        match ear.next().await {
            Ok(()) => {
                // A mailbox that has closed belongs to a node that is stopping.
                let _ = scheduler.send(crate::scheduler::message::Nudge).await;
            }
            Err(error) => {
                tracing::error!(%error, "commands of other processes are no longer heard");
                return;
            }
        }
    }
}
