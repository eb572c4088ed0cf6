//! What a webhook and a mail say: the request of the one, and the words of the other where its author gives none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::native::Http;

/// Airflow's subject; of a run, and of a deadline, the same in their words.
pub const DEFAULT_SUBJECT: &str = "Airflow alert: \
    {% if deadline %}deadline{% if deadline.name %} {{ deadline.name }}{% endif %} of <DagRun {{ dag.dag_id }} {{ run_id }}> missed\
    {% elif notification.task_id %}<TaskInstance: {{ dag.dag_id }}.{{ ti.task_id }} {{ run_id }} \
    {% if map_index >= 0 %}map_index={{ map_index }} {% endif %}[{{ ti.state }}]>\
    {% else %}<DagRun {{ dag.dag_id }} {{ run_id }} [{{ dag_run.state }}]>{% endif %}";

/// Airflow's text, without what is not known: a run has no try, and a success no exception.
pub const DEFAULT_HTML_CONTENT: &str = "\
    {% if deadline %}Due: {{ deadline.deadline_time }}<br>{% endif %}\
    {% if notification.task_id %}Try {{ try_number }} out of {{ max_tries + 1 }}<br>{% endif %}\
    {% if reason %}Reason: {{ reason }}<br>{% endif %}\
    {% if exception %}Exception:<br>{{ exception_html }}<br>{% endif %}\
    Log: <a href=\"{{ ti.log_url }}\">Link</a><br>\
    {% if notification.task_id %}Host: {{ ti.hostname }}<br>\
    Mark success: <a href=\"{{ ti.mark_success_url }}\">Link</a><br>{% endif %}";

/// What happened, as one JSON object.
const DEFAULT_BODY: &str = "{{ notification | tojson }}";

/// One HTTP request. Texts in it are templates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// A whole URL, or a path after the address of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The connection that names the server, the login and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn_id: Option<String>,
    /// Default: `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A text is sent as it is, anything else as JSON. Default: what happened, as a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Webhook {
    /// The request, as the operator sends it.
    pub(super) fn request(&self) -> Http {
        let mut headers = self.headers.clone();
        let (data, json) = match &self.body {
            Some(Value::String(text)) => (Some(Value::String(text.clone())), None),
            Some(body) => (None, Some(body.clone())),
            None if self.has_no_body() => (None, None),
            None => {
                if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                    headers.insert("Content-Type".to_owned(), "application/json".to_owned());
                }
                (Some(Value::String(DEFAULT_BODY.to_owned())), None)
            }
        };
        Http {
            http_conn_id: self.conn_id.clone(),
            endpoint: self.url.clone(),
            method: self.method.clone(),
            data,
            json,
            headers,
            response_check: None,
            response_filter: None,
            log_response: false,
            extra_options: Default::default(),
        }
    }

    fn has_no_body(&self) -> bool {
        let method = self.method.as_deref().unwrap_or("POST").trim();
        ["GET", "HEAD"].iter().any(|word| word.eq_ignore_ascii_case(method))
    }

    /// Whom it tells, for people. The path of such a URL is often a secret: it is not said.
    pub(super) fn server(&self) -> String {
        match (&self.url, &self.conn_id) {
            (_, Some(connection)) => format!("connection {connection}"),
            (Some(url), None) => {
                let start = url.find("://").map_or(0, |at| at + 3);
                let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
                // A login before the server's name is none of the reader's business either.
                let host = url[start..end].rsplit('@').next().unwrap_or_default();
                format!("{}{host}", &url[..start])
            }
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::notification::Notification;

    #[test]
    fn the_path_and_the_login_of_a_webhook_are_not_shown() {
        let table = [
            ("https://hooks.example.com/services/T0/B0/secret", "webhook https://hooks.example.com"),
            ("https://me:secret@example.com:8443?key=secret", "webhook https://example.com:8443"),
            ("http://example.com", "webhook http://example.com"),
        ];
        for (url, expected) in table {
            let webhook = Webhook { url: Some(url.to_owned()), ..Webhook::default() };
            assert_eq!(Notification::Webhook(webhook).summary(), expected);
        }
        let named = Webhook { url: Some("/x".to_owned()), conn_id: Some("chat".to_owned()), ..Webhook::default() };
        assert_eq!(Notification::Webhook(named).summary(), "webhook connection chat");
    }

    #[test]
    fn a_body_is_json_or_text_or_what_happened() {
        let of = |body: Option<Value>, method: Option<&str>| {
            Webhook { body, method: method.map(str::to_owned), ..Webhook::default() }.request()
        };
        let mapping = of(Some(json!({ "text": "{{ exception }}" })), None);
        assert_eq!((mapping.json, mapping.data), (Some(json!({ "text": "{{ exception }}" })), None));
        let text = of(Some(json!("failed")), None);
        assert_eq!((text.json, text.data, text.headers.len()), (None, Some(json!("failed")), 0));
        let default = of(None, None);
        assert_eq!(default.data, Some(json!(DEFAULT_BODY)));
        assert_eq!(default.headers["Content-Type"], "application/json");
        assert_eq!(of(None, Some("get")).data, None, "a GET carries nothing");
    }
}
