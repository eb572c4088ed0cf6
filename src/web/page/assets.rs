//! Assets: what tasks make and DAGs wait for, who makes and who reads each, and when it last changed.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use maud::{Markup, html};

use crate::auth::{Action, Resource};
use crate::domain::asset::{Asset, AssetRef};
use crate::domain::ids::AssetName;
use crate::protocol::control::{Control, Materialize, Reply};
use crate::web::catalogue::Listed;
use crate::web::view::address::escape;
use crate::web::view::form;
use crate::web::view::frame::{Here, head};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::table::{Paging, empty, pager};
use crate::web::view::time;
use crate::web::view::toast::Toast;
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

const PAGE: u64 = 50;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/assets", Needs::May(Action::Read, Resource::Asset), assets),
        Route::post("/assets/materialize", Needs::May(Action::Create, Resource::Asset), materialize),
    ]
}

/// Who has to do with an asset.
#[derive(Default)]
struct Around<'a> {
    makers: Vec<&'a str>,
    readers: Vec<&'a str>,
}

async fn assets(shell: Shell) -> Result<HttpResponse, Error> {
    let mut all = shell.web.store.assets().await?;
    if let Some(words) = shell.address.get("q") {
        let words = words.to_lowercase();
        all.retain(|one| one.name.as_str().to_lowercase().contains(&words) || one.uri.to_lowercase().contains(&words));
    }
    let dags = shell.web.catalogue.dags(&shell.web.store).await?;
    let around = around(&dags);
    let paging = Paging::of(&shell.address, PAGE, all.len() as u64);
    let first = usize::try_from(paging.offset()).unwrap_or(usize::MAX);
    let shown: Vec<&Asset> = all.iter().skip(first).take(PAGE as usize).collect();
    let names: Vec<AssetName> = shown.iter().map(|asset| asset.name.clone()).collect();
    let changed = shell.web.store.last_changes(&names).await?;
    let may = shell.caller.may(Action::Create, Resource::Asset);
    let body = html! {
        (head("Assets", None, &html! {}))
        @if all.is_empty() && shell.address.get("q").is_none() {
            (empty(Icon::Asset, "No asset is known", &html! {
                p { "A task makes one by its outlets, and a DAG waits for it by its schedule:" }
                pre { "dag_id: report\nschedule: { assets: [orders] }" }
            }))
        } @else {
            div.filters {
                form action="/assets" {
                    input type="search" name="q" value=(shell.address.get("q").unwrap_or_default()) placeholder="Filter by name or URI" aria-label="Filter assets";
                }
            }
            div.scroll #assets data-live {
                table.list {
                    thead {
                        tr {
                            th scope="col" { "Asset" }
                            th scope="col" { "URI" }
                            th scope="col" { "Made by" }
                            th scope="col" { "Starts" }
                            th scope="col" { "Changed" }
                            @if may { th.tight scope="col" { span.unseen { "Actions" } } }
                        }
                    }
                    tbody {
                        @for asset in &shown {
                            tr id={ "asset-" (asset.name) } {
                                td.name { span.title.break { (asset.name) } @if asset.group != "asset" { " " span.tag { (asset.group) } } }
                                td.name { @if asset.uri != asset.name.as_str() { code.break { (asset.uri) } } @else { (time::dash()) } }
                                @let near = around.get(asset.name.as_str());
                                td { (dag_links(near.map(|near| near.makers.as_slice()))) }
                                td { (dag_links(near.map(|near| near.readers.as_slice()))) }
                                td { (time::ago_or_dash(changed.get(&asset.name).copied(), shell.now)) }
                                @if may {
                                    td.tight { @if near.is_some_and(|near| !near.makers.is_empty()) { (make(&shell, asset)) } }
                                }
                            }
                        }
                    }
                }
            }
            (pager(&shell.address, paging))
        }
    };
    shell.page("Assets", Here::Assets, &body).await
}

fn around(dags: &[Listed]) -> HashMap<String, Around<'_>> {
    let mut around: BTreeMap<String, Around<'_>> = BTreeMap::new();
    for dag in dags {
        let id = dag.row.dag_id.as_str();
        for outlet in &dag.card.outlets {
            around.entry(name(outlet)).or_default().makers.push(id);
        }
        for waited in &dag.card.waits_for {
            around.entry(name(waited)).or_default().readers.push(id);
        }
    }
    around.into_iter().collect()
}

fn name(asset: &AssetRef) -> String {
    match asset {
        AssetRef::Asset(name) | AssetRef::Alias(name) => name.as_str().to_owned(),
    }
}

fn dag_links(dags: Option<&[&str]>) -> Markup {
    let dags = dags.unwrap_or_default();
    html! {
        @if dags.is_empty() { (time::dash()) }
        @for (at, dag) in dags.iter().take(5).enumerate() {
            @if at > 0 { ", " }
            a.break href={ "/dags/" (escape(dag)) } { (dag) }
        }
        @if dags.len() > 5 { span.quiet { " and " (dags.len() - 5) " more" } }
    }
}

fn make(shell: &Shell, asset: &Asset) -> Markup {
    let label = format!("Make {}", asset.name);
    let button =
        html! { button.button.ghost.square type="submit" title=(label) aria-label=(label) { (icon(Icon::Play)) } };
    form::action("/assets/materialize", shell.caller.csrf(), &[("name", asset.name.as_str())], &button)
}

async fn materialize(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let done = async {
        let name: String = fields.parse("name")?;
        let wish = Materialize { name: Some(name.clone()), uri: None, user: Some(shell.caller.user.clone()) };
        match shell.web.control(&shell.caller, Control::Materialize(wish)).await? {
            Reply::Triggered(run) => {
                let to = format!("/dags/{}/runs/{}", escape(run.dag.as_str()), escape(run.run_id.as_str()));
                Ok(Toast::good(format!("{} makes {name}", run.dag)).link("See the run", to))
            }
            other => Err(Error::Internal(format!("a wish for an asset was answered by {other:?}"))),
        }
    };
    Shell::outcome("/assets", done.await)
}
