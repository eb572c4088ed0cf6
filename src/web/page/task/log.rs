//! The log of a try: a window of it, followed while it grows, searched, by level, as a file.

use std::fs::File;
use std::io;

use actix_web::http::header;
use actix_web::{HttpResponse, web as http};
use futures_util::stream;
use maud::{Markup, html};
use tokio::io::AsyncReadExt;

use super::Subject;
use super::file::{At, Found, LogFile, Window};
use crate::domain::ids::{MapIndex, TryNumber};
use crate::store::query::Instance;
use crate::store::write::{AttemptRow, RunRow};
use crate::web::page::dag::state_of;
use crate::web::page::shell::Shell;
use crate::web::page::way;
use crate::web::view::address::{Address, escape};
use crate::web::view::icon::{Icon, icon};
use crate::web::view::log::{self, Level, lines};
use crate::web::view::number;
use crate::web::view::state::small_badge;
use crate::web::{Error, Web};

/// So many lines that were found are listed.
const FOUND: usize = 200;

/// The try that the address names, or the newest.
pub(super) fn chosen<'a>(address: &Address, attempts: &'a [AttemptRow]) -> Option<&'a AttemptRow> {
    match address.get("try").and_then(|text| text.parse().ok()).map(TryNumber) {
        Some(number) => attempts.iter().rfind(|attempt| attempt.try_number == number),
        None => attempts.last(),
    }
}

/// Runs where a thread may wait for a disk.
pub(super) async fn reading<T: Send + 'static>(
    web: &Web,
    log_path: &str,
    read: impl FnOnce(&mut LogFile) -> io::Result<T> + Send + 'static,
) -> Result<Option<T>, Error> {
    let (logs, path) = (web.logs.clone(), log_path.to_owned());
    let found = actix_web::web::block(move || match logs.open(&path) {
        Ok(file) => read(&mut LogFile::new(file)?).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    });
    let found = found.await.map_err(|error| Error::Internal(error.to_string()))?;
    found.map_err(|error| Error::Internal(format!("the log {log_path}: {error}")))
}

/// Leads to the first error of the try; where there is none, to the end.
pub(super) async fn jump(web: &Web, address: &Address, subject: &Subject) -> Result<HttpResponse, Error> {
    let line = match chosen(address, &subject.attempts) {
        Some(attempt) => reading(web, &attempt.log_path, LogFile::first_error).await?.flatten(),
        None => None,
    };
    let plain = address.without("jump");
    let to = match line {
        Some(line) => format!("{}#L{line}", plain.with("line", &line.to_string()).url()),
        None => plain.url(),
    };
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish())
}

pub(super) async fn show(web: &Web, address: &Address, subject: &Subject) -> Result<Markup, Error> {
    let Some(attempt) = chosen(address, &subject.attempts) else { return Ok(not_tried(subject)) };
    let at = address.get("line").and_then(|line| line.parse().ok()).map_or(At::End, At::Line);
    let wanted = address.get("q").map(str::to_owned);
    let read = {
        let wanted = wanted.clone();
        move |file: &mut LogFile| {
            let found = wanted.map(|wanted| file.find(&wanted, 1, FOUND)).transpose()?;
            Ok((file.window(at)?, found))
        }
    };
    let Some((window, found)) = reading(web, &attempt.log_path, read).await? else {
        let is_new = !attempt.state.is_done();
        return Ok(html! {
            (toolbar(address, subject, attempt))
            @if is_new { (follower(subject, attempt, 0, 1)) p.quiet #nothing-yet { "Nothing has been written yet." } div.log #lines {} }
            @else { p.banner.warn { "There is no log " code { (attempt.log_path) } ": it was removed, or the task ran on a machine that keeps its own." } }
        });
    };
    let levels: Vec<Level> = Level::ALL.into_iter().filter(|level| address.is_chosen("level", level.word())).collect();
    let is_whole = window.from == 0 && window.to == window.size;
    let drawn = lines(&log::Window {
        first: window.first,
        text: &window.text,
        link: "",
        levels: &levels,
        wanted: wanted.as_deref(),
    });
    let follows = !attempt.state.is_done() && window.to == window.size;
    Ok(html! {
        (toolbar(address, subject, attempt))
        @if let Some(found) = found { (results(address, &found)) }
        @if !is_whole { (place(&window)) }
        @if window.from > 0 { p.more { a.button href=(to_line(address, window.first.saturating_sub(500).max(1))) data-more="before" { "Earlier lines" } } }
        div class=(if address.get("wrap").is_some() { "log wrap" } else { "log" }) #lines tabindex="0" role="region" aria-label="Log" { (drawn) }
        @if window.to < window.size { p.more {
            a.button href=(to_line(address, window.next() + 60)) data-more="after" { "Later lines" } " "
            a.button href=(address.without("line").url()) { "The end" }
        } }
        @if follows { (follower(subject, attempt, window.to, window.next())) }
        @if window.size == 0 && attempt.state.is_done() { p.quiet { "The task wrote nothing." } }
    })
}

fn to_line(address: &Address, line: u64) -> String {
    format!("{}#L{line}", address.with("line", &line.to_string()).url())
}

fn not_tried(subject: &Subject) -> Markup {
    let why = format!("{}?tab=why", subject.path());
    html! {
        div #part data-live {
            p.banner {
                @match subject.row.as_ref().map(|row| row.state.is_finished()) {
                    Some(true) => "It ended without running, so it has no log. ",
                    Some(false) | None => "It has not been tried, so it has no log. ",
                }
                a href=(why) { "Why?" }
            }
        }
    }
}

