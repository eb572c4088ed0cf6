//! What happens before every handler: who calls, and may they. A handler whose route needs a right never runs
//! without it.

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use crate::auth::Role;

use super::caller::{Caller, How};
use super::error::Error;
use super::route::Needs;
use super::state::Web;

pub(super) async fn check<B: MessageBody + 'static>(
    needs: Needs,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if needs == Needs::Nobody {
        return next.call(request).await;
    }
    let web = request.app_data::<Web>().ok_or(Error::Internal("no state in the server".to_owned()))?;
    let caller = identify(web).ok_or(Error::NotSignedIn)?;
    let is_allowed = match needs {
        Needs::Nobody | Needs::SignedIn => true,
        Needs::May(action, resource) => caller.may(action, resource),
    };
    if !is_allowed {
        return Err(Error::Forbidden.into());
    }
    request.extensions_mut().insert(caller);
    next.call(request).await
}

fn identify(web: &Web) -> Option<Caller> {
    web.settings.all_admins.then(|| Caller::new("admin", Role::Admin, How::EveryoneIsAdmin))
}
