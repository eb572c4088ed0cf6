//! Variables. What may be a secret by its name is masked; what the environment gives is not kept here.

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::ids::VariableKey;
use crate::store::Variable;
use crate::web::view::address::escape;
use crate::web::view::form::{self, Field, field};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::table::{Paging, empty, pager};
use crate::web::view::toast::Toast;
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

const PAGE: u64 = 100;
/// Letters of a value in a list.
const SHOWN: usize = 120;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/variables", Needs::May(Action::Read, Resource::Variable), variables),
        Route::post("/variables", Needs::May(Action::Edit, Resource::Variable), save),
        Route::post("/variables/delete", Needs::May(Action::Delete, Resource::Variable), delete),
    ]
}

async fn variables(shell: Shell) -> Result<HttpResponse, Error> {
    let mut all = shell.web.vault.variables().await?;
    if let Some(words) = shell.address.get("q") {
        let words = words.to_lowercase();
        all.retain(|variable| variable.key.as_str().to_lowercase().contains(&words));
    }
    let edited = shell.address.get("edit").and_then(|key| all.iter().find(|variable| variable.key.as_str() == key));
    let is_new = shell.address.get("new").is_some();
    let paging = Paging::of(&shell.address, PAGE, all.len() as u64);
    let first = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
    let shown = all.iter().skip(first).take(PAGE as usize);
    let body = html! {
        (head("Variables", None, &html! { a.button href="/variables?new=1" { (icon(Icon::Plus)) "New variable" } }))
        @if edited.is_some() || is_new { (editor(&shell, edited)) }
        @if all.is_empty() && shell.address.get("q").is_none() {
            (empty(Icon::File, "No variable is kept", &html! {
                p { "Tasks read one as " code { "{{ var.value.region }}" } ". Make one here, or by" }
                pre { "updraft variables set region eu-central-1" }
            }))
        } @else {
            div.filters {
                form action="/variables" {
                    input type="search" name="q" value=(shell.address.get("q").unwrap_or_default()) placeholder="Filter by key" aria-label="Filter variables by key";
                }
            }
            div.scroll {
                table.list {
                    thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "Description" } th.tight scope="col" { span.unseen { "Actions" } } } }
                    tbody { @for variable in shown { (row(&shell, variable)) } }
                }
            }
            (pager(&shell.address, paging))
        }
    };
    shell.page("Variables", Here::Variables, &body).await
}

fn row(shell: &Shell, variable: &Variable) -> Markup {
    let key = variable.key.as_str();
    html! {
        tr id={ "variable-" (key) } {
            td.name { span.title.break { (key) } }
            td.name { (value(shell, variable)) }
            td.break { (variable.description.as_deref().unwrap_or_default()) }
            td.tight {
                a.button.ghost.square href={ "/variables?edit=" (escape(key)) } aria-label={ "Edit " (key) } { (icon(Icon::Edit)) }
                form.inline method="post" action="/variables/delete" data-confirm={ "Delete the variable " (key) "?" } {
                    (form::csrf(shell.caller.csrf()))
                    input type="hidden" name="key" value=(key);
                    button.button.ghost.square type="submit" aria-label={ "Delete " (key) } { (icon(Icon::Delete)) }
                }
            }
        }
    }
}

fn value(shell: &Shell, variable: &Variable) -> Markup {
    if shell.web.settings.sensitive.is_sensitive(variable.key.as_str()) {
        return html! { span.quiet title="Masked, because of its name" { "***" } };
    }
    let is_long = variable.value.chars().count() > SHOWN;
    let text: String = variable.value.chars().take(SHOWN).collect();
    html! { code.break { (text) @if is_long { "…" } } }
}

fn editor(shell: &Shell, variable: Option<&Variable>) -> Markup {
    let is_secret = variable.is_some_and(|one| shell.web.settings.sensitive.is_sensitive(one.key.as_str()));
    let value = variable.filter(|_| !is_secret).map_or("", |variable| variable.value.as_str());
    let help = if is_secret { "Empty: stays as it is." } else { "Text, or JSON for those who read it as JSON." };
    let fields = html! {
        h2 { @if let Some(variable) = variable { "Change " (variable.key) } @else { "New variable" } }
        @if let Some(variable) = variable { input type="hidden" name="key" value=(variable.key); input type="hidden" name="keep" value=(is_secret); }
        @else { (field(&Field { name: "key", label: "Key", required: true, ..Field::default() })) }
        (field(&Field { name: "value", label: "Value", value, lines: Some(4), mono: true, help, ..Field::default() }))
        (field(&Field { name: "description", label: "Description",
            value: variable.and_then(|variable| variable.description.as_deref()).unwrap_or_default(), ..Field::default() }))
        div.row { button.button.main type="submit" { "Save" } a.button.ghost href="/variables" { "Cancel" } }
    };
    form::form("/variables", shell.caller.csrf(), &fields)
}

async fn save(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let key: VariableKey = fields.parse("key")?;
        let sent = fields.raw("value").unwrap_or_default().replace("\r\n", "\n");
        let kept = if sent.is_empty() && fields.is_on("keep") { shell.web.vault.variable(&key).await? } else { None };
        let value = kept.map_or(sent, |kept| kept.value);
        let variable = Variable { key, value, description: fields.get("description").map(str::to_owned) };
        shell.web.vault.set_variables(&shell.caller, std::slice::from_ref(&variable)).await?;
        Ok(Toast::good(format!("Saved the variable {}", variable.key)))
    };
    Shell::outcome("/variables", done.await)
}

async fn delete(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let key: VariableKey = fields.parse("key")?;
        shell.web.vault.delete_variable(&shell.caller, &key).await?;
        Ok(Toast::good(format!("Deleted the variable {key}")))
    };
    Shell::outcome("/variables", done.await)
}
