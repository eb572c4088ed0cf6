//! One request to the API, read: who asks, the path, the query, the body. What cannot be read is answered as Airflow
//! answers it, with the place of the fault. Nothing here knows a resource.

use std::ops::RangeInclusive;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::domain::time::Time;
use crate::web::{Caller, Error, Web};

use super::moment;

/// A body longer than this is a mistake.
const LONGEST_BODY: usize = 8 << 20;
/// A name or a pattern longer than this means nothing, and one database refuses it.
const LONGEST_WORD: usize = 4_000;

/// Whose API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Airflow 2's `/api/v1`.
    V1,
    /// Airflow 3's `/api/v2`.
    V2,
}

/// What the caller wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    Json,
    Text,
    Lines,
}

/// A request.
pub struct Asked {
    pub web: Web,
    pub version: Version,
    pub accepts: Accepts,
    caller: Option<Caller>,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl FromRequest for Asked {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let web = Web::extract(request);
        let caller = request.extensions().get::<Caller>().cloned();
        let path = request.match_info().iter();
        let path: Vec<(String, Vec<u8>)> =
            path.map(|(name, value)| (name.to_owned(), percent_decode_str(value).collect())).collect();
        let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let version = if request.path().starts_with("/api/v1/") { Version::V1 } else { Version::V2 };
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepts = accepts(accept);
        let mut payload = payload.take();
        Box::pin(async move {
            let mut body = BytesMut::new();
            while let Some(piece) = payload.next().await {
                let piece = piece.map_err(|error| Error::Bad(format!("the body cannot be read: {error}")))?;
                if body.len() + piece.len() > LONGEST_BODY {
                    return Err(Error::TooLarge);
                }
                body.extend_from_slice(&piece);
            }
            let text = |(name, bytes): (String, Vec<u8>)| {
                let text = String::from_utf8(bytes).map_err(|_| Error::NotFound(format!("the {name} is no text")))?;
                let is_fit = text.len() <= LONGEST_WORD && !text.contains('\0');
                is_fit.then_some((name, text)).ok_or_else(|| Error::NotFound("nothing has such a name".to_owned()))
            };
            let path = path.into_iter().map(text).collect::<Result<_, _>>()?;
            let query =
                query.map_err(|error| Error::invalid(format!("the query cannot be read: {error}")))?.into_inner();
            if let Some((name, value)) =
                query.iter().find(|(_, value)| value.contains('\0') || value.len() > LONGEST_WORD)
            {
                let input = Value::String(value.chars().take(80).collect());
                return Err(Error::field(
                    "string_type",
                    &["query", name],
                    "Input should be a shorter text without NUL",
                    input,
                ));
            }
            Ok(Self { web: web.await?, version, accepts, caller, path, query, body: body.freeze() })
        })
    }
}

/// The first of the kinds that are known, in the order in which the caller names them.
fn accepts(header: &str) -> Accepts {
    let mut kinds = header.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let known = kinds.find_map(|kind| match kind {
        "application/json" | "*/*" => Some(Accepts::Json),
        "text/plain" => Some(Accepts::Text),
        "application/x-ndjson" => Some(Accepts::Lines),
        _ => None,
    });
    known.unwrap_or(Accepts::Json)
}

impl Asked {
    /// Who asks. An operation that needs a right always has somebody.
    pub fn caller(&self) -> Result<&Caller, Error> {
        self.caller.as_ref().ok_or(Error::NotSignedIn)
    }

    /// A part of the path, by its name; the operation's path has it.
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// A part of the path that is a number.
    pub fn number_in_path<T: std::str::FromStr>(&self, name: &str) -> Result<T, Error> {
        let text = self.path(name);
        text.parse().map_err(|_| {
            let message = "Input should be a valid integer, unable to parse string as an integer";
            Error::field("int_parsing", &["path", name], message, text.into())
        })
    }

