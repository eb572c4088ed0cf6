//! Users and their roles, for administrators. A password is never shown; a new one ends every session of its user.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource, Role, password};
use crate::store::AccountRow;
use crate::web::audit::Deed;
use crate::web::view::address::escape;
use crate::web::view::form::{self, Field, field, select};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::table::empty;
use crate::web::view::time;
use crate::web::view::toast::Toast;
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

/// Letters of a password, at least.
const SHORTEST: usize = 8;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/users", Needs::May(Action::Read, Resource::User), users),
        Route::post("/users", Needs::May(Action::Edit, Resource::User), save),
        Route::post("/users/delete", Needs::May(Action::Delete, Resource::User), delete),
    ]
}

async fn users(shell: Shell) -> Result<HttpResponse, Error> {
    let all = shell.web.store.accounts().await?;
    let edited = shell.address.get("edit").and_then(|name| all.iter().find(|one| one.username == name));
    let is_new = shell.address.get("new").is_some();
    let body = html! {
        (head("Users", None, &html! { a.button href="/users?new=1" { (icon(Icon::Plus)) "New user" } }))
        @if edited.is_some() || is_new { (editor(&shell, edited)) }
        @if all.is_empty() {
            (empty(Icon::Person, "The database knows no user", &html! {
                p { "Those who sign in now are named by the configuration. Make one here, or by" }
                pre { "updraft users create --username ada --role Admin --email ada@example.org \\\n    --firstname Ada --lastname Lovelace" }
            }))
        } @else {
            div.scroll {
                table.list {
                    thead {
                        tr {
                            th scope="col" { "User" }
                            th scope="col" { "Name" }
                            th scope="col" { "Email" }
                            th scope="col" { "Roles" }
                            th scope="col" { "Signed in" }
                            th.tight scope="col" { span.unseen { "Actions" } }
                        }
                    }
                    tbody { @for user in &all { (row(&shell, user)) } }
                }
            }
        }
    };
    shell.page("Users", Here::Users, &body).await
}

fn row(shell: &Shell, user: &AccountRow) -> Markup {
    let name = user.username.as_str();
    html! {
        tr id={ "user-" (name) } {
            td.name { span.title.break { (name) } @if !user.is_active { " " span.tag { "not active" } } }
            td { (user.first_name) " " (user.last_name) }
            td.break { (user.email) }
            td { @for role in &user.roles { span.tag { (role) } " " } }
            td { (time::ago_or_dash(user.signed_in_at, shell.now)) }
            td.tight {
                a.button.ghost.square href={ "/users?edit=" (escape(name)) } aria-label={ "Edit " (name) } { (icon(Icon::Edit)) }
                @if name != shell.caller.user {
                    form.inline method="post" action="/users/delete" data-confirm={ "Delete the user " (name) "? Their sessions end." } {
                        (form::csrf(shell.caller.csrf()))
                        input type="hidden" name="username" value=(name);
                        button.button.ghost.square type="submit" aria-label={ "Delete " (name) } { (icon(Icon::Delete)) }
                    }
                }
            }
        }
    }
}

fn editor(shell: &Shell, user: Option<&AccountRow>) -> Markup {
    let part = |of: fn(&AccountRow) -> &str| user.map_or("", of);
    let roles: Vec<(&str, &str)> = Role::ALL.iter().rev().map(|role| (role.as_str(), role.as_str())).collect();
    let role = user.and_then(|user| user.roles.first()).map_or("Viewer", String::as_str);
    let fields = html! {
        h2 { @if let Some(user) = user { "Change " (user.username) } @else { "New user" } }
        @if let Some(user) = user { input type="hidden" name="username" value=(user.username); input type="hidden" name="known" value="true"; }
        @else { (field(&Field { name: "username", label: "User name", required: true, ..Field::default() })) }
        (select("role", "Role", "Each may do what the one below it may.", &roles, role))
        (field(&Field { name: "first_name", label: "First name", value: part(|user| &user.first_name), ..Field::default() }))
        (field(&Field { name: "last_name", label: "Last name", value: part(|user| &user.last_name), ..Field::default() }))
        (field(&Field { name: "email", label: "Email", kind: "email", value: part(|user| &user.email), ..Field::default() }))
        (field(&Field { name: "password", label: "Password", kind: "password", required: user.is_none(),
            help: if user.is_some() { "Empty: it stays. A new one ends every session of the user." } else { "At least 8 letters." }, ..Field::default() }))
        (form::checkbox("active", "May sign in", "", user.is_none_or(|user| user.is_active)))
        div.row { button.button.main type="submit" { "Save" } a.button.ghost href="/users" { "Cancel" } }
    };
    form::form("/users", shell.caller.csrf(), &fields)
}

async fn save(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    Shell::outcome("/users", keep(&shell, &fields).await)
}

async fn keep(shell: &Shell, fields: &Fields) -> Result<Toast, Error> {
    let username: String = fields.parse("username")?;
    let role: Role = fields.parse("role")?;
    let old = if fields.is_on("known") { shell.web.store.account(&username).await? } else { None };
    if username == shell.caller.user && (role < shell.caller.role || !fields.is_on("active")) {
        return Err(Error::Bad("nobody takes a right from themselves: let another administrator do it".to_owned()));
    }
    // A password may begin or end with a blank.
    let typed = fields.raw("password").filter(|text| !text.is_empty());
    if typed.is_some_and(|text| text.chars().count() < SHORTEST) {
        return Err(Error::Bad(format!("expected a password of at least {SHORTEST} letters")));
    }
    let is_new = old.is_none();
    let hash = match typed {
        Some(text) => Some(password::hash(text.to_owned()).await),
        None if is_new => return Err(Error::Bad("a new user needs a password".to_owned())),
        None => None,
    };
    let row = AccountRow {
        username: username.clone(),
        email: fields.text("email").to_owned(),
        first_name: fields.text("first_name").to_owned(),
        last_name: fields.text("last_name").to_owned(),
        password: old.as_ref().map_or_else(|| hash.clone().unwrap_or_default(), |old| old.password.clone()),
        is_active: fields.is_on("active"),
        roles: vec![role.as_str().to_owned()],
        created_at: old.as_ref().map_or(shell.now, |old| old.created_at),
        credentials_at: old.as_ref().map_or(shell.now, |old| old.credentials_at),
        signed_in_at: old.as_ref().and_then(|old| old.signed_in_at),
    };
    let deed = Deed::new(if is_new { "create_user" } else { "edit_user" }).about(&username).with("role", role.as_str());
    if is_new {
        if !shell.web.store.add_account(&row).await? {
            shell.web.record.keep(&shell.caller, deed, "the name is taken").await;
            return Err(Error::conflict(format!("there is a user `{username}` already")));
        }
    } else {
        shell.web.store.replace_account(&row).await?;
        if let Some(hash) = hash {
            shell.web.store.set_password(&username, &hash, shell.now).await?;
        }
    }
    shell.web.record.keep(&shell.caller, deed, "done").await;
    Ok(Toast::good(format!("Saved the user {username}")))
}

async fn delete(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let username: String = fields.parse("username")?;
        if username == shell.caller.user {
            return Err(Error::Bad("nobody deletes themselves: let another administrator do it".to_owned()));
        }
        let found = shell.web.store.delete_account(&username).await?;
        let outcome = if found { "done" } else { "there is no such user" };
        shell.web.record.keep(&shell.caller, Deed::new("delete_user").about(&username), outcome).await;
        Ok(Toast::good(format!("Deleted the user {username}")))
    };
    Shell::outcome("/users", done.await)
}
