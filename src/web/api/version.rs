//! Which program this is.

use serde::Serialize;
use utoipa::ToSchema;

use crate::web::Needs;

use super::asked::Asked;
use super::operation::{Answer, Operation, good};

#[derive(Serialize, ToSchema)]
#[schema(as = VersionInfo)]
struct VersionInfo {
    version: &'static str,
    git_version: Option<String>,
}

pub fn operations() -> Vec<Operation> {
    vec![Operation::get("/version", "get_version", "Get Version", Needs::Nobody, version).answers::<VersionInfo>()]
}

async fn version(asked: Asked) -> Answer {
    good(VersionInfo { version: asked.web.settings.version, git_version: None })
}
