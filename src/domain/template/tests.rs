//! Templates as Airflow's users write them, each with what Airflow makes of it.

use chrono::TimeZone;
use serde_json::json;

use super::*;
use crate::domain::ids::{MapIndex, QueueName, TryNumber};
use crate::domain::notification::{About, DEFAULT_HTML_CONTENT, DEFAULT_SUBJECT, MissedDeadline, Notice, Occasion};
use crate::domain::run::{DataInterval, RunType};
use crate::domain::time::Time;

fn at(year: i32, month: u32, day: u32, hour: u32) -> Time {
    chrono::Utc.with_ymd_and_hms(year, month, day, hour, 0, 0).single().expect("a date")
}

pub(super) fn context() -> TemplateContext {
    let logical = at(2026, 3, 1, 6);
    let map = |value: serde_json::Value| value.as_object().cloned().expect("a mapping");
    TemplateContext {
        notice: None,
        log_url: String::new(),
        file: "etl.yaml".into(),
        dag_id: "etl".parse().expect("valid"),
        dag_description: None,
        dag_tags: vec!["nightly".into()],
        task_id: "load".parse().expect("valid"),
        owner: "ann".into(),
        operator_name: "BashOperator".into(),
        queue: QueueName::default_queue(),
        retries: 2,
        try_number: TryNumber(1),
        map_index: MapIndex::UNMAPPED,
        mapped: serde_json::Map::new(),
        expanded_ti_count: None,
        run_id: RunType::Scheduled.run_id(logical),
        run_type: RunType::Scheduled,
        logical_date: Some(logical),
        data_interval: Some(DataInterval { start: logical, end: at(2026, 3, 2, 6) }),
        run_after: at(2026, 3, 2, 6),
        run_start_date: None,
        next_logical_date: Some(at(2026, 3, 2, 6)),
        prev_logical_date: None,
        previous_success: None,
        max_tries: 2,
        inlets: Vec::new(),
        outlets: Vec::new(),
        asset_events: Vec::new(),
        xcom_of_any_task: false,
        native_templates: false,
        conf: map(json!({ "table": "orders", "deep": { "on": true, "list": ["a", 1, null] } })),
        params: map(json!({ "limit": 10, "name": "it's", "ratio": 0.5, "zebra": 1, "ant": {} })),
    }
}

