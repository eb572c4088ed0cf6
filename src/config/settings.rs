//! The configuration as typed values. Each field is a key of the table under its own name, so a key that takes
//! effect and has no field, or a field that has no key, breaks a test. Nothing here knows where a value came from.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::domain::dag::{TaskLimitScope, WeightRule};

use super::database_url::DatabaseUrl;
use super::era::Era;
use super::secret::Secret;
use super::times::Times;
use super::value::DefaultSchedule;
use crate::domain::executor::ExecutorKind;

/// Everything that the program reads from its configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// The home folder, absolute.
    pub home: PathBuf,
    /// PATH, for programs that are named without a folder.
    #[serde(default)]
    pub search_path: String,
    pub core: Core,
    pub database: Database,
    pub scheduler: Scheduler,
    pub dag_processor: DagProcessor,
    pub python: Python,
    pub operators: Operators,
    pub celery: Celery,
    pub celery_broker_transport_options: BrokerTransport,
    pub workers: Workers,
    pub logging: Logging,
    pub api: Api,
    pub api_auth: ApiAuth,
    pub metrics: Metrics,
    pub email: Email,
    pub smtp: Smtp,
}

/// `[core]`. Counts are as written: 0 is no limit where the key says so.
#[derive(Clone, Debug, Deserialize)]
pub struct Core {
    #[serde(rename = "airflow_era")]
    pub era: Era,
    pub dags_folder: PathBuf,
    pub executor: ExecutorKind,
    pub parallelism: u32,
    pub max_active_tasks_per_dag: u32,
    /// No key of its own: it follows from the era, and from the old name `dag_concurrency`.
    pub max_active_tasks_scope: TaskLimitScope,
    pub max_active_runs_per_dag: u32,
    pub max_consecutive_failed_dag_runs_per_dag: u32,
    pub dags_are_paused_at_creation: bool,
    pub default_timezone: chrono_tz::Tz,
    pub default_schedule: DefaultSchedule,
    pub default_task_retries: u32,
    #[serde(deserialize_with = "seconds")]
    pub default_task_retry_delay: Duration,
    #[serde(deserialize_with = "seconds")]
    pub max_task_retry_delay: Duration,
    #[serde(deserialize_with = "optional_seconds")]
    pub default_task_execution_timeout: Option<Duration>,
    pub default_task_weight_rule: WeightRule,
    pub default_pool_task_slot_count: u32,
    pub infra_retries: u32,
    pub dag_run_conf_overrides_params: bool,
    pub hide_sensitive_var_conn_fields: bool,
    pub sensitive_var_conn_names: Vec<String>,
    pub max_map_length: u32,
    /// Begins the name of every queue at the broker.
    pub installation: String,
    /// Secrets that sign messages between nodes, separated by commas; empty where no other nodes are.
    pub internal_secret: Secret,
    /// Keys of the encryption at rest, separated by commas; empty: they are in a file of the home folder.
    pub fernet_key: Secret,
    #[serde(deserialize_with = "seconds")]
    pub killed_task_cleanup_time: Duration,
    pub dag_discovery_safe_mode: bool,
    pub dag_ignore_file_syntax: IgnoreFileSyntax,
    /// Zero: never give up.
    #[serde(deserialize_with = "seconds")]
    pub dagbag_import_timeout: Duration,
    pub test_connection: TestConnection,
    pub auth_manager: String,
    /// `user:role`
    pub simple_auth_manager_users: Vec<String>,
    pub simple_auth_manager_all_admins: bool,
    /// Empty: a file of the home folder.
    pub simple_auth_manager_passwords_file: PathBuf,
}

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
pub struct Database {
    /// A SQLite path is absolute here.
    #[serde(rename = "sql_alchemy_conn")]
    pub url: DatabaseUrl,
    #[serde(rename = "sql_alchemy_pool_size")]
    pub pool_size: u32,
    pub sqlite_synchronous: SqliteSynchronous,
    #[serde(deserialize_with = "seconds")]
    pub db_txn_timeout: Duration,
}

