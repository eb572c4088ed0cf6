//! The lists of administrators, and the form of a trigger.

use crate::kit::{Browser, Screen, wait_for, wait_until};

use super::home::open_home;

#[test]
fn a_trigger_is_made_of_the_parameters_with_the_json_in_step() {
    let home = open_home();
    home.write(
        "load.py",
        "from airflow.sdk import DAG, Param\nfrom airflow.providers.standard.operators.bash import BashOperator\n\
         with DAG('load', schedule=None, params={'rows': Param(3, type='integer', minimum=1), \
         'mode': Param('fast', enum=['fast', 'slow']), 'dry': Param(False, type='boolean')}):\n    \
         BashOperator(task_id='a', bash_command='true')\n",
    );
    let node = home.start();
    home.wait_dag("load");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/load/trigger");
    browser.script("const f = document.getElementById('field-param:rows'); f.value = '0'; f.dispatchEvent(new Event('input', {bubbles: true}))");
    let conf = browser.script("return JSON.parse(document.getElementById('field-conf').value).rows");
    assert_eq!(conf, 0, "the JSON follows the form");
    browser.click("main button[type=submit]");
    browser.wait_text(".wrong", "less than the minimum of 1");
    assert!(home.runs("load").is_empty(), "nothing was triggered");
    browser.script(
        "const j = document.getElementById('field-conf'); j.value = '{\"rows\": 7, \"mode\": \"slow\", \"dry\": true}'; \
         j.dispatchEvent(new Event('input', {bubbles: true}))",
    );
    let form = browser.script(
        "return [document.getElementById('field-param:rows').value, document.getElementById('field-param:mode').value, \
         document.getElementById('field-param:dry').checked]",
    );
    assert_eq!(form, serde_json::json!(["7", "\"slow\"", true]), "the form follows the JSON");
    browser.click("main button[type=submit]");
    let run = wait_for("a run of the wanted conf", || home.runs("load").into_iter().next());
    assert_eq!(serde_json::Value::Object(run.conf), serde_json::json!({"rows": 7, "mode": "slow", "dry": true}));
}

#[test]
fn variables_and_connections_are_kept_and_their_secrets_are_not_shown() {
    let home = open_home().with("core.test_connection", "Enabled");
    let node = home.start();
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/variables?new=1");
    browser.keys("#field-key", "api_token");
    browser.keys("#field-value", "hunter2");
    browser.click("main form.form button[type=submit]");
    browser.wait_text(".toast", "Saved the variable api_token");
    browser.wait_text("#variable-api_token", "***");
    let source = browser.script("return document.documentElement.outerHTML");
    assert!(!source.as_str().expect("a page").contains("hunter2"));
    assert_eq!(home.finished(&["variables", "get", "api_token"]).stdout, b"hunter2\n");
    browser.go("/connections?new=1");
    let address = node.site();
    let port = address.rsplit(':').next().expect("a port").to_owned();
    for (field, value) in
        [("id", "here"), ("conn_type", "http"), ("host", "127.0.0.1"), ("port", &port), ("password", "pass-word-1")]
    {
        browser.keys(&format!("#field-{field}"), value);
    }
    browser.click("main form.form button[type=submit]");
    browser.wait_text(".toast", "Saved the connection here");
    browser.click("#connection-here form[action='/connections/test'] button");
    browser.wait_text(".toast", "accepts connections");
    browser.go("/connections?edit=here");
    let source = browser.script("return document.documentElement.outerHTML");
    assert!(!source.as_str().expect("a page").contains("pass-word-1"));
    // Empty is: as it was.
    browser.click("main form.form button[type=submit]");
    browser.wait_text(".toast", "Saved the connection here");
    let kept = home.json(&["connections", "get", "here", "--show-values", "-o", "json"]);
    assert!(kept.to_string().contains("pass-word-1"), "{kept}");
    browser.assert_silent();
}

#[test]
fn a_pool_is_made_filled_and_deleted() {
    let home = open_home();
    let node = home.start();
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/pools?new=1");
    browser.keys("#field-name", "etl");
    browser.script("document.getElementById('field-slots').value = '2'");
    browser.click("main form.form button[type=submit]");
    browser.wait_text(".toast", "Saved the pool etl");
    browser.wait_text("#pool-etl", "0/2");
    home.write(
        "busy.yaml",
        "dag_id: busy\nschedule: null\ntasks:\n  - { task_id: a, bash_command: \"sleep 600\", pool: etl }\n",
    );
    home.trigger("busy");
    browser.wait_text("#pool-etl", "1/2");
    browser.go("/workers");
    browser.wait_text("#workers", "a");
    browser.wait_has("#workers a[href*='/dags/busy/runs/']");
    browser.assert_silent();
}

#[test]
fn a_backfill_says_first_what_it_will_do() {
    let home = open_home();
    home.write(
        "days.yaml",
        "dag_id: days\nschedule: \"@daily\"\nstart_date: 2026-01-01\ncatchup: false\ntasks:\n  - { task_id: a, bash_command: \"true\" }\n",
    );
    let node = home.start();
    home.wait_dag("days");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/backfills?new=1&dag=days");
    browser.script(
        "document.getElementById('field-from').value = '2026-02-01'; document.getElementById('field-to').value = '2026-02-05'",
    );
    browser.click("main form.form button[type=submit]");
    browser.wait_text("main", "Backfill 5 dates");
    browser.click("main button[type=submit]");
    browser.wait_text(".toast", "5 dates");
    wait_until("it is completed on the page", || {
        browser.text("#backfills").is_some_and(|text| text.contains("completed") && text.contains("5/5"))
    });
    browser.assert_silent();
}

#[test]
fn what_was_done_is_in_the_audit_log_with_who_did_it() {
    let home = open_home();
    home.write("one.yaml", "dag_id: one\nschedule: null\ntasks:\n  - { task_id: a, bash_command: \"true\" }\n");
    let node = home.start();
    home.wait_dag("one");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    browser.click("#dag-one button[aria-label='Trigger one']");
    browser.wait_text(".toast", "Triggered one");
    browser.go("/audit?event=trigger_dag_run");
    browser.wait_text("#audit", "trigger dag run");
    browser.wait_text("#audit", "done");
    browser.assert_silent();
}
