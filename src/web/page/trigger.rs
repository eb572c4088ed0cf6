//! Triggering: at once by a button, or by a form made from the DAG's parameters with the JSON of the conf beside it.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::auth::{Action, Resource};
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, RunId};
use crate::domain::param;
use crate::domain::time::Time;
use crate::protocol::control::{Control, Reply, Trigger, TriggeredBy};
use crate::store::query::DagEntry;
use crate::web::view::address::escape;
use crate::web::view::form::{self, Field, field};
use crate::web::view::frame::{Here, head};
use crate::web::view::number;
use crate::web::view::param::{Input, inputs};
use crate::web::view::toast::Toast;
use crate::web::{Error, Needs, Route};

use super::shell::{Fields, Sent, Shell};

pub fn routes() -> Vec<Route> {
    let may = Needs::May(Action::Create, Resource::DagRun);
    vec![
        Route::get("/dags/{dag_id}/trigger", may, show),
        Route::post("/dags/{dag_id}/trigger", may, one),
        Route::post("/trigger", may, many),
    ]
}

async fn entry(shell: &Shell, name: &str) -> Result<DagEntry, Error> {
    let missing = || Error::NotFound(format!("no DAG is named `{name}`"));
    let id = DagId::new(name).map_err(|_| missing())?;
    shell.web.store.dag(&id).await?.ok_or_else(missing)
}

async fn show(shell: Shell, dag: web::Path<String>) -> Result<HttpResponse, Error> {
    let entry = entry(&shell, &dag).await?;
    let conf = Value::Object(entry.definition.params.clone());
    let draft = Draft { conf: pretty(&conf), wrong: Vec::new(), fields: None };
    page(&shell, &entry, &draft).await
}

/// A form as it stands, or as it came back.
struct Draft<'a> {
    conf: String,
    /// What is wrong, by parameter; an empty name is the whole.
    wrong: Vec<(String, String)>,
    fields: Option<&'a Fields>,
}

impl Draft<'_> {
    fn value(&self, name: &str) -> &str {
        self.fields.map_or("", |fields| fields.text(name))
    }

    fn wrong(&self, name: &str) -> Option<&str> {
        self.wrong.iter().find(|(param, _)| param == name).map(|(_, why)| why.as_str())
    }
}

async fn page(shell: &Shell, entry: &DagEntry, draft: &Draft<'_>) -> Result<HttpResponse, Error> {
    let dag = &entry.row.dag_id;
    let link = format!("/dags/{}", escape(dag.as_str()));
    let inputs = inputs(&entry.definition.params, &entry.definition.param_schemas);
    let tasks = number::counted(entry.definition.tasks.len() as u64, "task", "tasks");
    let lead = html! {
        "One run of " (tasks) "."
        @if entry.row.is_paused { " The DAG is paused: the run waits until it is not." }
    };
    let body = html! {
        div.crumbs { a href=(link) { (dag) } }
        (head(&format!("Trigger {dag}"), Some(&lead), &html! {}))
        @if let Some(why) = draft.wrong("") { div.banner.bad role="alert" { (why) } }
        form method="post" action={ (link) "/trigger" } {
            (form::csrf(shell.caller.csrf()))
            input type="hidden" name="asked" value="true";
            div.pair {
                div.form {
                    @for input in &inputs { (parameter(input, draft)) }
                    @if inputs.is_empty() { p.quiet { "The DAG has no parameters; what you write as conf, its templates may read." } }
                    (options(draft))
                    div.row { button.button.main type="submit" { "Trigger" } a.button.ghost href=(link) { "Cancel" } }
                }
                div.field {
                    label for="field-conf" { "Conf, as JSON" }
                    textarea.mono #field-conf name="conf" rows="16" data-conf spellcheck="false" aria-describedby="conf-help" { (draft.conf) }
                    div.help #conf-help { "In step with the form. A value that is changed in both is taken from the form." }
                }
            }
        }
    };
    shell.page(&format!("Trigger {dag}"), Here::Dags, &body).await
}

fn parameter(input: &Input, draft: &Draft<'_>) -> Markup {
    let sent = draft.fields.and_then(|fields| fields.raw(&input.field()));
    input.draw(sent, draft.wrong(&input.name))
}

fn options(draft: &Draft<'_>) -> Markup {
    html! {
        details {
            summary { "Logical date, run id, note" }
            div.form {
                (field(&Field { name: "logical_date", label: "Logical date (UTC)", kind: "datetime-local",
                    value: draft.value("logical_date"), wrong: draft.wrong("logical_date"),
                    help: "What the run is about. Empty: as the schedule says.", ..Field::default() }))
                (field(&Field { name: "run_id", label: "Run id", mono: true, value: draft.value("run_id"),
                    wrong: draft.wrong("run_id"), help: "Empty: made from the date.", ..Field::default() }))
                (field(&Field { name: "note", label: "Note", value: draft.value("note"), ..Field::default() }))
            }
        }
    }
}

