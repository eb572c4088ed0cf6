//! Webhooks and mails as they are written in a callback: in their short form or as a mapping.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::domain::native::Texts;

/// A URL, or a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum WebhookForm {
    Url(String),
    Mapping(WebhookMapping),
}

/// The long form of a webhook.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookMapping {
    /// A whole URL, or a path after the address of the connection. A template: a secret in it comes from a connection
    /// (`{{ conn.chat.password }}`), and is hidden in the log.
    #[serde(alias = "endpoint")]
    pub url: Option<String>,
    /// The connection that names the server, the login and headers.
    #[serde(alias = "http_conn_id")]
    pub conn_id: Option<String>,
    /// Default: `POST`.
    pub method: Option<String>,
    /// Headers of the request, over those of the connection's extra. Templates.
    pub headers: BTreeMap<String, String>,
    /// What is sent: a text as it is, anything else as JSON. Texts are templates. Default: what happened, as a JSON object,
    /// which a template has as `{{ notification | tojson }}`.
    pub body: Option<Value>,
}

/// Addresses, or a mapping.
#[derive(Clone, Debug, PartialEq)]
pub enum EmailForm {
    To(Texts),
    Mapping(Box<EmailMapping>),
}

/// The long form of a mail.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmailMapping {
    /// To whom: addresses, as a list or parted by commas.
    pub to: Option<Texts>,
    /// Who gets a copy.
    pub cc: Option<Texts>,
    /// Who gets a copy that the others do not see.
    pub bcc: Option<Texts>,
    /// A template. Default: Airflow's, which says what happened to whom.
    pub subject: Option<String>,
    /// The text, in HTML; a template. Default: Airflow's, with the error and the address of the log.
    pub html_content: Option<String>,
    /// Files to attach; templates.
    pub files: Option<Texts>,
    /// Headers of the mail.
    pub custom_headers: BTreeMap<String, String>,
    /// The sender. Default: the connection's `from_email`, `[email] from_email`, `[smtp] smtp_mail_from`.
    pub from_email: Option<String>,
    /// The connection of the mail server. Default: `smtp_default` if there is one, else the section `[smtp]`.
    #[serde(alias = "smtp_conn_id")]
    pub conn_id: Option<String>,
}

impl<'de> Deserialize<'de> for WebhookForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = WebhookForm;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a URL, or {url: ..., headers: {...}, body: ...}")
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<WebhookForm, E> {
                Ok(WebhookForm::Url(url.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WebhookForm, A::Error> {
                WebhookMapping::deserialize(de::value::MapAccessDeserializer::new(map)).map(WebhookForm::Mapping)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl<'de> Deserialize<'de> for EmailForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = EmailForm;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an address, a list of addresses, or {to: ..., subject: ...}")
            }
            fn visit_str<E: de::Error>(self, address: &str) -> Result<EmailForm, E> {
                Ok(EmailForm::To(Texts::One(address.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<EmailForm, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element()? {
                    addresses.push(address);
                }
                Ok(EmailForm::To(Texts::Many(addresses)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EmailForm, A::Error> {
                EmailMapping::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|mapping| EmailForm::Mapping(Box::new(mapping)))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for WebhookForm {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WebhookForm".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<WebhookMapping>();
        json_schema!({ "anyOf": [{ "type": "string" }, mapping] })
    }
}

impl JsonSchema for EmailForm {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EmailForm".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<EmailMapping>();
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }, mapping] })
    }
}
