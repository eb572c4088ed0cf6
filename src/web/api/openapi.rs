//! The document that describes the API to programs, made from the operations themselves.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Ref, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Required, ResponseBuilder,
};

use crate::web::Needs;

use super::lists::{Kind, Param};
use super::operation::{Operation, Shape};

/// What went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = HTTPExceptionResponse)]
struct HttpException {
    /// A sentence, an object, or a list of what is wrong with which field.
    #[schema(value_type = Value)]
    detail: Value,
}

/// Every status that an error may have, with its word.
const ERRORS: [(u16, &str); 10] = [
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (409, "Conflict"),
    (413, "Content Too Large"),
    (422, "Unprocessable Entity"),
    (429, "Too Many Requests"),
    (503, "Service Unavailable"),
];

/// The document.
pub fn document(version: &str, operations: &[Operation]) -> OpenApi {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    let mut keep = |shape: Shape| {
        let mut found = Vec::new();
        (shape.collect)(&mut found);
        schemas.extend(found);
    };
    keep(Shape::of::<HttpException>());
    let mut paths = Paths::new();
    for operation in operations {
        operation.takes.into_iter().chain(operation.good.shape).for_each(&mut keep);
        let path = format!("/api/v2{}", operation.documented_path());
        paths.add_path_operation(path, vec![method(operation)], described(operation));
    }
    let mut groups: Vec<&str> = operations.iter().map(|operation| operation.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let components = schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema))
        .security_scheme("HTTPBearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme("HTTPBasic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    let about =
        "Airflow's stable REST API, version 2. Sign in with a token from `POST /auth/token`, or with HTTP Basic.";
    let info = InfoBuilder::new().title("Updraft").version(version).description(Some(about));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(groups.into_iter().map(|group| TagBuilder::new().name(group).build())))
        .build()
}

fn method(operation: &Operation) -> utoipa::openapi::HttpMethod {
    use utoipa::openapi::HttpMethod;
    match operation.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn described(operation: &Operation) -> utoipa::openapi::path::Operation {
    let in_path = operation.names().into_iter().map(|name| {
        let kind = if is_number(&name) { Kind::Integer } else { Kind::Text };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(one(kind)))
            .build()
    });
    let parameters: Vec<Parameter> = in_path.chain(operation.params.iter().map(parameter)).collect();
    let body = operation.takes.map(|shape| {
        RequestBodyBuilder::new().content("application/json", content(shape)).required(Some(Required::True)).build()
    });
    let good = &operation.good;
    let mut answer = ResponseBuilder::new().description("Successful Response");
    match good.shape {
        Some(shape) => answer = answer.content("application/json", content(shape)),
        // Whatever it is, it is JSON.
        None if good.status == 200 => answer = answer.content("application/json", Content::new(None::<RefOr<Schema>>)),
        None => {}
    }
    for text in good.texts {
        answer = answer.content(*text, Content::new(Some(one(Kind::Text))));
    }
    let mut described = OperationBuilder::new()
        .tag(operation.group)
        .operation_id(Some(operation.id))
        .summary(Some(operation.about))
        .parameters(Some(parameters))
        .request_body(body)
        .response(good.status.to_string(), answer);
    for (status, word) in ERRORS {
        let content = Content::new(Some(Ref::from_schema_name("HTTPExceptionResponse")));
        let answer = ResponseBuilder::new().description(word).content("application/json", content);
        described = described.response(status.to_string(), answer);
    }
    if operation.needs != Needs::Nobody {
        let nothing: [&str; 0] = [];
        described = described
            .security(SecurityRequirement::new("HTTPBearer", nothing))
            .security(SecurityRequirement::new("HTTPBasic", nothing));
    }
    described.build()
}

/// What is a number wherever it stands in a path.
fn is_number(name: &str) -> bool {
    matches!(
        name,
        "map_index"
            | "try_number"
            | "task_try_number"
            | "backfill_id"
            | "version_number"
            | "import_error_id"
            | "asset_id"
            | "asset_alias_id"
            | "event_log_id"
    )
}

fn content(shape: Shape) -> Content {
    Content::new(Some(Ref::from_schema_name((shape.name)())))
}

fn parameter(param: &Param) -> Parameter {
    let item = match param.words.as_slice() {
        [] => one(param.kind),
        words => ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).into(),
    };
    let schema: RefOr<Schema> = if param.is_repeated { ArrayBuilder::new().items(item).into() } else { item };
    ParameterBuilder::new()
        .name(param.name.clone())
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(param.about))
        .schema(Some(schema))
        .build()
}

fn one(kind: Kind) -> RefOr<Schema> {
    let (kind, format) = match kind {
        Kind::Text => (Type::String, None),
        Kind::Integer => (Type::Integer, None),
        Kind::Number => (Type::Number, None),
        Kind::Flag => (Type::Boolean, None),
        Kind::Time => (Type::String, Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
    };
    ObjectBuilder::new().schema_type(SchemaType::new(kind)).format(format).into()
}
