//! The log of a try: as JSON in pieces, as plain text or as lines of JSON as one stream. However long it is, only a
//! piece of it is in memory at a time. A try that runs is read as far as it has come, and its token leads on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::ids::TryNumber;
use crate::store::write::AttemptRow;
use crate::web::Error;

use super::asked::{Accepts, Asked, Version};
use super::find;
use super::lists::{Kind, Param};
use super::moment;
use super::operation::{Answer, Operation, good, may};
use super::task_instances::{attempts, no_try};

/// As much of a log is in one answer of JSON.
const PIECE: usize = 1 << 20;
/// As much of it is read at once for a stream.
const READ: usize = 256 << 10;

#[derive(Serialize, ToSchema)]
#[schema(as = TaskInstancesLogResponse)]
struct Log {
    /// One object per line: `timestamp`, `level`, `logger`, `event`.
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    /// Leads to what comes next; null at the end of a try that has ended.
    continuation_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExternalLogUrlResponse)]
struct ExternalUrl {
    url: String,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::TaskLog);
    let at = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}";
    let index = || Param::new("map_index", Kind::Integer, "Which element of a mapped task.");
    vec![
        Operation::get(format!("{at}/logs/{{try_number}}").leak(), "get_log", "Get Log", read, log)
            .params([
                Param::new("full_content", Kind::Flag, "All of it in one answer, which is then a stream."),
                index(),
                Param::new("token", Kind::Text, "From an earlier answer: what came after it."),
            ])
            .answers::<Log>()
            .or_as(&["application/x-ndjson", "text/plain"]),
        Operation::get(
            format!("{at}/externalLogUrl/{{try_number}}").leak(),
            "get_external_log_url",
            "Get External Log Url",
            read,
            external,
        )
        .params([index()])
        .answers::<ExternalUrl>()
        .new_in_v2(),
    ]
}

async fn external(asked: Asked) -> Answer {
    let _: i32 = asked.number_in_path("try_number")?;
    find::task(&asked).await?;
    Err(Error::Bad("Task log handler does not support external log URLs: logs are kept here".to_owned()))
}

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u64);

impl Place {
    fn token(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("log@{}", self.0))
    }

    fn read(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?).ok()?;
        text.strip_prefix("log@")?.parse().ok().map(Self)
    }
}

async fn log(asked: Asked) -> Answer {
    let number = TryNumber(asked.number_in_path("try_number")?);
    let from = match asked.one("token").filter(|token| !token.is_empty()) {
        None => Place(0),
        Some(token) => Place::read(token)
            .ok_or_else(|| Error::Bad("Bad Signature. Please use only the tokens provided by the API.".to_owned()))?,
    };
    let is_full = asked.flag("full_content")?.unwrap_or(false);
    let (run, row) = find::task(&asked).await?;
    let attempts = attempts(&asked, &run, &row).await?;
    let attempt = attempts.into_iter().rfind(|attempt| attempt.try_number == number);
    let Some(attempt) = attempt else { return Err(no_try(&asked, number)) };
    let file = open(&asked, &attempt).await?;
    let accepts = match (asked.accepts, asked.version) {
        // Airflow 2 answered with text unless it was asked for JSON by name.
        (Accepts::Json, Version::V1) if asked.one("full_content").is_none() => Accepts::Json,
        (accepts, _) => accepts,
    };
    match (accepts, file) {
        (Accepts::Json, None) => good(Log { content: vec![nothing(&attempt)], continuation_token: on(&attempt, from) }),
        (Accepts::Json, Some(file)) if is_full => Ok(streamed("application/json", file, from, Form::Whole)),
        (Accepts::Json, Some(file)) => piece(file, from, &attempt).await,
        (Accepts::Text, Some(file)) => Ok(streamed("text/plain; charset=utf-8", file, from, Form::AsItIs)),
        (Accepts::Lines, Some(file)) => Ok(streamed("application/x-ndjson", file, from, Form::Lines)),
        (Accepts::Text, None) => Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("")),
        (Accepts::Lines, None) => {
            let line = format!("{}\n", nothing(&attempt));
            Ok(HttpResponse::Ok().content_type("application/x-ndjson").body(line))
        }
    }
}

