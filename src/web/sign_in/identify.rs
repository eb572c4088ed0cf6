//! Who calls, by what the request carries.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;

use crate::auth::{Account, Role, secret};
use crate::domain::time::{Time, until};
use crate::web::caller::{Caller, How};
use crate::web::error::Error;
use crate::web::state::Web;

use super::address;

/// The cookie of a session.
pub const COOKIE: &str = "updraft_session";
/// The cookie where only HTTPS leads here: then no other host and no plain connection can set or read it.
const SECURE_COOKIE: &str = "__Host-updraft_session";
/// When somebody was seen is written this often at most.
const SEEN_EVERY: Duration = Duration::from_secs(300);
/// How long a password that was right need not be hashed again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
const MOST_REMEMBERED: usize = 100;

/// The caller; `None` when the request carries nothing that says who it is.
///
/// # Errors
/// When what it carries is wrong.
pub async fn identify(request: &HttpRequest, web: &Web) -> Result<Option<Caller>, Error> {
    let from = || address::caller(request, web);
    if web.settings.all_admins {
        // The page of another site may have had its own name lead to this machine.
        if !address::is_local_name(request, web) {
            return Err(Error::Hidden("this server is for this machine alone: use http://localhost".to_owned()));
        }
        return Ok(Some(Caller::new("admin", Role::Admin, How::EveryoneIsAdmin, from())));
    }
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| Error::BadToken)?;
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        return match scheme.to_ascii_lowercase().as_str() {
            "bearer" => bearer(web, rest.trim()).await.map(|account| Some(caller(account, How::Token, from()))),
            "basic" => {
                basic(web, rest.trim(), &from()).await.map(|account| Some(caller(account, How::Password, from())))
            }
            _ => Err(Error::NotSignedIn),
        };
    }
    if let Some(token) = session_token(request, web)
        && let Some(account) = session(web, &token).await?
    {
        return Ok(Some(caller(account, How::Session, from()).with_session(&token)));
    }
    match proxied(request, web).await? {
        Some(account) => Ok(Some(caller(account, How::Proxy, from()))),
        None => Ok(None),
    }
}

fn caller(account: Account, how: How, from: String) -> Caller {
    Caller::new(account.username, account.role, how, from)
}

pub(super) fn cookie_name(web: &Web) -> &'static str {
    if web.settings.is_https() { SECURE_COOKIE } else { COOKIE }
}

pub(super) fn session_token(request: &HttpRequest, web: &Web) -> Option<String> {
    request.cookie(cookie_name(web)).map(|cookie| cookie.value().to_owned())
}

async fn session(web: &Web, token: &str) -> Result<Option<Account>, Error> {
    let (hash, now) = (secret::hash(token), Utc::now());
    let Some(row) = web.store.session(&hash).await? else { return Ok(None) };
    let lasts =
        until(row.created_at, now) < web.sign_in.session_lasts && until(row.seen_at, now) < web.sign_in.session_idles;
    if !lasts {
        web.store.end_session(&hash).await?;
        return Ok(None);
    }
    if until(row.seen_at, now) >= SEEN_EVERY {
        web.store.see_session(&hash, now).await?;
    }
    let account = web.sign_in.accounts.find(&row.username).await?;
    Ok(account.filter(|account| is_newer(row.created_at, account)))
}

/// What was proved before the password was changed is proved no more.
fn is_newer(proved_at: Time, account: &Account) -> bool {
    account.credentials_at.is_none_or(|since| proved_at >= since)
}

async fn bearer(web: &Web, token: &str) -> Result<Account, Error> {
    let now = Utc::now();
    if token.starts_with(secret::API_TOKEN_PREFIX) {
        let row = web.store.api_token(&secret::hash(token)).await?.ok_or(Error::BadToken)?;
        if row.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::BadToken);
        }
        return web.sign_in.accounts.find(&row.username).await?.ok_or(Error::BadToken);
    }
    let claims = web.sign_in.jwt.verify(token, now).map_err(|why| {
        tracing::debug!(%why, "a token was refused");
        Error::BadToken
    })?;
    let account = web.sign_in.accounts.find(&claims.sub).await?.ok_or(Error::BadToken)?;
    // A token counts in whole seconds: one of the very second of the change is of the new password.
    let issued = Time::from_timestamp(claims.iat.saturating_add(1), 0).ok_or(Error::BadToken)?;
    if is_newer(issued, &account) { Ok(account) } else { Err(Error::BadToken) }
}

async fn basic(web: &Web, encoded: &str, from: &str) -> Result<Account, Error> {
    let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| Error::WrongPassword)?;
    let decoded = String::from_utf8(decoded).map_err(|_| Error::WrongPassword)?;
    let (user, password) = decoded.split_once(':').ok_or(Error::WrongPassword)?;
    // A client sends its password with every request.
    let kept = web.store.account(user).await?.map(|row| row.password).unwrap_or_default();
    let mark = secret::hash(&format!("{user}\0{password}\0{kept}"));
    if !kept.is_empty()
        && web.sign_in.passwords.knows(&mark)
        && let Some(account) = web.sign_in.accounts.find(user).await?
    {
        return Ok(account);
    }
    let account = sign_in(web, user, password, from).await?;
    web.sign_in.passwords.remember(mark);
    Ok(account)
}

/// Verifies a password, unless too many were wrong of late.
pub(super) async fn sign_in(web: &Web, user: &str, password: &str, from: &str) -> Result<Account, Error> {
    let wait = web.sign_in.throttle().wait(user, from, Utc::now());
    if !wait.is_zero() {
        return Err(Error::TooMany(wait));
    }
    // Counted before it is verified, so that many at once are no way around it.
    web.sign_in.throttle().failed(user, from, Utc::now());
    let account = web.sign_in.accounts.verify(user, password).await?.ok_or(Error::WrongPassword)?;
    web.sign_in.throttle().succeeded(user, from);
    Ok(account)
}

async fn proxied(request: &HttpRequest, web: &Web) -> Result<Option<Account>, Error> {
    let proxy = &web.sign_in.proxy;
    let Some(name) = proxy.header.as_deref().filter(|_| address::is_from_proxy(request, web)) else { return Ok(None) };
    let Some(user) = request.headers().get(name).and_then(|user| user.to_str().ok()) else { return Ok(None) };
    let user = user.trim();
    if user.is_empty() {
        return Ok(None);
    }
    if let Some(account) = web.sign_in.accounts.find(user).await? {
        return Ok(Some(account));
    }
    if web.store.account(user).await?.is_some() {
        // Made here, and not active.
        return Ok(None);
    }
    Ok(Some(Account { username: user.to_owned(), role: proxy.role, credentials_at: None }))
}

/// Passwords that were right a moment ago, by a mark that nobody can turn back. It names the stored hash too, so a
/// password that was changed is not remembered.
#[derive(Default)]
pub struct Remembered(Mutex<HashMap<String, Time>>);

impl Remembered {
    fn knows(&self, mark: &str) -> bool {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(mark).is_some_and(|since| until(*since, Utc::now()) < REMEMBERED_FOR)
    }

    fn remember(&self, mark: String) {
        let (mut marks, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Utc::now());
        if marks.len() >= MOST_REMEMBERED {
            marks.retain(|_, since| until(*since, now) < REMEMBERED_FOR);
        }
        if marks.len() < MOST_REMEMBERED {
            marks.insert(mark, now);
        }
    }
}
