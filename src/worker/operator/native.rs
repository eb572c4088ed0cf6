//! Native tasks: this very program, as a process of its own, does them (`crate::operator`).
//!
//! Killing, fencing, logs and masking are those of any other process, and a crash harms only itself.

use super::bash::template_file;
use super::channel::First;
use super::{Job, Unstartable, context_variables};
use crate::domain::ids::Claim;
use crate::domain::native::{Native, Texts};
use crate::protocol::task_channel::{Operate, ToTask};
use crate::protocol::work::TaskMessage;
use crate::worker::companion::frame::{Base, Origin, SpawnSpec};
use crate::worker::render::Templates;
use crate::worker::settings::WorkerSettings;

/// The word after the program's name that makes it do a native task.
pub const WORD: &str = "run-operator";

pub fn prepare(
    native: &Native,
    task: &TaskMessage,
    claim: Claim,
    settings: &WorkerSettings,
    templates: &Templates<'_>,
) -> Result<Job, Unstartable> {
    let read = read_files(native.clone(), task, settings, templates)?;
    let native = templates.render_native(&read)?;
    let shown = shown(&native);
    let run = &task.run;
    let operate = Operate {
        native,
        dag_id: task.key.dag.to_string(),
        task_id: task.key.task.to_string(),
        run_id: task.key.run.to_string(),
        logical_date: run.logical_date,
        data_interval_end: run.interval.map(|interval| interval.end),
        run_after: run.run_after,
        waiting_since: task.waiting_since,
        reschedules: task.reschedules,
        mail: settings.mail.clone(),
    };
    Ok(Job {
        spec: SpawnSpec {
            program: settings.companion.clone(),
            args: vec![WORD.to_owned()],
            cwd: settings.dags_folder.clone(),
            base: Base::Inherit,
            env: context_variables(task, claim),
            origin: Origin::Exec,
        },
        shown,
        leftover: None,
        start: Some(First::Bridge(Box::new(ToTask::Operate(Box::new(operate))))),
    })
}

/// A statement that ends in `.sql` and a text that ends in `.html` name a file, as in Airflow.
fn read_files(
    native: Native,
    task: &TaskMessage,
    settings: &WorkerSettings,
    templates: &Templates<'_>,
) -> Result<Native, Unstartable> {
    let read = |text: String, ending: &str| match text.ends_with(ending) {
        true => template_file(&text, &task.run, &settings.dags_folder).map(|(_, source)| source),
        false => Ok(text),
    };
    Ok(match native {
        Native::Sql(mut sql) if !templates.is_verbatim("sql") => {
            sql.sql = match sql.sql {
                Texts::One(text) => Texts::One(read(text, ".sql")?),
                Texts::Many(texts) => {
                    Texts::Many(texts.into_iter().map(|text| read(text, ".sql")).collect::<Result<_, _>>()?)
                }
            };
            Native::Sql(sql)
        }
        Native::Email(mut email) if !templates.is_verbatim("html_content") => {
            email.html_content = read(email.html_content, ".html")?;
            Native::Email(email)
        }
        Native::Sql(_) | Native::Email(_) | Native::Http(_) | Native::TriggerDagRun(_) | Native::Sensor(_) => native,
    })
}

/// What it is about, in a few words; nothing that a template or a user could have put a secret into.
fn shown(native: &Native) -> String {
    match native {
        Native::Http(http) => {
            format!("{} {}", http.method.as_deref().unwrap_or("POST"), http.endpoint.as_deref().unwrap_or("/"))
        }
        Native::Sql(sql) => format!("SQL on {}", sql.conn_id.as_deref().unwrap_or_default()),
        Native::Email(email) => format!("mail to {}", email.to.addresses().join(", ")),
        Native::TriggerDagRun(trigger) => format!("trigger {}", trigger.trigger_dag_id),
        Native::Sensor(_) => "sensor".to_owned(),
    }
}