async fn one(shell: Shell, dag: web::Path<String>, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let entry = entry(&shell, &dag).await?;
    let link = format!("/dags/{}", escape(entry.row.dag_id.as_str()));
    if !fields.is_on("asked") {
        let usual = ordinary(&entry.row.dag_id, Map::new());
        return Shell::outcome(fields.back(&link), trigger(&shell, usual).await);
    }
    let conf = fields.raw("conf").unwrap_or_default().to_owned();
    let (wish, mut wrong) = read(&entry.definition, &fields);
    if wrong.is_empty() {
        match trigger(&shell, wish).await {
            Ok(toast) => {
                let to = toast.link.as_ref().map_or(link, |(_, to)| to.clone());
                return Ok(Shell::go(&to, &Toast { link: None, ..toast }));
            }
            Err(error) if error.status().is_client_error() => wrong.push((String::new(), error.to_string())),
            Err(error) => return Err(error),
        }
    }
    page(&shell, &entry, &Draft { conf, wrong, fields: Some(&fields) }).await
}

fn ordinary(dag: &DagId, conf: Map<String, Value>) -> Trigger {
    let (by, dag) = (TriggeredBy::Ui, dag.clone());
    Trigger { dag, run_id: None, logical_date: None, conf, note: None, by, user: None }
}

/// The wish that a form makes, and what is wrong with it.
fn read(definition: &DagDefinition, fields: &Fields) -> (Trigger, Vec<(String, String)>) {
    let mut wrong = Vec::new();
    let mut mistake = |name: &str, why: String| wrong.push((name.to_owned(), why));
    let mut conf = match fields.get("conf").map_or(Ok(Value::Object(Map::new())), serde_json::from_str) {
        Ok(Value::Object(conf)) => conf,
        Ok(_) => {
            mistake("", "expected the conf to be a JSON object such as {\"rows\": 3}".to_owned());
            Map::new()
        }
        Err(error) => {
            mistake("", format!("the conf is not JSON: {error}"));
            Map::new()
        }
    };
    for input in inputs(&definition.params, &definition.param_schemas) {
        match input.read(fields.raw(&input.field())) {
            // What the form leaves as it was is as the JSON says.
            Ok(Some(value)) if Some(&value) != input.default.as_ref() => {
                conf.insert(input.name.clone(), value);
            }
            Ok(_) => {}
            Err(why) => mistake(&input.name, why),
        }
    }
    let run_id = fields.get("run_id").and_then(|text| match RunId::new(text) {
        Ok(id) => Some(id),
        Err(why) => {
            mistake("run_id", why.to_string());
            None
        }
    });
    let logical_date = fields.get("logical_date").and_then(|text| match instant(text) {
        Some(date) => Some(date),
        None => {
            mistake("logical_date", format!("expected a date and a time such as 2026-11-20T14:00, got: {text}"));
            None
        }
    });
    let values = param::merged(&definition.params, &Map::new(), &conf, true);
    for found in param::mistakes(&definition.param_schemas, &values) {
        mistake(&found.param, found.message);
    }
    let note = fields.get("note").map(str::to_owned);
    (Trigger { run_id, logical_date, note, ..ordinary(&definition.dag_id, conf) }, wrong)
}

/// As a browser writes it: `2026-11-20T14:00`, with seconds or without, or a whole RFC 3339.
fn instant(text: &str) -> Option<Time> {
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc())
}

async fn trigger(shell: &Shell, wish: Trigger) -> Result<Toast, Error> {
    let wish = Trigger { user: Some(shell.caller.user.clone()), ..wish };
    match shell.web.control(&shell.caller, Control::Trigger(wish)).await? {
        Reply::Triggered(run) => {
            let to = format!("/dags/{}/runs/{}", escape(run.dag.as_str()), escape(run.run_id.as_str()));
            let waits = if run.paused { ", which waits: the DAG is paused" } else { "" };
            Ok(Toast::good(format!("Triggered {}{waits}", run.dag)).link("See the run", to))
        }
        other => Err(Error::Internal(format!("a trigger was answered by {other:?}"))),
    }
}

async fn many(shell: Shell, sent: Sent) -> Result<HttpResponse, Error> {
    let fields = Fields::of(sent);
    let mut triggered = 0_u64;
    let mut refused = Vec::new();
    for name in fields.all("chosen") {
        let dag = DagId::new(name).map_err(|error| Error::Bad(error.to_string()))?;
        match trigger(&shell, ordinary(&dag, Map::new())).await {
            Ok(_) => triggered += 1,
            Err(error) if error.status().is_client_error() => refused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    let said = format!("Triggered {}", number::counted(triggered, "DAG", "DAGs"));
    let toast = match refused.first() {
        None => Toast::good(said).link("See the runs", "/runs"),
        Some(first) => Toast::bad(format!("{said}; {} refused: {first}", refused.len())),
    };
    Ok(Shell::go(fields.back("/"), &toast))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_browsers_write_it() {
        let nine = Some("2026-11-20T09:00:00Z".parse::<Time>().expect("an instant"));
        for text in ["2026-11-20T09:00", "2026-11-20T09:00:00", "2026-11-20T10:00:00+01:00"] {
            assert_eq!(instant(text), nine, "{text}");
        }
        assert_eq!(instant("tomorrow"), None);
    }
}
