//! `/login` and `/logout`: a session begins and ends.

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use maud::{Markup, html};
use serde::Deserialize;

use crate::auth::{Account, secret};
use crate::store::SessionRow;
use crate::web::audit::Deed;
use crate::web::caller::{Caller, How};
use crate::web::error::Error;
use crate::web::route::{Needs, Route};
use crate::web::state::Web;
use crate::web::view::form::{Field, field};

use super::address;
use super::doorway::doorway;
use super::identify::{cookie_name, identify, session_token, sign_in};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/login", Needs::Nobody, show),
        Route::post("/login", Needs::Nobody, enter),
        Route::post("/logout", Needs::SignedIn, leave),
    ]
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

async fn show(web: Web, request: HttpRequest, query: web::Query<Next>) -> Result<HttpResponse, Error> {
    if let Ok(Some(_)) = identify(&request, &web).await {
        return Ok(to(local(&query.next)));
    }
    Ok(form(&web, "", &query.next, None))
}

async fn enter(web: Web, request: HttpRequest, entry: web::Form<Entry>) -> Result<HttpResponse, Error> {
    let from = address::caller(&request, &web);
    let user = entry.username.trim();
    let account = match sign_in(&web, user, &entry.password, &from).await {
        Ok(account) => account,
        Err(error @ (Error::WrongPassword | Error::TooMany(_))) => {
            web.record.keep_sign_in(user, &from, Deed::new("login_failed"), &error.to_string()).await;
            return Ok(form(&web, user, &entry.next, Some(&error)));
        }
        Err(error) => return Err(error),
    };
    let cookie = begin(&web, &request, &account, &from).await?;
    web.record.keep_sign_in(&account.username, &from, Deed::new("login"), "done").await;
    let mut answer = to(local(&entry.next));
    answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(answer)
}

/// A new session; one that the browser had before ends with it.
async fn begin(web: &Web, request: &HttpRequest, account: &Account, from: &str) -> Result<Cookie<'static>, Error> {
    if let Some(old) = session_token(request, web) {
        web.store.end_session(&secret::hash(&old)).await?;
    }
    let (token, now) = (secret::random(), Utc::now());
    let row = SessionRow {
        token: secret::hash(&token),
        username: account.username.clone(),
        created_at: now,
        seen_at: now,
        address: from.to_owned(),
    };
    web.store.add_session(&row, now - web.sign_in.session_idles).await?;
    web.store.note_sign_in(&account.username, now).await?;
    let lasts = time::Duration::try_from(web.sign_in.session_lasts).unwrap_or(time::Duration::DAY);
    Ok(cookie(web, token, lasts))
}

fn cookie(web: &Web, value: String, lasts: time::Duration) -> Cookie<'static> {
    Cookie::build(cookie_name(web), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(web.settings.is_https())
        .max_age(lasts)
        .finish()
}

async fn leave(web: Web, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Error> {
    if let Some(token) = session_token(&request, &web) {
        web.store.end_session(&secret::hash(&token)).await?;
    }
    if caller.how == How::Session {
        web.record.keep(&caller, Deed::new("logout"), "done").await;
    }
    let mut answer = to("/login");
    answer
        .add_cookie(&cookie(&web, String::new(), time::Duration::ZERO))
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(answer)
}

fn to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}

/// Where somebody wanted to go, if it is a page of ours.
fn local(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.starts_with("/login")
        && next.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_local { next } else { "/" }
}

fn form(web: &Web, user: &str, next: &str, error: Option<&Error>) -> HttpResponse {
    let body = body(user, next, error.map(ToString::to_string).as_deref());
    let status = error.map_or(StatusCode::OK, Error::status);
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .body(doorway(&web.settings, "Sign in", &body).into_string())
}

fn body(user: &str, next: &str, wrong: Option<&str>) -> Markup {
    html! {
        h1 { "Sign in" }
        form.form method="post" action="/login" {
            input type="hidden" name="next" value=(local(next));
            (field(&Field { name: "username", label: "Username", value: user, required: true, autocomplete: "username", ..Field::default() }))
            (field(&Field { name: "password", label: "Password", kind: "password", required: true, wrong, autocomplete: "current-password", ..Field::default() }))
            div.row { button.button.main type="submit" { "Sign in" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away_after_the_login() {
        for next in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "",
            "/a\r\nX: y",
            "/login?next=/",
        ] {
            assert_eq!(local(next), "/", "{next:?}");
        }
        assert_eq!(local("/dags/a?tab=grid#x"), "/dags/a?tab=grid#x");
    }

    #[test]
    fn the_form_repeats_the_name_but_never_the_password_and_escapes_both() {
        let html = body("<ann>", "/dags", Some("Invalid credentials")).into_string();
        assert!(html.contains("&lt;ann&gt;") && html.contains("Invalid credentials"), "{html}");
    }
}
