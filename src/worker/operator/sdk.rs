//! Tasks of DAG files where Airflow's Task SDK is installed: its own task runner runs them, and `worker::sdk` is its
//! supervisor.
//!
//! The runner reads the DAG file again, renders the templates and expands what is mapped, all by itself.

use std::time::Duration;

use super::channel::First;
use super::{Job, Unstartable, context_variables, python};
use crate::domain::ids::Claim;
use crate::domain::time::Time;
use crate::protocol::work::TaskMessage;
use crate::worker::companion::frame::{Base, Origin, SpawnSpec, Warm};
use crate::worker::sdk::{Supervisor, startup};
use crate::worker::settings::WorkerSettings;
use crate::worker::{dag_file, mapped};

/// The word after our package that starts Airflow's task runner.
const WORD: &str = "sdk";

/// Whether Airflow's own runner does this: a task object of a DAG file, and no callback.
pub fn runs(task: &TaskMessage, settings: &WorkerSettings) -> bool {
    settings.python.sdk && task.notice.is_none() && mapped::in_dag_file(&task.operator)
}

/// How much longer than its author's limit such a task may take: the runner keeps the limit itself, so that what waits
/// for the failure hears of it, and only where it does not is it ended from here.
pub fn slack(task: &TaskMessage, settings: &WorkerSettings) -> Duration {
    if runs(task, settings) { Duration::from_secs(5) } else { Duration::ZERO }
}

pub fn prepare(task: &TaskMessage, claim: Claim, now: Time, settings: &WorkerSettings) -> Result<Job, Unstartable> {
    dag_file::check(&task.run.file, task.run.file_hash.as_deref(), &settings.dags_folder)?;
    let (program, mut args, shown) = python::command(settings)?;
    args.push(WORD.to_owned());
    // The runner reads the file by itself each time: nothing of it can be kept.
    let origin = if settings.python.warm { Origin::Warm(Warm { file: None }) } else { Origin::Exec };
    let mut env = context_variables(task, claim);
    env.extend(
        [
            ("AIRFLOW__CORE__DAGS_FOLDER", settings.dags_folder.display().to_string()),
            ("AIRFLOW__CORE__LOAD_EXAMPLES", "False".to_owned()),
            ("_AIRFLOW_PROCESS_CONTEXT", "client".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(Job {
        spec: SpawnSpec { program, args, cwd: settings.dags_folder.clone(), base: Base::Inherit, env, origin },
        shown: format!("{shown}, Airflow's task runner"),
        leftover: None,
        start: Some(First::Sdk(Box::new(Supervisor::new(startup::own(task), startup::details(task, now))))),
    })
}
