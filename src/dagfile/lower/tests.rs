//! What is written against what comes of it. YAML is the shortest way to write it.

use serde_json::json;

use super::*;
use crate::domain::dag::TaskDefinition;
use crate::domain::operator::{Operator, PythonCode};
use crate::domain::trigger::TriggerRule;

fn lowered(yaml: &str, defaults: &Defaults) -> DagDefinition {
    let spec: DagSpec = serde_saphyr::from_str(yaml).expect("a DAG as written");
    let Lowered { dag, problems } = lower(spec, "dag.yaml", defaults);
    dag.unwrap_or_else(|| panic!("{problems:?}"))
}

fn dag(yaml: &str) -> DagDefinition {
    lowered(&format!("dag_id: dag\n{yaml}"), &Defaults::default())
}

fn task(yaml: &str) -> TaskDefinition {
    dag(&format!("tasks: {{task: {{{yaml}}}}}")).tasks.remove(0)
}

/// Airflow 2 as installed.
fn airflow_2() -> Defaults {
    Defaults {
        catchup_by_default: true,
        family: Family::DataInterval,
        default_schedule: Schedule::Every { period: Duration::from_secs(86_400), family: Family::DataInterval },
        max_active_tasks_scope: TaskLimitScope::AllRuns,
        ..Defaults::default()
    }
}

#[test]
fn what_is_left_out_is_the_eras_default() {
    let three = dag("tasks: {a: {bash: echo}}");
    assert_eq!(three.schedule, Schedule::Never);
    assert!(!three.catchup);
    assert_eq!(three.max_active_tasks_scope, TaskLimitScope::EachRun);

    let two = lowered("dag_id: dag\ntasks: {a: {bash: echo}}", &airflow_2());
    assert_eq!(two.schedule, airflow_2().default_schedule);
    assert!(two.catchup);
    assert_eq!(two.max_active_tasks_scope, TaskLimitScope::AllRuns);
    assert_eq!(lowered("dag_id: dag\nschedule: null", &airflow_2()).schedule, Schedule::Never);
}

