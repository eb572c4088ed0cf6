//! What every page of people needs around its body: who looks, where, what the header says, and how an action
//! answers. A page handler takes a [`Shell`] and gives back what [`Shell::page`] makes of its body.

use std::io::Write;
use std::pin::Pin;
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use flate2::Compression;
use flate2::write::GzEncoder;
use maud::Markup;

use crate::auth::{Action, Resource};
use crate::domain::time::Time;
use crate::web::asset;
use crate::web::view::address::Address;
use crate::web::view::frame::{Assets, Here, Numbers, Page, Theme, frame};
use crate::web::view::toast::Toast;
use crate::web::{Caller, Error, Web};

/// Shorter pages fit a few packets as they are.
const WORTH_SQUEEZING: usize = 16 * 1024;
/// Carries the toasts of an action to the page after it.
const TOAST: &str = "updraft_toast";
/// A page is not held up by the stream of changes: it asks again when the stream is there.
const PATIENCE: Duration = Duration::from_millis(50);

/// One look of one person at one page.
pub struct Shell {
    pub web: Web,
    pub caller: Caller,
    /// Where they are, with every choice of the view.
    pub address: Address,
    pub now: Time,
    theme: Theme,
    takes_gzip: bool,
    toasts: Vec<Toast>,
    /// From where on the page hears of changes.
    stream: String,
}

impl FromRequest for Shell {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let web = Web::from_request(request, payload);
        let caller = Caller::from_request(request, payload);
        let address = Address::parse(request.path(), request.query_string());
        let theme = request.cookie("theme").map_or(Theme::System, |cookie| Theme::from_word(cookie.value()));
        let toasts = request.cookie(TOAST).map_or_else(Vec::new, |cookie| read(cookie.value()));
        let accepts = request.headers().get(header::ACCEPT_ENCODING).and_then(|accepts| accepts.to_str().ok());
        let takes_gzip = accepts.is_some_and(|accepts| accepts.contains("gzip"));
        let is_look = request.method() == Method::GET && !request.headers().contains_key("x-updraft-live");
        Box::pin(async move {
            let (web, caller) = (web.await?, caller.await?);
            // Before the store is read: then the page and the changes that follow leave no gap.
            let mut stream = "/live".to_owned();
            if is_look && let Ok(position) = tokio::time::timeout(PATIENCE, web.watch.now()).await {
                stream = format!("/live?since={position}");
            }
            Ok(Self { web, caller, address, now: Utc::now(), theme, takes_gzip, toasts, stream })
        })
    }
}

