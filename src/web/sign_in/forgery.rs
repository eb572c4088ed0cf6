//! Whether a change was asked for by the page of another site. A browser sends our cookie along with whatever any
//! page makes it send; so a change needs a sign that it comes from a page of ours.

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use futures_util::stream;

use crate::auth::secret;
use crate::web::caller::{Caller, How};
use crate::web::error::Error;
use crate::web::state::Web;

use super::address;

const HEADER: &str = "x-csrf-token";
const FIELD: &str = "csrf_token";

/// Refuses a change that another site may have asked for.
///
/// # Errors
/// When it may have, or when the body is too large to look into.
pub async fn refuse_forged(request: &mut ServiceRequest, web: &Web, caller: Option<&Caller>) -> Result<(), Error> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !changes || caller.is_some_and(|caller| caller.how == How::Token) {
        return Ok(());
    }
    if !is_same_origin(request, web) {
        return Err(Error::Hidden("this was sent by the page of another site".to_owned()));
    }
    let Some(caller) = caller.filter(|caller| caller.how == How::Session) else { return Ok(()) };
    let sent = match request.headers().get(HEADER).and_then(|token| token.to_str().ok()) {
        Some(token) => Some(token.to_owned()),
        None => field(request).await?,
    };
    if sent.is_some_and(|sent| secret::is_same(&sent, caller.csrf())) {
        return Ok(());
    }
    Err(Error::Hidden("the form is too old: load the page again and repeat what you did".to_owned()))
}

/// By what the browser says, which no page can change. A program that is no browser says nothing.
fn is_same_origin(request: &ServiceRequest, web: &Web) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else { return true };
    let Some(from) = address::origin_host(origin) else { return false };
    address::host(request.request()) == Some(from) || address::origin_host(&web.settings.base_url) == Some(from)
}

/// The token in the body of a form; the handler finds the body as it was.
async fn field(request: &mut ServiceRequest) -> Result<Option<String>, Error> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(None);
    }
    let body = request.extract::<Bytes>().await.map_err(|error| Error::foreign(&error))?;
    let token = value_of(FIELD, &body);
    let again = stream::iter([Ok::<_, PayloadError>(body)]);
    request.set_payload(Payload::Stream { payload: Box::pin(again) });
    Ok(token)
}

fn value_of(name: &str, body: &[u8]) -> Option<String> {
    let pairs = body.split(|byte| *byte == b'&').filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        Some((&pair[..at], &pair[at + 1..]))
    });
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name.as_bytes())?;
    Some(percent_encoding::percent_decode(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_a_form_is_found_wherever_it_stands() {
        let of = |body: &str| value_of("csrf_token", body.as_bytes());
        assert_eq!(of("a=1&csrf_token=abc&b=2").as_deref(), Some("abc"));
        assert_eq!(of("csrf_token=a%2Db").as_deref(), Some("a-b"));
        assert_eq!(of("xcsrf_token=abc&a=csrf_token"), None);
        assert_eq!(of(""), None);
    }
}
