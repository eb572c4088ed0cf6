//! What every answer gets on its way out: an error becomes JSON under `/api` and a page elsewhere.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;

use super::error::{Error, Looks};

pub(super) async fn dress<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answer = match next.call(request).await {
        Ok(answer) => answer.map_into_boxed_body(),
        Err(error) => return Err(error),
    };
    let Some(error) = answer.response().error() else { return Ok(answer) };
    let looks = Looks::of(answer.request().path());
    let error = match error.as_error::<Error>() {
        Some(error) => error.clone(),
        None => Error::foreign(error),
    };
    let is_look = answer.request().method() == Method::GET;
    let path = answer.request().uri().to_string();
    let dressed = error.response(looks, is_look.then_some(path.as_str()));
    Ok(answer.into_response(dressed))
}
