//! Connections: how to reach systems outside. Passwords and secret extras are never shown, and kept where a form
//! leaves them empty.

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::auth::{Action, Resource};
use crate::domain::connection::{Connection, normal_type};
use crate::domain::ids::ConnectionId;
use crate::domain::secret::{MASK, masked};
use crate::store::try_connection;
use crate::web::view::address::escape;
use crate::web::view::form::{self, Field, field};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::table::{Paging, empty, pager};
use crate::web::view::toast::Toast;
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

const PAGE: u64 = 100;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/connections", Needs::May(Action::Read, Resource::Connection), connections),
        Route::post("/connections", Needs::May(Action::Edit, Resource::Connection), save),
        Route::post("/connections/test", Needs::May(Action::Edit, Resource::Connection), test),
        Route::post("/connections/delete", Needs::May(Action::Delete, Resource::Connection), delete),
    ]
}

async fn connections(shell: Shell) -> Result<HttpResponse, Error> {
    let all = shell.web.vault.connections().await?;
    let edited = shell.address.get("edit").and_then(|id| all.iter().find(|(one, _)| one.as_str() == id));
    let is_new = shell.address.get("new").is_some();
    let paging = Paging::of(&shell.address, PAGE, all.len() as u64);
    let first = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
    let body = html! {
        (head("Connections", None, &html! { a.button href="/connections?new=1" { (icon(Icon::Plus)) "New connection" } }))
        @if edited.is_some() || is_new { (editor(&shell, edited)) }
        @if all.is_empty() {
            (empty(Icon::Database, "No connection is kept", &html! {
                p { "Hooks and templates ask for one by its id. Make one here, or by" }
                pre { "updraft connections add warehouse --conn-uri postgres://etl:…@db:5432/dw" }
            }))
        } @else {
            div.scroll {
                table.list {
                    thead {
                        tr {
                            th scope="col" { "Id" }
                            th scope="col" { "Type" }
                            th scope="col" { "Host" }
                            th scope="col" { "Login" }
                            th scope="col" { "Schema" }
                            th scope="col" { "Description" }
                            th.tight scope="col" { span.unseen { "Actions" } }
                        }
                    }
                    tbody { @for (id, connection) in all.iter().skip(first).take(PAGE as usize) { (row(&shell, id, connection)) } }
                }
            }
            (pager(&shell.address, paging))
        }
    };
    shell.page("Connections", Here::Connections, &body).await
}

fn row(shell: &Shell, id: &ConnectionId, connection: &Connection) -> Markup {
    let csrf = shell.caller.csrf();
    let host = connection.host.as_deref().unwrap_or_default();
    html! {
        tr id={ "connection-" (id) } {
            td.name { span.title.break { (id) } }
            td { (connection.conn_type) }
            td.name { span.break { (host) @if let Some(port) = connection.port { ":" (port) } } }
            td.break { (connection.login.as_deref().unwrap_or_default()) }
            td.break { (connection.schema.as_deref().unwrap_or_default()) }
            td.break { (connection.description.as_deref().unwrap_or_default()) }
            td.tight {
                @if shell.web.settings.test_connection {
                    (form::action("/connections/test", csrf, &[("id", id.as_str())],
                        &html! { button.button type="submit" { "Test" } }))
                }
                a.button.ghost.square href={ "/connections?edit=" (escape(id.as_str())) } aria-label={ "Edit " (id) } { (icon(Icon::Edit)) }
                form.inline method="post" action="/connections/delete" data-confirm={ "Delete the connection " (id) "?" } {
                    (form::csrf(csrf))
                    input type="hidden" name="id" value=(id);
                    button.button.ghost.square type="submit" aria-label={ "Delete " (id) } { (icon(Icon::Delete)) }
                }
            }
        }
    }
}

fn editor(shell: &Shell, edited: Option<&(ConnectionId, Connection)>) -> Markup {
    let new = Connection::default();
    let connection = edited.map_or(&new, |(_, connection)| connection);
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let port = connection.port.map(|port| port.to_string()).unwrap_or_default();
    let extra = shown_extra(shell, connection);
    let fields = html! {
        h2 { @if let Some((id, _)) = edited { "Change " (id) } @else { "New connection" } }
        @if let Some((id, _)) = edited { input type="hidden" name="id" value=(id); input type="hidden" name="known" value="true"; }
        @else { (field(&Field { name: "id", label: "Id", required: true, ..Field::default() })) }
        (field(&Field { name: "conn_type", label: "Type", value: &connection.conn_type, required: true, help: "For example postgres, http, sqlite, smtp.", ..Field::default() }))
        (field(&Field { name: "host", label: "Host", value: &part(&connection.host), ..Field::default() }))
        (field(&Field { name: "port", label: "Port", kind: "number", value: &port, ..Field::default() }))
        (field(&Field { name: "schema", label: "Schema", value: &part(&connection.schema), ..Field::default() }))
        (field(&Field { name: "login", label: "Login", value: &part(&connection.login), ..Field::default() }))
        (field(&Field { name: "password", label: "Password", kind: "password",
            help: if connection.password.is_some() { "There is one. Empty: it stays." } else { "" }, ..Field::default() }))
        (field(&Field { name: "extra", label: "Extra, as JSON", value: &extra, lines: Some(4), mono: true,
            help: "What stands as *** stays as it is.", ..Field::default() }))
        (field(&Field { name: "description", label: "Description", value: &part(&connection.description), ..Field::default() }))
        div.row { button.button.main type="submit" { "Save" } a.button.ghost href="/connections" { "Cancel" } }
    };
    form::form("/connections", shell.caller.csrf(), &fields)
}

