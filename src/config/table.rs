//! The one table of configuration keys: which there are, what values they take, what they were called before.
//!
//! A key's default and its explanation stand in `config/default.toml`, which a test holds against this table in
//! both directions. Adding a key means one row here, one paragraph there, and a field in `settings.rs` when it
//! takes effect. Nothing here reads a value.

use super::key::{Key, Kind};

/// Every key, in the order of `config/default.toml`.
pub static KEYS: &[Key] = &[
    // [core]
    Key::new("core", "airflow_era", Kind::Era).since("updraft 0.1"),
    Key::new("core", "dags_folder", Kind::Path).since("Airflow 1.10"),
    Key::new("core", "executor", Kind::Executor).since("Airflow 1.10"),
    Key::new("core", "parallelism", Kind::Count).since("Airflow 1.10"),
    Key::new("core", "max_active_tasks_per_dag", Kind::Count)
        .since("Airflow 2.2.0")
        .formerly(&[("core", "dag_concurrency")]),
    Key::new("core", "max_active_runs_per_dag", Kind::Count).since("Airflow 1.10"),
    Key::new("core", "max_consecutive_failed_dag_runs_per_dag", Kind::Count).since("Airflow 2.9.0"),
    Key::new("core", "dags_are_paused_at_creation", Kind::Bool).since("Airflow 1.10"),
    Key::new("core", "load_examples", Kind::Bool).since("Airflow 1.10").without_effect(),
    Key::new("core", "default_timezone", Kind::Timezone).since("Airflow 1.10"),
    Key::new("core", "default_schedule", Kind::Schedule).since("updraft 0.1"),
    Key::new("core", "default_task_retries", Kind::Count).since("Airflow 1.10"),
    Key::new("core", "default_task_retry_delay", Kind::Seconds).since("Airflow 2.4.0"),
    Key::new("core", "max_task_retry_delay", Kind::Seconds).since("Airflow 2.6.0"),
    Key::new("core", "default_task_execution_timeout", Kind::OptionalSeconds).since("Airflow 2.3.0"),
    Key::new("core", "default_task_weight_rule", Kind::WeightRule).since("Airflow 2.2.0"),
    Key::new("core", "default_pool_task_slot_count", Kind::Count)
        .since("Airflow 2.2.0")
        .formerly(&[("core", "non_pooled_task_slot_count")]),
    Key::new("core", "infra_retries", Kind::Count).since("updraft 0.1"),
    Key::new("core", "killed_task_cleanup_time", Kind::Seconds).since("Airflow 1.10"),
    Key::new("core", "dag_discovery_safe_mode", Kind::Bool).since("Airflow 1.10"),
    Key::new("core", "dag_ignore_file_syntax", Kind::Words(&["glob", "regexp"])).since("Airflow 2.3.0"),
    Key::new("core", "dagbag_import_timeout", Kind::Seconds).since("Airflow 1.10"),
    Key::new("core", "installation", Kind::Text).since("updraft 0.1"),
    Key::new("core", "internal_secret", Kind::Text).since("updraft 0.1").sensitive(),
    Key::new("core", "fernet_key", Kind::Text).since("Airflow 1.10").sensitive(),
    Key::new("core", "max_map_length", Kind::Count).since("Airflow 2.3.0"),
    Key::new("core", "dag_run_conf_overrides_params", Kind::Bool).since("Airflow 1.10"),
    Key::new("core", "hide_sensitive_var_conn_fields", Kind::Bool)
        .since("Airflow 2.1.0")
        .formerly(&[("admin", "hide_sensitive_variable_fields")]),
    Key::new("core", "sensitive_var_conn_names", Kind::List)
        .since("Airflow 2.1.0")
        .formerly(&[("admin", "sensitive_variable_fields")]),
    Key::new("core", "test_connection", Kind::Words(&["Disabled", "Enabled", "Hidden"])).since("Airflow 2.7.0"),
    Key::new("core", "xcom_backend", Kind::Text).since("Airflow 1.10").without_effect(),
    Key::new("core", "plugins_folder", Kind::Path).since("Airflow 1.10").without_effect(),
    Key::new("core", "hostname_callable", Kind::Text).since("Airflow 1.10").without_effect(),
    Key::new("core", "auth_manager", Kind::Text).since("Airflow 2.7.0"),
    Key::new("core", "simple_auth_manager_users", Kind::List).since("Airflow 3.0.0"),
    Key::new("core", "simple_auth_manager_all_admins", Kind::Bool).since("Airflow 3.0.0"),
    Key::new("core", "simple_auth_manager_passwords_file", Kind::Path).since("Airflow 3.0.0"),
    Key::new("core", "execution_api_server_url", Kind::Text).since("Airflow 3.0.0").without_effect(),
    // [database]
    Key::new("database", "sql_alchemy_conn", Kind::DatabaseUrl)
        .since("Airflow 2.3.0")
        .sensitive()
        .formerly(&[("core", "sql_alchemy_conn")]),
    Key::new("database", "sql_alchemy_pool_size", Kind::AtLeastOne)
        .since("Airflow 2.3.0")
        .formerly(&[("core", "sql_alchemy_pool_size")]),
    Key::new("database", "sqlite_synchronous", Kind::Words(&["FULL", "NORMAL"])).since("updraft 0.1"),
    Key::new("database", "db_txn_timeout", Kind::Seconds).since("updraft 0.1"),
    Key::new("database", "sql_alchemy_schema", Kind::Text)
        .since("Airflow 2.3.0")
        .later()
        .formerly(&[("core", "sql_alchemy_schema")]),
    Key::new("database", "max_db_retries", Kind::AtLeastOne)
        .since("Airflow 2.3.0")
        .later()
        .formerly(&[("core", "max_db_retries")]),
    Key::new("database", "sql_alchemy_max_overflow", Kind::Integer)
        .since("Airflow 2.3.0")
        .without_effect()
        .formerly(&[("core", "sql_alchemy_max_overflow")]),
    Key::new("database", "sql_alchemy_pool_recycle", Kind::Integer)
        .since("Airflow 2.3.0")
        .without_effect()
        .formerly(&[("core", "sql_alchemy_pool_recycle")]),
    Key::new("database", "sql_alchemy_pool_pre_ping", Kind::Bool)
        .since("Airflow 2.3.0")
        .without_effect()
        .formerly(&[("core", "sql_alchemy_pool_pre_ping")]),
    Key::new("database", "sql_alchemy_conn_async", Kind::Text).since("Airflow 3.0.0").without_effect().sensitive(),
    Key::new("database", "sql_alchemy_engine_args", Kind::Text)
        .since("Airflow 2.3.0")
        .without_effect()
        .sensitive()
        .formerly(&[("core", "sql_alchemy_engine_args")]),
    // [scheduler]
    Key::new("scheduler", "catchup_by_default", Kind::Bool).since("Airflow 1.10"),
    Key::new("scheduler", "create_cron_data_intervals", Kind::Bool).since("Airflow 2.9.0"),
    Key::new("scheduler", "scheduler_health_check_threshold", Kind::Seconds).since("Airflow 1.10"),
    Key::new("scheduler", "lease_renew", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "lease_ttl", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "redispatch_after", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "max_redispatch", Kind::Count).since("updraft 0.1"),
    Key::new("scheduler", "suspect_grace", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "worker_lost_after", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "marker_retry", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "leader_silent", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "amqp_heartbeat", Kind::Seconds).since("updraft 0.1"),
    Key::new("scheduler", "max_tis_per_query", Kind::Count)
        .since("Airflow 1.10")
        .without_effect()
        .formerly(&[("scheduler", "max_threads_per_query")]),
    Key::new("scheduler", "max_dagruns_to_create_per_loop", Kind::Count).since("Airflow 2.0.0").without_effect(),
    Key::new("scheduler", "max_dagruns_per_loop_to_schedule", Kind::Count).since("Airflow 2.0.0").without_effect(),
    Key::new("scheduler", "scheduler_heartbeat_sec", Kind::Seconds).since("Airflow 1.10").without_effect(),
    Key::new("scheduler", "job_heartbeat_sec", Kind::Seconds).since("Airflow 1.10").without_effect(),
    Key::new("scheduler", "scheduler_idle_sleep_time", Kind::Seconds)
        .since("Airflow 2.2.0")
        .without_effect()
        .formerly(&[("scheduler", "processor_poll_interval")]),
    Key::new("scheduler", "task_queued_timeout", Kind::Seconds).since("Airflow 2.6.0").without_effect().formerly(&[
        ("celery", "stalled_task_timeout"),
        ("celery", "task_adoption_timeout"),
        ("kubernetes_executor", "worker_pods_pending_timeout"),
        ("kubernetes", "worker_pods_pending_timeout"),
    ]),
    Key::new("scheduler", "task_queued_timeout_check_interval", Kind::Seconds)
        .since("Airflow 2.6.0")
        .without_effect()
        .formerly(&[("kubernetes_executor", "worker_pods_pending_timeout_check_interval")]),
    Key::new("scheduler", "task_instance_heartbeat_timeout", Kind::Seconds)
        .since("Airflow 3.0.0")
        .without_effect()
        .formerly(&[("scheduler", "scheduler_zombie_task_threshold")]),
    Key::new("scheduler", "task_instance_heartbeat_timeout_detection_interval", Kind::Seconds)
        .since("Airflow 3.0.0")
        .without_effect()
        .formerly(&[("scheduler", "zombie_detection_interval"), ("scheduler", "local_task_job_heartbeat_sec")]),
    Key::new("scheduler", "orphaned_tasks_check_interval", Kind::Seconds).since("Airflow 2.0.0").without_effect(),
    Key::new("scheduler", "use_row_level_locking", Kind::Bool).since("Airflow 2.0.0").without_effect(),
    Key::new("scheduler", "use_job_schedule", Kind::Bool).since("Airflow 1.10").later(),
    Key::new("scheduler", "num_runs", Kind::Integer).since("Airflow 1.10").without_effect(),
    // [dag_processor]
    Key::new("dag_processor", "dag_file_processor_timeout", Kind::Seconds)
        .since("Airflow 3.0.0")
        .formerly(&[("core", "dag_file_processor_timeout")]),
    Key::new("dag_processor", "memory_limit_mb", Kind::Count).since("updraft 0.1"),
    Key::new("dag_processor", "parsing_processes", Kind::AtLeastOne)
        .since("Airflow 3.0.0")
        .formerly(&[("scheduler", "parsing_processes"), ("scheduler", "max_threads")]),
    Key::new("dag_processor", "min_file_process_interval", Kind::Seconds)
        .since("Airflow 3.0.0")
        .formerly(&[("scheduler", "min_file_process_interval")]),
    Key::new("dag_processor", "refresh_interval", Kind::Seconds)
        .since("Airflow 3.0.0")
        .without_effect()
        .formerly(&[("scheduler", "dag_dir_list_interval")]),
    // [python]
    Key::new("python", "interpreter", Kind::Text).since("updraft 0.1"),
    Key::new("python", "runner", Kind::Words(&["auto", "builtin", "sdk"])).since("updraft 0.1"),
    // [operators]
    Key::new("operators", "default_queue", Kind::Text).since("Airflow 2.1.0").formerly(&[("celery", "default_queue")]),
    Key::new("operators", "default_owner", Kind::Text).since("Airflow 1.10"),
    Key::new("operators", "default_deferrable", Kind::Bool).since("Airflow 2.7.0").later(),
    // [sensors]
    Key::new("sensors", "default_timeout", Kind::Seconds).since("Airflow 2.3.0").later(),
    // [celery]
    Key::new("celery", "worker_concurrency", Kind::AtLeastOne)
        .since("Airflow 1.10")
        .formerly(&[("celery", "celeryd_concurrency")]),
    Key::new("celery", "broker_url", Kind::Text).since("Airflow 1.10").sensitive(),
    Key::new("celery", "result_backend", Kind::Text)
        .since("Airflow 1.10")
        .later()
        .sensitive()
        .formerly(&[("celery", "celery_result_backend")]),
    Key::new("celery", "worker_autoscale", Kind::Text).since("Airflow 1.10"),
    Key::new("celery", "worker_enable_remote_control", Kind::Bool).since("Airflow 2.1.0"),
    Key::new("celery", "worker_send_task_events", Kind::Bool).since("updraft 0.1"),
    Key::new("celery", "operation_timeout", Kind::Seconds).since("Airflow 1.10.8").later(),
    Key::new("celery", "celery_app_name", Kind::Text).since("Airflow 1.10").later(),
    Key::new("celery", "ssl_active", Kind::Bool).since("Airflow 1.10"),
    Key::new("celery", "ssl_key", Kind::Path).since("Airflow 1.10"),
    Key::new("celery", "ssl_cert", Kind::Path).since("Airflow 1.10"),
    Key::new("celery", "ssl_cacert", Kind::Path).since("Airflow 1.10"),
    Key::new("celery", "flower_host", Kind::Text).since("Airflow 1.10"),
    Key::new("celery", "flower_port", Kind::Port).since("Airflow 1.10"),
    Key::new("celery", "flower_url_prefix", Kind::Text).since("Airflow 1.10").later(),
    Key::new("celery", "flower_basic_auth", Kind::Text).since("Airflow 1.10").sensitive(),
    Key::new("celery", "worker_prefetch_multiplier", Kind::Integer).since("Airflow 2.1.0").without_effect(),
    Key::new("celery", "pool", Kind::Text).since("Airflow 1.10.4").without_effect(),
    Key::new("celery", "task_acks_late", Kind::Bool).since("Airflow 3.0.0").without_effect(),
    Key::new("celery", "task_track_started", Kind::Bool).since("Airflow 2.0.0").without_effect(),
    Key::new("celery", "sync_parallelism", Kind::Count).since("Airflow 1.10.3").without_effect(),
    Key::new("celery", "celery_config_options", Kind::Text).since("Airflow 1.10").without_effect(),
    Key::new("celery", "extra_celery_config", Kind::Text).since("Airflow 2.6.0").without_effect(),
    // [celery_broker_transport_options]
    Key::new("celery_broker_transport_options", "socket_connect_timeout", Kind::Seconds).since("updraft 0.1"),
    Key::new("celery_broker_transport_options", "queue_type", Kind::Words(&["classic", "quorum"])).since("updraft 0.1"),
    Key::new("celery_broker_transport_options", "publish_window", Kind::AtLeastOne).since("updraft 0.1"),
    Key::new("celery_broker_transport_options", "log_queue_length", Kind::AtLeastOne).since("updraft 0.1"),
    Key::new("celery_broker_transport_options", "dead_letter_queue_length", Kind::AtLeastOne).since("updraft 0.1"),
    Key::new("celery_broker_transport_options", "visibility_timeout", Kind::Seconds)
        .since("Airflow 1.10")
        .without_effect(),
    Key::new("celery_broker_transport_options", "sentinel_kwargs", Kind::Text)
        .since("Airflow 2.7.6")
        .without_effect()
        .sensitive(),
    // [workers]
    Key::new("workers", "kill_grace", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "drain_deadline", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "stop_timeout", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "heartbeat", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "fence_after", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "spawn_slack", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "claim_resend", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "claim_wait_max", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "long_task_after", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "amqp_heartbeat", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "callbacks_at_once", Kind::AtLeastOne).since("updraft 0.1"),
    Key::new("workers", "callback_timeout", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "callback_retries", Kind::Count).since("updraft 0.1"),
    Key::new("workers", "callback_retry_delay", Kind::Seconds).since("updraft 0.1"),
    Key::new("workers", "min_heartbeat_interval", Kind::Seconds).since("Airflow 3.0.0").without_effect(),
    Key::new("workers", "max_failed_heartbeats", Kind::Count).since("Airflow 3.0.0").without_effect(),
    Key::new("workers", "missing_dag_retries", Kind::Count).since("Airflow 3.1.0").without_effect(),
    Key::new("workers", "missing_dag_retry_delay", Kind::Seconds).since("Airflow 3.1.0").without_effect(),
    Key::new("workers", "secrets_backend_kwargs", Kind::Text).since("Airflow 3.0.0").later().sensitive(),
    // [logging]
    Key::new("logging", "base_log_folder", Kind::Path).since("Airflow 2.0.0").formerly(&[("core", "base_log_folder")]),
    Key::new("logging", "logging_level", Kind::Words(&["DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL"]))
        .since("Airflow 2.0.0")
        .formerly(&[("core", "logging_level")]),
    Key::new("logging", "max_task_log_bytes", Kind::Bytes).since("updraft 0.1"),
    Key::new("logging", "worker_log_server_port", Kind::Port)
        .since("Airflow 2.2.0")
        .later()
        .formerly(&[("celery", "worker_log_server_port")]),
    Key::new("logging", "trigger_log_server_port", Kind::Port).since("Airflow 2.6.0").later(),
    Key::new("logging", "log_filename_template", Kind::Text)
        .since("Airflow 2.0.0")
        .without_effect()
        .formerly(&[("core", "log_filename_template")]),
    Key::new("logging", "remote_logging", Kind::Bool)
        .since("Airflow 2.0.0")
        .later()
        .formerly(&[("core", "remote_logging")]),
    Key::new("logging", "remote_base_log_folder", Kind::Text)
        .since("Airflow 2.0.0")
        .later()
        .formerly(&[("core", "remote_base_log_folder")]),
    Key::new("logging", "remote_log_conn_id", Kind::Text)
        .since("Airflow 2.0.0")
        .later()
        .formerly(&[("core", "remote_log_conn_id")]),
    Key::new("logging", "remote_task_handler_kwargs", Kind::Text).since("Airflow 2.6.0").without_effect().sensitive(),
    // [api]
    Key::new("api", "host", Kind::Text).since("Airflow 3.0.0").formerly(&[("webserver", "web_server_host")]),
    Key::new("api", "port", Kind::Port).since("Airflow 3.0.0").formerly(&[("webserver", "web_server_port")]),
    Key::new("api", "base_url", Kind::Text).since("Airflow 3.0.0").formerly(&[("webserver", "base_url")]),
    Key::new("api", "secret_key", Kind::Text)
        .since("Airflow 3.0.0")
        .without_effect()
        .sensitive()
        .formerly(&[("webserver", "secret_key")]),
    Key::new("api", "instance_name", Kind::Text).since("Airflow 3.0.0").formerly(&[("webserver", "instance_name")]),
    Key::new("api", "session_lifetime_minutes", Kind::AtLeastOne)
        .since("updraft 0.1")
        .formerly(&[("fab", "session_lifetime_minutes"), ("webserver", "session_lifetime_minutes")]),
    Key::new("api", "session_idle_minutes", Kind::AtLeastOne).since("updraft 0.1"),
    Key::new("api", "remote_user_header", Kind::Text).since("updraft 0.1"),
    Key::new("api", "remote_user_proxies", Kind::List).since("updraft 0.1"),
    Key::new("api", "remote_user_role", Kind::Words(&["Public", "Viewer", "User", "Op", "Admin"])).since("updraft 0.1"),
    Key::new("api", "expose_config", Kind::Words(&["True", "False", "non-sensitive-only"]))
        .since("Airflow 3.0.0")
        .formerly(&[("webserver", "expose_config")]),
    Key::new("api", "ssl_cert", Kind::Path)
        .since("Airflow 3.0.0")
        .later()
        .formerly(&[("webserver", "web_server_ssl_cert")]),
    Key::new("api", "ssl_key", Kind::Path)
        .since("Airflow 3.0.0")
        .later()
        .formerly(&[("webserver", "web_server_ssl_key")]),
    Key::new("api", "maximum_page_limit", Kind::AtLeastOne).since("Airflow 1.10.12"),
    Key::new("api", "fallback_page_limit", Kind::AtLeastOne).since("Airflow 1.10.12"),
    Key::new("api", "auth_backends", Kind::List)
        .since("Airflow 2.3.0")
        .without_effect()
        .formerly(&[("api", "auth_backend")]),
    Key::new("api", "workers", Kind::Count)
        .since("Airflow 3.0.0")
        .without_effect()
        .formerly(&[("webserver", "workers")]),
    Key::new("api", "worker_timeout", Kind::Seconds)
        .since("Airflow 3.0.0")
        .without_effect()
        .formerly(&[("webserver", "web_server_worker_timeout")]),
    // [api_auth]
    Key::new("api_auth", "jwt_secret", Kind::Text).since("Airflow 3.0.0").sensitive(),
    Key::new("api_auth", "jwt_expiration_time", Kind::Seconds).since("Airflow 3.0.0"),
    Key::new("api_auth", "jwt_cli_expiration_time", Kind::Seconds).since("Airflow 3.0.0"),
    Key::new("api_auth", "jwt_algorithm", Kind::Text).since("Airflow 3.0.0").without_effect(),
    Key::new("api_auth", "jwt_audience", Kind::Text).since("Airflow 3.0.0"),
    Key::new("api_auth", "jwt_leeway", Kind::Seconds).since("Airflow 3.0.0"),
    // [triggerer]
    Key::new("triggerer", "capacity", Kind::AtLeastOne)
        .since("Airflow 3.0.0")
        .later()
        .formerly(&[("triggerer", "default_capacity")]),
    // [metrics]
    Key::new("metrics", "statsd_on", Kind::Bool).since("Airflow 2.0.0").later().formerly(&[("scheduler", "statsd_on")]),
    Key::new("metrics", "statsd_host", Kind::Text)
        .since("Airflow 2.0.0")
        .later()
        .formerly(&[("scheduler", "statsd_host")]),
    Key::new("metrics", "statsd_port", Kind::Port)
        .since("Airflow 2.0.0")
        .later()
        .formerly(&[("scheduler", "statsd_port")]),
    Key::new("metrics", "statsd_prefix", Kind::Text)
        .since("Airflow 2.0.0")
        .later()
        .formerly(&[("scheduler", "statsd_prefix")]),
    Key::new("metrics", "prometheus_open_on_loopback", Kind::Bool).since("updraft 0.1"),
    // [secrets]
    Key::new("secrets", "backend", Kind::Text).since("Airflow 1.10.10").later(),
    Key::new("secrets", "backend_kwargs", Kind::Text).since("Airflow 1.10.10").later().sensitive(),
    // [sentry]
    Key::new("sentry", "sentry_dsn", Kind::Text).since("Airflow 1.10.6").later().sensitive(),
    // [email]
    Key::new("email", "default_email_on_failure", Kind::Bool).since("Airflow 2.0.0"),
    Key::new("email", "default_email_on_retry", Kind::Bool).since("Airflow 2.0.0"),
    Key::new("email", "subject_template", Kind::Text).since("Airflow 2.0.1"),
    Key::new("email", "html_content_template", Kind::Text).since("Airflow 2.0.1"),
    Key::new("email", "from_email", Kind::Text).since("Airflow 2.2.4"),
    // [smtp]
    Key::new("smtp", "smtp_host", Kind::Text).since("Airflow 1.10"),
    Key::new("smtp", "smtp_port", Kind::Port).since("Airflow 1.10"),
    Key::new("smtp", "smtp_starttls", Kind::Bool).since("Airflow 1.10"),
    Key::new("smtp", "smtp_ssl", Kind::Bool).since("Airflow 1.10"),
    Key::new("smtp", "smtp_user", Kind::Text).since("Airflow 1.10"),
    Key::new("smtp", "smtp_password", Kind::Text).since("Airflow 1.10").sensitive(),
    Key::new("smtp", "smtp_mail_from", Kind::Text).since("Airflow 1.10"),
];
