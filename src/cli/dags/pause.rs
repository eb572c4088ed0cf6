//! `updraft dags pause` and `updraft dags unpause`. Unpausing says first what the schedule will make up for.

use clap::Args;
use indicatif::HumanCount;
use regex::Regex;

use crate::domain::backlog::Backlog;
use crate::domain::graph::Dag;
use crate::domain::ids::DagId;
use crate::node::client::Client;
use crate::protocol::control::Control;
use crate::store::query::DagEntry;

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::{OutputFormat, Rows};
use super::super::session::Session;

/// More runs than this are asked about first.
const MANY_RUNS: u64 = 50;

#[derive(Clone, Debug, Args)]
pub struct Pause {
    /// The DAG, or a regular expression that finds DAGs.
    dag_id: String,
    /// DAG_ID is a regular expression.
    #[arg(long)]
    treat_dag_id_as_regex: bool,
    /// Say yes to every question beforehand.
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Pause {
    pub async fn run(self, session: &mut Session, paused: bool) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let named = self.named(&client).await?;
        let mut chosen: Vec<DagEntry> = named.into_iter().filter(|entry| entry.row.is_paused != paused).collect();
        if chosen.is_empty() {
            session.say(format_args!("No {} DAGs were found", if paused { "unpaused" } else { "paused" }));
            return match self.output.format {
                OutputFormat::Table | OutputFormat::Plain => Ok(()),
                // A program reads an answer in any case.
                format @ (OutputFormat::Json | OutputFormat::Yaml) => {
                    Ok(Rows::new(["dag_id", "is_paused"]).write(format, &mut session.out)?)
                }
            };
        }
        if !self.yes && !self.agreed(session, &chosen, paused)? {
            session.say("Nothing was changed");
            return Ok(());
        }
        let mut rows = Rows::new(["dag_id", "is_paused"]);
        let user = session.user().map(str::to_owned);
        for entry in &mut chosen {
            let control = Control::Pause { dag: entry.row.dag_id.clone(), paused };
            let (dag, paused) = client.control(&control, user.as_deref()).await?.paused()?;
            rows.push([dag.as_str().into(), paused.into()]);
        }
        Ok(rows.write(self.output.format, &mut session.out)?)
    }

    async fn named(&self, client: &Client) -> Result<Vec<DagEntry>, CliError> {
        if self.treat_dag_id_as_regex {
            let pattern = Regex::new(&self.dag_id)
                .map_err(|error| CliError::usage(format!("`{}` is no regular expression: {error}", self.dag_id)))?;
            let all = client.store.dags(false).await?;
            return Ok(all.into_iter().filter(|entry| pattern.is_match(entry.row.dag_id.as_str())).collect());
        }
        let id = DagId::new(&self.dag_id).map_err(|error| {
            CliError::usage(error.to_string()).hint("--treat-dag-id-as-regex takes a regular expression".to_owned())
        })?;
        Ok(vec![lookup::dag(&client.store, &id).await?])
    }

    /// Says what will happen, and asks where that is much.
    fn agreed(&self, session: &mut Session, chosen: &[DagEntry], paused: bool) -> Result<bool, CliError> {
        let mut runs = 0;
        if !paused {
            for entry in chosen {
                let (due, sentence) = backlog(entry)?;
                runs += due;
                session.say(sentence);
            }
        }
        let several = chosen.len() > 1;
        if runs <= MANY_RUNS && !several {
            return Ok(true);
        }
        let verb = if paused { "pause" } else { "unpause" };
        if several {
            let ids: Vec<&str> = chosen.iter().map(|entry| entry.row.dag_id.as_str()).collect();
            session.say(format_args!("You are about to {verb} {} DAGs: {}", ids.len(), ids.join(", ")));
        }
        session.confirm(&format!("Are you sure that you want to {verb}?"))
    }
}

/// The runs that unpausing a DAG makes at once, and the sentence about them.
fn backlog(entry: &DagEntry) -> Result<(u64, String), CliError> {
    let id = &entry.row.dag_id;
    let dag = Dag::compile(entry.definition.clone())
        .map_err(|error| CliError::failed(format!("DAG `{id}` cannot be used: {error}")))?;
    let backlog = Backlog::of(&dag, entry.row.last_interval.as_ref(), chrono::Utc::now());
    Ok((backlog.runs, backlog.sentence(&dag, |number| HumanCount(number).to_string())))
}
