//! One row of the route table: method, path, the right that it needs, and who handles it.

use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::{FromRequest, Handler, Responder, dev::ServiceRequest};

use crate::auth::{Action, Resource};

use super::check;

/// What a caller must be, or be allowed, before a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Open to everybody who reaches the address.
    Nobody,
    /// Anybody who is signed in, with whatever role.
    SignedIn,
    May(Action, Resource),
}

/// A method of a path.
pub struct Route {
    pub method: Method,
    /// As actix writes it: `/dags/{dag_id}`.
    pub path: &'static str,
    pub needs: Needs,
    service: actix_web::Route,
}

impl Route {
    pub fn get<F, Args>(path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self::new(Method::GET, path, needs, handler)
    }

    pub fn post<F, Args>(path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self::new(Method::POST, path, needs, handler)
    }

    pub fn put<F, Args>(path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self::new(Method::PUT, path, needs, handler)
    }

    pub fn patch<F, Args>(path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self::new(Method::PATCH, path, needs, handler)
    }

    pub fn delete<F, Args>(path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        Self::new(Method::DELETE, path, needs, handler)
    }

    fn new<F, Args>(method: Method, path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let guard = from_fn(move |request: ServiceRequest, next: Next<_>| check::check(needs, request, next));
        let service = actix_web::Route::new().method(method.clone()).to(handler).wrap(guard);
        Self { method, path, needs, service }
    }

    pub(super) fn into_service(self) -> actix_web::Route {
        self.service
    }
}
