//! What a DAG file asks for while it is loaded: variables and connections that somebody else keeps.
//!
//! Nothing is kept of an answer but its hash, by which a later look tells whether it has changed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use super::hash::ContentHash;

/// One thing that a file may ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Answered with its text.
    Variable(String),
    /// Answered with an object of Airflow's keys.
    Connection(String),
}

/// `null` for what does not exist; an error in words for what cannot be found out.
pub type Found = Result<Value, String>;

type Answering = Pin<Box<dyn Future<Output = Found> + Send>>;

/// Whoever answers.
#[derive(Clone)]
pub struct Values(Arc<dyn Fn(Wanted) -> Answering + Send + Sync>);

impl Values {
    pub fn new<F>(answer: impl Fn(Wanted) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Found> + Send + 'static,
    {
        Self(Arc::new(move |wanted| Box::pin(answer(wanted))))
    }

    pub async fn find(&self, wanted: Wanted) -> Found {
        (self.0)(wanted).await
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values")
    }
}

/// What a file asked for, with the hash of what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub wanted: Wanted,
    pub answer: ContentHash,
}

/// By which two answers are compared.
pub fn hash_of(found: &Found) -> ContentHash {
    match found {
        Ok(value) => ContentHash::of(value.to_string().as_bytes()),
        Err(why) => ContentHash::of(why.as_bytes()),
    }
}
