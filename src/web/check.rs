//! What happens before every handler: who calls, and may they. A handler whose route needs a right never runs
//! without it.

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use super::error::Error;
use super::route::Needs;
use super::sign_in::{identify, refuse_forged};
use super::state::Web;

pub(super) async fn check<B: MessageBody + 'static>(
    needs: Needs,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let web = request.app_data::<Web>().ok_or_else(|| Error::Internal("no state in the server".to_owned()))?.clone();
    let caller = match needs {
        Needs::Nobody => None,
        Needs::SignedIn | Needs::May(..) => Some(identify(request.request(), &web).await?.ok_or(Error::NotSignedIn)?),
    };
    // Before anything is said about rights: another site learns nothing.
    refuse_forged(&mut request, &web, caller.as_ref()).await?;
    let is_allowed = match (needs, &caller) {
        (Needs::Nobody | Needs::SignedIn, _) => true,
        (Needs::May(action, resource), Some(caller)) => caller.may(action, resource),
        (Needs::May(..), None) => false,
    };
    if !is_allowed {
        return Err(Error::Forbidden.into());
    }
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    next.call(request).await
}
