//! A DAG file's content as its author wrote it: YAML files use this shape, and
//! the Python bridge emits it as JSON.
//!
//! The keys are Airflow's argument names; old names are accepted beside the new
//! ones. The doc comments of the fields are what an editor shows as help. What
//! is left out stays left out: defaults are the work of [`super::lower`].

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::written::{At, Backoff, Date, Environment, Length, OneOrMany, Python, Schedule, SkipCodes, Tasks, present};

/// A DAG: tasks, the order between them, and when they run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Updraft DAG")]
pub struct DagSpec {
    /// The name of the DAG, unique in the installation: letters, digits, `_`, `-` and `.`. Default: the file's name without its ending.
    pub dag_id: Option<At<String>>,
    /// One line about what the DAG does.
    pub description: Option<String>,
    /// Longer documentation, in Markdown.
    pub doc_md: Option<String>,
    /// Words to find the DAG by.
    pub tags: OneOrMany,
    /// When the DAG runs: a cron expression (`0 6 * * *`), a preset (`@hourly`, `@daily`, `@once`, ...),
    /// a distance (`5m`, `{hours: 6}`) or `null` for "only when triggered".
    #[serde(alias = "timetable", deserialize_with = "present")]
    pub schedule: Option<At<Schedule>>,
    /// The old name of `schedule`.
    #[serde(deserialize_with = "present")]
    pub schedule_interval: Option<At<Schedule>>,
    /// The time zone of the schedule and of dates that name none, as `Europe/Zurich`. Default: `[core] default_timezone`.
    pub timezone: Option<At<String>>,
    /// No run is due before this date: `2026-01-01` or `2026-01-01T06:00:00+01:00`.
    pub start_date: Option<At<Date>>,
    /// No run is due after this date.
    pub end_date: Option<At<Date>>,
    /// Whether runs that were due between `start_date` and now are made up for.
    pub catchup: Option<bool>,
    /// How many runs of the DAG may be running at once; 0 is unlimited.
    pub max_active_runs: Option<At<u32>>,
    /// How many tasks of one run may be running at once; 0 is unlimited.
    pub max_active_tasks: Option<At<u32>>,
    /// The old name of `max_active_tasks`; it counts over all runs of the DAG.
    pub concurrency: Option<At<u32>>,
    /// A run that takes longer than this fails.
    pub dagrun_timeout: Option<At<Length>>,
    /// Whether the failure of one task ends its whole run: what runs is stopped and fails, what waits is skipped.
    /// Every task then has the trigger rule `all_success`.
    #[serde(alias = "fail_stop")]
    pub fail_fast: Option<At<bool>>,
    /// The DAG is paused when this many of its latest runs have all failed; 0 never pauses.
    pub max_consecutive_failed_dag_runs: Option<At<u32>>,
    /// Whether the DAG starts paused when it is seen for the first time. Default: `[core] dags_are_paused_at_creation`.
    pub is_paused_upon_creation: Option<bool>,
    /// Settings for every task that does not say otherwise.
    pub default_args: Option<At<Box<TaskSpec>>>,
    /// Parameters with their defaults: `{{ params.name }}` in templates. A trigger's conf overrides them.
    pub params: Map<String, Value>,
    /// Folders to look for template files in, relative to the file's own.
    pub template_searchpath: OneOrMany,
    /// Links that are shown for owners. Read, without effect yet.
    pub owner_links: Map<String, Value>,
    /// The tasks: a list of tasks with a `task_id` each, or a mapping from task id to task.
    pub tasks: Tasks,
    /// The line of the file on which the DAG begins; for files that are not YAML.
    #[schemars(skip)]
    pub line: Option<u32>,
}

