//! What every answer gets on its way out: headers that keep browsers from doing what no page of ours does, and for
//! an error the look that its path has.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;

use super::error::{Error, Looks};
use super::state::Web;

pub(super) async fn dress<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answer = next.call(request).await?.map_into_boxed_body();
    let is_https = answer.request().app_data::<Web>().is_some_and(|web| web.settings.is_https());
    let mut answer = match answer.response().error() {
        Some(_) => dressed(answer),
        None => answer,
    };
    add_headers(answer.headers_mut(), is_https);
    Ok(answer)
}

/// Nothing that a page shows or does comes from elsewhere, and nothing of it is written into the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn add_headers(headers: &mut HeaderMap, is_https: bool) {
    let mut add = |name: &'static str, value: &'static str| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    add("content-security-policy", POLICY);
    add("x-content-type-options", "nosniff");
    add("x-frame-options", "DENY");
    add("referrer-policy", "same-origin");
    add("cross-origin-opener-policy", "same-origin");
    add("cross-origin-resource-policy", "same-origin");
    add("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()");
    if is_https {
        add("strict-transport-security", "max-age=31536000");
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        // Who has signed out is not shown again what was there before.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn dressed(answer: ServiceResponse) -> ServiceResponse {
    let Some(error) = answer.response().error() else { return answer };
    let looks = Looks::of(answer.request().path());
    let error = match error.as_error::<Error>() {
        Some(error) => error.clone(),
        None => Error::foreign(error),
    };
    let is_look = answer.request().method() == Method::GET;
    let path = answer.request().uri().to_string();
    let dressed = error.response(looks, is_look.then_some(path.as_str()));
    answer.into_response(dressed)
}