/// `[scheduler]`
#[derive(Clone, Debug, Deserialize)]
pub struct Scheduler {
    pub catchup_by_default: bool,
    pub create_cron_data_intervals: bool,
    #[serde(deserialize_with = "seconds")]
    pub scheduler_health_check_threshold: Duration,
    #[serde(deserialize_with = "seconds")]
    pub lease_renew: Duration,
    #[serde(deserialize_with = "seconds")]
    pub lease_ttl: Duration,
    #[serde(deserialize_with = "seconds")]
    pub redispatch_after: Duration,
    pub max_redispatch: u32,
    #[serde(deserialize_with = "seconds")]
    pub suspect_grace: Duration,
    #[serde(deserialize_with = "seconds")]
    pub worker_lost_after: Duration,
    #[serde(deserialize_with = "seconds")]
    pub marker_retry: Duration,
    #[serde(deserialize_with = "seconds")]
    pub leader_silent: Duration,
    #[serde(deserialize_with = "seconds")]
    pub amqp_heartbeat: Duration,
}

/// `[email]`
#[derive(Clone, Debug, Deserialize)]
pub struct Email {
    pub default_email_on_failure: bool,
    pub default_email_on_retry: bool,
    /// A file with a template; empty: Airflow's subject.
    pub subject_template: String,
    /// A file with a template; empty: Airflow's text.
    pub html_content_template: String,
    /// Empty: `smtp_mail_from`.
    pub from_email: String,
}

/// `[smtp]`: where mail goes that names no connection.
#[derive(Clone, Debug, Deserialize)]
pub struct Smtp {
    pub smtp_host: String,
    pub smtp_port: u16,
    pub smtp_starttls: bool,
    pub smtp_ssl: bool,
    /// Empty: none is needed.
    pub smtp_user: String,
    pub smtp_password: Secret,
    pub smtp_mail_from: String,
}

/// `[dag_processor]`
#[derive(Clone, Debug, Deserialize)]
pub struct DagProcessor {
    #[serde(deserialize_with = "seconds")]
    pub dag_file_processor_timeout: Duration,
    /// 0: no limit.
    pub memory_limit_mb: u32,
    pub parsing_processes: u32,
    #[serde(deserialize_with = "seconds")]
    pub min_file_process_interval: Duration,
}

/// `[python]`
#[derive(Clone, Debug, Deserialize)]
pub struct Python {
    pub interpreter: String,
    pub runner: PythonRunner,
}

/// `[operators]`
#[derive(Clone, Debug, Deserialize)]
pub struct Operators {
    pub default_queue: String,
    pub default_owner: String,
}

/// `[celery]`
#[derive(Clone, Debug, Deserialize)]
pub struct Celery {
    pub worker_concurrency: u32,
    /// `max,min`; empty: the number is fixed.
    pub worker_autoscale: String,
    pub worker_enable_remote_control: bool,
    pub worker_send_task_events: bool,
    pub flower_host: String,
    pub flower_port: u16,
    /// `user:password`, separated by commas.
    pub flower_basic_auth: Secret,
    /// One address or several, separated by `;`, with their passwords.
    pub broker_url: Secret,
    pub ssl_active: bool,
    /// These three: empty for none.
    pub ssl_key: PathBuf,
    pub ssl_cert: PathBuf,
    pub ssl_cacert: PathBuf,
}

/// `[celery_broker_transport_options]`
#[derive(Clone, Debug, Deserialize)]
pub struct BrokerTransport {
    #[serde(deserialize_with = "seconds")]
    pub socket_connect_timeout: Duration,
    pub queue_type: BrokerQueueType,
    pub publish_window: u32,
    pub log_queue_length: u32,
    pub dead_letter_queue_length: u32,
}

/// `[workers]`
#[derive(Clone, Debug, Deserialize)]
pub struct Workers {
    #[serde(deserialize_with = "seconds")]
    pub kill_grace: Duration,
    #[serde(deserialize_with = "seconds")]
    pub drain_deadline: Duration,
    #[serde(deserialize_with = "seconds")]
    pub stop_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub heartbeat: Duration,
    #[serde(deserialize_with = "seconds")]
    pub fence_after: Duration,
    #[serde(deserialize_with = "seconds")]
    pub spawn_slack: Duration,
    #[serde(deserialize_with = "seconds")]
    pub claim_resend: Duration,
    #[serde(deserialize_with = "seconds")]
    pub claim_wait_max: Duration,
    pub callbacks_at_once: u32,
    #[serde(deserialize_with = "seconds")]
    pub callback_timeout: Duration,
    pub callback_retries: u32,
    #[serde(deserialize_with = "seconds")]
    pub callback_retry_delay: Duration,
    #[serde(deserialize_with = "seconds")]
    pub long_task_after: Duration,
    #[serde(deserialize_with = "seconds")]
    pub amqp_heartbeat: Duration,
}

