//! A person with a session: every form of a page carries the token that proves that the page was ours, and what a
//! role may not do is not offered.

use crate::kit::{Browser, Home, Screen, wait_until};

const ONE: &str = "dag_id: one\nschedule: null\ntasks:\n  - { task_id: a, bash_command: \"true\" }\n";
const PASSWORD: &str = "a-long-pass-word";

fn make_user(home: &Home, name: &str, role: &str) {
    let words =
        ["users", "create", "-u", name, "-f", "A", "-l", "B", "-e", "a@example.org", "-r", role, "-p", PASSWORD];
    let ended = home.finished(&words);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn sign_in(browser: &Browser, name: &str) {
    browser.go("/");
    browser.wait_path("the page to sign in", |path| path.starts_with("/login"));
    browser.keys("#field-username", name);
    browser.keys("#field-password", PASSWORD);
    browser.click("main button[type=submit]");
    browser.wait_path("the page of DAGs", |path| path == "/");
}

#[test]
fn somebody_signs_in_pauses_a_dag_makes_a_user_and_signs_out() {
    let home = Home::new();
    home.write("one.yaml", ONE);
    let node = home.start();
    home.wait_dag("one");
    make_user(&home, "ada", "Admin");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    sign_in(&browser, "ada");
    browser.click("#dag-one .switch");
    browser.wait_text(".toast", "Paused one");
    wait_until("it is paused", || home.dag("one").is_some_and(|dag| dag.row.is_paused));
    browser.go("/users?new=1");
    for (field, value) in [("username", "bob"), ("password", PASSWORD)] {
        browser.keys(&format!("#field-{field}"), value);
    }
    browser.click("main form.form button[type=submit]");
    browser.wait_text(".toast", "Saved the user bob");
    browser.wait_text("#user-bob", "Viewer");
    assert!(!browser.has("#user-ada form"), "nobody deletes themselves");
    browser.go("/audit");
    browser.wait_text("#audit", "create user");
    browser.wait_text("#audit", "ada");
    browser.click(".side details summary");
    browser.click(".side form[action='/logout'] button");
    browser.wait_path("the page to sign in", |path| path.starts_with("/login"));
    sign_in(&browser, "bob");
    browser.assert_silent();
}

#[test]
fn a_viewer_sees_everything_and_is_offered_no_change() {
    let home = Home::new();
    home.write("one.yaml", ONE);
    let node = home.start();
    home.wait_dag("one");
    make_user(&home, "vic", "Viewer");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    sign_in(&browser, "vic");
    browser.wait_text("#dag-one", "active");
    for page in ["/", "/runs", "/workers", "/pools", "/backfills", "/assets"] {
        browser.go(page);
        browser.wait_has("h1");
        let forms = browser.script("return document.querySelectorAll('main form[method=post]').length");
        assert_eq!(forms, 0, "{page} offers a change");
    }
    browser.go("/variables");
    browser.wait_text("h1", "Forbidden");
}
