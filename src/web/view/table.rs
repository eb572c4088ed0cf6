//! Lists: headings that sort, pages, and rows that can be chosen.

use maud::{Markup, html};

use super::address::Address;
use super::icon::{Icon, icon};
use super::number;

/// By what a list is ordered: the key, and whether downwards. Written `key` or `-key`, as the REST API does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    pub key: &'a str,
    pub down: bool,
}

impl<'a> Order<'a> {
    /// The order that the address asks for, or `usual`.
    pub fn of(address: &'a Address, usual: &'a str) -> Self {
        let text = address.get("order").unwrap_or(usual);
        text.strip_prefix('-').map_or(Self { key: text, down: false }, |key| Self { key, down: true })
    }
}

/// A heading that sorts by `key`; a second click turns the order around.
pub fn heading(address: &Address, order: Order<'_>, key: &str, label: &str) -> Markup {
    cell(address, order, key, label, None)
}

/// The same of a column that narrow screens leave out.
pub fn wide_heading(address: &Address, order: Order<'_>, key: &str, label: &str) -> Markup {
    cell(address, order, key, label, Some("wide-only"))
}

fn cell(address: &Address, order: Order<'_>, key: &str, label: &str, class: Option<&str>) -> Markup {
    let is_chosen = order.key == key;
    let next = if is_chosen && !order.down { format!("-{key}") } else { key.to_owned() };
    let sort = is_chosen.then_some(if order.down { "descending" } else { "ascending" });
    html! {
        th class=[class] scope="col" aria-sort=[sort] {
            a href=(address.with("order", &next).url()) {
                (label)
                @if is_chosen { (if order.down { " ↓" } else { " ↑" }) }
            }
        }
    }
}

/// Which part of a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// Counted from 1.
    pub page: u64,
    /// Rows per page.
    pub size: u64,
    /// `None`: nobody counts so many; then `is_last` decides.
    pub total: Option<u64>,
    pub is_last: bool,
}

impl Paging {
    /// The page that the address asks for.
    pub fn page_of(address: &Address) -> u64 {
        address.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).max(1)
    }

    /// Of a list whose length is known.
    pub fn of(address: &Address, size: u64, total: u64) -> Self {
        let pages = total.div_ceil(size).max(1);
        let page = Self::page_of(address).min(pages);
        Self { page, size, total: Some(total), is_last: page == pages }
    }

    /// Of a list of which one row more than a page was read: `read` of them came.
    pub fn open(address: &Address, size: u64, read: usize) -> Self {
        Self { page: Self::page_of(address), size, total: None, is_last: read as u64 <= size }
    }

    /// How many rows come before this page.
    pub fn offset(&self) -> u64 {
        self.size.saturating_mul(self.page - 1)
    }
}

/// Which rows these are, and the way to the others. Nothing where all are shown.
pub fn pager(address: &Address, paging: Paging) -> Markup {
    if paging.page == 1 && paging.is_last {
        return html! {};
    }
    let first = paging.offset() + 1;
    let last = paging.total.map_or(paging.offset() + paging.size, |total| total.min(paging.offset() + paging.size));
    html! {
        nav.pager aria-label="Pages" {
            span {
                (number::count(first)) "–" (number::count(last))
                @if let Some(total) = paging.total { " of " (number::count(total)) }
            }
            span.push {
                @if paging.page > 1 {
                    a.button rel="prev" href=(address.at_page(paging.page - 1).url()) { "← Before" }
                }
                @if !paging.is_last {
                    a.button rel="next" href=(address.at_page(paging.page + 1).url()) { "Next →" }
                }
            }
        }
    }
}

/// A list that is empty teaches how to fill it.
pub fn empty(picture: Icon, title: &str, body: &Markup) -> Markup {
    html! {
        section.empty {
            div { (icon(picture)) }
            h2 { (title) }
            (body)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_turns_its_own_order_around() {
        let here = Address::parse("/", "tag=etl&order=name");
        let html = heading(&here, Order::of(&here, "name"), "name", "DAG").into_string();
        assert!(html.contains("/?tag=etl&amp;order=-name") && html.contains("ascending"), "{html}");
        let other = heading(&here, Order::of(&here, "name"), "next", "next run").into_string();
        assert!(other.contains("order=next") && !other.contains("aria-sort"), "{other}");
    }

    #[test]
    fn pages_say_which_rows_they_hold() {
        let here = Address::parse("/", "page=3");
        let paging = Paging::of(&here, 50, 120);
        assert_eq!((paging.offset(), paging.is_last), (100, true));
        let html = pager(&here, paging).into_string();
        assert!(html.contains("101–120 of 120") && html.contains("page=2") && !html.contains("Next"), "{html}");
        assert_eq!(Paging::of(&here, 50, 20).page, 1, "a page beyond the end is the last");
        assert!(pager(&Address::new("/"), Paging::of(&Address::new("/"), 50, 20)).into_string().is_empty());
    }
}
