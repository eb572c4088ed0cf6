//! From the configuration to what each part wants to know.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use crate::config;
use crate::dagfile::folder::Folder;
use crate::dagfile::ignore::Syntax;
use crate::dagfile::loader::LoaderOptions;
use crate::dagfile::lower::{Defaults, MailDefaults};
use crate::dagfile::python::{Interpreter, Limits, Runner, Wish, choose, install_package};
use crate::dagfile::values::Values;
use crate::domain::executor::ExecutorKind;
use crate::domain::ids::QueueName;
use crate::domain::limit::Limit;
use crate::domain::notification::{DEFAULT_HTML_CONTENT, DEFAULT_SUBJECT, Patience};
use crate::domain::problem::{Place, Problem};
use crate::domain::schedule::{Family, Schedule};
use crate::domain::secret::{Hidden, Sensitive};
use crate::protocol::task_channel::MailServer;
use crate::protocol::work::LeaseTimes;
use crate::scheduler::core::{Grant, Notifications, Remote, Settings};
use crate::scheduler::liveness::LivenessTimes;
use crate::store::{OpenOptions, Synchronous};

/// What the scheduler's core is told.
pub fn scheduler(settings: &config::Settings) -> Settings {
    Settings {
        parallelism: Limit::from_zero_unlimited(settings.core.parallelism),
        paused_at_creation: settings.core.dags_are_paused_at_creation,
        max_map_length: settings.core.max_map_length,
        infra_retries: i32::try_from(settings.core.infra_retries).unwrap_or(i32::MAX),
        max_retry_delay: settings.core.max_task_retry_delay,
        manual_runs_have_dates: settings.core.era == config::Era::Airflow2,
        xcom_of_any_task: settings.core.era == config::Era::Airflow2,
        conf_overrides_params: settings.core.dag_run_conf_overrides_params,
        kill_grace: settings.workers.kill_grace,
        grant: match settings.core.executor {
            ExecutorKind::Celery => Grant::ByClaim,
            ExecutorKind::Sequential | ExecutorKind::Local => Grant::InProcess,
        },
        remote: Remote {
            lease: LeaseTimes {
                fence_after: settings.workers.fence_after,
                kill_grace: settings.workers.kill_grace,
                spawn_slack: settings.workers.spawn_slack,
                worker_lost_after: settings.scheduler.worker_lost_after,
            },
            redispatch_after: settings.scheduler.redispatch_after,
            max_redispatch: settings.scheduler.max_redispatch,
        },
        notifications: Notifications {
            at_once: usize::try_from(settings.workers.callbacks_at_once).unwrap_or(usize::MAX),
            timeout: settings.workers.callback_timeout,
            patience: Patience {
                retries: settings.workers.callback_retries,
                delay: settings.workers.callback_retry_delay,
            },
        },
    }
}

/// How long which silence of a worker may last.
pub fn liveness(settings: &config::Settings) -> LivenessTimes {
    LivenessTimes {
        suspect_grace: settings.scheduler.suspect_grace,
        worker_lost_after: settings.scheduler.worker_lost_after,
        marker_retry: settings.scheduler.marker_retry,
    }
}

/// Where mail goes that names no connection.
pub fn mail(settings: &config::Settings) -> MailServer {
    let (email, smtp) = (&settings.email, &settings.smtp);
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    MailServer {
        host: smtp.smtp_host.clone(),
        port: smtp.smtp_port,
        starttls: smtp.smtp_starttls,
        ssl: smtp.smtp_ssl,
        user: given(&smtp.smtp_user),
        password: given(smtp.smtp_password.reveal()).map(Hidden),
        from: given(&email.from_email).unwrap_or_else(|| smtp.smtp_mail_from.clone()),
    }
}

/// Which names hold what must not stand in a log.
pub fn sensitive(settings: &config::Settings) -> Sensitive {
    Sensitive::new(settings.core.hide_sensitive_var_conn_fields, &settings.core.sensitive_var_conn_names)
}

/// How the database is opened.
pub fn store(settings: &config::Settings) -> OpenOptions {
    OpenOptions {
        synchronous: match settings.database.sqlite_synchronous {
            config::SqliteSynchronous::Full => Synchronous::Full,
            config::SqliteSynchronous::Normal => Synchronous::Normal,
        },
        readers: settings.database.pool_size,
        txn_timeout: settings.database.db_txn_timeout,
        ..OpenOptions::new(settings.database.url.sqlx_url().reveal())
    }
}

/// Where DAG files are looked for.
pub fn folder(settings: &config::Settings) -> Folder {
    Folder {
        root: settings.core.dags_folder.clone(),
        ignore_syntax: match settings.core.dag_ignore_file_syntax {
            config::IgnoreFileSyntax::Glob => Syntax::Glob,
            config::IgnoreFileSyntax::Regexp => Syntax::Regexp,
        },
        safe_mode: settings.core.dag_discovery_safe_mode,
    }
}

