//! Python tasks: the bridge runs them, and the worker answers what they ask (`protocol::task_channel`).

use std::path::{Path, PathBuf};

use super::channel::First;
use super::{Job, Unstartable, context_variables};
use crate::domain::expand::{Mapped, Piece};
use crate::domain::ids::Claim;
use crate::domain::operator::{Python, PythonCode};
use crate::domain::time::Time;
use crate::protocol::task_channel::{Start, ToTask};
use crate::protocol::work::TaskMessage;
use crate::worker::companion::frame::{Base, Origin, SpawnSpec, Warm};
use crate::worker::dag_file;
use crate::worker::render::{Templates, log_url};
use crate::worker::settings::WorkerSettings;

pub fn prepare(
    python: &Python,
    task: &TaskMessage,
    claim: Claim,
    now: Time,
    settings: &WorkerSettings,
    templates: &Templates<'_>,
) -> Result<Job, Unstartable> {
    dag_file::check(&task.run.file, task.run.file_hash.as_deref(), &settings.dags_folder)?;
    let (program, args, shown) = command(settings)?;
    let origin = if settings.python.warm { Origin::Warm(warm(&python.code)) } else { Origin::Exec };
    let run = &task.run;
    let previous = run.previous_success;
    let start = Start {
        code: python.code.clone(),
        decides: python.decides,
        args: python.args.iter().map(|arg| templates.render_value("op_args", arg)).collect::<Result<_, _>>()?,
        kwargs: python
            .kwargs
            .iter()
            .map(|(name, arg)| Ok((name.clone(), templates.render_value(&format!("op_kwargs[{name:?}]"), arg)?)))
            .collect::<Result<_, Unstartable>>()?,
        dag_id: task.key.dag.to_string(),
        task_id: task.key.task.to_string(),
        run_id: task.key.run.to_string(),
        map_index: task.key.map_index.0,
        mapped: mapped(task, templates)?,
        try_number: task.try_number.0,
        max_tries: task.max_tries,
        run_type: run.run_type,
        logical_date: run.logical_date,
        data_interval_start: run.interval.map(|interval| interval.start),
        data_interval_end: run.interval.map(|interval| interval.end),
        run_after: run.run_after,
        run_start_date: run.started_at,
        start_date: Some(now),
        previous_logical_date: run.previous_logical_date,
        next_logical_date: run.next_logical_date,
        prev_data_interval_start_success: previous.and_then(|run| run.data_interval).map(|interval| interval.start),
        prev_data_interval_end_success: previous.and_then(|run| run.data_interval).map(|interval| interval.end),
        prev_start_date_success: previous.and_then(|run| run.start_date),
        prev_end_date_success: previous.and_then(|run| run.end_date),
        xcom_of_any_task: run.xcom_of_any_task,
        conf: run.conf.clone(),
        params: run.params.clone(),
        inlets: task.inlets.clone(),
        outlets: task.outlets.clone(),
        asset_events: run.asset_events.clone(),
        dags_folder: settings.dags_folder.display().to_string(),
        waiting_since: task.waiting_since,
        reschedules: task.reschedules,
        log_url: Some(log_url(task, &settings.base_url)),
        callback: task.notice.as_deref().cloned(),
    };
    Ok(Job {
        spec: SpawnSpec {
            program,
            args,
            cwd: settings.dags_folder.clone(),
            base: Base::Inherit,
            env: context_variables(task, claim),
            origin,
        },
        shown,
        leftover: None,
        start: Some(First::Bridge(Box::new(ToTask::Start(Box::new(start))))),
    })
}

/// The interpreter with our package, and what people should read of it.
pub fn command(settings: &WorkerSettings) -> Result<(PathBuf, Vec<String>, String), Unstartable> {
    let (name, rest) = settings
        .python
        .command
        .split_first()
        .ok_or_else(|| Unstartable("no Python interpreter is configured ([python] interpreter)".to_owned()))?;
    let program = settings.find_program(Path::new(name)).ok_or_else(|| {
        Unstartable(format!(
            "there is no Python interpreter `{}` ([python] interpreter): install it, or name one that exists",
            name.display()
        ))
    })?;
    let args = rest.iter().map(|arg| {
        arg.to_str().map(str::to_owned).ok_or_else(|| Unstartable(format!("`{}` is not UTF-8", arg.display())))
    });
    Ok((program, args.collect::<Result<_, _>>()?, format!("python, {}", name.display())))
}

/// What of the work can be done once for many tasks.
fn warm(code: &PythonCode) -> Warm {
    match code {
        PythonCode::DagFile { file } => Warm { file: Some(file.into()) },
        PythonCode::Function { .. } | PythonCode::Inline { .. } => Warm { file: None },
    }
}

/// What an object of the DAG file is to be expanded with; what its author wrote is rendered.
fn mapped(task: &TaskMessage, templates: &Templates<'_>) -> Result<Option<Mapped>, Unstartable> {
    let Some(mut mapped) = task.mapped.clone() else { return Ok(None) };
    if let Some(pieces) = &mut mapped.pieces {
        pieces.each_mut(|piece| match piece {
            Piece::Literal { value, .. } | Piece::LiteralPair { value, .. } => {
                *value = templates.render_value("expand", value)?;
                Ok::<(), Unstartable>(())
            }
            Piece::Wanted { .. }
            | Piece::Found { .. }
            | Piece::FoundPair { .. }
            | Piece::Zip { .. }
            | Piece::Concat { .. }
            | Piece::Map { .. } => Ok(()),
        })?;
    }
    Ok(Some(mapped))
}
