//! Webhooks and mails as written become notifications: those of a callback, and those that a task's `email` asks for.

use crate::dagfile::spec::TaskSpec;
use crate::dagfile::written::{At, EmailForm, EmailMapping, Position, WebhookForm, WebhookMapping};
use crate::domain::native::{Email, Texts};
use crate::domain::notification::{Notification, TaskCallbacks, Webhook};
use crate::domain::problem::suggestion;
use crate::domain::template::is_template;

use super::task::pick;
use super::{MailDefaults, Notes};

/// What `email`, `email_on_failure` and `email_on_retry` ask for, with Airflow's meaning: without addresses, nothing.
pub(super) fn of_task(spec: &TaskSpec, common: &TaskSpec, mail: &MailDefaults, notes: &mut Notes) -> TaskCallbacks {
    let written = if spec.email.0.is_empty() { &common.email } else { &spec.email };
    let to = Texts::Many(written.0.iter().map(|at| at.value.clone()).collect());
    if to.addresses().is_empty() {
        return TaskCallbacks::default();
    }
    let position = written.0.first().and_then(|at| at.position);
    // Airflow loads such a DAG too, and says that the mail failed.
    for address in wrong(&to) {
        notes.warning(position, format!("`{address}` in `email` is no mail address: nobody can be told there"));
    }
    let told = |is_told: bool| {
        let email = EmailMapping { to: Some(to.clone()), ..EmailMapping::default() };
        if is_told { vec![Notification::Email(Box::new(filled(email, to.clone(), mail)))] } else { Vec::new() }
    };
    let wish = |own, common, default| pick(own, common).map_or(default, |at: &At<bool>| at.value);
    TaskCallbacks {
        on_failure: told(wish(&spec.email_on_failure, &common.email_on_failure, mail.on_failure)),
        on_retry: told(wish(&spec.email_on_retry, &common.email_on_retry, mail.on_retry)),
        ..TaskCallbacks::default()
    }
}

/// Mails that nobody would get are named once, however many tasks wish for them.
pub(super) fn check_addresses(common: &TaskSpec, tasks: &[At<TaskSpec>], notes: &mut Notes) {
    type Wish = fn(&TaskSpec) -> Option<&At<bool>>;
    let wishes: [(&str, Wish); 2] = [
        ("email_on_failure", |spec| spec.email_on_failure.as_ref()),
        ("email_on_retry", |spec| spec.email_on_retry.as_ref()),
    ];
    let has_addresses = |spec: &TaskSpec| !spec.email.0.is_empty();
    if has_addresses(common) {
        return;
    }
    for (name, wish) in wishes {
        let is_wished = |spec: &TaskSpec| wish(spec).is_some_and(|at| at.value);
        if is_wished(common) && !tasks.iter().any(|task| has_addresses(&task.value)) {
            let position = wish(common).and_then(|at| at.position);
            let message = format!("`{name}` in `default_args` tells nobody: neither they nor any task has an `email`");
            notes.warning(position, message);
            continue;
        }
        let mut nobody = tasks.iter().filter(|task| is_wished(&task.value) && !has_addresses(&task.value));
        let Some(first) = nobody.next() else { continue };
        let id = first.value.task_id.as_ref().map_or("?", |id| id.value.as_str());
        let whose = match nobody.count() {
            0 => format!("task `{id}` has no `email`"),
            more => format!("task `{id}` and {more} more have no `email`"),
        };
        let position = wish(&first.value).and_then(|at| at.position).or(first.position);
        notes.warning(position, format!("`{name}` tells nobody: {whose}"));
    }
}

pub(super) fn webhook(form: &WebhookForm, position: Option<Position>, notes: &mut Notes) -> Option<Notification> {
    let WebhookMapping { url, conn_id, method, headers, body } = match form {
        WebhookForm::Url(url) => WebhookMapping { url: Some(url.clone()), ..WebhookMapping::default() },
        WebhookForm::Mapping(mapping) => mapping.clone(),
    };
    match (&url, &conn_id) {
        (Some(url), None) if !is_whole(url) => {
            let message = format!("expected the `url` of a webhook to begin with https:// or http://, got: `{url}`");
            let hint = "a path needs a `conn_id`: the connection of the server".to_owned();
            notes.error_with(position, message, hint);
            return None;
        }
        (None, None) => {
            notes.error(position, "the webhook has neither a `url` nor a `conn_id`");
            return None;
        }
        (Some(_), _) | (None, Some(_)) => {}
    }
    if let Some(word) = method.as_deref().filter(|word| !is_method(word)) {
        let message = format!("expected the `method` of a webhook to be a method of HTTP, got: `{word}`");
        notes.error_with(position, message, suggestion(&word.to_uppercase(), METHODS));
        return None;
    }
    Some(Notification::Webhook(Webhook { url, conn_id, method, headers, body }))
}

const METHODS: [&str; 6] = ["POST", "PUT", "PATCH", "GET", "DELETE", "HEAD"];

fn is_method(word: &str) -> bool {
    is_template(word) || METHODS.iter().any(|known| known.eq_ignore_ascii_case(word.trim()))
}

/// What a template makes of itself is not known yet.
fn is_whole(url: &str) -> bool {
    is_template(url) || url.starts_with("http://") || url.starts_with("https://")
}

pub(super) fn email(
    form: &EmailForm,
    position: Option<Position>,
    mail: &MailDefaults,
    notes: &mut Notes,
) -> Option<Notification> {
    let email = match form {
        EmailForm::To(to) => EmailMapping { to: Some(to.clone()), ..EmailMapping::default() },
        EmailForm::Mapping(mapping) => (**mapping).clone(),
    };
    let Some(to) = email.to.clone().filter(|to| !to.addresses().is_empty()) else {
        notes.error(position, "the mail goes to nobody: write `email: somebody@example.com`, or `to` in its mapping");
        return None;
    };
    let all = [Some(&to), email.cc.as_ref(), email.bcc.as_ref()];
    if let Some(address) = all.into_iter().flatten().flat_map(wrong).next() {
        notes.error(position, format!("expected a mail address such as `somebody@example.com`, got: `{address}`"));
        return None;
    }
    Some(Notification::Email(Box::new(filled(email, to, mail))))
}

/// What can be no address, whatever the mail server thinks.
fn wrong(addresses: &Texts) -> Vec<String> {
    let plain = addresses.to_vec().into_iter().filter(|text| !is_template(text));
    let all = Texts::Many(plain.collect()).addresses();
    all.into_iter().filter(|address| !address.contains('@')).collect()
}

fn filled(written: EmailMapping, to: Texts, mail: &MailDefaults) -> Email {
    Email {
        to,
        subject: written.subject.unwrap_or_else(|| mail.subject.clone()),
        html_content: written.html_content.unwrap_or_else(|| mail.html_content.clone()),
        files: written.files.map(|files| files.to_vec()).unwrap_or_default(),
        cc: written.cc,
        bcc: written.bcc,
        from_email: written.from_email,
        conn_id: written.conn_id,
        custom_headers: written.custom_headers,
    }
}