fn read(cookie: &str) -> Vec<Toast> {
    let bytes = URL_SAFE_NO_PAD.decode(cookie).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

impl Shell {
    /// The whole page.
    ///
    /// # Errors
    /// When the numbers of its header cannot be read.
    pub async fn page(&self, title: &str, here: Here, body: &Markup) -> Result<HttpResponse, Error> {
        self.page_with(title, here, &[], body).await
    }

    /// The same with scripts of its own.
    ///
    /// # Errors
    /// When the numbers of its header cannot be read.
    pub async fn page_with(
        &self,
        title: &str,
        here: Here,
        scripts: &[&str],
        body: &Markup,
    ) -> Result<HttpResponse, Error> {
        let numbers = self.numbers().await?;
        let settings = &self.web.settings;
        let page = Page {
            title,
            here,
            user: Some(&self.caller.user),
            closed: &self.closed(),
            csrf: self.caller.csrf(),
            theme: self.theme,
            numbers,
            toasts: &self.toasts,
            assets: Assets { style: asset::url("updraft.css"), script: asset::url("updraft.js") },
            stream: Some(&self.stream),
            scripts,
            instance: settings.name(),
            version: settings.version,
        };
        let mut answer = HttpResponse::Ok();
        if !self.toasts.is_empty() {
            let mut cookie = Cookie::build(TOAST, "").path("/").finish();
            cookie.make_removal();
            answer.cookie(cookie);
        }
        answer.insert_header((header::CACHE_CONTROL, "no-store")).content_type("text/html; charset=utf-8");
        let text = frame(&page, body).into_string();
        if self.takes_gzip
            && text.len() > WORTH_SQUEEZING
            && let Ok(squeezed) = squeeze(text.as_bytes())
        {
            answer.insert_header((header::CONTENT_ENCODING, "gzip")).insert_header((header::VARY, "accept-encoding"));
            return Ok(answer.body(squeezed));
        }
        Ok(answer.body(text))
    }

    fn closed(&self) -> Vec<Here> {
        let guarded = [
            (Here::Variables, Resource::Variable),
            (Here::Connections, Resource::Connection),
            (Here::Users, Resource::User),
            (Here::Config, Resource::Configuration),
        ];
        guarded.into_iter().filter(|(_, what)| !self.caller.may(Action::Read, *what)).map(|(place, _)| place).collect()
    }

    async fn numbers(&self) -> Result<Numbers, Error> {
        let activity = self.web.store.activity(self.midnight()).await?;
        Ok(Numbers {
            running: activity.running,
            queued: activity.queued,
            failed_today: activity.failed,
            slots_used: activity.slots_used,
            slots: activity.slots,
        })
    }

    /// The last midnight, UTC.
    pub fn midnight(&self) -> Time {
        self.now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
    }

    /// To another page, with a word about what was done.
    pub fn go(to: &str, toast: &Toast) -> HttpResponse {
        let json = serde_json::to_vec(&[toast]).unwrap_or_default();
        let mut answer = HttpResponse::SeeOther();
        answer.insert_header((header::LOCATION, to));
        // A browser drops a cookie of more than 4 KiB, and the answer of some servers with it.
        let text = URL_SAFE_NO_PAD.encode(json);
        if text.len() < 3500 {
            let cookie = Cookie::build(TOAST, text).path("/").http_only(true).same_site(SameSite::Lax);
            answer.cookie(cookie.finish());
        }
        answer.finish()
    }

    /// Where an action's outcome is said: on the page that it came from. A refusal is said there too; what is broken
    /// inside is an error page.
    ///
    /// # Errors
    /// What is none of the user's doing.
    pub fn outcome(to: &str, done: Result<Toast, Error>) -> Result<HttpResponse, Error> {
        match done {
            Ok(toast) => Ok(Self::go(to, &toast)),
            Err(error) if error.status().is_client_error() => Ok(Self::go(to, &Toast::bad(error.to_string()))),
            Err(error) => Err(error),
        }
    }
}

/// A page is read once and made anew, so quickly is better than small.
fn squeeze(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    gzip.write_all(text)?;
    gzip.finish()
}

/// What a form sent.
pub type Sent = web::Form<Vec<(String, String)>>;

/// Its fields by name.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn of(sent: Sent) -> Self {
        Self(sent.into_inner())
    }

    /// A field without the blanks around it; empty is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A field as it was typed.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A field that has to be there and to make sense.
    ///
    /// # Errors
    /// With a sentence that names the field.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Error> {
        let text = self.get(name).ok_or_else(|| Error::Bad(format!("`{name}` is missing")))?;
        text.parse().map_err(|error: T::Err| Error::Bad(format!("{name}: {error}")))
    }

    /// Where the form says that one came from: a path of ours, or `usual`.
    pub fn back<'a>(&'a self, usual: &'a str) -> &'a str {
        self.get("back").filter(|path| is_ours(path)).unwrap_or(usual)
    }
}

/// Whether an address leads to a page of ours and nowhere else.
fn is_ours(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_a_page_of_ours_and_nowhere_else() {
        for (path, is) in [("/runs?page=2", true), ("//evil.example", false), ("/\\evil", false), ("https://x", false)]
        {
            assert_eq!(is_ours(path), is, "{path}");
        }
    }

    #[test]
    fn a_toast_that_was_tampered_with_is_none() {
        assert_eq!(read("not base64!"), []);
        let toast = Toast::good("Paused");
        let cookie = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&[&toast]).expect("JSON"));
        assert_eq!(read(&cookie), [toast]);
    }
}
