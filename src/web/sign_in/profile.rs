//! `/profile`: a user's own password, and the tokens that they made for programs.

use actix_web::{HttpResponse, web};
use chrono::{Duration, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use crate::auth::{Action, Resource, password, secret};
use crate::store::ApiTokenRow;
use crate::web::audit::Deed;
use crate::web::caller::{Caller, How};
use crate::web::error::Error;
use crate::web::page::shell::Shell;
use crate::web::route::{Needs, Route};
use crate::web::state::Web;
use crate::web::view::form::{self, Field, field};
use crate::web::view::frame::Here;

use super::identify::sign_in;

/// Shorter passwords are refused where people choose one.
const SHORTEST: usize = 8;

pub fn routes() -> Vec<Route> {
    let (read, edit) = (Needs::May(Action::Read, Resource::MyProfile), Needs::May(Action::Edit, Resource::MyProfile));
    vec![
        Route::get("/profile", read, show),
        Route::post("/profile/password", edit, change_password),
        Route::post("/profile/tokens", edit, make_token),
        Route::post("/profile/tokens/delete", edit, delete_token),
    ]
}

async fn show(shell: Shell) -> Result<HttpResponse, Error> {
    answer(&shell, &html! {}).await
}

#[derive(Deserialize)]
struct NewPassword {
    old: String,
    new: String,
    again: String,
}

async fn change_password(web: Web, caller: Caller, entry: web::Form<NewPassword>) -> Result<HttpResponse, Error> {
    if web.store.account(&caller.user).await?.is_none() {
        return Err(Error::Bad("your password is not kept here: change it where you sign in".to_owned()));
    }
    sign_in(&web, &caller.user, &entry.old, caller.address()).await?;
    if entry.new != entry.again {
        return Err(Error::Bad("the two new passwords are not the same".to_owned()));
    }
    if entry.new.chars().count() < SHORTEST || entry.new.len() > password::LONGEST {
        return Err(Error::Bad(format!("a password has at least {SHORTEST} characters")));
    }
    let hash = password::hash(entry.new.clone()).await;
    web.store.set_password(&caller.user, &hash, Utc::now()).await?;
    web.record.keep(&caller, Deed::new("change_password"), "done").await;
    Ok(HttpResponse::SeeOther().insert_header(("location", "/login")).finish())
}

#[derive(Deserialize)]
struct NewToken {
    name: String,
    /// Days; empty: for good.
    #[serde(default)]
    days: String,
}

async fn make_token(shell: Shell, entry: web::Form<NewToken>) -> Result<HttpResponse, Error> {
    let (web, caller) = (&shell.web, &shell.caller);
    if caller.how == How::EveryoneIsAdmin || web.sign_in.accounts.find(&caller.user).await?.is_none() {
        return Err(Error::Bad("a token belongs to a user: make one with `updraft users create`".to_owned()));
    }
    let now = Utc::now();
    let days = match entry.days.trim() {
        "" => None,
        days => Some(days.parse::<u16>().map_err(|_| Error::Bad(format!("expected a number of days, got `{days}`")))?),
    };
    let text = format!("{}{}", secret::API_TOKEN_PREFIX, secret::random());
    let row = ApiTokenRow {
        token: secret::hash(&text),
        username: caller.user.clone(),
        name: entry.name.trim().to_owned(),
        created_at: now,
        expires_at: days.map(|days| now + Duration::days(days.into())),
    };
    web.store.add_api_token(&row).await?;
    web.record.keep(caller, Deed::new("create_api_token").about(&row.name), "done").await;
    let shown = html! {
        p role="status" { "Your new token, which is shown this once: " code { (text) } }
    };
    answer(&shell, &shown).await
}

#[derive(Deserialize)]
struct OldToken {
    token: String,
}

async fn delete_token(web: Web, caller: Caller, entry: web::Form<OldToken>) -> Result<HttpResponse, Error> {
    if !web.store.delete_api_token(&caller.user, &entry.token).await? {
        return Err(Error::NotFound("you have no such token".to_owned()));
    }
    web.record.keep(&caller, Deed::new("delete_api_token"), "done").await;
    Ok(HttpResponse::SeeOther().insert_header(("location", "/profile")).finish())
}

async fn answer(shell: &Shell, above: &Markup) -> Result<HttpResponse, Error> {
    let Shell { web, caller, .. } = shell;
    let tokens = web.store.api_tokens(&caller.user).await?;
    let has_password = web.store.account(&caller.user).await?.is_some();
    shell.page("Profile", Here::Elsewhere, &body(caller, has_password, &tokens, above)).await
}

fn body(caller: &Caller, has_password: bool, tokens: &[ApiTokenRow], above: &Markup) -> Markup {
    let secret = |name, label| Field { name, label, kind: "password", required: true, ..Field::default() };
    html! {
        h1 { (caller.user) }
        p { "Role: " b { (caller.role) } }
        (above)
        @if has_password {
            h2 { "Password" }
            (form::form("/profile/password", caller.csrf(), &html! {
                (field(&secret("old", "Your password")))
                (field(&secret("new", "New password")))
                (field(&secret("again", "New password again")))
                div.row { button.button type="submit" { "Change the password" } }
            }))
        }
        h2 { "Tokens for programs" }
        @if !tokens.is_empty() {
            table {
                thead { tr { th { "Name" } th { "Made" } th { "Holds until" } th {} } }
                tbody {
                    @for token in tokens {
                        tr {
                            td { (token.name) }
                            td { (token.created_at.format("%Y-%m-%d %H:%M")) }
                            td { (token.expires_at.map_or_else(|| "for good".to_owned(), |end| end.format("%Y-%m-%d %H:%M").to_string())) }
                            td {
                                (form::action("/profile/tokens/delete", caller.csrf(), &[("token", token.token.as_str())], &html! {
                                    button.button.danger type="submit" { "Delete" }
                                }))
                            }
                        }
                    }
                }
            }
        }
        (form::form("/profile/tokens", caller.csrf(), &html! {
            (field(&Field { name: "name", label: "Name of the program", required: true, ..Field::default() }))
            (field(&Field { name: "days", label: "Days", help: "For how many days it holds; empty: for good.", ..Field::default() }))
            div.row { button.button type="submit" { "Make a token" } }
        }))
    }
}
