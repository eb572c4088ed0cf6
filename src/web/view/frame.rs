//! What every page has: head, header with the numbers that matter, navigation, search, toasts, shortcuts.

use maud::{DOCTYPE, Markup, html};

use super::form;
use super::icon::{Icon, icon};
use super::number;
use super::toast::{Toast, toasts};

/// Where a page stands in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    Dags,
    Runs,
    Workers,
    Queues,
    Assets,
    Backfills,
    Pools,
    Variables,
    Connections,
    Users,
    AuditLog,
    Config,
    ImportErrors,
    Elsewhere,
}

/// A way of the navigation: where, its word, its address, and the letter after `g`.
type Way = (Here, &'static str, &'static str, &'static str);

const MAIN: [Way; 4] = [
    (Here::Dags, "DAGs", "/", "d"),
    (Here::Runs, "Runs", "/runs", "r"),
    (Here::Workers, "Workers", "/workers", "w"),
    (Here::Assets, "Assets", "/assets", "a"),
];

const ADMIN: [Way; 9] = [
    (Here::Queues, "Queues", "/queues", "q"),
    (Here::Pools, "Pools", "/pools", "p"),
    (Here::Variables, "Variables", "/variables", "v"),
    (Here::Connections, "Connections", "/connections", "c"),
    (Here::Backfills, "Backfills", "/backfills", "b"),
    (Here::ImportErrors, "Import errors", "/import-errors", "i"),
    (Here::Users, "Users", "/users", "u"),
    (Here::AuditLog, "Audit log", "/audit", "l"),
    (Here::Config, "Configuration", "/config", "o"),
];

/// Every page of the navigation, for the search.
pub fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    MAIN.into_iter().chain(ADMIN).map(|(_, word, address, _)| (word, address))
}

/// As the viewer chose; by the system where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn from_word(word: &str) -> Self {
        match word {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }

    fn word(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }
}

/// The numbers of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Task instances.
    pub running: u64,
    pub queued: u64,
    /// Runs that failed since midnight UTC.
    pub failed_today: u64,
    pub slots_used: u64,
    /// `None`: without limit.
    pub slots: Option<u64>,
}

/// Where the stylesheet and the script are.
#[derive(Clone, Copy, Debug)]
pub struct Assets<'a> {
    pub style: &'a str,
    pub script: &'a str,
}

/// A page without its body.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    pub title: &'a str,
    pub here: Here,
    /// Who is signed in; `None` on the page where one does.
    pub user: Option<&'a str>,
    /// Pages that they may not see: no way leads there.
    pub closed: &'a [Here],
    pub csrf: &'a str,
    pub theme: Theme,
    pub numbers: Numbers,
    pub toasts: &'a [Toast],
    pub assets: Assets<'a>,
    /// The stream of events that makes the parts marked `data-live` (each with an id) draw themselves anew.
    pub stream: Option<&'a str>,
    /// Further scripts of this page.
    pub scripts: &'a [&'a str],
    /// `[webserver] instance_name`, and the version.
    pub instance: &'a str,
    pub version: &'a str,
}

/// The whole document.
pub fn frame(page: &Page<'_>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[page.theme.word()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="same-origin";
                title { (page.title) " · " (page.instance) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(page.assets.style);
                script src=(page.assets.script) defer {}
                @for script in page.scripts { script src=(script) defer {} }
            }
            body data-stream=[page.stream] {
                a.skip-link href="#content" { "Skip to the content" }
                div.thread title="Connecting again" {}
                @if let Some(user) = page.user { (header(page, user)) }
                main #content tabindex="-1" class=[page.user.is_none().then_some("alone")] {
                    @if page.user.is_none() { p.brand { (mark()) "Updraft" } }
                    (body)
                }
                footer.foot {
                    span { (page.instance) " " (page.version) }
                    span.push.wide-only { kbd { "?" } " shortcuts" }
                }
                (toasts(page.toasts, page.csrf))
                (shortcuts())
            }
        }
    }
}

fn header(page: &Page<'_>, user: &str) -> Markup {
    html! {
        header.top {
            a.brand href="/" {
                (mark())
                "Updraft"
            }
            (navigation(page.here, page.closed))
            (search())
            (numbers(&page.numbers))
            div.side { (theme_switch()) (mine(user, page.csrf)) }
        }
    }
}

fn mark() -> Markup {
    html! { svg.mark viewBox="0 0 16 16" aria-hidden="true" { path d="M8 1l6.5 13L8 10.6 1.5 14z"; } }
}

fn way(here: Here, (place, word, address, key): Way) -> Markup {
    let current = (here == place).then_some("page");
    html! { a href=(address) aria-current=[current] data-key={ "g " (key) } { (word) } }
}

fn navigation(here: Here, closed: &[Here]) -> Markup {
    let within = ADMIN.iter().any(|(place, ..)| *place == here);
    html! {
        nav.nav aria-label="Pages" {
            @for next in MAIN { (way(here, next)) }
            details.menu.here[within] {
                summary { "Admin " (icon(Icon::Down)) }
                div.sheet { @for next in ADMIN.into_iter().filter(|(place, ..)| !closed.contains(place)) { (way(here, next)) } }
            }
        }
    }
}

