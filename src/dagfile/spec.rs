//! A DAG file's content as its author wrote it: YAML files use this shape, and
//! the Python bridge emits it as JSON.
//!
//! The keys are Airflow's argument names; old names are accepted beside the new
//! ones. The doc comments of the fields are what an editor shows as help. What
//! is left out stays left out: defaults are the work of [`super::lower`].

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::native::Email;

use super::form::{HttpForm, SqlForm, TriggerForm, WaitForm};
use super::written::{
    Assets, At, Backoff, Callbacks, Date, Deadlines, Environment, ExpandSource, Expansion, Groups, Length, OneOrMany,
    Params, Python, Schedule, SkipCodes, Tasks, Teardown, present,
};

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
    /// a distance (`5m`, `{hours: 6}`), assets that have to change (`[a, b]`, `{any: [a, b]}`,
    /// `{assets: a, timetable: "@daily"}`) or `null` for "only when triggered".
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
    /// A mapping with the key `default` says what a value has to be: `{default: 3, type: integer, minimum: 1}`;
    /// with `schema` instead, it has to be given: `{schema: {type: integer}}`.
    pub params: Params,
    /// Whether a template that is alone in its field keeps the type of its value: a list stays a list.
    pub render_template_as_native_obj: Option<bool>,
    /// Folders to look for template files in, relative to the file's own.
    pub template_searchpath: OneOrMany,
    /// Who is told when a run succeeds: `{command: ...}`, `{python: module:function}`, or a list of these.
    #[serde(alias = "on_success_callback")]
    pub on_success: Option<Callbacks>,
    /// Who is told when a run fails.
    #[serde(alias = "on_failure_callback")]
    pub on_failure: Option<Callbacks>,
    /// By when each run should have succeeded, and who is told when one has not. A late run goes on.
    #[serde(alias = "deadline")]
    pub deadlines: Option<Deadlines>,
    /// Links that are shown for owners. Read, without effect yet.
    pub owner_links: Map<String, Value>,
    /// Groups of tasks: a mapping from group id to group. A task says by `group` where it stands.
    pub task_groups: Groups,
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
    /// The kind of task by Airflow's name: `BashOperator`, `HttpOperator`, `FileSensor`, `ShortCircuitOperator`, ... Not
    /// needed where a key such as `bash`, `python`, `branch`, `http` or `wait_for` says it.
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
    /// One HTTP request: its URL, or a mapping of the arguments of `HttpOperator`.
    #[schemars(with = "Option<HttpForm>")]
    pub http: Option<At<Value>>,
    /// SQL statements: a mapping of the arguments of `SQLExecuteQueryOperator`; a text needs `arguments: {conn_id: ...}`.
    #[schemars(with = "Option<SqlForm>")]
    pub sql: Option<At<Value>>,
    /// A mail: a mapping of the arguments of `EmailOperator`.
    #[schemars(with = "Option<Email>")]
    pub send_email: Option<At<Value>>,
    /// A run of another DAG: its id, or a mapping of the arguments of `TriggerDagRunOperator`.
    #[schemars(with = "Option<TriggerForm>")]
    pub trigger_dagrun: Option<At<Value>>,
    /// A sensor: `{file: path}`, `{http: url}`, `{sql: ..., conn_id: ...}`, `{time: "06:30"}`, `{delta: 5m}`,
    /// `{date_time: ...}` or `{external_task: ...}`, with `mode`, `poke_interval`, `timeout` and so on beside it.
    #[schemars(with = "Option<WaitForm>")]
    pub wait_for: Option<At<Value>>,
    /// The arguments of the class that `operator` names, by Airflow's names.
    #[serde(alias = "with")]
    pub arguments: Option<At<Map<String, Value>>>,
    /// The task or tasks to follow, as an expression or a template: `'big' if params.n > 10 else 'small'`. The other
    /// tasks directly downstream are skipped. No Python is needed.
    pub branch: Option<At<String>>,
    /// A condition, as an expression or a template: `{{ params.n > 10 }}`. Where it does not hold, everything
    /// downstream is skipped. No Python is needed.
    pub short_circuit: Option<At<String>>,
    /// Whether a short circuit skips everything downstream (`true`, the default) or only what is directly so.
    pub ignore_downstream_trigger_rules: Option<bool>,
    /// `true` for a task that lets what is downstream run only in the newest run of the schedule.
    pub latest_only: Option<bool>,

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
    /// The group that the task stands in: a key of `task_groups`.
    #[serde(alias = "task_group")]
    pub group: Option<At<String>>,
    /// Makes one instance of the task for each element: a mapping from argument to a list, a mapping or `{xcom: task_id}`.
    /// Of several arguments every combination is made. Templates may use the values as `{{ mapped.name }}`.
    pub expand: Option<Expansion>,
    /// Makes one instance of the task for each mapping of arguments in a list.
    pub expand_kwargs: Option<At<ExpandSource>>,
    /// What people see instead of the number of an instance: a template such as `{{ mapped.file }}`.
    pub map_index_template: Option<String>,
    /// When the task may run, given how its upstream tasks ended. Default: `all_success`.
    #[schemars(extend("enum" = [
        "all_success", "all_failed", "all_done", "all_done_min_one_success", "all_done_setup_success", "one_success",
        "one_failed", "one_done", "none_failed", "none_failed_min_one_success", "none_skipped", "all_skipped", "always",
    ]))]
    pub trigger_rule: Option<At<String>>,

    /// Whether the task makes what others need; they wait for it, and a clear of theirs clears it too.
    pub setup: Option<At<bool>>,
    /// Whether the task takes away what setups made: it runs however the others ended, once a setup has succeeded.
    /// `true`, or `{setups: [create], on_failure_fail_dagrun: true}`.
    pub teardown: Option<At<Teardown>>,

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
    /// How many instances of a mapped task may be active at once in one run. Default: no limit.
    pub max_active_tis_per_dagrun: Option<At<u32>>,
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
    pub params: Params,
    /// The asset or assets that the task's success changes: names, URIs or `{name: n, uri: u, extra: {...}}`.
    pub outlets: Option<Assets>,
    /// The asset or assets that the task reads. They order nothing.
    pub inlets: Option<Assets>,
    /// Runs before this date do not have the task.
    pub start_date: Option<At<Date>>,
    /// Runs after this date do not have the task.
    pub end_date: Option<At<Date>>,

    /// Who is told when a try begins: `{command: ...}`, `{webhook: https://...}`, `{email: ...}`, `{python: module:function}`, or a
    /// list of these.
    #[serde(alias = "on_execute_callback")]
    pub on_execute: Option<Callbacks>,
    /// Who is told when the task succeeds.
    #[serde(alias = "on_success_callback")]
    pub on_success: Option<Callbacks>,
    /// Who is told when the task has failed and is not tried again.
    #[serde(alias = "on_failure_callback")]
    pub on_failure: Option<Callbacks>,
    /// Who is told when a try failed and another one follows.
    #[serde(alias = "on_retry_callback")]
    pub on_retry: Option<Callbacks>,
    /// Who is told when the task skips itself.
    #[serde(alias = "on_skipped_callback")]
    pub on_skipped: Option<Callbacks>,

    /// Whether the task waits until it has succeeded, or was skipped, in the run before.
    pub depends_on_past: Option<At<bool>>,
    /// Whether it also waits for the tasks directly downstream of it in the run before.
    pub wait_for_downstream: Option<At<bool>>,
    /// Whether a task that no earlier run has had does not wait.
    pub ignore_first_depends_on_past: Option<At<bool>>,
    /// Whether the task waits for the run before also where it is only to be skipped.
    pub wait_for_past_depends_before_skipping: Option<At<bool>>,
    /// Who gets a mail when the task fails or is tried again: addresses, as a list or parted by commas.
    pub email: OneOrMany,
    /// Whether a failure is mailed. Default: `[email] default_email_on_failure`.
    pub email_on_failure: Option<At<bool>>,
    /// Whether a retry is mailed. Default: `[email] default_email_on_retry`.
    pub email_on_retry: Option<At<bool>>,

    /// The line of the file on which the task is made; for files that are not YAML.
    #[schemars(skip)]
    pub line: Option<u32>,
}

/// A group of tasks: shown as one, and expanded as one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupSpec {
    /// What people see instead of the group's id.
    #[serde(alias = "group_display_name")]
    pub label: Option<String>,
    /// One line about what the group does.
    pub tooltip: Option<String>,
    /// The group that this one stands in.
    pub parent: Option<At<String>>,
    /// Makes all tasks of the group once for each element, as a task's own `expand` does.
    pub expand: Option<Expansion>,
    /// Makes all tasks of the group once for each mapping in a list.
    pub expand_kwargs: Option<At<ExpandSource>>,
}
