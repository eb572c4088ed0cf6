//! Templates that want what only the store knows.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::Renderer;
use super::super::tests::context;
use super::*;
use crate::domain::template::TemplateContext;

/// Renders as a slot does: until nothing is wanted.
fn render(template: &str) -> Result<String, String> {
    render_in(template, false)
}

fn render_in(template: &str, xcom_of_any_task: bool) -> Result<String, String> {
    let uri = "postgres://ann:hunter2@db:5432/flows?sslmode=require";
    let connection = Connection::from_uri(uri).expect("a URI");
    let known = BTreeMap::from([
        (Wanted::Variable("rows".into()), Found::Variable(Some("50".into()))),
        (Wanted::Variable("limits".into()), Found::Variable(Some("{\"a\": {\"b\": [1, 2]}}".into()))),
        (Wanted::Variable("locked".into()), Found::Refused("variable `locked` cannot be decrypted".into())),
        (Wanted::Connection("db".into()), Found::Connection(Some(Box::new(connection)))),
        (xcom("a", "return_value"), Found::XCom(Some(json!({"n": 1})))),
        (xcom("b", "k"), Found::XCom(Some(json!("two")))),
        (newest(None, false), Found::XCom(Some(json!("newest")))),
        (newest(Some("a"), true), Found::XCom(Some(json!("prior")))),
    ]);
    let nothing = |wanted: &Wanted| match wanted {
        Wanted::Variable(_) => Found::Variable(None),
        Wanted::Connection(_) => Found::Connection(None),
        Wanted::XCom { .. } | Wanted::NewestXCom { .. } => Found::XCom(None),
    };
    let lookups = Lookups::default();
    let context = TemplateContext { xcom_of_any_task, ..context() };
    loop {
        let rendered = Renderer::with_lookups(&context, lookups.clone()).render(template, "bash_command");
        let wanted = lookups.wanted();
        if wanted.is_empty() {
            return rendered.map_err(|problem| format!("{} ({})", problem.message, problem.hint.unwrap_or_default()));
        }
        for wanted in wanted {
            let found = known.get(&wanted).cloned().unwrap_or_else(|| nothing(&wanted));
            lookups.put(wanted, found);
        }
    }
}

fn newest(task_id: Option<&str>, prior_dates: bool) -> Wanted {
    let task_id = task_id.map(str::to_owned);
    Wanted::NewestXCom { task_id, key: "return_value".into(), dag_id: None, run_id: None, prior_dates }
}

#[test]
fn who_names_no_task_means_its_own_and_in_the_second_era_any() {
    assert_eq!(render("{{ ti.xcom_pull() }}").as_deref(), Ok("None"));
    assert_eq!(render_in("{{ ti.xcom_pull() }} {{ ti.xcom_pull('a').n }}", true).as_deref(), Ok("newest 1"));
    assert_eq!(render("{{ ti.xcom_pull('a', include_prior_dates=True) }}").as_deref(), Ok("prior"));
}

fn xcom(task: &str, key: &str) -> Wanted {
    Wanted::XCom { task_id: task.into(), key: key.into(), map_index: None, dag_id: None, run_id: None }
}

#[test]
fn names_of_the_store_are_rendered_with_what_is_found() {
    for (template, expected) in [
        ("{{ var.value.rows }}", "50"),
        ("{{ var.value['rows'] }} {{ var.value.get('rows') }}", "50 50"),
        ("{{ var.value.get('none', 7) }} {{ var.value.get('none', default_var='x') }}", "7 x"),
        ("{{ var.json.limits.a.b[1] }}", "2"),
        ("{{ var.json.get('limits').a }} {{ var.json.get('none', {'a': 1}).a }}", "{'b': [1, 2]} 1"),
        ("{{ var.value.none | default('d') }}", "d"),
        ("{% if var.value.rows == '50' %}{{ conn.db.host }}{% endif %}", "db"),
        ("{{ conn.db.login }}:{{ conn.db.password }}@{{ conn.db.port }}", "ann:hunter2@5432"),
        ("{{ conn.db.extra_dejson.sslmode }} {{ conn.db }}", "require db"),
        ("{{ conn.get('db').get_uri() }}", "postgres://ann:hunter2@db:5432/flows?sslmode=require"),
        ("{{ ti.xcom_pull('a').n }} {{ ti.xcom_pull(task_ids='b', key='k') }}", "1 two"),
        ("{{ task_instance.xcom_pull(['a', 'none']) }}", "[{'n': 1}, None]"),
        ("{{ ti.xcom_pull('none') }} {{ ti.xcom_pull('none', default=3) }} {{ ti.xcom_pull(key='k') }}", "None 3 None"),
        ("{{ ti.try_number }}", "1"),
    ] {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn what_is_not_there_is_an_error_that_says_what_to_do() {
    for (template, expected) in [
        ("{{ var.value.none }}", "updraft variables set none VALUE"),
        ("{{ conn.none.host }}", "updraft connections add none --conn-uri URI"),
        ("{{ var.json.rows.a }}", "is not known"),
        ("{{ var.value.locked }}", "variable `locked` cannot be decrypted"),
        ("{{ var.value.get('locked', 1) }}", "variable `locked` cannot be decrypted"),
        ("{{ ti.xcom_push('a', 1) }}", "xcom_push"),
        ("{{ ti.xcom_pull('a', 'k') }}", "one positional argument"),
    ] {
        let said = render(template).expect_err(template);
        assert!(said.contains(expected), "{template}: {said}");
    }
}
