//! Airflow 2's `/api/v1`: the same operations under their former paths. Where both eras differ in what an answer holds,
//! the former name stands beside the present one.

use actix_web::HttpResponse;
use actix_web::body::to_bytes;
use actix_web::http::header;
use serde_json::Value;

use crate::web::Error;

use super::operation::Answer;

/// The answer as Airflow 2 would have given it: dates of runs are called `execution_date` there.
pub async fn in_old_words(answer: HttpResponse) -> Answer {
    let is_json = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let bytes = to_bytes(body).await.map_err(|error| Error::Internal(error.to_string()))?;
    let body = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut value) => {
            name_as_before(&mut value);
            value.to_string()
        }
        Err(_) => return Ok(head.set_body(actix_web::body::BoxBody::new(bytes))),
    };
    Ok(head.set_body(actix_web::body::BoxBody::new(body)))
}

fn name_as_before(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(name_as_before),
        Value::Object(fields) => {
            // Whatever a user wrote is theirs.
            let own = ["conf", "extra", "value", "params"];
            fields
                .iter_mut()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .for_each(|(_, value)| name_as_before(value));
            if let Some(date) = fields.get("logical_date").cloned() {
                fields.insert("execution_date".to_owned(), date);
            }
            if let Some(kind) = fields.get("run_type").cloned() {
                fields.insert("external_trigger".to_owned(), Value::Bool(kind == "manual"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
