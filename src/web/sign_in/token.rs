//! `/auth/token`: a password becomes a token of the API, as Airflow 3 does it.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use chrono::Utc;
use serde_json::{Value, json};

use crate::auth::Account;
use crate::web::audit::Deed;
use crate::web::error::Error;
use crate::web::route::{Needs, Route};
use crate::web::state::Web;

use super::address;
use super::identify::sign_in;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/auth/token", Needs::Nobody, make),
        Route::post("/auth/token/cli", Needs::Nobody, make_for_cli),
        Route::get("/auth/token", Needs::Nobody, make_for_everybody),
        Route::get("/auth/token/login", Needs::Nobody, enter),
    ]
}

async fn make(web: Web, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Error> {
    let holds = web.sign_in.token_holds;
    issue(&web, &request, &body, holds).await
}

async fn make_for_cli(web: Web, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Error> {
    let holds = web.sign_in.cli_token_holds;
    issue(&web, &request, &body, holds).await
}

async fn issue(web: &Web, request: &HttpRequest, body: &[u8], holds: Duration) -> Result<HttpResponse, Error> {
    let (user, password) = credentials(request, body)?;
    let from = address::caller(request, web);
    match sign_in(web, &user, &password, &from).await {
        Ok(account) => {
            web.record.keep_sign_in(&account.username, &from, Deed::new("create_token"), "done").await;
            Ok(answer(web, &account, holds))
        }
        Err(error @ (Error::WrongPassword | Error::TooMany(_))) => {
            web.record.keep_sign_in(&user, &from, Deed::new("create_token"), &error.to_string()).await;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Where everybody is an administrator, a token is there for the asking.
async fn make_for_everybody(web: Web) -> Result<HttpResponse, Error> {
    if !web.settings.all_admins {
        return Err(Error::Hidden("this is only there with [core] simple_auth_manager_all_admins".to_owned()));
    }
    let admin = Account { username: "admin".to_owned(), role: crate::auth::Role::Admin, credentials_at: None };
    Ok(answer(&web, &admin, web.sign_in.token_holds))
}

async fn enter(web: Web) -> Result<HttpResponse, Error> {
    if !web.settings.all_admins {
        return Err(Error::Hidden("this is only there with [core] simple_auth_manager_all_admins".to_owned()));
    }
    Ok(HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, "/")).finish())
}

fn answer(web: &Web, account: &Account, holds: Duration) -> HttpResponse {
    let role = account.role.as_str().to_lowercase();
    let token = web.sign_in.jwt.issue(&account.username, &role, Utc::now(), holds);
    HttpResponse::Created().json(json!({ "access_token": token }))
}

/// From JSON or a form.
fn credentials(request: &HttpRequest, body: &[u8]) -> Result<(String, String), Error> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let pairs: std::collections::HashMap<String, String> = std::str::from_utf8(body)
            .ok()
            .and_then(|text| actix_web::web::Query::from_query(text).ok())
            .map(actix_web::web::Query::into_inner)
            .unwrap_or_default();
        let given = |name: &str| pairs.get(name).cloned().ok_or_else(|| missing(name));
        return Ok((given("username")?, given("password")?));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Error::invalid("expected a JSON object with `username` and `password`"))?;
    let given = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing(name));
    Ok((given("username")?, given("password")?))
}

/// Airflow answers with a text here.
fn missing(field: &str) -> Error {
    Error::invalid(format!("the field `{field}` is missing"))
}
