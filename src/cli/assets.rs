//! `updraft assets …`, in Airflow 2 `datasets`: what tasks make and DAGs wait for.

use std::collections::BTreeMap;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use crate::domain::asset::{Asset, AssetRef};
use crate::domain::ids::AssetName;
use crate::domain::problem::suggestion;
use crate::domain::run::iso;
use crate::node::client::Client;
use crate::protocol::control::{self, Control};
use crate::store::query::DagEntry;

use super::arguments::{DagSource, Output};
use super::dags::{asked_for, write_triggered};
use super::error::CliError;
use super::output::Rows;
use super::session::Session;

/// Look at assets, and have them made.
#[derive(Clone, Debug, Args)]
pub struct AssetsCommand {
    #[command(subcommand)]
    action: AssetsAction,
}

#[derive(Clone, Debug, Subcommand)]
enum AssetsAction {
    /// List all assets.
    #[command(
        after_help = "Examples:\n  updraft assets list\n  updraft assets list -o json --columns name,producers,consumers"
    )]
    List(List),
    /// Show everything about one asset.
    #[command(
        after_help = "Examples:\n  updraft assets details --name orders\n  updraft assets details --uri s3://bucket/orders"
    )]
    Details(Details),
    /// Run the DAG that makes an asset.
    #[command(
        after_help = "Examples:\n  updraft assets materialize orders\n  updraft assets materialize --uri s3://bucket/orders"
    )]
    Materialize(Materialize),
}

const COLUMNS: [&str; 6] = ["name", "uri", "group", "extra", "producers", "consumers"];
/// Those that Airflow shows.
const USUAL: usize = 4;

#[derive(Clone, Debug, Args)]
struct List {
    /// Only these columns, in this order.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN", value_parser = COLUMNS)]
    columns: Vec<String>,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

/// Which asset: its name as an argument or as `--name`, or its URI.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["asset", "name", "uri"])))]
struct Which {
    /// The name of the asset.
    asset: Option<String>,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    uri: Option<String>,
}

#[derive(Clone, Debug, Args)]
struct Details {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Debug, Args)]
struct Materialize {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl AssetsCommand {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self.action {
            AssetsAction::List(list) => list.run(session).await,
            AssetsAction::Details(details) => details.run(session).await,
            AssetsAction::Materialize(materialize) => materialize.run(session).await,
        }
    }
}

/// Who makes an asset, and who waits for it.
#[derive(Default)]
struct Uses {
    producers: Vec<String>,
    consumers: Vec<String>,
}

/// Every asset that a DAG speaks of, with who does so.
fn uses(dags: &[DagEntry]) -> BTreeMap<AssetName, Uses> {
    let mut uses: BTreeMap<AssetName, Uses> = BTreeMap::new();
    for DagEntry { definition, .. } in dags {
        for asset in &definition.assets {
            uses.entry(asset.name.clone()).or_default();
        }
        for task in &definition.tasks {
            for outlet in &task.outlets {
                if let AssetRef::Asset(name) = outlet {
                    let producers = &mut uses.entry(name.clone()).or_default().producers;
                    producers.push(format!("{}.{}", definition.dag_id, task.task_id));
                }
            }
        }
        for wanted in definition.schedule.assets().map(|condition| condition.refs()).unwrap_or_default() {
            if let AssetRef::Asset(name) = wanted {
                uses.entry(name).or_default().consumers.push(definition.dag_id.to_string());
            }
        }
    }
    uses
}

impl List {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let mut uses = uses(&client.store.dags(false).await?);
        let mut rows = Rows::new(COLUMNS);
        for asset in client.store.assets().await? {
            let Uses { producers, consumers } = uses.remove(&asset.name).unwrap_or_default();
            rows.push([
                asset.name.as_str().into(),
                asset.uri.into(),
                asset.group.into(),
                Value::Object(asset.extra).into(),
                producers.into(),
                consumers.into(),
            ]);
        }
        let columns: Vec<&str> = match self.columns.as_slice() {
            [] => COLUMNS[..USUAL].to_vec(),
            asked => asked.iter().map(String::as_str).collect(),
        };
        Ok(rows.write_columns(&columns, self.output.format, &mut session.out)?)
    }
}

impl Details {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let asset = find(&client, &self.which).await?;
        let Uses { producers, consumers } =
            uses(&client.store.dags(false).await?).remove(&asset.name).unwrap_or_default();
        let newest = client.store.asset_events(&asset.name, 1).await?.pop();
        let source = newest
            .as_ref()
            .map(|event| format!("{}.{} of run {}", event.source.dag, event.source.task, event.source.run));
        let mut rows = Rows::new(["property_name", "property_value"]);
        rows.push(["name".into(), asset.name.as_str().into()]);
        rows.push(["uri".into(), asset.uri.into()]);
        rows.push(["group".into(), asset.group.into()]);
        rows.push(["extra".into(), Value::Object(asset.extra).into()]);
        rows.push(["producing_tasks".into(), producers.into()]);
        rows.push(["scheduled_dags".into(), consumers.into()]);
        rows.push(["last_asset_event".into(), newest.as_ref().map(|event| iso(event.at)).into()]);
        rows.push(["last_asset_event_source".into(), source.into()]);
        Ok(rows.write(self.output.format, &mut session.out)?)
    }
}

async fn find(client: &Client, which: &Which) -> Result<Asset, CliError> {
    let assets = client.store.assets().await?;
    let name = which.asset.as_ref().or(which.name.as_ref());
    let is_meant = |asset: &&Asset| match (name, &which.uri) {
        (Some(name), _) => asset.name.as_str() == name,
        (None, uri) => uri.as_ref() == Some(&asset.uri),
    };
    if let Some(asset) = assets.iter().find(is_meant) {
        return Ok(asset.clone());
    }
    let (what, text) = match (name, &which.uri) {
        (Some(name), _) => ("name", name.as_str()),
        (None, uri) => ("URI", uri.as_deref().unwrap_or_default()),
    };
    let known: Vec<&str> =
        assets.iter().map(|asset| if what == "name" { asset.name.as_str() } else { asset.uri.as_str() }).collect();
    let hint = suggestion(text, known).unwrap_or_else(|| "`updraft assets list` shows all".to_owned());
    Err(CliError::failed(format!("there is no asset with the {what} `{text}`")).hint(hint))
}

impl Materialize {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let user = session.user().map(str::to_owned);
        let Which { asset, name, uri } = self.which;
        let wish = Control::Materialize(control::Materialize { name: asset.or(name), uri, user: user.clone() });
        let run = asked_for(client.control(&wish, user.as_deref()).await?)?;
        write_triggered(session, &client, run, user, self.output.format)
    }
}
