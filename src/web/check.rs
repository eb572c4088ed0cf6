//! What happens before every handler: who calls, and may they. A handler whose route needs a right never runs
//! without it.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};

use super::caller::Caller;
use super::error::Error;
use super::route::Needs;
use super::sign_in::{identify, refuse_forged};
use super::state::Web;

/// A refusal is an answer, not a failure of the chain: what dresses answers then knows the path that it belongs to.
pub(super) async fn check<B: MessageBody + 'static>(
    needs: Needs,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match admit(needs, &mut request).await {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn admit(needs: Needs, request: &mut ServiceRequest) -> Result<(), Error> {
    let web = request.app_data::<Web>().ok_or_else(|| Error::Internal("no state in the server".to_owned()))?.clone();
    let caller = match needs {
        Needs::Nobody => None,
        Needs::SignedIn | Needs::May(..) => Some(permit(needs, request.request(), &web).await?),
    };
    // A change that another site asked for is refused, whoever is signed in.
    refuse_forged(request, &web, caller.as_ref()).await?;
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

/// The caller, who has the right.
pub(super) async fn permit(needs: Needs, request: &HttpRequest, web: &Web) -> Result<Caller, Error> {
    let caller = identify(request, web).await?.ok_or(Error::NotSignedIn)?;
    let is_allowed = match needs {
        Needs::Nobody | Needs::SignedIn => true,
        Needs::May(action, resource) => caller.may(action, resource),
    };
    if is_allowed { Ok(caller) } else { Err(Error::Forbidden) }
}