/// The extra with its secrets masked; one that is no object is a secret as a whole.
fn shown_extra(shell: &Shell, connection: &Connection) -> String {
    match (connection.extra_object(), &connection.extra) {
        (Some(extra), _) => serde_json::to_string_pretty(&masked(&shell.web.settings.sensitive, &Value::Object(extra)))
            .unwrap_or_default(),
        (None, Some(extra)) if !extra.is_empty() => MASK.to_owned(),
        (None, _) => String::new(),
    }
}

async fn save(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    Shell::outcome("/connections", keep(&shell, &fields).await)
}

async fn keep(shell: &Shell, fields: &Fields) -> Result<Toast, Error> {
    let id: ConnectionId = fields.parse("id")?;
    let old = if fields.is_on("known") { shell.web.vault.connection(&id).await? } else { None };
    let is_known = old.is_some();
    let old = old.unwrap_or_default();
    let text = |name: &str| fields.get(name).map(str::to_owned);
    let port = fields.get("port").map(|_| fields.parse("port")).transpose()?;
    let connection = Connection {
        conn_type: normal_type(&fields.parse::<String>("conn_type")?),
        description: text("description"),
        host: text("host"),
        login: text("login"),
        password: text("password").or_else(|| old.password.clone()),
        schema: text("schema"),
        port,
        extra: new_extra(fields.get("extra"), &old)?,
    };
    if is_known {
        shell.web.vault.set_connections(&shell.caller, &[(id.clone(), connection)]).await?;
    } else if !shell.web.vault.add_connection(&shell.caller, &id, &connection).await? {
        return Err(Error::conflict(format!(
            "there is a connection `{id}` already: change that, or choose another id"
        )));
    }
    Ok(Toast::good(format!("Saved the connection {id}")))
}

/// What a form says of the extra, with what it left masked put back.
fn new_extra(sent: Option<&str>, old: &Connection) -> Result<Option<String>, Error> {
    let Some(sent) = sent else { return Ok(None) };
    if sent == MASK {
        return Ok(old.extra.clone());
    }
    let mut value: Value =
        serde_json::from_str(sent).map_err(|error| Error::Bad(format!("extra is not JSON: {error}")))?;
    if let Some(old) = old.extra_object() {
        unmask(&mut value, &Value::Object(old));
    }
    Ok(Some(value.to_string()))
}

fn unmask(value: &mut Value, old: &Value) {
    match (value, old) {
        (Value::Object(new), Value::Object(old)) => {
            for (key, value) in new.iter_mut() {
                if let Some(old) = old.get(key) {
                    unmask(value, old);
                }
            }
        }
        (Value::Array(new), Value::Array(old)) => new.iter_mut().zip(old).for_each(|(new, old)| unmask(new, old)),
        (value, old) if *value == Value::String(MASK.to_owned()) => *value = old.clone(),
        _ => {}
    }
}

async fn test(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    if !shell.web.settings.test_connection {
        return Err(Error::Hidden("connections are not tested here: set [core] test_connection = Enabled".to_owned()));
    }
    let id: ConnectionId = fields.parse("id")?;
    let found = shell.web.vault.connection(&id).await?;
    let connection = found.ok_or_else(|| Error::NotFound(format!("no connection is named `{id}`")))?;
    let toast = match try_connection(&connection).await {
        Ok(how) => Toast::good(format!("{id}: {how}")),
        Err(why) => Toast::bad(format!("{id}: {why}")),
    };
    Ok(Shell::go("/connections", &toast))
}

async fn delete(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let id: ConnectionId = fields.parse("id")?;
        shell.web.vault.delete_connection(&shell.caller, &id).await?;
        Ok(Toast::good(format!("Deleted the connection {id}")))
    };
    Shell::outcome("/connections", done.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_left_masked_stays() {
        let old = Connection { extra: Some(r#"{"token": "t", "zone": "a"}"#.to_owned()), ..Connection::default() };
        let new = |sent| new_extra(Some(sent), &old).expect("JSON").expect("an extra");
        assert_eq!(new(r#"{"token": "***", "zone": "b"}"#), r#"{"token":"t","zone":"b"}"#);
        assert_eq!(new("***"), r#"{"token": "t", "zone": "a"}"#);
        assert_eq!(new_extra(None, &old), Ok(None));
        assert!(new_extra(Some("{"), &old).is_err());
    }
}