    /// The value of a parameter; of several the last.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.query.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        let Some(text) = self.one(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" | "t" | "y" => Ok(Some(true)),
            "false" | "0" | "off" | "no" | "f" | "n" => Ok(Some(false)),
            _ => {
                let message = "Input should be a valid boolean, unable to interpret input";
                Err(Error::field("bool_parsing", &["query", name], message, text.into()))
            }
        }
    }

    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Error> {
        self.one(name).map(|text| integer(name, text, range)).transpose()
    }

    pub fn moment(&self, name: &str) -> Result<Option<Time>, Error> {
        self.one(name).map(|text| instant(name, text)).transpose()
    }

    /// The body, as JSON of this shape.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let value: Value = match self.body.is_empty() {
            true => return Err(Error::field("missing", &["body"], "Field required", Value::Null)),
            false => serde_json::from_slice(&self.body).map_err(|error| {
                Error::field("json_invalid", &["body"], format!("JSON decode error: {error}"), json!({}))
            })?,
        };
        shaped(value, &["body"])
    }

    /// The body as an object, whatever is in it.
    pub fn object(&self) -> Result<serde_json::Map<String, Value>, Error> {
        self.body()
    }

    /// The same request with a body of filters in the place of its query; `names` are those that are called otherwise
    /// there.
    pub fn with_filters_of_body(mut self, names: &[(&str, &str)]) -> Result<Self, Error> {
        let object = if self.body.is_empty() { serde_json::Map::new() } else { self.object()? };
        self.query.clear();
        for (name, value) in object {
            let name =
                names.iter().find(|(there, _)| *there == name).map_or(name.clone(), |(_, here)| (*here).to_owned());
            let values = match value {
                // No filter at all, unlike a list that is empty.
                Value::Null => continue,
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                let text = match value {
                    Value::Null => "none".to_owned(),
                    Value::String(text) => text,
                    value => value.to_string(),
                };
                if text.contains('\0') || text.len() > LONGEST_WORD {
                    let message = "Input should be a shorter text without NUL";
                    return Err(Error::field("string_type", &["body", &name], message, Value::Null));
                }
                self.query.push((name.clone(), text));
            }
        }
        Ok(self)
    }

    /// Which fields of the body a change is about; `None`: those that it names.
    pub fn update_mask(&self) -> Option<Vec<&str>> {
        let words: Vec<&str> = self
            .all("update_mask")
            .flat_map(|word| word.split(','))
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        (!words.is_empty()).then_some(words)
    }
}

/// JSON of a shape, or what is wrong with it.
pub fn shaped<T: DeserializeOwned>(value: Value, place: &[&str]) -> Result<T, Error> {
    let echo = if value.is_object() { json!({}) } else { value.clone() };
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        let named = text.split('`').nth(1).unwrap_or_default().to_owned();
        let mut at = place.to_vec();
        if text.starts_with("missing field") {
            at.push(&named);
            Error::field("missing", &at, "Field required", echo)
        } else if text.starts_with("unknown field") {
            at.push(&named);
            Error::field("extra_forbidden", &at, format!("Extra inputs are not permitted: {text}"), echo)
        } else {
            Error::field("value_error", &at, text, echo)
        }
    })
}

pub fn integer(name: &str, text: &str, range: RangeInclusive<i64>) -> Result<i64, Error> {
    let number: i64 = text.trim().parse().map_err(|_| {
        let message = "Input should be a valid integer, unable to parse string as an integer";
        Error::field("int_parsing", &["query", name], message, text.into())
    })?;
    if number < *range.start() {
        let message = format!("Input should be greater than or equal to {}", range.start());
        return Err(Error::field("greater_than_equal", &["query", name], message, text.into()));
    }
    if number > *range.end() {
        let message = format!("Input should be less than or equal to {}", range.end());
        return Err(Error::field("less_than_equal", &["query", name], message, text.into()));
    }
    Ok(number)
}

pub fn instant(name: &str, text: &str) -> Result<Time, Error> {
    moment::parse(text).ok_or_else(|| {
        let message = "Input should be a valid datetime such as 2026-11-21T00:00:00Z";
        Error::field("datetime_from_date_parsing", &["query", name], message, text.into())
    })
}
