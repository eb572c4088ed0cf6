//! A mail (`EmailOperator`), over a connection of type `smtp` or the section `[smtp]`.

use std::path::Path;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};
use serde_json::Value;

use super::channel::Channel;
use super::{End, say};
use crate::domain::connection::Connection;
use crate::domain::native::{Email, Texts};
use crate::domain::secret::Hidden;
use crate::protocol::task_channel::MailServer;

/// The connection that is used where a mail names none and there is one.
const DEFAULT_CONNECTION: &str = "smtp_default";

const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn run(email: &Email, configured: &MailServer, channel: &mut Channel) -> Result<Value, End> {
    let connection = match email.conn_id.as_deref() {
        Some(id) => Some(channel.connection(id)?),
        None => channel.find_connection(DEFAULT_CONNECTION)?,
    };
    let server = connection.map_or_else(|| configured.clone(), |connection| server(&connection, configured));
    let message = message(email, &server)?;
    transport(&server)?.send(&message).map_err(|error| match error.is_permanent() {
        true => End::FailedForGood(format!("the mail server {}:{} refused: {error}", server.host, server.port)),
        false => End::Failed(format!("the mail could not be given to {}:{}: {error}", server.host, server.port)),
    })?;
    say(&format!("Sent an email to {}", email.to.addresses().join(", ")));
    Ok(Value::Null)
}

/// Airflow's reading of an `smtp` connection.
fn server(connection: &Connection, configured: &MailServer) -> MailServer {
    let extra = connection.extra_object().unwrap_or_default();
    let is_set = |key: &str| match extra.get(key) {
        Some(Value::Bool(set)) => *set,
        Some(Value::String(text)) => matches!(text.to_lowercase().as_str(), "true" | "1" | "yes" | "on"),
        Some(Value::Number(number)) => number.as_i64() != Some(0),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
    };
    let ssl = !is_set("disable_ssl");
    let port = connection.port.unwrap_or(if ssl { 465 } else { 25 });
    MailServer {
        host: connection.host.clone().unwrap_or_else(|| configured.host.clone()),
        port,
        ssl,
        starttls: !ssl && !is_set("disable_tls"),
        user: connection.login.clone().filter(|login| !login.is_empty()),
        password: connection.password.clone().map(Hidden),
        from: extra.get("from_email").and_then(Value::as_str).unwrap_or(&configured.from).to_owned(),
    }
}

fn transport(server: &MailServer) -> Result<SmtpTransport, End> {
    let parameters = || {
        TlsParameters::new(server.host.clone())
            .map_err(|error| End::FailedForGood(format!("`{}` cannot be reached with TLS: {error}", server.host)))
    };
    let tls = match (server.ssl, server.starttls) {
        (true, _) => Tls::Wrapper(parameters()?),
        (false, true) => Tls::Required(parameters()?),
        (false, false) => Tls::None,
    };
    let mut builder = SmtpTransport::builder_dangerous(&server.host).port(server.port).tls(tls).timeout(Some(TIMEOUT));
    if let Some(user) = &server.user {
        let password = server.password.as_ref().map(|password| password.0.clone()).unwrap_or_default();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn message(email: &Email, server: &MailServer) -> Result<Message, End> {
    let bad = |what: &str, why: &dyn std::fmt::Display| End::FailedForGood(format!("the mail's {what}: {why}"));
    let from = email.from_email.as_deref().unwrap_or(&server.from);
    let mut builder = Message::builder().from(mailbox(from)?).subject(email.subject.clone());
    builder = add(builder, Some(&email.to), MessageBuilder::to)?;
    builder = add(builder, email.cc.as_ref(), MessageBuilder::cc)?;
    builder = add(builder, email.bcc.as_ref(), MessageBuilder::bcc)?;
    for (name, value) in &email.custom_headers {
        let name =
            HeaderName::new_from_ascii(name.clone()).map_err(|error| bad(&format!("header `{name}`"), &error))?;
        builder = builder.raw_header(HeaderValue::new(name, value.clone()));
    }
    let mut parts = MultiPart::mixed().singlepart(SinglePart::html(email.html_content.clone()));
    for file in &email.files {
        let path = Path::new(file);
        let bytes = std::fs::read(path).map_err(|error| bad(&format!("file {file}"), &error))?;
        let name = path.file_name().map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned());
        let kind = ContentType::parse("application/octet-stream").map_err(|error| bad("file", &error))?;
        parts = parts.singlepart(Attachment::new(name).body(bytes, kind));
    }
    builder.multipart(parts).map_err(|error| bad("content", &error))
}

fn add(
    mut builder: MessageBuilder,
    addresses: Option<&Texts>,
    with: impl Fn(MessageBuilder, Mailbox) -> MessageBuilder,
) -> Result<MessageBuilder, End> {
    for address in addresses.map(Texts::addresses).unwrap_or_default() {
        builder = with(builder, mailbox(&address)?);
    }
    Ok(builder)
}

fn mailbox(address: &str) -> Result<Mailbox, End> {
    address.parse().map_err(|error| End::FailedForGood(format!("`{address}` is no mail address: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_says_how_the_server_is_reached() {
        let uri = "smtp://me:secret@mail.example.com:2525/?disable_ssl=true&from_email=etl@example.com";
        let server = server(&Connection::from_uri(uri).expect("a connection"), &MailServer::default());
        assert_eq!((server.host.as_str(), server.port), ("mail.example.com", 2525));
        assert_eq!((server.ssl, server.starttls), (false, true));
        assert_eq!((server.user.as_deref(), server.from.as_str()), (Some("me"), "etl@example.com"));
    }
}