/// What stands in the place of a log that is not there.
fn nothing(attempt: &AttemptRow) -> Value {
    let why = if attempt.state.is_done() {
        "there is no log of this try: it ended before it wrote one, or its log was removed"
    } else {
        "the log of this try has not begun"
    };
    json!({ "timestamp": null, "event": why })
}

fn on(attempt: &AttemptRow, place: Place) -> Option<String> {
    (!attempt.state.is_done()).then(|| place.token())
}

/// The file of the try's log; none where there is no such file.
async fn open(asked: &Asked, attempt: &AttemptRow) -> Result<Option<File>, Error> {
    let (logs, path) = (asked.web.logs.clone(), attempt.log_path.clone());
    let opened = tokio::task::spawn_blocking(move || logs.open(&path)).await;
    match opened.map_err(|error| Error::Internal(error.to_string()))? {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Internal(format!("the log {}: {error}", attempt.log_path))),
    }
}

/// The lines of one piece.
async fn piece(file: File, from: Place, attempt: &AttemptRow) -> Answer {
    let is_over = attempt.state.is_done();
    let read = tokio::task::spawn_blocking(move || whole_lines(file, from, is_over)).await;
    let read = read.map_err(|error| Error::Internal(error.to_string()))?;
    let (bytes, is_end) = read.map_err(|error| Error::Internal(error.to_string()))?;
    let next = Place(from.0 + bytes.len() as u64);
    let text = String::from_utf8_lossy(&bytes);
    let content = text.lines().map(line).collect();
    let continuation_token = if is_end { on(attempt, next) } else { Some(next.token()) };
    good(Log { content, continuation_token })
}

/// As many whole lines as fit into a piece, and whether the file ends with them. A last line without its end is
/// still being written, or the end of the log of a try that is over.
fn whole_lines(mut file: File, from: Place, is_over: bool) -> io::Result<(Vec<u8>, bool)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.0.min(length)))?;
    let mut bytes = Vec::new();
    file.take(PIECE as u64).read_to_end(&mut bytes)?;
    let is_end = from.0.saturating_add(bytes.len() as u64) >= length;
    if !(is_end && is_over) {
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => bytes.truncate(last + 1),
            None if is_end => bytes.clear(),
            // A line longer than a piece is given in parts.
            None => {}
        }
    }
    Ok((bytes, is_end))
}

/// `[2026-11-21T12:00:00.123+0000] {bash} INFO - text` as an object; any other line is its text.
fn line(text: &str) -> Value {
    let parsed = || {
        let (time, rest) = text.strip_prefix('[')?.split_once("] {")?;
        let (logger, rest) = rest.split_once("} ")?;
        let (level, event) = rest.split_once(" - ")?;
        let time = moment::parse(time)?;
        Some(json!({ "timestamp": time, "level": level.to_lowercase(), "logger": logger, "event": event }))
    };
    parsed().unwrap_or_else(|| json!({ "timestamp": null, "event": text }))
}

/// How a stream is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    AsItIs,
    Lines,
    /// One JSON document.
    Whole,
}

struct Reading {
    file: Option<File>,
    /// A line whose end has not been read yet.
    begun: Vec<u8>,
    form: Form,
    is_begun: bool,
    has_lines: bool,
}

fn streamed(kind: &str, mut file: File, from: Place, form: Form) -> HttpResponse {
    if file.seek(SeekFrom::Start(from.0)).is_err() {
        return HttpResponse::Ok().content_type(kind).finish();
    }
    let reading = Reading { file: Some(file), begun: Vec::new(), form, is_begun: false, has_lines: false };
    let pieces = stream::unfold(reading, |reading| async move {
        let read = tokio::task::spawn_blocking(move || reading.next()).await;
        match read {
            Ok(Ok(Some((bytes, reading)))) => Some((Ok(bytes), reading)),
            Ok(Ok(None)) => None,
            Ok(Err((error, reading))) => Some((Err(error), reading)),
            Err(_) => None,
        }
    });
    HttpResponse::Ok().content_type(kind).streaming(Box::pin(pieces))
}

