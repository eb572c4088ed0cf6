//! Plugins and providers. This program is one piece and loads no code of others into itself, so there are none; tasks
//! that use a provider's operators find it where they run.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};

use super::asked::Asked;
use super::lists::{Kind, Param, paging};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = PluginCollectionResponse)]
struct Plugins {
    #[schema(value_type = Vec<Object>)]
    plugins: Vec<Value>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PluginImportErrorCollectionResponse)]
struct PluginErrors {
    #[schema(value_type = Vec<Object>)]
    import_errors: Vec<Value>,
    total_entries: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ProviderCollectionResponse)]
struct Providers {
    #[schema(value_type = Vec<Object>)]
    providers: Vec<Value>,
    total_entries: u64,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::Plugin);
    let paged = || {
        [
            Param::new("limit", Kind::Integer, "At most so many."),
            Param::new("offset", Kind::Integer, "Leaves out so many."),
        ]
    };
    vec![
        Operation::get("/plugins", "get_plugins", "Get Plugins", read, plugins).params(paged()).answers::<Plugins>(),
        Operation::get("/plugins/importErrors", "import_errors", "Plugin Import Errors", read, errors)
            .answers::<PluginErrors>()
            .new_in_v2(),
        Operation::get(
            "/providers",
            "get_providers",
            "Get Providers",
            may(Action::Read, Resource::Provider),
            providers,
        )
        .params(paged())
        .answers::<Providers>(),
    ]
}

async fn plugins(asked: Asked) -> Answer {
    paging(&asked)?;
    good(Plugins { plugins: Vec::new(), total_entries: 0 })
}

async fn errors(_: Asked) -> Answer {
    good(PluginErrors { import_errors: Vec::new(), total_entries: 0 })
}

async fn providers(asked: Asked) -> Answer {
    paging(&asked)?;
    good(Providers { providers: Vec::new(), total_entries: 0 })
}