#[test]
fn templates_render_as_in_airflow() {
    let context = context();
    let renderer = Renderer::new(&context);
    let table = [
        ("plain ${HOME} $(date) {x}", "plain ${HOME} $(date) {x}"),
        ("one line\n", "one line"),
        ("two lines\n\n", "two lines\n"),
        ("{{ ds }} {{ ds_nodash }}\n", "2026-03-01 20260301"),
        (
            "{{ ts }} {{ ts_nodash }} {{ ts_nodash_with_tz }}",
            "2026-03-01T06:00:00+00:00 20260301T060000 20260301T060000+0000",
        ),
        ("{{ yesterday_ds }} {{ tomorrow_ds }} {{ tomorrow_ds_nodash }}", "2026-02-28 2026-03-02 20260302"),
        ("{{ next_ds }} {{ prev_ds }} {{ next_execution_date }}", "2026-03-02 None 2026-03-02 06:00:00+00:00"),
        ("{{ execution_date }} {{ logical_date.isoformat() }}", "2026-03-01 06:00:00+00:00 2026-03-01T06:00:00+00:00"),
        ("{{ execution_date.strftime('%d.%m.%y %H:%M:%S.%f %j %A') }}", "01.03.26 06:00:00.000000 060 Sunday"),
        ("{{ logical_date.year }}/{{ logical_date.month }}/{{ logical_date.hour }}", "2026/3/6"),
        ("{{ data_interval_end | ds }} {{ data_interval_start | ts_nodash }}", "2026-03-02 20260301T060000"),
        ("{{ logical_date.add(days=1).subtract(months=1, hours=6) }}", "2026-02-02 00:00:00+00:00"),
        ("{{ logical_date.in_timezone('Europe/Zurich') }}", "2026-03-01 07:00:00+01:00"),
        (
            "{{ logical_date.start_of('month').to_date_string() }} {{ logical_date.replace(day=9) | ds }}",
            "2026-03-01 2026-03-09",
        ),
        ("{{ macros.ds_add(ds, -1) }} {{ macros.ds_format(ds, '%Y-%m-%d', '%m/%d/%y') }}", "2026-02-28 03/01/26"),
        ("{{ run_id }} {{ dag_run.run_type }}", "scheduled__2026-03-01T06:00:00+00:00 scheduled"),
        (
            "{{ dag.dag_id }}.{{ task.task_id }} {{ ti.try_number }} {{ task_instance_key_str }}",
            "etl.load 1 etl__load__20260301",
        ),
        ("{{ params.limit }} {{ params['ratio'] }} {{ params.name }}", "10 0.5 it's"),
        ("{{ params }}", "{'limit': 10, 'name': \"it's\", 'ratio': 0.5, 'zebra': 1, 'ant': {}}"),
        ("{{ dag_run.conf['table'] }} {{ dag_run.conf.get('none', 'x') }}", "orders x"),
        ("{{ dag_run.conf.deep }}", "{'on': True, 'list': ['a', 1, None]}"),
        ("{{ dag_run.conf.deep | tojson }}", r#"{"on": true, "list": ["a", 1, null]}"#),
        ("{{ 'A-b'.lower().replace('-', '_') }}", "a_b"),
        ("{% for i in range(3) %}{{ i }};{% endfor %}", "0;1;2;"),
        ("{% if params.limit > 5 and dag_run.conf %}big{% endif %}", "big"),
        ("{% raw %}{{ ds }} ${#a[@]}{% endraw %}", "{{ ds }} ${#a[@]}"),
        ("{{ logical_date < data_interval_end }} {{ dag_run.start_date }} {{ dag.tags }}", "True None ['nightly']"),
        ("<b>{{ '&' }}</b>", "<b>&</b>"),
    ];
    for (template, expected) in table {
        match renderer.render(template, "bash_command") {
            Ok(rendered) => assert_eq!(rendered, expected, "{template}"),
            Err(problem) => panic!("{template}: {problem}"),
        }
    }
}

#[test]
fn an_error_names_the_dag_the_task_the_field_and_the_variable() {
    let table = [
        ("echo {{ dss }}", "`bash_command`: `dss` is not known (did you mean `ds`?)"),
        ("a\nb {{ params.limits }}", "`bash_command`, line 2: `params.limits` is not known"),
        (
            "{{ var.value.key }}",
            "`bash_command`: `var.value` is not known (`var` is not available in templates yet; use `params` or `env`)",
        ),
    ];
    let context = context();
    let renderer = Renderer::new(&context);
    for (template, expected) in table {
        let problem = renderer.render(template, "bash_command").expect_err(template);
        assert_eq!(problem.to_string(), format!("etl.yaml: DAG `etl`, task `load`: {expected}"), "{template}");
    }
    let table = [
        ("{{ ds", "syntax error: unexpected end of input, expected end of variable block"),
        ("{% if %}", "syntax error: unexpected end of block"),
        ("{{ ds | nosuch }}", "unknown filter: filter nosuch is unknown"),
        ("{{ ds.nosuch() }}", "unknown method: string has no method named nosuch"),
        ("{{ run_id | ds }}", "the filter `ds` needs a date, got: scheduled__2026-03-01T06:00:00+00:00"),
        ("{{ macros.ds_add('x', 1) }}", "expected a date such as 2026-01-31, got: x"),
        ("{{ macros.uuid() }}", "`macros.uuid` is not known (known: ds_add, ds_format)"),
        ("{{ logical_date.nosuch() }}", "a date has no method `nosuch`"),
        ("{{ execution_date.strftime('%Q') }}", "`%Q` is no date format"),
        ("{{ logical_date.add(days=9999999) }}", "the date is out of range"),
    ];
    for (template, expected) in table {
        let problem = renderer.render(template, "env").expect_err(template);
        assert_eq!(problem.message, format!("DAG `etl`, task `load`: `env`: {expected}"), "{template}");
    }
    let hints = [
        ("echo ${#array[@]}", "between {% raw %} and {% endraw %}"),
        ("{{ execution_date - macros.timedelta(days=1) }}", "logical_date.subtract(days=1)"),
        ("{{ ti.xcom_pull('extract') }}", "XComs are not available in templates yet"),
        ("{{ logical_date + 1 }}", "logical_date.add(days=1)"),
    ];
    for (template, expected) in hints {
        let hint = renderer.render(template, "env").expect_err(template).hint.expect("a hint");
        assert!(hint.contains(expected), "{template}: {hint}");
    }
}

#[test]
fn a_run_without_a_logical_date_says_so() {
    let bare = TemplateContext { logical_date: None, data_interval: None, ..context() };
    let renderer = Renderer::new(&bare);
    for name in ["ds", "ts_nodash", "execution_date.year", "data_interval_end | ds", "next_ds"] {
        let problem = renderer.render(&format!("echo {{{{ {name} }}}}"), "bash_command").expect_err(name);
        let variable = name.split([' ', '.']).next().expect("a name");
        let expected = format!("etl.yaml: DAG `etl`, task `load`: `bash_command`: `{variable}");
        assert!(problem.to_string().starts_with(&expected), "{problem}");
        let hint = "the run has no logical date: trigger it with one, or use `run_id` or `dag_run.run_after`";
        assert_eq!(problem.hint.as_deref(), Some(hint), "{problem}");
    }
    assert_eq!(
        renderer.render("{{ run_id }}{{ dag_run.logical_date }}", "x").expect("known"),
        format!("{}None", bare.run_id)
    );
}

#[test]
fn a_template_without_end_is_ended() {
    let context = context();
    let renderer = Renderer::new(&context);
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    let problem = renderer.render(endless, "bash_command").expect_err("it never ends");
    assert_eq!(problem.message, "DAG `etl`, task `load`: `bash_command`: the template does not come to an end");
}

#[test]
fn every_template_field_of_an_operator_is_rendered_and_nothing_else() {
    let context = context();
    let renderer = Renderer::new(&context);
    let bash: Operator = serde_json::from_value(json!({
        "type": "bash", "command": "echo {{ ds }}", "env": { "{{ ds }}": "{{ params.limit }}" }, "cwd": "/tmp/{{ ds_nodash }}",
    }))
    .expect("an operator");
    assert_eq!(
        serde_json::to_value(renderer.render_operator(&bash).expect("it renders")).expect("json"),
        json!({
            "type": "bash", "command": "echo 2026-03-01", "env": { "{{ ds }}": "10" }, "append_env": false,
            "cwd": "/tmp/20260301", "skip_on_exit_code": [99],
        })
    );
    assert!(has_templates(&bash));
    let python: Operator = serde_json::from_value(json!({
        "type": "python", "code": { "from": "inline", "source": "print('{{ ds }}')" },
        "args": ["{{ ds }}", 1, ["{{ run_id }}"]], "kwargs": { "day": { "is": "{{ ds }}" } },
    }))
    .expect("an operator");
    assert_eq!(
        serde_json::to_value(renderer.render_operator(&python).expect("it renders")).expect("json"),
        json!({
            "type": "python", "code": { "from": "inline", "source": "print('{{ ds }}')" },
            "args": ["2026-03-01", 1, ["scheduled__2026-03-01T06:00:00+00:00"]], "kwargs": { "day": { "is": "2026-03-01" } },
        })
    );
    assert!(has_templates(&python));
    for plain in [
        json!({ "type": "empty" }),
        json!({ "type": "bash", "command": "echo ${HOME}", "env": { "A": "b" }, "cwd": "/" }),
        json!({ "type": "python", "code": { "from": "inline", "source": "{{ ds }}" }, "args": [1, "a"] }),
    ] {
        let plain: Operator = serde_json::from_value(plain).expect("an operator");
        assert!(!has_templates(&plain), "{plain:?}");
        assert_eq!(renderer.render_operator(&plain).expect("nothing to render"), plain);
    }
}

#[test]
fn a_run_of_assets_knows_what_it_was_made_of() {
    use crate::domain::asset::{Asset, AssetEvent, EventSource, Linked};
    use crate::domain::ids::{AssetEventId, AssetName};

    let name = AssetName::new("orders").expect("a name");
    let source = EventSource {
        dag: "p".parse().expect("valid"),
        run: RunType::Manual.run_id(at(2026, 3, 1, 0)),
        task: "make".parse().expect("valid"),
        map_index: MapIndex::UNMAPPED,
        interval: None,
    };
    let event = |id: i64, rows: i64| AssetEvent {
        id: AssetEventId(id),
        asset: name.clone(),
        uri: "s3://b/orders".into(),
        at: at(2026, 3, 1, 6),
        extra: json!({"rows": rows}).as_object().cloned().expect("an object"),
        source: source.clone(),
        aliases: Default::default(),
    };
    let made_of = TemplateContext {
        asset_events: vec![event(1, 3), event(2, 5)],
        outlets: vec![Linked::Asset(Asset::bare(name.clone())), Linked::Alias(name.clone())],
        ..context()
    };
    let renderer = Renderer::new(&made_of);
    for (template, expected) in [
        (
            "{% for uri, events in triggering_asset_events.items() %}{{ uri }}: {{ events | length }}{% endfor %}",
            "s3://b/orders: 2",
        ),
        ("{{ (triggering_dataset_events.values() | first | first).extra.rows }}", "3"),
        (
            "{{ triggering_asset_events['s3://b/orders'][-1].source_dag_run.run_id }}",
            "manual__2026-03-01T00:00:00+00:00",
        ),
        ("{{ triggering_asset_events['s3://b/orders'][0].timestamp | ds }}", "2026-03-01"),
        ("{{ outlets[0].uri }} {{ task.outlets | length }} {{ inlets }}", "orders 2 []"),
        ("{{ dag_run.state }} {{ ti.max_tries }} {{ ti.operator }} {{ map_index }}", "running 2 BashOperator -1"),
    ] {
        assert_eq!(renderer.render(template, "bash_command").as_deref(), Ok(expected), "{template}");
    }
    assert_eq!(Renderer::new(&context()).render("{{ triggering_asset_events }}", "f").as_deref(), Ok("{}"));
}

#[test]
fn a_native_template_keeps_the_type_of_its_value() {
    let native = TemplateContext { native_templates: true, ..context() };
    let render = |context: &TemplateContext, text: &str| {
        Renderer::new(context).render_value(&json!(text), "op_args").expect(text)
    };
    for (template, expected) in [
        ("{{ params.limit }}", json!(10)),
        ("{{ dag_run.conf.deep }}", json!({"on": true, "list": ["a", 1, null]})),
        ("{{ params.limit }}0", json!(100)),
        ("[{{ params.limit }}, '{{ ds }}']", json!([10, "2026-03-01"])),
        ("{{ ds }}", json!("2026-03-01")),
        ("{{ params.name }}", json!("it's")),
        ("plain", json!("plain")),
        ("{{ logical_date }}", json!("2026-03-01 06:00:00+00:00")),
    ] {
        assert_eq!(render(&native, template), expected, "{template}");
    }
    assert_eq!(render(&context(), "{{ params.limit }}"), json!("10"), "only where it is asked for");
    let problem = Renderer::new(&native).render_value(&json!("{{ nothing }}"), "op_args").expect_err("no such name");
    assert!(problem.message.contains("`nothing` is not known"), "{problem}");
}

#[test]
fn every_name_is_listed_once() {
    let mut names: Vec<&str> = context::names().collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    let context = context();
    let values = context.values(Some(&Lookups::default()));
    // These are there when a callback is told.
    let told = TemplateContext { notice: Some(notice(About::Task, "failed")), ..context };
    let told = told.values(Some(&Lookups::default()));
    let of_callbacks = ["exception", "exception_html", "reason", "deadline", "notification", "try_number", "max_tries"];
    for name in names {
        let values = if of_callbacks.contains(&name) { &told } else { &values };
        assert!(!values.get_attr(name).expect("a value").is_undefined(), "`{name}` is suggested and not there");
    }
}

/// What somebody is told of: a try of the task, or the end of its run.
fn notice(about: About, state: &str) -> Notice {
    Notice {
        occasion: Occasion::Failure,
        about,
        number: 0,
        place: None,
        summary: String::new(),
        state: state.to_owned(),
        exception: Some("ValueError: a < \"b\"\nline 2".to_owned()),
        reason: (about == About::Run).then(|| "task_failure".to_owned()),
        started_at: None,
        ended_at: None,
        hostname: Some("host".to_owned()),
        run_state: "failed".to_owned(),
        run_ended_at: Some(at(2026, 3, 2, 7)),
        deadline: None,
    }
}

#[test]
fn a_notification_reads_how_things_stand_now() {
    let context = TemplateContext { notice: Some(notice(About::Task, "up_for_retry")), ..context() };
    let read = |template: &str| Renderer::new(&context).render(template, "subject").expect("a text");
    assert_eq!(
        read("{{ ti.state }} {{ dag_run.state }} {{ dag_run.end_date }}"),
        "up_for_retry failed 2026-03-02 07:00:00+00:00"
    );
    let said: Json = serde_json::from_str(&read("{{ notification | tojson }}")).expect("JSON");
    let expected = json!({
        "event": "on_failure", "dag_id": "etl", "run_id": "scheduled__2026-03-01T06:00:00+00:00",
        "logical_date": "2026-03-01T06:00:00+00:00", "task_id": "load", "map_index": -1, "try_number": 1,
        "state": "up_for_retry", "exception": "ValueError: a < \"b\"\nline 2", "reason": null, "deadline": null,
        "log_url": "",
    });
    assert_eq!(said, expected);
    assert_eq!(read("{{ exception_html }}"), "ValueError: a &lt; &quot;b&quot;<br>line 2");
}

#[test]
fn a_mail_has_airflows_subject_and_text_where_its_author_gives_none() {
    let of = |notice: Notice, map_index: i32| {
        let context = TemplateContext { notice: Some(notice), map_index: MapIndex(map_index), ..context() };
        let renderer = Renderer::new(&context);
        let read = |template: &str| renderer.render(template, "mail").unwrap_or_else(|problem| panic!("{problem}"));
        (read(DEFAULT_SUBJECT), read(DEFAULT_HTML_CONTENT))
    };
    let run = "scheduled__2026-03-01T06:00:00+00:00";
    let (subject, text) = of(notice(About::Task, "failed"), -1);
    assert_eq!(subject, format!("Airflow alert: <TaskInstance: etl.load {run} [failed]>"));
    let expected = "Try 1 out of 3<br>Exception:<br>ValueError: a &lt; &quot;b&quot;<br>line 2<br>\
        Log: <a href=\"\">Link</a><br>Host: host<br>Mark success: <a href=\"\">Link</a><br>";
    assert_eq!(text, expected);
    let (subject, _) = of(notice(About::Task, "failed"), 3);
    assert_eq!(subject, format!("Airflow alert: <TaskInstance: etl.load {run} map_index=3 [failed]>"));
    let (subject, text) = of(Notice { exception: None, ..notice(About::Run, "failed") }, -1);
    assert_eq!(subject, format!("Airflow alert: <DagRun etl {run} [failed]>"));
    assert_eq!(text, "Reason: task_failure<br>Log: <a href=\"\">Link</a><br>");
    let missed = MissedDeadline { name: Some("soon".to_owned()), due_at: at(2026, 3, 2, 8) };
    let notice = Notice { deadline: Some(missed), exception: None, reason: None, ..notice(About::Run, "running") };
    let (subject, text) = of(notice, -1);
    assert_eq!(subject, format!("Airflow alert: deadline soon of <DagRun etl {run}> missed"));
    assert!(text.starts_with("Due: 2026-03-02 08:00:00+00:00<br>Log"), "{text}");
}
