//! Python tasks: the bridge runs them, and the worker answers what they ask (`protocol::task_channel`).

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{Job, Judged, Unstartable, context_variables};
use crate::domain::attempt::Outcome;
use crate::domain::ids::Claim;
use crate::domain::operator::Python;
use crate::domain::time::Time;
use crate::protocol::task_channel::{FromTask, Reply, Start, ToTask, frame, frame_length};
use crate::protocol::work::TaskMessage;
use crate::worker::companion::frame::{Base, End, SpawnSpec};
use crate::worker::render::Templates;
use crate::worker::settings::WorkerSettings;

pub fn prepare(
    python: &Python,
    task: &TaskMessage,
    claim: Claim,
    now: Time,
    settings: &WorkerSettings,
    templates: &Templates<'_>,
) -> Result<Job, Unstartable> {
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
    let args = args.collect::<Result<_, _>>()?;
    let run = &task.run;
    let start = Start {
        code: python.code.clone(),
        args: python.args.iter().map(|arg| templates.render_value("args", arg)).collect::<Result<_, _>>()?,
        kwargs: python
            .kwargs
            .iter()
            .map(|(name, arg)| Ok((name.clone(), templates.render_value(&format!("kwargs[{name:?}]"), arg)?)))
            .collect::<Result<_, Unstartable>>()?,
        dag_id: task.key.dag.to_string(),
        task_id: task.key.task.to_string(),
        run_id: task.key.run.to_string(),
        map_index: task.key.map_index.0,
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
        conf: run.conf.clone(),
        params: run.params.clone(),
        dags_folder: settings.dags_folder.display().to_string(),
    };
    Ok(Job {
        spec: SpawnSpec {
            program,
            args,
            cwd: settings.dags_folder.clone(),
            base: Base::Inherit,
            env: context_variables(task, claim),
        },
        shown: format!("python, {}", name.display()),
        leftover: None,
        start: Some(Box::new(start)),
    })
}

/// The process ended without saying how: it crashed, or called `os._exit`.
pub fn judge_without_finish(end: End) -> Judged {
    match end {
        End::Code(0) => Judged { outcome: Outcome::Success, message: None },
        End::Code(code) => Judged {
            outcome: Outcome::Failed { retryable: true },
            message: Some(format!(
                "The Python process ended with exit code {code} before it could say how the task went"
            )),
        },
        End::Signal(signal) => Judged {
            outcome: Outcome::Failed { retryable: true },
            message: Some(format!("The Python process was ended by signal {signal} (was it short of memory?)")),
        },
    }
}

/// The worker's end of a task's channel. Reading and writing go on by themselves, so that a
/// task that does not read cannot hold up its slot.
pub struct Channel {
    heard: mpsc::UnboundedReceiver<Result<FromTask, String>>,
    replies: mpsc::UnboundedSender<Vec<u8>>,
}

impl Channel {
    /// Makes the channel and says `start`. The descriptor is for the process, as its standard input.
    pub fn open(start: Box<Start>) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (mut reading, mut writing) = tokio::net::UnixStream::from_std(ours)?.into_split();
        let (replies, mut to_write) = mpsc::unbounded_channel::<Vec<u8>>();
        let (tell, heard) = mpsc::unbounded_channel();
        let start = frame(&ToTask::Start(start)).map_err(io::Error::other)?;
        actix::spawn(async move {
            let mut next = Some(start);
            while let Some(bytes) = next {
                // It fails when the process has gone, which its exit says better.
                if writing.write_all(&bytes).await.is_err() {
                    return;
                }
                next = to_write.recv().await;
            }
        });
        actix::spawn(async move {
            loop {
                let heard = match read(&mut reading).await {
                    Ok(None) => return,
                    Ok(Some(message)) => Ok(message),
                    Err(error) => Err(error.to_string()),
                };
                let last = heard.is_err();
                if tell.send(heard).is_err() || last {
                    return;
                }
            }
        });
        Ok((Self { heard, replies }, OwnedFd::from(theirs)))
    }

    /// What the task says next; `None` at the end of the stream. May be cancelled.
    pub async fn hear(&mut self) -> Option<Result<FromTask, String>> {
        self.heard.recv().await
    }

    pub fn reply(&self, reply: &Reply) {
        let bytes = frame(reply).or_else(|error| frame(&Reply::error(reply.id, error.to_string())));
        if let Ok(bytes) = bytes {
            // Nobody writes any more when the process has gone.
            let _ = self.replies.send(bytes);
        }
    }
}

async fn read(from: &mut tokio::net::unix::OwnedReadHalf) -> io::Result<Option<FromTask>> {
    let mut head = [0; 4];
    match from.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let mut body = vec![0; frame_length(head).map_err(io::Error::other)?];
    from.read_exact(&mut body).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}
