//! One operation of the API: how it is called, what it needs, takes and answers, and who does it. The route and the
//! documentation both come from here, so neither can say what the other does not.

use std::borrow::Cow;
use std::pin::Pin;

use actix_web::HttpResponse;
use actix_web::http::Method;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::auth::{Action, Resource};
use crate::web::{Error, Needs, Route};

use super::asked::{Asked, Version};
use super::lists::{Lists, Param};
use super::v1;

/// What a handler gives.
pub type Answer = Result<HttpResponse, Error>;
type Doing = Pin<Box<dyn Future<Output = Answer>>>;

/// The shape of a body, as it is documented.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: fn() -> Cow<'static, str>,
    pub collect: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    pub fn of<T: ToSchema>() -> Self {
        Self {
            name: T::name,
            collect: |schemas| {
                schemas.push((T::name().into_owned(), T::schema()));
                T::schemas(schemas);
            },
        }
    }
}

/// One answer that all went well.
#[derive(Clone, Copy)]
pub struct Good {
    pub status: u16,
    pub shape: Option<Shape>,
    /// The kinds of text that it may be instead, where the caller accepts them.
    pub texts: &'static [&'static str],
}

/// An operation.
pub struct Operation {
    pub method: Method,
    /// Below the root of the API.
    pub path: &'static str,
    /// Its name in Airflow's own document, from which clients make theirs.
    pub id: &'static str,
    pub group: &'static str,
    pub about: &'static str,
    pub needs: Needs,
    pub params: Vec<Param>,
    pub takes: Option<Shape>,
    pub good: Good,
    /// Where it stood in Airflow 2.
    pub old_path: Option<&'static str>,
    does: Box<dyn Fn(Asked) -> Doing + Send + Sync>,
}

/// The right to do something.
pub const fn may(action: Action, resource: Resource) -> Needs {
    Needs::May(action, resource)
}

impl Operation {
    pub fn get<D, F>(path: &'static str, id: &'static str, about: &'static str, needs: Needs, does: D) -> Self
    where
        D: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self::new(Method::GET, path, id, about, needs, does)
    }

    pub fn post<D, F>(path: &'static str, id: &'static str, about: &'static str, needs: Needs, does: D) -> Self
    where
        D: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self::new(Method::POST, path, id, about, needs, does)
    }

    pub fn put<D, F>(path: &'static str, id: &'static str, about: &'static str, needs: Needs, does: D) -> Self
    where
        D: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self::new(Method::PUT, path, id, about, needs, does)
    }

    pub fn patch<D, F>(path: &'static str, id: &'static str, about: &'static str, needs: Needs, does: D) -> Self
    where
        D: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self::new(Method::PATCH, path, id, about, needs, does)
    }

    pub fn delete<D, F>(path: &'static str, id: &'static str, about: &'static str, needs: Needs, does: D) -> Self
    where
        D: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self::new(Method::DELETE, path, id, about, needs, does).answers_nothing()
    }

    fn new<D, F>(
        method: Method,
        path: &'static str,
        id: &'static str,
        about: &'static str,
        needs: Needs,
        does: D,
    ) -> Self
    where
        D: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + 'static,
    {
        Self {
            method,
            path,
            id,
            group: "",
            about,
            needs,
            params: Vec::new(),
            takes: None,
            good: Good { status: 200, shape: None, texts: &[] },
            old_path: Some(path),
            does: Box::new(move |asked| Box::pin(does(asked))),
        }
    }

    /// It belongs to this group of the document.
    #[must_use]
    pub fn of(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    /// It takes what this list may be asked.
    #[must_use]
    pub fn lists(mut self, lists: &Lists) -> Self {
        self.params.extend(lists.params());
        self
    }

    #[must_use]
    pub fn params<const N: usize>(mut self, params: [Param; N]) -> Self {
        self.params.extend(params);
        self
    }

    #[must_use]
    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Some(Shape::of::<T>());
        self
    }

    #[must_use]
    pub fn answers<T: ToSchema>(mut self) -> Self {
        self.good.shape = Some(Shape::of::<T>());
        self
    }

    #[must_use]
    pub fn created(mut self) -> Self {
        self.good.status = 201;
        self
    }

    #[must_use]
    pub fn answers_nothing(mut self) -> Self {
        self.good.status = 204;
        self
    }

    #[must_use]
    pub fn or_as(mut self, texts: &'static [&'static str]) -> Self {
        self.good.texts = texts;
        self
    }

    /// Airflow 2 had it elsewhere.
    #[must_use]
    pub fn formerly(self, path: &'static str) -> Self {
        Self { old_path: Some(path), ..self }
    }

    /// Airflow 2 had no such thing.
    #[must_use]
    pub fn new_in_v2(self) -> Self {
        Self { old_path: None, ..self }
    }

    /// The path as it is documented: without the patterns that only the server needs.
    pub fn documented_path(&self) -> String {
        let mut parts = self.path.split('{');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |path, part| {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            format!("{path}{{{}}}{rest}", name.split(':').next().unwrap_or(name))
        })
    }

    /// The names in the path, in their order.
    pub fn names(&self) -> Vec<String> {
        let path = self.documented_path();
        let parts = path.split('{').skip(1).filter_map(|part| part.split_once('}'));
        parts.map(|(name, _)| name.to_owned()).collect()
    }

    /// The row of the route table at this path.
    pub fn route(&'static self, path: &'static str) -> Route {
        let handler = move |asked: Asked| async move {
            let version = asked.version;
            let answer = (self.does)(asked).await?;
            match version {
                Version::V1 => v1::in_old_words(answer).await,
                Version::V2 => Ok(answer),
            }
        };
        match self.method {
            Method::POST => Route::post(path, self.needs, handler),
            Method::PUT => Route::put(path, self.needs, handler),
            Method::PATCH => Route::patch(path, self.needs, handler),
            Method::DELETE => Route::delete(path, self.needs, handler),
            _ => Route::get(path, self.needs, handler),
        }
    }
}

/// A good answer.
pub fn good(body: impl serde::Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(body))
}

/// Something is there now that was not.
pub fn made(body: impl serde::Serialize) -> Answer {
    Ok(HttpResponse::Created().json(body))
}

/// It is gone.
pub fn gone() -> Answer {
    Ok(HttpResponse::NoContent().finish())
}