/// One task: what it runs, what it waits for, and how it is retried.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSpec {
    /// The name of the task, unique in the DAG: letters, digits, `_`, `-` and `.`.
    #[serde(alias = "id")]
    pub task_id: Option<At<String>>,
    /// The kind of task by Airflow's name: `BashOperator`, `PythonOperator` or `EmptyOperator`.
    /// Not needed where `bash`, `python` or `empty` says it.
    pub operator: Option<At<String>>,
    /// The class as the author wrote it, for people; for files that are not YAML.
    #[schemars(skip)]
    pub operator_name: Option<String>,

    /// The Bash command to run. It is a template; the last line of its output is the task's XCom.
    #[serde(alias = "bash_command")]
    pub bash: Option<At<String>>,
    /// Python code to run: source text, or `{module: m, function: f, op_args: [...], op_kwargs: {...}}`.
    /// Source sees `op_kwargs` as variables, and the value of `result` is its XCom.
    pub python: Option<At<Python>>,
    /// The Python function to call: `module:function`, importable from the DAGs folder.
    pub python_callable: Option<At<String>>,
    /// Positional arguments of the Python function; strings in them are templates.
    pub op_args: Option<Vec<Value>>,
    /// Keyword arguments of the Python function; strings in them are templates.
    pub op_kwargs: Option<Map<String, Value>>,
    /// `true` for a task that does nothing and only joins others.
    pub empty: Option<bool>,

    /// Environment variables of the Bash command. They replace the worker's environment unless `append_env`.
    pub env: Option<Environment>,
    /// Whether `env` is added to the worker's environment instead of replacing it.
    pub append_env: Option<bool>,
    /// The folder in which the Bash command runs. Default: a fresh temporary folder.
    pub cwd: Option<String>,
    /// The exit code or codes that mean "skipped". Default: 99.
    #[serde(deserialize_with = "present")]
    pub skip_on_exit_code: Option<SkipCodes>,

    /// The task or tasks that this one waits for.
    #[serde(alias = "upstream", alias = "upstream_task_ids")]
    pub depends_on: OneOrMany,
    /// When the task may run, given how its upstream tasks ended. Default: `all_success`.
    #[schemars(extend("enum" = [
        "all_success", "all_failed", "all_done", "all_done_min_one_success", "all_done_setup_success", "one_success",
        "one_failed", "one_done", "none_failed", "none_failed_min_one_success", "none_skipped", "all_skipped", "always",
    ]))]
    pub trigger_rule: Option<At<String>>,

    /// How often the task is tried again after a failure. Default: `[core] default_task_retries`.
    pub retries: Option<At<u32>>,
    /// How long to wait before trying again: seconds, `5m`, `00:05:00` or `{minutes: 5}`. Default: 5 minutes.
    pub retry_delay: Option<At<Length>>,
    /// Whether the delay grows from try to try: `true` doubles it, a number multiplies it.
    pub retry_exponential_backoff: Option<At<Backoff>>,
    /// The longest that a growing delay gets.
    pub max_retry_delay: Option<At<Length>>,
    /// An attempt that takes longer than this fails.
    pub execution_timeout: Option<At<Length>>,

    /// The pool whose slots the task takes. Default: `default_pool`.
    pub pool: Option<At<String>>,
    /// How many slots of the pool the task takes. Default: 1.
    pub pool_slots: Option<At<u32>>,
    /// How many instances of the task may be active at once, over all runs of the DAG. Default: no limit.
    #[serde(alias = "task_concurrency")]
    pub max_active_tis_per_dag: Option<At<u32>>,
    /// Tasks of more weight run first. Default: 1.
    pub priority_weight: Option<At<i32>>,
    /// How the weights of other tasks are added to the task's own: `downstream`, `upstream` or `absolute`.
    #[schemars(extend("enum" = ["downstream", "upstream", "absolute"]))]
    pub weight_rule: Option<At<String>>,
    /// The queue whose workers run the task. Default: `[operators] default_queue`.
    pub queue: Option<At<String>>,
    /// Who answers for the task. Default: `[operators] default_owner`.
    pub owner: Option<String>,
    /// Whether the task's result is kept as its XCom. Default: `true`.
    pub do_xcom_push: Option<bool>,
    /// Documentation of the task, in Markdown.
    pub doc_md: Option<String>,
    /// Parameters of this task, over those of the DAG.
    pub params: Map<String, Value>,
    /// Runs before this date do not have the task.
    pub start_date: Option<At<Date>>,
    /// Runs after this date do not have the task.
    pub end_date: Option<At<Date>>,

    /// Whether the task waits for itself in the run before. Read; `true` has no effect yet.
    pub depends_on_past: Option<At<bool>>,
    /// Whether the task waits for its downstream tasks in the run before. Read; `true` has no effect yet.
    pub wait_for_downstream: Option<At<bool>>,
    /// Addresses for mail. Read, without effect yet.
    pub email: OneOrMany,
    /// Whether a failure is mailed. Read; `true` has no effect yet.
    pub email_on_failure: Option<At<bool>>,
    /// Whether a retry is mailed. Read; `true` has no effect yet.
    pub email_on_retry: Option<At<bool>>,

    /// The line of the file on which the task is made; for files that are not YAML.
    #[schemars(skip)]
    pub line: Option<u32>,
}