fn search() -> Markup {
    html! {
        form.search action="/search" role="search" {
            (icon(Icon::Search))
            input type="search" name="q" placeholder="Search" aria-label="Search DAGs, tasks, runs and pages"
                autocomplete="off" spellcheck="false" role="combobox" aria-expanded="false" aria-controls="found"
                aria-autocomplete="list";
            kbd aria-hidden="true" { "/" }
            div.found #found {}
        }
    }
}

fn numbers(numbers: &Numbers) -> Markup {
    let one = |count: u64, class: &str, word: &str, address: &str| {
        let is_calm = count == 0;
        html! {
            a.calm[is_calm] href=(address) title={ (number::count(count)) " " (word) } {
                span class={ "dot " (class) } {} b { (number::count(count)) } span.word { (word) }
            }
        }
    };
    html! {
        nav.numbers #numbers data-live aria-label="Now" {
            (one(numbers.running, "s-running", "running", "/runs?state=running"))
            (one(numbers.queued, "s-queued", "queued", "/queues"))
            (one(numbers.failed_today, "s-failed", "failed today", "/runs?state=failed&since=today"))
            a.wide-only href="/workers" title="Slots in use" {
                span {
                    b { (number::count(numbers.slots_used)) } "/" (numbers.slots.map_or_else(|| "∞".to_owned(), number::count))
                }
                span.word { "slots" }
            }
        }
    }
}

fn theme_switch() -> Markup {
    html! {
        form.inline action="/theme" data-theme-switch {
            button.button.ghost.square type="submit" title="Light or dark" aria-label="Switch between light and dark" {
                (icon(Icon::Theme))
            }
        }
    }
}

fn mine(user: &str, csrf: &str) -> Markup {
    let out = html! { button type="submit" { "Sign out" } };
    html! {
        details.menu.end {
            summary.button.ghost aria-label={ "Signed in as " (user) } { (icon(Icon::Person)) (icon(Icon::Down)) }
            div.sheet {
                div.title { "Signed in as " b { (user) } }
                a href="/profile" { "Password and tokens" }
                (form::action("/logout", csrf, &[], &out))
            }
        }
    }
}

fn shortcuts() -> Markup {
    html! {
        dialog #shortcuts aria-labelledby="shortcuts-title" {
            h2 #shortcuts-title { "Shortcuts" }
            dl.keys {
                dt { kbd { "/" } } dd { "Search; arrows and Enter choose" }
                dt { kbd { "g" } " then a letter" } dd {
                    @for (at, (_, word, _, key)) in MAIN.into_iter().chain(ADMIN).enumerate() {
                        @if at > 0 { ", " } kbd { (key) } " " (word)
                    }
                }
                dt { kbd { "j" } " " kbd { "k" } } dd { "Next and previous row" }
                dt { kbd { "x" } } dd { "Choose the row" }
                dt { kbd { "e" } } dd { "First error of a log" }
                dt { kbd { "Esc" } } dd { "Close what is open" }
                dt { kbd { "?" } } dd { "This list" }
            }
            button.button type="button" data-close { "Close" }
        }
    }
}

/// The top of a page: its name, a sentence, and what can be done.
pub fn head(title: &str, lead: Option<&Markup>, actions: &Markup) -> Markup {
    html! {
        div.head {
            h1 { (title) }
            div.row.push { (actions) }
            @if let Some(lead) = lead { p.lead { (lead) } }
        }
    }
}

/// One tab: its word, its address, and whether it is shown.
pub struct Tab<'a> {
    pub word: &'a str,
    pub address: &'a str,
    pub is_here: bool,
}

pub fn tabs(label: &str, tabs: &[Tab<'_>]) -> Markup {
    html! {
        nav.tabs aria-label=(label) {
            @for tab in tabs { a href=(tab.address) aria-current=[tab.is_here.then_some("page")] { (tab.word) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page<'static> {
        Page {
            title: "Runs",
            here: Here::Runs,
            user: Some("ada"),
            closed: &[Here::Users],
            csrf: "token",
            theme: Theme::Dark,
            numbers: Numbers { running: 1204, failed_today: 3, slots: Some(32), ..Numbers::default() },
            toasts: &[],
            assets: Assets { style: "/static/updraft.css", script: "/static/updraft.js" },
            stream: Some("/live"),
            scripts: &[],
            instance: "Updraft",
            version: "0.1.0",
        }
    }

    #[test]
    fn a_page_has_no_inline_script_or_style_that_the_policy_would_stop() {
        let html = frame(&page(), &html! { p { "body" } }).into_string();
        assert!(!html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick"), "{html}");
        for script in html.split("<script").skip(1) {
            assert!(script.contains(" src=") && script.contains("></script>"), "{script}");
        }
    }

    #[test]
    fn the_frame_says_where_one_is_and_shows_the_numbers() {
        let html = frame(&page(), &html! {}).into_string();
        assert!(html.contains(r#"<a href="/runs" aria-current="page" data-key="g r">Runs</a>"#), "{html}");
        assert!(!html.contains(r#"href="/users""#) && html.contains(r#"href="/pools""#), "{html}");
        assert!(html.contains("1,204") && html.contains("/32"), "{html}");
        assert!(html.contains(r#"data-theme="dark""#));
    }

    #[test]
    fn every_letter_after_g_is_one_page() {
        let mut keys: Vec<&str> = MAIN.into_iter().chain(ADMIN).map(|(.., key)| key).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
