//! `updraft tasks logs`: the log files of a task's tries.

use std::time::Duration;

use clap::Args;

use crate::domain::ids::{DagId, MapIndex, TaskId, TryNumber};
use crate::node::client::Client;
use crate::store::write::{AttemptRow, RunRow};

use super::super::arguments::DagSource;
use super::super::error::CliError;
use super::super::lookup;
use super::super::session::Session;
use super::super::tail::Tail;

/// How often a growing log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Args)]
pub struct Logs {
    dag_id: DagId,
    task_id: TaskId,
    /// The run's id or its logical date.
    #[arg(value_name = "DATE/RUN")]
    run: String,
    /// Which try; without it the newest.
    #[arg(long = "try", alias = "try-number", value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    try_number: Option<i32>,
    /// Which element of a mapped task.
    #[arg(long, default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    map_index: i32,
    /// Go on as the log grows, until the task has ended.
    #[arg(short = 'f', long)]
    follow: bool,
    #[command(flatten)]
    source: DagSource,
}

impl Logs {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let folder = &config.settings().logging.base_log_folder;
        let entry = lookup::dag_with_history(&client.store, &self.dag_id).await?;
        let run = lookup::existing_run(&client.store, config.settings(), &self.dag_id, &self.run).await?;
        let mut tail: Option<(TryNumber, Tail)> = None;
        loop {
            let attempts = self.attempts(&client, &run).await?;
            // Asked before the copying: what is written until the end is then copied too.
            let over = self.over(&client, &run, &attempts).await?;
            match self.chosen(&attempts) {
                Some(attempt) => {
                    let known = tail.as_ref().is_some_and(|(number, _)| *number == attempt.try_number);
                    if !known {
                        let path = folder.join(&attempt.log_path);
                        session.say(format_args!("try {}: {}", attempt.try_number, path.display()));
                        tail = Some((attempt.try_number, Tail::new(path)));
                    }
                }
                None if self.follow && !over => {}
                None => {
                    if attempts.is_empty() {
                        lookup::task(&entry, &self.task_id)?;
                        lookup::instance(&client.store, run.key, &self.task_id, MapIndex(self.map_index)).await?;
                    }
                    return Err(self.no_such_try(&attempts));
                }
            }
            let found = match &mut tail {
                Some((_, tail)) => tail.copy_to(&mut session.out)?,
                None => false,
            };
            if over || !self.follow {
                return match tail {
                    Some((_, tail)) if !found => {
                        Err(CliError::failed(format!("there is no log {}", tail.path().display()))
                            .hint("it was removed, or the task ran on another machine".to_owned()))
                    }
                    Some(_) | None => Ok(()),
                };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The attempts of the task instance, in the order of their tries.
    async fn attempts(&self, client: &Client, run: &RunRow) -> Result<Vec<AttemptRow>, CliError> {
        let attempts = client.store.attempts(run.key, Some(&self.task_id)).await?;
        Ok(attempts.into_iter().filter(|attempt| attempt.map_index == MapIndex(self.map_index)).collect())
    }

    fn chosen<'a>(&self, attempts: &'a [AttemptRow]) -> Option<&'a AttemptRow> {
        match self.try_number {
            Some(number) => attempts.iter().rfind(|attempt| attempt.try_number == TryNumber(number)),
            None => attempts.last(),
        }
    }

    /// Whether nothing can be added to the log any more.
    async fn over(&self, client: &Client, run: &RunRow, attempts: &[AttemptRow]) -> Result<bool, CliError> {
        if self.try_number.is_some() && self.chosen(attempts).is_some_and(|attempt| attempt.state.is_done()) {
            return Ok(true);
        }
        let Some(task) = client.store.task(run.key, &self.task_id, MapIndex(self.map_index)).await? else {
            let run = client.store.run_by_key(run.key).await?;
            return Ok(run.is_none_or(|run| run.state.is_finished()));
        };
        Ok(task.state.is_finished() && attempts.last().is_none_or(|attempt| attempt.state.is_done()))
    }

    fn no_such_try(&self, attempts: &[AttemptRow]) -> CliError {
        let task = &self.task_id;
        match (self.try_number, attempts.last()) {
            (Some(number), Some(last)) => CliError::failed(format!("task `{task}` has no try {number}"))
                .hint(format!("its newest try is {}", last.try_number)),
            (Some(_) | None, _) => {
                CliError::failed(format!("task `{task}` has no log: it has not been tried in this run"))
                    .hint("--follow waits for it".to_owned())
            }
        }
    }
}