#[test]
fn a_task_takes_its_own_word_then_default_args_then_the_configuration() {
    let dag =
        dag("default_args: {owner: ann, retries: 2, retry_delay: 10, pool: small, params: {a: 1, b: 1}, env: {A: 1}}
tasks:
  own: {bash: echo, owner: bob, retries: 0, retry_delay: 1m, pool: large, params: {b: 2}, env: {B: 2}}
  common: {bash: echo}");
    let [own, common] = dag.tasks.as_slice() else { panic!("two tasks") };
    assert_eq!((own.owner.as_str(), own.retries, own.retry_delay.as_secs()), ("bob", 0, 60));
    assert_eq!((common.owner.as_str(), common.retries, common.retry_delay.as_secs()), ("ann", 2, 10));
    assert_eq!((own.pool.as_str(), common.pool.as_str()), ("large", "small"));
    assert_eq!(json!(own.params), json!({ "a": 1, "b": 2 }));
    let environment = |task: &TaskDefinition| match &task.operator {
        Operator::Bash(bash) => json!(bash.env),
        other => panic!("{other:?}"),
    };
    assert_eq!((environment(own), environment(common)), (json!({ "B": "2" }), json!({ "A": "1" })));

    let configured = Defaults { retries: 7, owner: "ops".into(), ..Defaults::default() };
    let bare = lowered("dag_id: dag\ntasks: {a: {bash: echo}}", &configured).tasks.remove(0);
    assert_eq!((bare.owner.as_str(), bare.retries, bare.retry_delay.as_secs()), ("ops", 7, 300));
    assert_eq!((bare.pool.as_str(), bare.pool_slots, bare.priority_weight), ("default_pool", 1, 1));
    assert_eq!((bare.trigger_rule, bare.do_xcom_push), (TriggerRule::AllSuccess, true));
}

#[test]
fn lengths_of_time_are_written_in_many_ways() {
    let table = [
        ("90", 90.0),
        ("1.5", 1.5),
        ("'90'", 90.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30min", 5400.0),
        ("2 days", 172_800.0),
        ("250ms", 0.25),
        ("00:05:00", 300.0),
        ("26:00:01.5", 93_601.5),
        ("PT5M", 300.0),
        ("P1DT2H", 93_600.0),
        ("P2W", 1_209_600.0),
        ("{minutes: 5, seconds: 1.5}", 301.5),
        ("{days: 1, hours: 2}", 93_600.0),
    ];
    for (written, seconds) in table {
        assert_eq!(
            task(&format!("bash: echo, retry_delay: {written}")).retry_delay.as_secs_f64(),
            seconds,
            "{written}"
        );
    }
    for refused in ["-1", "x", "", "1h30", "5:00", "00:60:00", "P1M", "P", "PT", "m5", "1e99", "nan", "inf"] {
        assert_eq!(crate::dagfile::written::Length::parse(refused), None, "{refused}");
    }
}

#[test]
fn schedules_are_written_in_many_ways() {
    let cron = |expression: &str, family| Schedule::Cron { expression: expression.into(), family };
    let every = |seconds| Schedule::Every { period: Duration::from_secs(seconds), family: Family::Trigger };
    let table = [
        ("null", Schedule::Never),
        ("'@once'", Schedule::Once),
        ("'@daily'", cron("@daily", Family::Trigger)),
        ("0 6 * * MON", cron("0 6 * * MON", Family::Trigger)),
        ("{cron: 0 6 * * *, data_interval: true}", cron("0 6 * * *", Family::DataInterval)),
        ("30m", every(1800)),
        ("3600", every(3600)),
        ("{days: 1}", every(86_400)),
        (
            "{months: 1, years: 1, days: 2}",
            Schedule::EveryMonths { months: 13, plus: Duration::from_secs(172_800), family: Family::Trigger },
        ),
    ];
    for (written, expected) in table {
        assert_eq!(dag(&format!("schedule: {written}")).schedule, expected, "{written}");
        assert_eq!(dag(&format!("schedule_interval: {written}")).schedule, expected, "{written}");
    }
    let continuous = dag("schedule: '@continuous'");
    assert_eq!((continuous.schedule, continuous.max_active_runs), (Schedule::Continuous, Limit::from(1)));
}

#[test]
fn the_old_limit_counts_over_all_runs_in_every_era() {
    let limit = |yaml: &str| {
        let dag = dag(yaml);
        (u32::from(dag.max_active_tasks), dag.max_active_tasks_scope)
    };
    assert_eq!(limit("concurrency: 4"), (4, TaskLimitScope::AllRuns));
    assert_eq!(limit("max_active_tasks: 4"), (4, TaskLimitScope::EachRun));
    assert_eq!(limit("max_active_tasks: 4\nconcurrency: 2"), (4, TaskLimitScope::EachRun));
    assert_eq!(limit("max_active_tasks: 0"), (0, TaskLimitScope::EachRun));
}

#[test]
fn dates_stand_in_the_dags_zone() {
    let start = |yaml: &str| {
        let dag = dag(yaml);
        (dag.start_date.expect("a date").to_rfc3339(), dag.timezone.name().to_owned())
    };
    let table = [
        ("start_date: 2026-01-31", "2026-01-31T00:00:00+00:00", "UTC"),
        ("start_date: 2026-01-31T06:30", "2026-01-31T06:30:00+00:00", "UTC"),
        ("start_date: 2026-01-31 06:30:00Z", "2026-01-31T06:30:00+00:00", "UTC"),
        ("start_date: 2026-01-31T06:00:00+02:00", "2026-01-31T04:00:00+00:00", "Etc/GMT-2"),
        ("timezone: Europe/Zurich\nstart_date: 2026-07-01", "2026-06-30T22:00:00+00:00", "Europe/Zurich"),
        // The clock goes back at 03:00: of two instants the later.
        ("timezone: Europe/Zurich\nstart_date: 2026-10-25T02:30", "2026-10-25T01:30:00+00:00", "Europe/Zurich"),
        // The clock goes forward at 02:00: half past two is half past three.
        ("timezone: Europe/Zurich\nstart_date: 2026-03-29T02:30", "2026-03-29T01:30:00+00:00", "Europe/Zurich"),
        // The tutorial's way: the first date of the tasks is the DAG's.
        ("default_args: {start_date: 2020-01-01}", "2020-01-01T00:00:00+00:00", "UTC"),
    ];
    for (written, instant, zone) in table {
        assert_eq!(start(written), (instant.to_owned(), zone.to_owned()), "{written}");
    }
}

#[test]
fn a_task_keeps_only_dates_that_narrow_those_of_the_dag() {
    let dag = dag("start_date: 2026-02-01\nend_date: 2026-03-01\ntasks:
  inside: {start_date: 2026-02-10, end_date: 2026-02-20}
  outside: {start_date: 2026-01-01, end_date: 2026-12-31}
  same: {start_date: 2026-02-01}");
    let days: Vec<String> = dag
        .tasks
        .iter()
        .map(|task| {
            format!("{:?} {:?}", task.start_date.map(|d| d.date_naive()), task.end_date.map(|d| d.date_naive()))
        })
        .collect();
    assert_eq!(days, ["Some(2026-02-10) Some(2026-02-20)", "None None", "None None"]);
}

#[test]
fn python_tasks_are_source_or_a_function() {
    let code = |yaml: &str| match task(yaml).operator {
        Operator::Python(python) => python,
        other => panic!("{other:?}"),
    };
    let function = PythonCode::Function { module: "lib.etl".into(), function: "load".into() };
    assert_eq!(code("python: print(1)").code, PythonCode::Inline { source: "print(1)".into() });
    assert_eq!(code("python: {source: print(1)}").code, PythonCode::Inline { source: "print(1)".into() });
    for written in [
        "python_callable: 'lib.etl:load'",
        "python_callable: lib.etl.load",
        "python: {module: lib.etl, function: load}",
        "python: {function: 'lib.etl:load'}",
    ] {
        assert_eq!(code(written).code, function, "{written}");
    }
    let python = code("python: {module: m, function: f, op_args: [1, x], op_kwargs: {k: v}}");
    assert_eq!((json!(python.args), json!(python.kwargs)), (json!([1, "x"]), json!({ "k": "v" })));
    let python = code("python_callable: 'm:f', op_args: [1]");
    assert_eq!(json!(python.args), json!([1]));
}

#[test]
fn skip_codes_and_backoff_take_every_form_of_airflow() {
    let codes = |yaml: &str| match task(&format!("bash: echo{yaml}")).operator {
        Operator::Bash(bash) => bash.skip_on_exit_code,
        other => panic!("{other:?}"),
    };
    assert_eq!(codes(""), [99]);
    assert_eq!(codes(", skip_on_exit_code: 7"), [7]);
    assert_eq!(codes(", skip_on_exit_code: [7, 8]"), [7, 8]);
    assert_eq!(codes(", skip_on_exit_code: null"), [0_i32; 0]);
    let backoff =
        |written: &str| task(&format!("bash: echo, retry_exponential_backoff: {written}")).retry_exponential_backoff;
    assert_eq!(["true", "3", "1.5"].map(backoff), [Some(2.0), Some(3.0), Some(1.5)]);
    assert_eq!(["false", "0"].map(backoff), [None, None]);
}

#[test]
fn json_from_a_python_file_has_the_same_shape() {
    let spec: DagSpec = serde_json::from_value(json!({
        "dag_id": "parallel_dag", "schedule_interval": "@daily", "catchup": false, "line": 8,
        "start_date": "2020-01-01T00:00:00", "timezone": null, "tags": ["a", "b"], "dagrun_timeout": 3600.0,
        "params": { "nested": { "value": [1, null] } }, "max_active_tasks": 3,
        "tasks": [
            { "task_id": "task_1", "operator_name": "BashOperator", "bash_command": "sleep 3", "line": 9 },
            { "task_id": "task_2", "operator_name": "MyOperator", "python": { "dag_file": "parallel_dag.py" },
              "depends_on": ["task_1"], "line": 14, "retry_delay": 300, "retry_exponential_backoff": true },
            { "task_id": "task_3", "operator_name": "EmptyOperator", "empty": true, "depends_on": "task_9", "line": 19 },
        ],
    }))
    .expect("a DAG as written");
    let Lowered { dag, problems } = lower(spec.clone(), "parallel_dag.py", &Defaults::default());
    assert!(dag.is_none());
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "parallel_dag.py, line 8: DAG `parallel_dag`: `schedule_interval` is the old name of `schedule`; it is used (write `schedule`)",
            "parallel_dag.py, line 19: DAG `parallel_dag`, task `task_3`: there is no task `task_9` to wait for (did you mean `task_2`?)",
        ]
    );
    let mut mended = spec;
    mended.tasks.0[2].value.depends_on.0[0].value = "task_2".into();
    let dag = lower(mended, "parallel_dag.py", &Defaults::default()).dag.expect("a DAG");
    assert_eq!(dag.tasks[1].operator_name, "MyOperator");
    let Operator::Python(python) = &dag.tasks[1].operator else { panic!("{:?}", dag.tasks[1].operator) };
    assert_eq!(python.code, PythonCode::DagFile { file: "parallel_dag.py".into() });
    assert_eq!(dag.tasks[2].upstream, ["task_2".parse().expect("valid")]);
    assert_eq!(dag.dagrun_timeout, Some(Duration::from_secs(3600)));
}

#[test]
fn limits_of_failure_and_of_single_tasks_are_understood_in_both_eras_words() {
    let found =
        dag("fail_stop: true\nmax_consecutive_failed_dag_runs: 3\ntasks:\n  a: {bash: ls, task_concurrency: 2}\n");
    assert!(found.fail_fast);
    assert_eq!(found.max_consecutive_failed_runs.map(u32::from), Some(3));
    assert_eq!(found.tasks[0].max_active_tis_per_dag.map(u32::from), Some(2));
}

#[test]
fn a_rule_that_waits_for_failures_does_not_go_with_failing_fast() {
    let yaml = "dag_id: d\nfail_fast: true\ntasks:\n  a: {bash: ls, trigger_rule: all_done}\n";
    let spec: DagSpec = serde_saphyr::from_str(yaml).expect("a DAG as written");
    let Lowered { dag, problems } = lower(spec, "dag.yaml", &Defaults::default());
    assert!(dag.is_none());
    let message = "DAG `d`: `fail_fast` needs every task to have `all_success`, but task `a` has `all_done`";
    assert_eq!(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [message]);
}
