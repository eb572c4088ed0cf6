//! How callers prove who they are: a session of a browser, a token, a password, or the word of a proxy in front.

mod address;
mod doorway;
mod forgery;
mod identify;
mod login;
mod profile;
mod token;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::auth::{Accounts, Jwt, Role, Throttle};

use super::route::Route;

pub(super) use forgery::refuse_forged;
pub(super) use identify::identify;

/// What signing in goes by.
pub struct SignIn {
    pub accounts: Accounts,
    pub jwt: Jwt,
    /// How long a token of the API holds, and one of the command line.
    pub token_holds: Duration,
    pub cli_token_holds: Duration,
    /// How long a session lasts, and how long without a request.
    pub session_lasts: Duration,
    pub session_idles: Duration,
    pub proxy: Proxy,
    throttle: Mutex<Throttle>,
    passwords: identify::Remembered,
}

/// A proxy in front, whose word is believed.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// From these addresses alone.
    pub addresses: Vec<IpAddr>,
    /// Holds the name of the user; `None`: it signs nobody in.
    pub header: Option<String>,
    /// Of a user whom nobody made here.
    pub role: Role,
}

/// How long things hold.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    pub token: Duration,
    pub cli_token: Duration,
    pub session: Duration,
    pub session_idle: Duration,
}

impl SignIn {
    pub fn new(accounts: Accounts, jwt: Jwt, holds: Holds, proxy: Proxy) -> Self {
        Self {
            accounts,
            jwt,
            token_holds: holds.token,
            cli_token_holds: holds.cli_token,
            session_lasts: holds.session,
            session_idles: holds.session_idle,
            proxy,
            throttle: Mutex::new(Throttle::default()),
            passwords: identify::Remembered::default(),
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn routes() -> Vec<Route> {
    [login::routes(), token::routes(), profile::routes()].into_iter().flatten().collect()
}