impl Reading {
    /// The next piece of the stream; none after its end.
    fn next(mut self) -> Result<Option<(Bytes, Self)>, (io::Error, Self)> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let mut bytes = vec![0; READ];
        let count = match file.read(&mut bytes) {
            Ok(count) => count,
            // The end of the stream without an end of its document: the reader sees that something is missing.
            Err(error) => return Err((error, self)),
        };
        bytes.truncate(count);
        if count > 0 {
            self.file = Some(file);
        }
        if self.form == Form::AsItIs {
            return Ok((count > 0).then(|| (Bytes::from(bytes), self)));
        }
        self.begun.append(&mut bytes);
        let whole = match self.begun.iter().rposition(|byte| *byte == b'\n') {
            _ if count == 0 => std::mem::take(&mut self.begun),
            Some(last) => {
                let rest = self.begun.split_off(last + 1);
                std::mem::replace(&mut self.begun, rest)
            }
            // A line longer than a piece is given in parts, so that it never fills the memory.
            None if self.begun.len() >= PIECE => std::mem::take(&mut self.begun),
            None => Vec::new(),
        };
        Ok(Some((self.written(&whole, count == 0).into(), self)))
    }

    fn written(&mut self, lines: &[u8], is_end: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(lines.len() * 2);
        let text = String::from_utf8_lossy(lines);
        if !std::mem::replace(&mut self.is_begun, true) && self.form == Form::Whole {
            out.extend_from_slice(b"{\"content\":[");
        }
        for text in text.lines() {
            if std::mem::replace(&mut self.has_lines, true) && self.form == Form::Whole {
                out.push(b',');
            }
            out.extend_from_slice(line(text).to_string().as_bytes());
            if self.form == Form::Lines {
                out.push(b'\n');
            }
        }
        if is_end && self.form == Form::Whole {
            out.extend_from_slice(b"],\"continuation_token\":null}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_any_other_text_stays_whole() {
        let parts = line("[2026-11-21T12:00:00.123+0000] {bash} INFO - a - b");
        assert_eq!(parts["event"], "a - b");
        assert_eq!(parts["level"], "info");
        assert_eq!(parts["timestamp"], "2026-11-21T12:00:00.123Z");
        assert_eq!(line("Traceback:")["event"], "Traceback:");
    }

    #[test]
    fn a_token_of_ours_is_read_and_no_other() {
        assert_eq!(Place::read(&Place(77).token()), Some(Place(77)));
        for foreign in ["", "x", "bG9nQA", "Ny4"] {
            assert_eq!(Place::read(foreign), None, "{foreign}");
        }
    }

    fn stream_of(text: &str, form: Form) -> String {
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, text.as_bytes()).expect("it is written");
        file.seek(SeekFrom::Start(0)).expect("its beginning");
        let mut reading = Reading { file: Some(file), begun: Vec::new(), form, is_begun: false, has_lines: false };
        let mut all = Vec::new();
        while let Ok(Some((bytes, next))) = reading.next() {
            all.extend_from_slice(&bytes);
            reading = next;
        }
        String::from_utf8(all).expect("text")
    }

    #[test]
    fn a_stream_has_every_line_of_a_log_however_it_is_cut() {
        let text: String = (0..40_000).map(|n| format!("line {n} ü\n")).collect();
        assert_eq!(stream_of(&text, Form::AsItIs), text);
        assert_eq!(stream_of(&text, Form::Lines).lines().count(), 40_000);
        for text in [text.as_str(), "", "one", "one\n"] {
            let whole: Value = serde_json::from_str(&stream_of(text, Form::Whole)).expect("JSON");
            assert_eq!(whole["content"].as_array().map(Vec::len), Some(text.lines().count()));
        }
    }

    #[test]
    fn a_piece_ends_with_a_line() {
        let mut file = tempfile::tempfile().expect("a file");
        let text: String = (0..100_000).map(|n| format!("line {n:020}\n")).collect();
        io::Write::write_all(&mut file, text.as_bytes()).expect("it is written");
        let (mut at, mut seen) = (0, 0);
        loop {
            let (bytes, is_end) =
                whole_lines(file.try_clone().expect("a descriptor"), Place(at), true).expect("it is read");
            assert!(bytes.len() <= PIECE && bytes.ends_with(b"\n"));
            seen += String::from_utf8_lossy(&bytes).lines().count();
            at += bytes.len() as u64;
            if is_end {
                break;
            }
        }
        assert_eq!(seen, 100_000);
    }
}
