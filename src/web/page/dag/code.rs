//! The tab Code: the text of the file as the selected run had it, and what changed since the version before.

use maud::html;

use super::Shown;
use super::look::Look;
use crate::domain::ids::VersionNumber;
use crate::web::error::Error;
use crate::web::state::Web;
use crate::web::view::code;
use crate::web::view::time;

/// So many versions are at hand.
const AT_HAND: u64 = 50;

pub(super) async fn show(web: &Web, look: &Look) -> Result<Shown, Error> {
    let named = look.address.get("version").and_then(|number| number.parse().ok()).map(VersionNumber);
    let number = named.or_else(|| look.chosen.as_ref().map(|run| run.version)).unwrap_or(look.row.version);
    let gone = || Error::NotFound(format!("DAG `{}` has no version {number}", look.id()));
    let version = web.store.version(look.id(), Some(number)).await?.ok_or_else(gone)?;
    let versions = web.store.versions_of(look.id(), AT_HAND).await?;
    let is_diff = look.address.get("diff").is_some();
    let before = versions.iter().map(|one| one.version).filter(|one| *one < number).max();
    let old = match before.filter(|_| is_diff) {
        Some(before) => web.store.version(look.id(), Some(before)).await?,
        None => None,
    };
    let file = version.definition.file.clone();
    let picture = actix_web::web::block(move || match old {
        Some(old) => code::difference(&version.definition.file, &old.source, &version.source),
        None => code::draw(&version.definition.file, &version.source),
    });
    let picture = picture.await.map_err(|error| Error::Internal(error.to_string()))?;
    let body = html! {
        div.toolbar {
            code { (file) }
            details.menu {
                summary.chip { "version " (number) }
                div.sheet {
                    @for one in &versions {
                        a href=(look.address.with("version", &one.version.to_string()).url()) aria-current=[(one.version == number).then_some("true")] {
                            "version " (one.version) span.quiet { (time::ago(one.created_at, look.now)) }
                        }
                    }
                }
            }
            @if let Some(before) = before {
                @let other = if is_diff { look.address.without("diff") } else { look.address.with("diff", "1") };
                a.chip href=(other.url()) aria-current=[is_diff.then_some("true")] { "Changes since version " (before) }
            }
        }
        (picture)
    };
    Ok(Shown::still(body))
}
