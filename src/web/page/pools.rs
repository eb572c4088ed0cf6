//! Pools: how many slots, who holds them, who waits.

use std::collections::HashMap;

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::ids::PoolName;
use crate::domain::state::TaskState;
use crate::protocol::control::{Control, Pool};
use crate::store::query::PoolUse;
use crate::store::write::PoolRow;
use crate::web::view::form::{self, Field, checkbox, field};
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::number;
use crate::web::view::toast::Toast;
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/pools", Needs::May(Action::Read, Resource::Pool), pools),
        Route::post("/pools", Needs::May(Action::Edit, Resource::Pool), save),
        Route::post("/pools/delete", Needs::May(Action::Delete, Resource::Pool), delete),
    ]
}

type Loads = HashMap<PoolName, Vec<(TaskState, u64)>>;

fn by_pool(used: Vec<PoolUse>) -> Loads {
    let mut loads = Loads::new();
    for PoolUse { pool, state, slots } in used {
        loads.entry(pool).or_default().push((state, slots));
    }
    loads
}

async fn pools(shell: Shell) -> Result<HttpResponse, Error> {
    let pools = shell.web.store.pools().await?;
    let loads = by_pool(shell.web.store.pool_use().await?);
    let may = shell.caller.may(Action::Edit, Resource::Pool);
    let edited = shell.address.get("edit").and_then(|name| pools.iter().find(|pool| pool.name.as_str() == name));
    let is_new = shell.address.get("new").is_some();
    let body = html! {
        (head("Pools", None, &html! { @if may { a.button href="/pools?new=1" { (icon(Icon::Plus)) "New pool" } } }))
        @if may && (edited.is_some() || is_new) { (editor(&shell, edited)) }
        div #pools data-live { (table(&shell, &pools, &loads, may)) }
    };
    shell.page("Pools", Here::Pools, &body).await
}

fn table(shell: &Shell, pools: &[PoolRow], loads: &Loads, may: bool) -> Markup {
    html! {
        div.scroll {
            table.list {
                thead {
                    tr {
                        th scope="col" { "Pool" }
                        th scope="col" { "In use" }
                        th.number scope="col" { "Queued" }
                        th.number scope="col" { "Running" }
                        th.number scope="col" { "Deferred" }
                        th.number scope="col" { "Waiting" }
                        th scope="col" { "Description" }
                        @if may { th.tight scope="col" { span.unseen { "Actions" } } }
                    }
                }
                tbody { @for pool in pools { (row(shell, pool, loads.get(&pool.name).map_or(&[][..], Vec::as_slice), may)) } }
            }
        }
    }
}

fn row(shell: &Shell, pool: &PoolRow, load: &[(TaskState, u64)], may: bool) -> Markup {
    let of = |state: TaskState| load.iter().filter(|(one, _)| *one == state).map(|(_, slots)| slots).sum::<u64>();
    let (queued, running, deferred) =
        (of(TaskState::Queued), of(TaskState::Running) + of(TaskState::Restarting), of(TaskState::Deferred));
    let used = queued + running + if pool.include_deferred { deferred } else { 0 };
    let name = pool.name.as_str();
    html! {
        tr id={ "pool-" (name) } {
            td.name { span.title.break { (name) } }
            td.nowrap { (gauge(used, u64::try_from(pool.slots).ok())) }
            td.number { (number::count(queued)) }
            td.number { (number::count(running)) }
            td.number { (number::count(deferred)) @if pool.include_deferred { span.quiet title="Deferred tasks hold their slots" { " counted" } } }
            td.number { (number::count(of(TaskState::Scheduled))) }
            td.break { (pool.description) }
            @if may {
                td.tight {
                    a.button.ghost.square href={ "/pools?edit=" (crate::web::view::address::escape(name)) } aria-label={ "Edit " (name) } { (icon(Icon::Edit)) }
                    @if pool.name != PoolName::default_pool() { (remove(shell, name)) }
                }
            }
        }
    }
}

/// How full it is: a bar, and the numbers.
fn gauge(used: u64, slots: Option<u64>) -> Markup {
    let told = slots.map_or_else(|| "∞".to_owned(), number::count);
    html! {
        @if let Some(slots) = slots.filter(|slots| *slots > 0) {
            svg.meter width="80" height="10" aria-hidden="true" {
                rect width="80" height="8" y="1" rx="3" {}
                rect.owned[used < slots].full[used >= slots] width=((used.min(slots) * 80) / slots) height="8" y="1" rx="3" {}
            }
            " "
        }
        (number::count(used)) "/" (told)
    }
}

fn remove(shell: &Shell, name: &str) -> Markup {
    html! {
        form.inline method="post" action="/pools/delete" data-confirm={ "Delete the pool " (name) "? Its tasks find no slot any more." } {
            (form::csrf(shell.caller.csrf()))
            input type="hidden" name="pool" value=(name);
            button.button.ghost.square type="submit" aria-label={ "Delete " (name) } { (icon(Icon::Delete)) }
        }
    }
}

fn editor(shell: &Shell, pool: Option<&PoolRow>) -> Markup {
    let slots = pool.map_or(128, |pool| pool.slots).to_string();
    let fields = html! {
        h2 { @if let Some(pool) = pool { "Change " (pool.name) } @else { "New pool" } }
        @if let Some(pool) = pool { input type="hidden" name="name" value=(pool.name); }
        @else { (field(&Field { name: "name", label: "Name", required: true, ..Field::default() })) }
        (field(&Field { name: "slots", label: "Slots", kind: "number", value: &slots, required: true,
            help: "-1: without limit. 0: lets nobody in.", ..Field::default() }))
        (field(&Field { name: "description", label: "Description",
            value: pool.map_or("", |pool| pool.description.as_str()), ..Field::default() }))
        (checkbox("include_deferred", "Deferred tasks hold their slots", "", pool.is_some_and(|pool| pool.include_deferred)))
        div.row { button.button.main type="submit" { "Save" } a.button.ghost href="/pools" { "Cancel" } }
    };
    form::form("/pools", shell.caller.csrf(), &fields)
}

async fn save(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    Shell::outcome("/pools", set(&shell, &fields).await)
}

async fn set(shell: &Shell, fields: &Fields) -> Result<Toast, Error> {
    let pool = Pool {
        name: fields.parse("name")?,
        slots: fields.parse("slots")?,
        description: fields.text("description").to_owned(),
        include_deferred: fields.is_on("include_deferred"),
    };
    let said = format!("Saved the pool {}", pool.name);
    shell.web.control(&shell.caller, Control::SetPool(pool)).await?;
    Ok(Toast::good(said))
}

async fn delete(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let pool: PoolName = fields.parse("pool")?;
        let said = format!("Deleted the pool {pool}");
        shell.web.control(&shell.caller, Control::DeletePool { pool }).await?;
        Ok(Toast::good(said))
    };
    Shell::outcome("/pools", done.await)
}
