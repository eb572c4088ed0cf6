//! What every handler works with. A handler takes a [`Web`] as an argument.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::domain::ids::{DagId, MapIndex, RunId, TaskId};
use crate::protocol::control::{Control, Refused, Reply};
use crate::store::Store;

use super::audit::{Deed, Record};
use super::caller::Caller;
use super::catalogue::Catalogue;
use super::error::Error;
use super::health::Pulse;
use super::logs::LogFolder;
use super::metrics::Counters;
use super::settings::WebSettings;
use super::sign_in::SignIn;
use super::vault::WebVault;
use super::watch::Watch;

/// Carries a user's wish to the scheduler, wherever that is, and brings the answer.
pub type Controller =
    Arc<dyn Fn(Control, String) -> Pin<Box<dyn Future<Output = Result<Reply, ControlRefused>>>> + Send + Sync>;

/// Renders the templates of a task instance as they would be now: each field with its text, secrets hidden, or a
/// sentence that says why not.
pub type Renderer = Arc<
    dyn Fn(DagId, RunId, TaskId, MapIndex) -> Pin<Box<dyn Future<Output = Result<Vec<(String, String)>, String>>>>
        + Send
        + Sync,
>;

/// Why a wish was not done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ControlRefused {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nobody answered in time; the sentence says what becomes of the wish.
    #[error("{0}")]
    NoAnswer(String),
}

/// Everything that handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Parts>);

/// The same, to be read as fields of [`Web`].
pub struct Parts {
    pub store: Store,
    pub vault: WebVault,
    /// Through [`Web::control`], which keeps the record.
    pub controller: Controller,
    pub watch: Watch,
    pub pulse: Pulse,
    pub logs: LogFolder,
    pub settings: WebSettings,
    pub sign_in: SignIn,
    pub record: Record,
    pub counters: Counters,
    pub catalogue: Catalogue,
    pub renderer: Renderer,
}

impl Web {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Has a wish carried out, on the record.
    ///
    /// # Errors
    /// When the scheduler refuses, or nobody answers.
    pub async fn control(&self, caller: &Caller, control: Control) -> Result<Reply, Error> {
        let deed = Deed::of(&control);
        let answered = match (self.controller)(control, caller.user.clone()).await {
            Ok(Reply::Refused { why }) => Err(ControlRefused::Refused(why)),
            answered => answered,
        };
        if let Some(deed) = deed {
            match &answered {
                Ok(reply) => self.record.keep(caller, deed.answered(reply), "done").await,
                Err(why) => self.record.keep(caller, deed, &why.to_string()).await,
            }
        }
        Ok(answered?)
    }
}

impl Deref for Web {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRequest for Web {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.app_data::<Self>().cloned();
        ready(found.ok_or_else(|| Error::Internal("no state in the server".to_owned())))
    }
}
