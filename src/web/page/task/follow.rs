//! A log as it grows, to whoever follows it: pieces of HTML as server-sent events, until the try has ended.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web as http};
use futures_util::stream;
use serde_json::json;

use super::Subject;
use super::log::chosen;
use crate::domain::ids::{AttemptId, MapIndex};
use crate::web::logs::LogFolder;
use crate::web::page::shell::Shell;
use crate::web::view::log::{Window, lines};
use crate::web::{Error, Web};

/// How often the file is looked at while somebody follows it, and how often the try is asked whether it goes on.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const ASK_EVERY: u32 = 5;
/// A word now and then, so that a reader who has left is noticed.
const SAY_EVERY: u32 = 100;
/// So much is sent at once.
const PIECE: u64 = 128 * 1024;

/// Where one reader is.
struct Reader {
    web: Web,
    attempt: AttemptId,
    path: String,
    from: u64,
    line: u64,
    looks: u32,
    /// The try has ended: what is there now is all.
    ends: bool,
    is_over: bool,
}

pub(super) async fn follow(
    shell: Shell,
    names: http::Path<(String, String, String, i32)>,
) -> Result<HttpResponse, Error> {
    let subject = Subject::of(&shell.web, (&names.0, &names.1, &names.2), MapIndex(names.3)).await?;
    let attempt =
        chosen(&shell.address, &subject.attempts).ok_or_else(|| Error::NotFound("it has no such try".to_owned()))?;
    let number = |name: &str, usual: u64| shell.address.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let reader = Reader {
        web: shell.web.clone(),
        attempt: attempt.id,
        path: attempt.log_path.clone(),
        from: number("from", 0),
        line: number("line", 1),
        looks: 0,
        ends: attempt.state.is_done(),
        is_over: false,
    };
    let pieces = stream::unfold(reader, |mut reader| async move {
        let said = reader.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(said)), reader))
    });
    let mut answer = HttpResponse::Ok();
    answer.content_type("text/event-stream").insert_header(("cache-control", "no-store"));
    Ok(answer.streaming(Box::pin(pieces)))
}

impl Reader {
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.is_over {
                return None;
            }
            if let Some(text) = self.read().await {
                return Some(self.said(&text));
            }
            if self.ends {
                self.is_over = true;
                return Some("event: end\ndata: end\n\n".to_owned());
            }
            tokio::time::sleep(LOOK_EVERY).await;
            self.looks += 1;
            if self.looks.is_multiple_of(ASK_EVERY) {
                let attempt = self.web.store.attempt(self.attempt).await;
                // What cannot be asked now is asked again.
                self.ends = attempt.is_ok_and(|attempt| attempt.is_none_or(|attempt| attempt.state.is_done()));
            }
            if self.looks.is_multiple_of(SAY_EVERY) {
                return Some(": still here\n\n".to_owned());
            }
        }
    }

    /// The whole lines that came since; of a try that has ended, also the last one without its end.
    async fn read(&mut self) -> Option<String> {
        let (logs, path, from, ends): (LogFolder, String, u64, bool) =
            (self.web.logs.clone(), self.path.clone(), self.from, self.ends);
        let read = actix_web::web::block(move || {
            use std::os::unix::fs::FileExt;
            let file = logs.open(&path)?;
            let size = file.metadata()?.len();
            let mut bytes = vec![0; usize::try_from(PIECE.min(size.saturating_sub(from))).unwrap_or(0)];
            file.read_exact_at(&mut bytes, from)?;
            Ok::<_, std::io::Error>(bytes)
        });
        let mut bytes = read.await.ok()?.ok()?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if end > 0 || !(ends || bytes.len() as u64 == PIECE) {
            bytes.truncate(end);
        }
        self.from += bytes.len() as u64;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn said(&mut self, text: &str) -> String {
        let html = lines(&Window { first: self.line, text, link: "", levels: &[], wanted: None }).into_string();
        self.line += text.lines().count() as u64;
        format!("event: lines\ndata: {}\n\n", json!({ "html": html, "from": self.from, "line": self.line }))
    }
}
