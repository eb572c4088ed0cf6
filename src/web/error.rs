//! What can go wrong with a request, in the words of HTTP: JSON as Airflow shapes it under `/api`, a page elsewhere.
//! What happened inside is for the log, never for the answer.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use maud::{DOCTYPE, html};
use serde_json::{Value, json};

use crate::protocol::control::Refused;
use crate::store::{StoreError, VaultError};

use super::asset;
use super::state::ControlRefused;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// 400
    #[error("{0}")]
    Bad(String),
    /// 401
    #[error("Not authenticated")]
    NotSignedIn,
    /// 401
    #[error("Invalid credentials")]
    WrongPassword,
    /// 403, as Airflow answers to a token that is none.
    #[error("Invalid JWT token")]
    BadToken,
    /// 403
    #[error("Forbidden")]
    Forbidden,
    /// 403, with what is hidden and by which key.
    #[error("{0}")]
    Hidden(String),
    /// 404, with a sentence that names what is not there.
    #[error("{0}")]
    NotFound(String),
    /// 404: no route.
    #[error("there is no such page")]
    NoSuchPath,
    /// 405
    #[error("Method Not Allowed")]
    MethodNotAllowed,
    /// 409: a text or an object.
    #[error("{0}")]
    Conflict(Value),
    /// 413
    #[error("the request is too large")]
    TooLarge,
    /// 422: a text, or a list of what is wrong with which field.
    #[error("{0}")]
    Invalid(Value),
    /// 429
    #[error("too many attempts: try again in {} s", .0.as_secs().max(1))]
    TooMany(Duration),
    /// 503: nobody could do it now.
    #[error("{0}")]
    Unavailable(String),
    /// 500: the text is for the log.
    #[error("Internal Server Error")]
    Internal(String),
}

/// How an error looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// A page for people.
    Page,
    /// `{"detail": ...}`
    Json,
    /// RFC 7807, as the API of Airflow 2 had it.
    Problem,
}

impl Looks {
    pub fn of(path: &str) -> Self {
        let is_under =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_under("/api/v1") {
            Self::Problem
        } else if ["/api", "/auth", "/live", "/metrics"].into_iter().any(is_under) {
            Self::Json
        } else {
            Self::Page
        }
    }
}

impl Error {
    /// 409 with a sentence.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Self::Conflict(Value::String(sentence.into()))
    }

    /// 422 with a sentence.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(Value::String(sentence.into()))
    }

    /// 422 about one field, as Airflow 3 reports it: `kind` is for example `missing`, `place` `["body", "slots"]`.
    pub fn field(kind: &str, place: &[&str], message: impl Into<String>, input: Value) -> Self {
        Self::Invalid(json!([{ "type": kind, "loc": place, "msg": message.into(), "input": input }]))
    }

    /// What the framework refuses before a handler runs: a path, a query or a body that cannot be read.
    pub(in crate::web) fn foreign(error: &actix_web::Error) -> Self {
        let status = error.as_response_error().status_code();
        match status {
            StatusCode::NOT_FOUND => Self::NoSuchPath,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            status if status.is_client_error() => Self::invalid(error.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::NotSignedIn | Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::BadToken | Self::Forbidden | Self::Hidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> Value {
        match self {
            Self::Conflict(detail) | Self::Invalid(detail) => detail.clone(),
            Self::Bad(_)
            | Self::NotSignedIn
            | Self::WrongPassword
            | Self::BadToken
            | Self::Forbidden
            | Self::Hidden(_)
            | Self::NotFound(_)
            | Self::NoSuchPath
            | Self::MethodNotAllowed
            | Self::TooLarge
            | Self::TooMany(_)
            | Self::Unavailable(_)
            | Self::Internal(_) => Value::String(self.to_string()),
        }
    }

    /// The sentence for people.
    fn sentence(&self) -> String {
        match self.detail() {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The answer. `looked_for` is the path that somebody wanted to see, who is led there by way of the login.
    pub(super) fn response(&self, looks: Looks, looked_for: Option<&str>) -> HttpResponse {
        let status = self.status();
        if let Self::Internal(why) = self {
            tracing::error!(%why, "a request failed");
        }
        let mut answer = HttpResponse::build(status);
        if let Self::TooMany(wait) = self {
            answer.insert_header((header::RETRY_AFTER, wait.as_secs().max(1)));
        }
        match looks {
            Looks::Json if *self == Self::NoSuchPath => answer.json(json!({ "error": "API route not found" })),
            Looks::Json => answer.json(json!({ "detail": self.detail() })),
            Looks::Problem => {
                let title = status.canonical_reason().unwrap_or("Error");
                let body = json!({ "detail": self.detail(), "status": status.as_u16(), "title": title, "type": "about:blank" });
                answer.content_type("application/problem+json").body(body.to_string())
            }
            Looks::Page => {
                if let (Self::NotSignedIn, Some(path)) = (self, looked_for) {
                    let next = percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC);
                    return HttpResponse::SeeOther()
                        .insert_header((header::LOCATION, format!("/login?next={next}")))
                        .finish();
                }
                answer.content_type("text/html; charset=utf-8").body(self.page().into_string())
            }
        }
    }

    /// Of its own, not in the frame of the others: whoever sees it may have no right to the numbers of a header.
    fn page(&self) -> maud::Markup {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or("Error");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) " · Updraft" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(asset::url("updraft.css"));
                }
                body {
                    main {
                        section.empty {
                            p.quiet { (status.as_u16()) }
                            h1 { (title) }
                            p { (self.sentence()) }
                            div.row { a.button href="/" { "All DAGs" } a.button.ghost href="/search" { "Search" } }
                        }
                    }
                }
            }
        }
    }
}

/// Without its clothes: `dress` gives it the look that its path has.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<ControlRefused> for Error {
    fn from(refused: ControlRefused) -> Self {
        match refused {
            ControlRefused::Refused(refused) => refused.into(),
            ControlRefused::NoAnswer(why) => Self::Unavailable(why),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let sentence = refused.to_string();
        match refused {
            Refused::DagNotFound { .. }
            | Refused::RunNotFound { .. }
            | Refused::TaskNotFound { .. }
            | Refused::PoolNotFound { .. }
            | Refused::BackfillNotFound { .. }
            | Refused::WorkerNotFound { .. } => Self::NotFound(sentence),
            Refused::RunExists { .. }
            | Refused::LogicalDateTaken { .. }
            | Refused::BackfillActive { .. }
            | Refused::BackfillOver { .. }
            | Refused::RunNotOver { .. }
            | Refused::TaskRuns { .. } => Self::conflict(sentence),
            Refused::DefaultPool { .. } | Refused::Invalid { .. } => Self::Bad(sentence),
        }
    }
}