/// What DAG files mean where they say nothing.
pub fn defaults(settings: &config::Settings) -> Result<Defaults, Problem> {
    let family = if settings.scheduler.create_cron_data_intervals { Family::DataInterval } else { Family::Trigger };
    Ok(Defaults {
        default_timezone: settings.core.default_timezone,
        catchup_by_default: settings.scheduler.catchup_by_default,
        family,
        default_schedule: default_schedule(&settings.core.default_schedule, family)?,
        max_active_runs: Limit::from_zero_unlimited(settings.core.max_active_runs_per_dag),
        max_consecutive_failed_runs: NonZeroU32::new(settings.core.max_consecutive_failed_dag_runs_per_dag),
        max_active_tasks: Limit::from_zero_unlimited(settings.core.max_active_tasks_per_dag),
        max_active_tasks_scope: settings.core.max_active_tasks_scope,
        retries: settings.core.default_task_retries,
        retry_delay: settings.core.default_task_retry_delay,
        execution_timeout: settings.core.default_task_execution_timeout,
        weight_rule: settings.core.default_task_weight_rule,
        queue: QueueName::new(&settings.operators.default_queue)
            .map_err(|invalid| bad("operators", "default_queue", &invalid.to_string()))?,
        owner: settings.operators.default_owner.clone(),
        mail: MailDefaults {
            on_failure: settings.email.default_email_on_failure,
            on_retry: settings.email.default_email_on_retry,
            subject: template(settings, "subject_template", &settings.email.subject_template)?
                .unwrap_or_else(|| DEFAULT_SUBJECT.to_owned()),
            html_content: template(settings, "html_content_template", &settings.email.html_content_template)?
                .unwrap_or_else(|| DEFAULT_HTML_CONTENT.to_owned()),
        },
    })
}

/// What is in a file that `[email]` names; a relative path starts at the home folder.
fn template(settings: &config::Settings, key: &str, path: &str) -> Result<Option<String>, Problem> {
    if path.is_empty() {
        return Ok(None);
    }
    let path = settings.home.join(path);
    let unreadable = |error| bad("email", key, &format!("{} cannot be read: {error}", path.display()));
    // The end of the last line belongs to the file, not to what it says.
    std::fs::read_to_string(&path).map(|text| Some(text.trim_end().to_owned())).map_err(unreadable)
}

fn default_schedule(schedule: &config::DefaultSchedule, family: Family) -> Result<Schedule, Problem> {
    match schedule {
        config::DefaultSchedule::Never => Ok(Schedule::Never),
        config::DefaultSchedule::Every(period) => Ok(Schedule::Every { period: *period, family }),
        config::DefaultSchedule::Expression(text) => {
            Schedule::parse(text, family).map_err(|invalid| bad("core", "default_schedule", &invalid.to_string()))
        }
    }
}

fn bad(section: &str, key: &str, why: &str) -> Problem {
    Problem::error(Place::file("the configuration"), format!("[{section}] {key}: {why}"))
}

/// Who reads Python files and runs Python tasks, or why nobody can.
pub fn interpreter(settings: &config::Settings) -> Result<Interpreter, String> {
    let cache = settings.home.join("cache");
    let package = install_package(&cache).map_err(|error| error.to_string())?;
    let memory_mib = match settings.dag_processor.memory_limit_mb {
        0 => None,
        limit => Some(u64::from(limit)),
    };
    let limits = Limits { time: settings.core.dagbag_import_timeout, memory_mib };
    let runner = runner(settings)?;
    Ok(Interpreter { limits, runner, ..Interpreter::new(&settings.python.interpreter, package) })
}

/// Who reads DAG files and runs their tasks, or why the one that is wished for cannot.
pub fn runner(settings: &config::Settings) -> Result<Runner, String> {
    let wish = match settings.python.runner {
        config::PythonRunner::Auto => Wish::Auto,
        config::PythonRunner::Builtin => Wish::Builtin,
        config::PythonRunner::Sdk => Wish::Sdk,
    };
    choose(&program(settings), &settings.home.join("cache"), wish)
}

/// Where the interpreter is, as a shell would find it; as it is named where nothing is found.
fn program(settings: &config::Settings) -> PathBuf {
    let named = Path::new(&settings.python.interpreter);
    if named.components().count() > 1 {
        return named.to_owned();
    }
    let folders = settings.search_path.split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(folder).join(named)).find(|path| path.is_file()).unwrap_or_else(|| named.to_owned())
}

/// How DAG files are read, by this interpreter.
pub fn loader(
    settings: &config::Settings,
    python: Result<Interpreter, String>,
    values: Option<Values>,
) -> Result<LoaderOptions, Problem> {
    Ok(LoaderOptions {
        python,
        values,
        root: settings.core.dags_folder.clone(),
        defaults: defaults(settings)?,
        parsing_processes: usize::try_from(settings.dag_processor.parsing_processes).unwrap_or(1),
    })
}
