//! Who calls. A handler takes a [`Caller`] as an argument; it is there whenever the route needs one.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::auth::{Action, Resource, Role, may, secret};

use super::error::Error;

/// How a caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A cookie of ours. Only then can a request be forged by another site.
    Session,
    /// A signed token, or one that a user made for a program.
    Token,
    /// HTTP Basic.
    Password,
    /// A proxy in front of us says so.
    Proxy,
    /// `[core] simple_auth_manager_all_admins`.
    EveryoneIsAdmin,
}

impl How {
    /// For the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
            Self::Password => "password",
            Self::Proxy => "proxy",
            Self::EveryoneIsAdmin => "all admins",
        }
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user: String,
    /// The highest of their roles: each may do what those below it may.
    pub role: Role,
    pub how: How,
    csrf: String,
    address: String,
}

impl Caller {
    pub(super) fn new(user: impl Into<String>, role: Role, how: How, address: String) -> Self {
        Self { user: user.into(), role, how, csrf: String::new(), address }
    }

    /// The forms of this session carry a token that follows from it.
    pub(super) fn with_session(self, token: &str) -> Self {
        Self { csrf: secret::forgery_token(token), ..self }
    }

    pub fn may(&self, action: Action, resource: Resource) -> bool {
        may(self.role, action, resource)
    }

    /// What a form sends along as `csrf_token`, and a script as `X-CSRF-Token`. Empty where no other site could
    /// forge a request.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// From where they call, for the record.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or(Error::NotSignedIn))
    }
}
