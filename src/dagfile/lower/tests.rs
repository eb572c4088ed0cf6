//! What is written against what comes of it. YAML is the shortest way to write it.

use serde_json::json;

use super::*;
use crate::domain::dag::TaskDefinition;
use crate::domain::deadline::Reference;
use crate::domain::native::Texts;
use crate::domain::notification::{Callback, Command, DEFAULT_HTML_CONTENT, Notification, Webhook};
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

/// What is said about a DAG that is not used.
fn problems(yaml: &str) -> Vec<String> {
    let spec: DagSpec = serde_saphyr::from_str(&format!("dag_id: dag\n{yaml}")).expect("a DAG as written");
    let Lowered { dag, problems } = lower(spec, "dag.yaml", &Defaults::default());
    assert!(dag.is_none(), "it was taken: {problems:?}");
    problems.into_iter().map(|problem| problem.message).collect()
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

#[test]
fn a_schedule_may_be_assets_in_every_form_and_says_itself_in_words() {
    let schedule = |text: &str| {
        let dag = dag(&format!("schedule: {text}\ntasks: {{a: {{bash: echo}}}}"));
        let summary = crate::domain::schedule::Timetable::compile(&dag.schedule).expect("a schedule");
        summary.summary().to_owned()
    };
    for (written, said) in [
        ("[a]", "when a has changed"),
        ("[a, s3://b/c/]", "when a and s3://b/c/ has changed"),
        ("{assets: a}", "when a has changed"),
        ("{any: [a, {all: [b, {name: c, uri: s3://c}]}]}", "when a or (b and c) has changed"),
        ("{all: [a, {alias: day}]}", "when a and alias day has changed"),
        ("{assets: [a], timetable: '@daily'}", "every day at 00:00, and when a has changed"),
    ] {
        assert!(schedule(written).contains(said), "{written}: {}", schedule(written));
    }
}

#[test]
fn an_asset_is_one_value_however_often_it_is_mentioned() {
    let dag = dag("schedule: [orders]
default_args: {inlets: orders}
tasks:
  a: {bash: echo, outlets: [{name: orders, uri: S3://B/orders/, extra: {rows: 1}}, {alias: day}]}
  b: {bash: echo, outlets: orders, inlets: [x, x]}");
    let described: Vec<(&str, &str)> =
        dag.assets.iter().map(|asset| (asset.name.as_str(), asset.uri.as_str())).collect();
    assert_eq!(described, [("orders", "s3://B/orders"), ("x", "x")]);
    assert_eq!(json!(dag.assets[0].extra), json!({"rows": 1}));
    assert_eq!(json!(dag.tasks[0].outlets), json!([{"asset": "orders"}, {"alias": "day"}]));
    assert_eq!(json!(dag.tasks[0].inlets), json!([{"asset": "orders"}]), "from default_args");
    assert_eq!(json!([dag.tasks[1].outlets, dag.tasks[1].inlets]), json!([[{"asset": "orders"}], [{"asset": "x"}]]));
}

#[test]
fn a_new_default_of_a_task_keeps_the_schema_that_default_args_gave() {
    let dag = dag("params: {n: {default: 3, type: integer}, plain: {a: 1}}
default_args: {params: {size: {default: 1, minimum: 1}}}
tasks: {a: {bash: echo, params: {size: 5}}}");
    assert_eq!(
        json!([dag.params, dag.param_schemas]),
        json!([{"n": 3, "plain": {"a": 1}}, {"n": {"type": "integer"}}])
    );
    let task = &dag.tasks[0];
    assert_eq!(json!([task.params, task.param_schemas]), json!([{"size": 5}, {"size": {"minimum": 1}}]));
}

#[test]
fn callbacks_are_one_or_many_and_default_args_speak_for_those_who_say_nothing() {
    let found = dag("\
on_failure: {python: 'alerts:page'}
default_args: {on_failure_callback: {command: echo failed}}
tasks:
  a: {bash: ls}
  b: {bash: ls, on_failure: [{command: [notify, '{{ exception }}']}, {python: {function: alerts.mail, kwargs: {to: ops}}}]}
");
    let function = |name: &str, module: &str, function: &str, kwargs| {
        let code = PythonCode::Function { module: module.to_owned(), function: function.to_owned() };
        Notification::Python(Callback { name: name.to_owned(), code, place: None, kwargs })
    };
    let none = serde_json::Map::new();
    assert_eq!(found.callbacks.on_failure, [function("alerts:page", "alerts", "page", none)]);
    let echo = Notification::Command(Command::Bash { bash: "echo failed".to_owned() });
    assert_eq!(found.tasks[0].callbacks.on_failure, [echo]);
    let argv = ["notify", "{{ exception }}"].map(str::to_owned).to_vec();
    let kwargs = serde_json::json!({"to": "ops"}).as_object().cloned().expect("an object");
    let expected = [Notification::Command(Command::Argv { argv }), function("alerts.mail", "alerts", "mail", kwargs)];
    assert_eq!(found.tasks[1].callbacks.on_failure, expected);
}

/// The kind of each, with whom it tells.
fn told(list: &[Notification]) -> Vec<String> {
    list.iter().map(Notification::summary).collect()
}

#[test]
fn a_webhook_is_a_url_or_a_mapping() {
    let found = dag("\
on_success: {webhook: {conn_id: chat}}
tasks:
  a: {bash: ls, on_failure: {webhook: 'https://example.com/hook'}}
  b:
    bash: ls
    on_retry: [{webhook: {url: /x, conn_id: chat, method: put, headers: {X-Team: etl}, body: {text: '{{ exception }}'}}}]
");
    let url = |url: &str| Webhook { url: Some(url.to_owned()), ..Webhook::default() };
    assert_eq!(found.tasks[0].callbacks.on_failure, [Notification::Webhook(url("https://example.com/hook"))]);
    let long = Webhook {
        conn_id: Some("chat".to_owned()),
        method: Some("put".to_owned()),
        headers: [("X-Team".to_owned(), "etl".to_owned())].into(),
        body: Some(json!({"text": "{{ exception }}"})),
        ..url("/x")
    };
    assert_eq!(found.tasks[1].callbacks.on_retry, [Notification::Webhook(long)]);
    assert_eq!(told(&found.callbacks.on_success), ["webhook connection chat"]);
}

#[test]
fn a_mail_is_addresses_or_a_mapping_with_the_configured_words() {
    let mail = MailDefaults { subject: "S {{ run_id }}".to_owned(), ..MailDefaults::default() };
    let defaults = Defaults { mail, ..Defaults::default() };
    let found = lowered(
        "\
dag_id: dag
on_failure: [{email: ops@example.org}, {email: [a@example.org, '{{ var.value.oncall }}']}]
deadlines: {reference: queued_at, interval: 1h, callback: {email: {to: 'a@x.org; b@x.org', cc: c@x.org, subject: Late}}}
",
        &defaults,
    );
    assert_eq!(
        told(&found.callbacks.on_failure),
        ["email ops@example.org", "email a@example.org, {{ var.value.oncall }}"]
    );
    let email = |notification: &Notification| match notification {
        Notification::Email(email) => (**email).clone(),
        other => panic!("{other:?}"),
    };
    let short = email(&found.callbacks.on_failure[0]);
    assert_eq!((short.subject.as_str(), short.html_content.as_str()), ("S {{ run_id }}", DEFAULT_HTML_CONTENT));
    let long = email(&found.deadlines[0].callback[0]);
    assert_eq!((long.to.addresses().len(), long.subject.as_str()), (2, "Late"));
    assert_eq!(long.cc, Some(Texts::One("c@x.org".to_owned())));
}

#[test]
fn who_is_told_and_how_is_checked_where_it_is_written() {
    let table = [
        ("{webhook: 'htps://x'}", "expected the `url` of a webhook to begin with https:// or http://, got: `htps://x`"),
        ("{webhook: {method: PUT}}", "the webhook has neither a `url` nor a `conn_id`"),
        (
            "{webhook: {conn_id: c, method: PSOT}}",
            "expected the `method` of a webhook to be a method of HTTP, got: `PSOT`",
        ),
        ("{email: {subject: x}}", "the mail goes to nobody"),
        ("{email: [ops]}", "expected a mail address such as `somebody@example.com`, got: `ops`"),
        ("{email: a@x.org, webhook: 'http://x'}", "exactly one of `command`, `webhook`, `email` and `python`"),
    ];
    for (written, expected) in table {
        let spec: DagSpec =
            serde_saphyr::from_str(&format!("dag_id: dag\ntasks: {{a: {{bash: ls}}}}\non_failure:\n  {written}"))
                .expect("a DAG as written");
        let Lowered { problems, .. } = lower(spec, "dag.yaml", &Defaults::default());
        let [problem] = &problems[..] else { panic!("{written}: {problems:?}") };
        assert!(problem.message.contains(expected), "{problem:?}");
        assert_eq!((problem.place.line, problem.place.column), (Some(4), Some(3)), "{written}");
    }
}

#[test]
fn email_of_a_task_tells_of_failures_and_retries_as_airflow_does() {
    let both = (vec!["email a@x.org"], vec!["email a@x.org"]);
    let table = [
        ("email: a@x.org", "", both.clone()),
        ("", "email: [a@x.org]", both),
        ("email: a@x.org, email_on_retry: false", "", (vec!["email a@x.org"], vec![])),
        ("email_on_failure: false", "email: a@x.org, email_on_failure: true", (vec![], vec!["email a@x.org"])),
        ("email_on_failure: true", "", (vec![], vec![])),
        ("email: a@x.org", "email: b@x.org", (vec!["email a@x.org"], vec!["email a@x.org"])),
        (
            "email: 'a@x.org, b@x.org', email_on_retry: false, on_failure: {command: ls}",
            "",
            (vec!["command ls", "email a@x.org, b@x.org"], vec![]),
        ),
    ];
    for (own, common, (failure, retry)) in table {
        let found = dag(&format!("default_args: {{{common}}}\ntasks: {{a: {{bash: ls, {own}}}}}"));
        let callbacks = &found.tasks[0].callbacks;
        assert_eq!(
            (told(&callbacks.on_failure), told(&callbacks.on_retry)),
            (failure.into_iter().map(str::to_owned).collect(), retry.into_iter().map(str::to_owned).collect(),),
            "{own} / {common}"
        );
    }
    let mail = MailDefaults { on_failure: false, on_retry: false, ..MailDefaults::default() };
    let quiet = Defaults { mail, ..Defaults::default() };
    let found = lowered("dag_id: dag\ntasks: {a: {bash: ls, email: a@x.org}}", &quiet);
    assert!(found.tasks[0].callbacks.is_empty());
}

#[test]
fn mails_that_nobody_would_get_are_named_with_their_dag() {
    let warnings = |text: &str| -> Vec<String> {
        let text = format!("dag_id: etl\n{text}");
        let spec: DagSpec = serde_saphyr::from_str(&text).expect("a DAG as written");
        let found = lower(spec, "etl.yaml", &Defaults::default());
        assert!(found.dag.is_some(), "{:?}", found.problems);
        found.problems.into_iter().map(|problem| problem.to_string()).collect()
    };
    let two = "tasks: {a: {bash: ls}, b: {bash: ls}}";
    let said = warnings(&format!("default_args: {{email_on_failure: true, email_on_retry: false}}\n{two}"));
    let [said] = &said[..] else { panic!("one for all tasks, got {said:?}") };
    assert!(said.contains("DAG `etl`: `email_on_failure` in `default_args` tells nobody"), "{said}");
    // As a Python file says it: what is in `default_args` is each task's own.
    let each = "{bash: ls, email_on_retry: true}";
    let said = warnings(&format!("tasks: {{a: {each}, b: {each}, c: {each}}}"));
    let [said] = &said[..] else { panic!("one for all tasks, got {said:?}") };
    assert!(said.contains("DAG `etl`: `email_on_retry` tells nobody: task `a` and 2 more have no `email`"), "{said}");
    assert_eq!(warnings(&format!("default_args: {{email_on_failure: true, email: a@x.org}}\n{two}")), [""; 0]);
    assert_eq!(warnings("default_args: {email_on_retry: true}\ntasks: {a: {bash: ls, email: a@x.org}}"), [""; 0]);
}

#[test]
fn deadlines_are_read_with_airflows_words_and_ours() {
    let found = dag("\
timezone: Europe/Zurich
deadlines:
- {name: soon, reference: DAGRUN_QUEUED_AT, interval: 30m, callback: {command: late}}
- {reference: logical_date, interval: {hours: 2}, callback: {command: late}}
- {reference: 2026-01-01T12:00, interval: -1h, callback: [{command: late}]}
");
    let noon = chrono::DateTime::from_timestamp(1_767_265_200, 0).expect("a date");
    let read: Vec<_> = found.deadlines.iter().map(|deadline| (deadline.reference, deadline.interval)).collect();
    let expected = [
        (Reference::DagrunQueuedAt, 1800.0),
        (Reference::DagrunLogicalDate, 7200.0),
        (Reference::FixedDatetime(noon), -3600.0),
    ];
    assert_eq!(read, expected);
}

#[test]
fn a_callback_that_says_nothing_or_too_much_is_an_error_with_its_place() {
    let yaml = "dag_id: d\non_success: [{command: a, python: 'm:f'}, {command: ''}]\ndeadlines: {interval: 5, reference: queued}\n";
    let spec: DagSpec = serde_saphyr::from_str(yaml).expect("a DAG as written");
    let Lowered { dag, problems } = lower(spec, "dag.yaml", &Defaults::default());
    assert!(dag.is_none());
    let errors: Vec<_> =
        problems.iter().filter(|p| p.severity == Severity::Error).map(|p| p.message.as_str()).collect();
    let expected = [
        "DAG `d`: expected a callback to be exactly one of `command`, `webhook`, `email` and `python`",
        "DAG `d`: the callback's command is empty",
        "DAG `d`: expected `reference` to be `queued_at`, `logical_date` or a date, got: `queued`",
    ];
    assert!(expected.iter().all(|message| errors.contains(message)), "{errors:?}");
    let place = problems.iter().find(|p| p.message.contains("exactly one")).map(|p| (p.place.line, p.place.column));
    assert_eq!(place, Some((Some(2), Some(14))));
}

#[test]
fn branches_and_short_circuits_are_expressions_or_python() {
    use crate::domain::operator::{Decide, Python, PythonDecision};
    let choose = "{{ 'big' if params.n > 10 else 'small' }}";
    let branch = task(&format!("branch: \"{choose}\""));
    assert_eq!(branch.operator, Operator::Decide(Decide::Branch { choose: choose.to_owned() }));
    assert_eq!(branch.operator_name, "BranchPythonOperator");
    let Operator::Decide(Decide::ShortCircuit { ignore_downstream_trigger_rules, .. }) =
        task("short_circuit: params.go, ignore_downstream_trigger_rules: false").operator
    else {
        panic!("a short circuit")
    };
    assert!(!ignore_downstream_trigger_rules);
    assert_eq!(task("latest_only: true").operator, Operator::Decide(Decide::LatestOnly));
    assert_eq!(task("operator: LatestOnlyOperator").operator, Operator::Decide(Decide::LatestOnly));
    let decides = |yaml: &str| match task(yaml).operator {
        Operator::Python(Python { decides, .. }) => decides,
        other => panic!("Python was meant: {other:?}"),
    };
    assert_eq!(decides("operator: BranchPythonOperator, python_callable: 'm:f'"), Some(PythonDecision::Branch));
    let ignore_downstream_trigger_rules = true;
    assert_eq!(
        decides("operator: ShortCircuitOperator, python: 'result = 1'"),
        Some(PythonDecision::ShortCircuit { ignore_downstream_trigger_rules })
    );
    assert_eq!(decides("python_callable: 'm:f'"), None);
    let problems = problems("tasks: {a: {operator: BranchPythonOperator}, b: {branch: x, bash: y}}");
    assert!(problems.iter().any(|said| said.contains("the task has no `branch`")), "{problems:?}");
    assert!(problems.iter().any(|said| said.contains("both `bash` and `branch`")), "{problems:?}");
}

#[test]
fn rules_about_the_past_may_stand_in_default_args() {
    let dag = dag("default_args: {depends_on_past: true}
tasks: {a: {bash: echo}, b: {bash: echo, depends_on_past: false, wait_for_downstream: true}}");
    assert!(dag.tasks[0].past.depends_on_past && !dag.tasks[0].past.wait_for_downstream);
    assert!(!dag.tasks[1].past.depends_on_past && dag.tasks[1].past.looks_back());
}

#[test]
fn setups_and_teardowns_are_named_on_either_side() {
    use crate::domain::setup::TaskRole;
    let dag = dag("tasks:
  create: {bash: echo}
  work: {bash: echo, depends_on: create}
  delete: {bash: echo, depends_on: work, teardown: {setups: create, on_failure_fail_dagrun: true}}
  other: {bash: echo, setup: true}
  gone: {bash: echo, teardown: true}");
    let roles: Vec<TaskRole> = dag.tasks.iter().map(|task| task.role).collect();
    let teardown = |on_failure_fail_dagrun| TaskRole::Teardown { on_failure_fail_dagrun };
    assert_eq!(roles, [TaskRole::Setup, TaskRole::Work, teardown(true), TaskRole::Setup, teardown(false)]);
    assert_eq!(dag.tasks[2].trigger_rule, TriggerRule::AllDoneSetupSuccess);
    let upstream: Vec<&str> = dag.tasks[2].upstream.iter().map(|id| id.as_str()).collect();
    assert_eq!(upstream, ["work", "create"]);
}

#[test]
fn what_airflow_forbids_about_setups_is_said() {
    let said = problems(
        "default_args: {setup: true}
tasks:
  s: {bash: echo, setup: true, teardown: true}
  t: {bash: echo, teardown: {setups: crate}, trigger_rule: all_failed}
  create: {bash: echo, setup: true}
  a: {bash: echo, depends_on: create, trigger_rule: one_done}",
    );
    for expected in [
        "`default_args` cannot say `setup`",
        "both `setup` and `teardown`",
        "there is no task `crate` to wait for",
        "always `all_done_setup_success`",
        "task `a` follows the setup `create` with the trigger rule `one_done`",
    ] {
        assert!(said.iter().any(|said| said.contains(expected)), "{expected}: {said:?}");
    }
}