/// `[logging]`
#[derive(Clone, Debug, Deserialize)]
pub struct Logging {
    pub base_log_folder: PathBuf,
    pub logging_level: LoggingLevel,
    /// 0: no limit.
    pub max_task_log_bytes: u64,
}

/// `[api]`
#[derive(Clone, Debug, Deserialize)]
pub struct Api {
    pub host: String,
    pub port: u16,
    /// Empty: made of the host's name and the port.
    pub base_url: String,
    pub instance_name: String,
    pub session_lifetime_minutes: u32,
    pub session_idle_minutes: u32,
    /// Empty: no proxy is believed.
    pub remote_user_header: String,
    pub remote_user_proxies: Vec<String>,
    pub remote_user_role: String,
    pub expose_config: ExposeConfig,
    pub maximum_page_limit: u32,
    pub fallback_page_limit: u32,
}

/// `[api_auth]`
#[derive(Clone, Debug, Deserialize)]
pub struct ApiAuth {
    /// Empty: in a file of the home folder.
    pub jwt_secret: Secret,
    #[serde(rename = "jwt_expiration_time", deserialize_with = "seconds")]
    pub expiration: Duration,
    #[serde(rename = "jwt_cli_expiration_time", deserialize_with = "seconds")]
    pub cli_expiration: Duration,
    #[serde(rename = "jwt_audience")]
    pub audience: String,
    #[serde(rename = "jwt_leeway", deserialize_with = "seconds")]
    pub leeway: Duration,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
pub struct Metrics {
    pub prometheus_open_on_loopback: bool,
}

/// Whether the pages show the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ExposeConfig {
    True,
    False,
    #[serde(rename = "non-sensitive-only")]
    NonSensitiveOnly,
}

/// Whether people may try connections from the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TestConnection {
    Disabled,
    Enabled,
    Hidden,
}

/// Which type of queue RabbitMQ makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerQueueType {
    /// One copy.
    Classic,
    /// A copy on most nodes of a cluster.
    Quorum,
}

/// How `.airflowignore` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IgnoreFileSyntax {
    Glob,
    Regexp,
}

/// SQLite's `synchronous` pragma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SqliteSynchronous {
    Full,
    Normal,
}

/// What stands behind `import airflow` in a DAG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PythonRunner {
    /// The installed Task SDK where there is one, else the package that this program brings along.
    Auto,
    /// The package that this program brings along.
    Builtin,
    /// Airflow's Task SDK, as installed for the interpreter.
    Sdk,
}

/// Python's names of the log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoggingLevel {
    Debug,
    Info,
    #[serde(alias = "WARN")]
    Warning,
    Error,
    Critical,
}

impl LoggingLevel {
    /// The name that `tracing` has for it, which knows nothing above an error.
    pub fn as_tracing(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warn",
            Self::Error | Self::Critical => "error",
        }
    }
}

impl Settings {
    /// The times of the protocol, which are spread over the sections of those who keep them.
    pub fn times(&self) -> Times {
        Times {
            heartbeat: self.workers.heartbeat,
            suspect_grace: self.scheduler.suspect_grace,
            fence_after: self.workers.fence_after,
            kill_grace: self.workers.kill_grace,
            spawn_slack: self.workers.spawn_slack,
            worker_lost_after: self.scheduler.worker_lost_after,
            lease_renew: self.scheduler.lease_renew,
            lease_ttl: self.scheduler.lease_ttl,
            db_txn_timeout: self.database.db_txn_timeout,
            worker_amqp_heartbeat: self.workers.amqp_heartbeat,
            scheduler_amqp_heartbeat: self.scheduler.amqp_heartbeat,
            claim_resend: self.workers.claim_resend,
            claim_wait_max: self.workers.claim_wait_max,
            marker_retry: self.scheduler.marker_retry,
            leader_silent: self.scheduler.leader_silent,
            long_task_after: self.workers.long_task_after,
            redispatch_after: self.scheduler.redispatch_after,
            max_redispatch: self.scheduler.max_redispatch,
            drain_deadline: self.workers.drain_deadline,
            stop_timeout: self.workers.stop_timeout,
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let number = f64::deserialize(from)?;
    Duration::try_from_secs_f64(number).map_err(serde::de::Error::custom)
}

fn optional_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let number = Option::<f64>::deserialize(from)?;
    number.map(|number| Duration::try_from_secs_f64(number).map_err(serde::de::Error::custom)).transpose()
}
