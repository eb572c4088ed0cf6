//! Versions of DAGs: every change of a definition is one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::{Action, Resource};
use crate::domain::ids::{DagId, VersionNumber};
use crate::store::query::{Listing, VersionStub, version_fields};
use crate::web::Error;

use super::asked::Asked;
use super::find::{self, ALL};
use super::lists::{Lists, value};
use super::operation::{Answer, Operation, good, may};

/// What Airflow calls the folder that DAG files come from when there is only one.
pub const BUNDLE: &str = "dags-folder";

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DagVersionResponse)]
pub struct DagVersion {
    pub id: Uuid,
    pub version_number: i32,
    pub dag_id: String,
    pub bundle_name: Option<String>,
    pub bundle_version: Option<String>,
    pub created_at: DateTime<Utc>,
    pub dag_display_name: String,
    pub bundle_url: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DAGVersionCollectionResponse)]
struct DagVersions {
    dag_versions: Vec<DagVersion>,
    total_entries: u64,
}

impl From<&VersionStub> for DagVersion {
    fn from(stub: &VersionStub) -> Self {
        Self {
            id: id_of(&stub.dag_id, stub.version),
            version_number: stub.version.0,
            dag_id: stub.dag_id.to_string(),
            bundle_name: Some(BUNDLE.to_owned()),
            bundle_version: None,
            created_at: stub.created_at,
            dag_display_name: stub.dag_id.to_string(),
            bundle_url: None,
        }
    }
}

/// A version is known by its DAG and number; who wants a UUID gets always the same one.
fn id_of(dag: &DagId, version: VersionNumber) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("updraft:dag_version/{dag}/{version}").as_bytes())
}

/// The versions that these DAGs ever had.
pub struct Known(HashMap<(DagId, VersionNumber), VersionStub>);

impl Known {
    pub async fn of(asked: &Asked, dags: impl Iterator<Item = DagId>) -> Result<Self, Error> {
        let dags: Vec<DagId> = dags.collect();
        Ok(Self(asked.web.store.version_stubs(&dags).await?))
    }

    pub fn get(&self, dag: &DagId, version: VersionNumber) -> Option<DagVersion> {
        self.0.get(&(dag.clone(), version)).map(DagVersion::from)
    }
}

const LISTS: Lists = Lists {
    order: version_fields::ALL,
    usual: "version_number",
    filters: &[value("version_number", version_fields::VERSION)],
};

pub fn operations() -> Vec<Operation> {
    let needs = may(Action::Read, Resource::Dag);
    vec![
        Operation::get("/dags/{dag_id}/dagVersions", "get_dag_versions", "Get Dag Versions", needs, list)
            .lists(&LISTS)
            .answers::<DagVersions>()
            .new_in_v2(),
        Operation::get("/dags/{dag_id}/dagVersions/{version_number}", "get_dag_version", "Get Dag Version", needs, get)
            .answers::<DagVersion>()
            .new_in_v2(),
    ]
}

async fn list(asked: Asked) -> Answer {
    let mut listing = LISTS.read(&asked)?;
    if asked.path("dag_id") != ALL {
        listing = listing.only(version_fields::DAG_ID, find::dag(&asked).await?.row.dag_id.as_str());
    }
    let page = asked.web.store.list_versions(&listing).await?;
    good(DagVersions { total_entries: page.total, dag_versions: page.rows.iter().map(DagVersion::from).collect() })
}

async fn get(asked: Asked) -> Answer {
    let (dag, number) = (asked.path("dag_id"), asked.number_in_path::<i32>("version_number")?);
    let listing = Listing::first(1)
        .only(version_fields::DAG_ID, dag)
        .only(version_fields::VERSION, crate::store::query::Cell::Integer(number.into()));
    let found = asked.web.store.list_versions(&listing).await?.rows.pop();
    let missing =
        || Error::NotFound(format!("The DagVersion with dag_id: `{dag}` and version_number: `{number}` was not found"));
    good(DagVersion::from(&found.ok_or_else(missing)?))
}
