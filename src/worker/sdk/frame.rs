//! The wire between a supervisor and Airflow's task runner: a length of four bytes and one msgpack array.
//!
//! ```text
//!  runner → us   [id, {"type": .., ..}]  or  [id, {..}, {"traceparent": ..}]
//!  us → runner   [id, {..}]   [id, nil]   [id, nil, {"type": "ErrorResponse", ..}]
//! ```
//!
//! Only what JSON can say may travel, and instants (extension -1), which become ISO 8601 texts. Anything else in a
//! body is an error of that one request; a frame that is no array with a number has no id to answer to, and
//! ends the conversation. Nothing is read from a socket here.

use chrono::{DateTime, Utc};
use rmpv::Value as Packed;
use serde_json::{Map, Number, Value};

use crate::protocol::task_channel::{FrameError, frame_length};

/// Deeper than this nothing that people mean goes, and the stack would not hold much more.
const MAX_DEPTH: usize = 128;

/// The extension type of an instant.
const TIMESTAMP: i8 = -1;

/// One request of the runner.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub id: u64,
    /// What it says, or why that cannot be understood.
    pub body: Result<Value, String>,
}

/// Why bytes are no frame at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a msgpack array of a number and a mapping, got: {0}")]
pub struct NoFrame(String);

/// The length of the body that a frame's first four bytes announce.
///
/// # Errors
/// When it is more than any frame may have.
pub fn announced(head: [u8; 4]) -> Result<usize, FrameError> {
    frame_length(head)
}

/// Reads the body of a frame.
///
/// # Errors
/// When it has no id that could be answered.
pub fn decode(bytes: &[u8]) -> Result<Frame, NoFrame> {
    let mut rest = bytes;
    let packed = rmpv::decode::read_value_with_max_depth(&mut rest, MAX_DEPTH)
        .map_err(|error| NoFrame(format!("{} bytes that are no msgpack ({error})", bytes.len())))?;
    if !rest.is_empty() {
        return Err(NoFrame(format!("{} bytes beyond its end", rest.len())));
    }
    let Packed::Array(parts) = packed else { return Err(NoFrame(kind(&packed).to_owned())) };
    let count = parts.len();
    let mut parts = parts.into_iter();
    let (2..=3, Some(id), Some(body)) = (count, parts.next(), parts.next()) else {
        return Err(NoFrame(format!("an array of {count}")));
    };
    let Some(id) = id.as_u64() else { return Err(NoFrame(format!("{} for a number", kind(&id)))) };
    Ok(Frame { id, body: json(body) })
}

/// The answer to a request; `Value::Null` is the empty one.
#[must_use]
pub fn reply(id: u64, body: &Value) -> Vec<u8> {
    framed(vec![Packed::from(id), packed(body)])
}

/// An answer that is raised in the task.
#[must_use]
pub fn error(id: u64, body: &Value) -> Vec<u8> {
    framed(vec![Packed::from(id), Packed::Nil, packed(body)])
}

/// A request, as the runner would write it.
#[cfg(test)]
pub fn request(id: u64, body: &Value) -> Vec<u8> {
    framed(vec![Packed::from(id), packed(body)])
}

fn framed(parts: Vec<Packed>) -> Vec<u8> {
    let mut frame = vec![0; 4];
    // A vector takes whatever is written to it.
    let _ = rmpv::encode::write_value(&mut frame, &Packed::Array(parts));
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

fn packed(value: &Value) -> Packed {
    match value {
        Value::Null => Packed::Nil,
        Value::Bool(truth) => Packed::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => Packed::from(whole),
            (None, Some(whole), _) => Packed::from(whole),
            (None, None, Some(real)) => Packed::F64(real),
            (None, None, None) => Packed::Nil,
        },
        Value::String(text) => Packed::from(text.as_str()),
        Value::Array(values) => Packed::Array(values.iter().map(packed).collect()),
        Value::Object(entries) => {
            Packed::Map(entries.iter().map(|(key, value)| (Packed::from(key.as_str()), packed(value))).collect())
        }
    }
}

fn json(value: Packed) -> Result<Value, String> {
    Ok(match value {
        Packed::Nil => Value::Null,
        Packed::Boolean(truth) => Value::Bool(truth),
        Packed::Integer(whole) => match (whole.as_i64(), whole.as_u64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(whole)) => whole.into(),
            (None, None) => return Err("a number beyond 64 bits".to_owned()),
        },
        Packed::F32(real) => finite(real.into())?,
        Packed::F64(real) => finite(real)?,
        Packed::String(text) => Value::String(text.into_str().ok_or("a text that is not UTF-8")?),
        Packed::Binary(bytes) => return Err(format!("{} raw bytes, which are no JSON", bytes.len())),
        Packed::Array(values) => Value::Array(values.into_iter().map(json).collect::<Result<_, _>>()?),
        Packed::Map(entries) => {
            let mut object = Map::with_capacity(entries.len().min(1024));
            for (key, value) in entries {
                let Packed::String(key) = key else { return Err(format!("a mapping with {} as a key", kind(&key))) };
                object.insert(key.into_str().ok_or("a key that is not UTF-8")?, json(value)?);
            }
            Value::Object(object)
        }
        Packed::Ext(TIMESTAMP, bytes) => Value::String(instant(&bytes).ok_or("an instant that does not exist")?),
        Packed::Ext(code, _) => return Err(format!("a value of the unknown extension {code}")),
    })
}

fn finite(real: f64) -> Result<Value, String> {
    Number::from_f64(real).map(Value::Number).ok_or_else(|| format!("the number {real}, which is no JSON"))
}

/// The three forms of msgpack's timestamp.
fn instant(bytes: &[u8]) -> Option<String> {
    let (seconds, nanoseconds) = match bytes.len() {
        4 => (i64::from(u32::from_be_bytes(bytes.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            (i64::try_from(both & 0x3_ffff_ffff).ok()?, u32::try_from(both >> 34).ok()?)
        }
        12 => {
            let (nanoseconds, seconds) = bytes.split_at(4);
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(nanoseconds.try_into().ok()?))
        }
        _ => return None,
    };
    // A leap second is no instant of ours.
    let at = (nanoseconds < 1_000_000_000).then(|| DateTime::<Utc>::from_timestamp(seconds, nanoseconds)).flatten()?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

fn kind(value: &Packed) -> &'static str {
    match value {
        Packed::Nil => "nil",
        Packed::Boolean(_) => "a truth value",
        Packed::Integer(_) | Packed::F32(_) | Packed::F64(_) => "a number",
        Packed::String(_) => "a text",
        Packed::Binary(_) => "raw bytes",
        Packed::Array(_) => "an array",
        Packed::Map(_) => "a mapping",
        Packed::Ext(..) => "an extension",
    }
}