fn toolbar(address: &Address, subject: &Subject, attempt: &AttemptRow) -> Markup {
    let is_wrapped = address.get("wrap").is_some();
    let wrap = if is_wrapped { address.without("wrap") } else { address.with("wrap", "1") };
    html! {
        div.toolbar.log-bar {
            @if subject.attempts.len() > 1 {
                div.chips aria-label="Tries" {
                    @for one in &subject.attempts {
                        a.chip href=(address.without("line").without("jump").with("try", &one.try_number.to_string()).url())
                            aria-current=[(one.id == attempt.id).then_some("true")] { (small_badge(state_of(one))) "try " (one.try_number) }
                    }
                }
            }
            form.inline.find method="get" role="search" {
                @for (name, value) in address.others(&["q", "line", "jump"]) { input type="hidden" name=(name) value=(value); }
                input type="search" name="q" value=[address.get("q")] placeholder="Search the log" aria-label="Search the log";
            }
            a.chip href=(address.without("line").with("jump", "error").url()) data-jump-error { kbd { "e" } "first error" }
            details.menu {
                summary.chip { "levels " (icon(Icon::Down)) }
                div.sheet { @for level in Level::ALL {
                    a href=(address.toggled("level", level.word()).url()) aria-current=[address.is_chosen("level", level.word()).then_some("true")] { (level.word()) }
                } }
            }
            a.chip href=(wrap.url()) aria-current=[is_wrapped.then_some("true")] { "wrap" }
            span.push {}
            a.chip href=(format!("{}/download?try={}", files(subject), attempt.try_number)) download { (icon(Icon::File)) "download" }
        }
    }
}

/// Where the log itself is served.
fn files(subject: &Subject) -> String {
    let run = way::run(&subject.dag, &subject.run.run_id);
    format!("{run}/log/{}/{}", escape(subject.task.as_str()), subject.map_index)
}

fn place(window: &Window) -> Markup {
    html! {
        p.quiet { "Lines " (number::count(window.first)) " to " (number::count(window.next() - 1)) " of a log of " (number::bytes(window.size)) "." }
    }
}

fn results(address: &Address, found: &[Found]) -> Markup {
    html! {
        details.found-lines open {
            summary { @if found.len() == FOUND { "The first " (FOUND) " lines" } @else { (number::counted(found.len() as u64, "line", "lines")) } " with “" (address.get("q").unwrap_or_default()) "”" }
            ol { @for line in found { li value=(line.number) { a href=(to_line(address, line.number)) { (crate::web::view::shorten(&line.text, 160)) } } } }
        }
    }
}

/// Tells the script from where on it may hear what is written.
fn follower(subject: &Subject, attempt: &AttemptRow, from: u64, line: u64) -> Markup {
    let address = format!("{}/follow?try={}&from={from}&line={line}", files(subject), attempt.try_number);
    html! { p.follow #follow data-follow=(address) { label { input type="checkbox" checked; " follow" } span.dot.s-running.pulse {} } }
}

/// The end of a log, for the page of a run.
pub(in crate::web::page) async fn excerpt(
    web: &Web,
    run: &RunRow,
    one: &Instance,
    most: usize,
) -> Result<Option<Markup>, Error> {
    let attempts = web.store.attempts(run.key, Some(&one.task_id)).await?;
    let Some(attempt) = attempts.iter().rfind(|attempt| attempt.map_index == one.map_index) else { return Ok(None) };
    let Some(window) = reading(web, &attempt.log_path, |file| file.window(At::End)).await? else { return Ok(None) };
    let count = window.text.lines().count();
    let skipped = count.saturating_sub(most);
    let start = window.text.split_inclusive('\n').take(skipped).map(str::len).sum::<usize>();
    let link = way::task(&run.dag_id, &run.run_id, &one.task_id, one.map_index);
    let first = window.first + skipped as u64;
    Ok(Some(lines(&log::Window { first, text: &window.text[start..], link: &link, levels: &[], wanted: None })))
}

/// The whole file, piece by piece.
pub(super) async fn download(
    shell: Shell,
    names: http::Path<(String, String, String, i32)>,
) -> Result<HttpResponse, Error> {
    let subject = Subject::of(&shell.web, (&names.0, &names.1, &names.2), MapIndex(names.3)).await?;
    let attempt =
        chosen(&shell.address, &subject.attempts).ok_or_else(|| Error::NotFound("it has no such try".to_owned()))?;
    let (logs, path) = (shell.web.logs.clone(), attempt.log_path.clone());
    let opened = actix_web::web::block(move || logs.open(&path)).await;
    let opened: io::Result<File> = opened.map_err(|error| Error::Internal(error.to_string()))?;
    let file = opened.map_err(|_| Error::NotFound(format!("there is no log {}", attempt.log_path)))?;
    let pieces = stream::unfold(tokio::fs::File::from_std(file), |mut file| async move {
        let mut bytes = vec![0; 64 * 1024];
        match file.read(&mut bytes).await {
            Ok(0) => None,
            Ok(read) => {
                bytes.truncate(read);
                Some((Ok(actix_web::web::Bytes::from(bytes)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let name = format!("attachment; filename=\"{}-{}.log\"", subject.task, attempt.try_number);
    let name = name.chars().filter(char::is_ascii).collect::<String>();
    let mut answer = HttpResponse::Ok();
    answer.content_type("text/plain; charset=utf-8").insert_header((header::CONTENT_DISPOSITION, name));
    Ok(answer.streaming(Box::pin(pieces)))
}
