//! The page of all DAGs.

use crate::kit::{Browser, Home, Screen, wait_until};

const TUTORIAL: &str = "dags/parallel_dag.py";

/// A home whose pages let everybody in: how people sign in has tests of its own.
pub fn open_home() -> Home {
    Home::new().with("core.simple_auth_manager_all_admins", "True")
}

#[test]
fn the_tutorial_is_triggered_by_a_click_and_its_end_is_seen_without_a_reload() {
    let home = open_home();
    home.copy(TUTORIAL);
    let node = home.start();
    home.wait_dag("parallel_dag");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    assert_eq!(browser.text("#dag-parallel_dag a.title").as_deref(), Some("parallel_dag"));
    browser.wait_text("#dag-parallel_dag", "every day at 00:00");
    browser.click("#dag-parallel_dag button[aria-label='Trigger parallel_dag']");
    browser.wait_text(".toast", "Triggered parallel_dag");
    browser.script("window.untouched = true");
    let all_ended = || home.runs("parallel_dag").iter().all(|run| run.state.is_finished());
    wait_until("the runs have ended", all_ended);
    let runs = home.runs("parallel_dag").len();
    wait_until("each run is a green bar", || {
        let bars = browser.script("return document.querySelectorAll('#dag-parallel_dag rect.s-success').length");
        bars.as_u64() == Some(runs as u64)
    });
    assert_eq!(browser.script("return window.untouched"), true, "the page was not loaded anew");
    browser.assert_silent();
}

#[test]
fn a_dag_that_was_paused_is_on_again_by_undo() {
    let home = open_home();
    home.write("one.yaml", "dag_id: one\nschedule: null\ntasks:\n  - { task_id: a, bash_command: \"true\" }\n");
    let node = home.start();
    home.wait_dag("one");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    browser.click("#dag-one .switch");
    browser.wait_text(".toast", "Paused one");
    wait_until("it is paused", || home.dag("one").is_some_and(|dag| dag.row.is_paused));
    browser.click(".toast button");
    browser.wait_text(".toast", "Unpaused one");
    wait_until("it is on", || home.dag("one").is_some_and(|dag| !dag.row.is_paused));
    browser.assert_silent();
}

#[test]
fn unpausing_says_first_what_the_schedule_will_make_up_for() {
    let home = open_home();
    home.write(
        "old.yaml",
        "dag_id: old\nschedule: \"@daily\"\nstart_date: 2026-01-01\ncatchup: true\nis_paused_upon_creation: true\n\
         max_active_runs: 1\ntasks:\n  - { task_id: a, bash_command: \"true\" }\n",
    );
    let node = home.start();
    home.wait_dag("old");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    browser.click("#dag-old .switch");
    browser.wait_text("h1", "Unpause old?");
    browser.wait_text("main li", "unpausing `old` will create");
    assert!(home.dag("old").is_some_and(|dag| dag.row.is_paused), "nothing has happened yet");
    browser.click("main a.button");
    browser.wait_has("#dag-old .switch[aria-checked=false]");
    assert!(home.runs("old").is_empty());
    browser.assert_silent();
}

#[test]
fn rows_are_chosen_and_paused_together() {
    let home = open_home();
    for name in ["a", "b", "c"] {
        home.write(
            &format!("{name}.yaml"),
            &format!("dag_id: {name}\nschedule: null\ntasks:\n  - {{ task_id: t, bash_command: \"true\" }}\n"),
        );
    }
    let node = home.start();
    for name in ["a", "b", "c"] {
        home.wait_dag(name);
    }
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    assert_eq!(browser.text(".bulk").as_deref(), Some(""), "nothing is chosen");
    browser.click("#dag-a input[name=chosen]");
    browser.click("#dag-c input[name=chosen]");
    browser.wait_text(".bulk", "2 selected");
    browser.click(".bulk button[value=true]");
    browser.wait_text(".toast", "Paused 2 DAGs");
    let is_paused = |name: &str| home.dag(name).is_some_and(|dag| dag.row.is_paused);
    assert_eq!(["a", "b", "c"].map(is_paused), [true, false, true]);
    browser.assert_silent();
}

#[test]
fn without_a_dag_the_page_teaches_how_to_write_one_and_shows_it_when_it_is_there() {
    let home = open_home();
    let node = home.start();
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    browser.wait_text("#dags", "There is no DAG yet");
    let lines = browser.text("#dags pre").expect("an example");
    home.write("hello.yaml", &lines);
    browser.wait_text("#dags", "hello");
    browser.assert_silent();
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_line() {
    let home = open_home();
    home.write("bad.yaml", "dag_id: bad\nschedule: null\ntasks:\n  - { task_id: a, bash_comand: \"true\" }\n");
    let node = home.start();
    home.wait_import_error("bad.yaml");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    browser.wait_text("#import-errors", "bad.yaml, line 4");
    browser.click("#import-errors summary");
    browser.wait_text("#import-errors", "bash_command");
    browser.assert_silent();
}

#[test]
fn the_keyboard_alone_finds_a_dag() {
    let home = open_home();
    home.copy(TUTORIAL);
    home.write("other.yaml", "dag_id: other\nschedule: null\ntasks:\n  - { task_id: t, bash_command: \"true\" }\n");
    let node = home.start();
    home.wait_dag("parallel_dag");
    home.wait_dag("other");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/");
    browser.keys("body", "?");
    browser.wait_has("#shortcuts[open]");
    browser.press("\u{e00c}");
    browser.keys("body", "gr");
    browser.wait_path("the page of runs", |path| path == "/runs");
    browser.keys("body", "/");
    browser.press("prldg");
    browser.wait_text(".found", "parallel_dag");
    browser.press("\u{e007}");
    browser.wait_path("the page of the DAG", |path| path.starts_with("/dags/parallel_dag"));
}

#[test]
fn dark_is_by_the_system_and_by_a_switch_that_is_remembered() {
    let home = open_home();
    let node = home.start();
    let brightness = |browser: &Browser| {
        let script = "const c = document.createElement('canvas').getContext('2d'); \
             c.fillStyle = getComputedStyle(document.documentElement).backgroundColor; c.fillRect(0, 0, 1, 1); \
             return c.getImageData(0, 0, 1, 1).data[1]";
        browser.script(script).as_u64().expect("a part of a colour")
    };
    let browser = Browser::open(&node.site(), Screen::WIDE.dark());
    browser.go("/");
    assert!(brightness(&browser) < 60, "dark, as the system wants it");
    browser.click("[data-theme-switch] button");
    wait_until("it is light", || brightness(&browser) > 200);
    browser.go("/runs");
    assert!(brightness(&browser) > 200, "it is remembered");
    browser.assert_silent();
}

#[test]
fn a_narrow_screen_needs_no_scrolling_sideways_and_every_control_has_a_name() {
    let home = open_home();
    home.copy(TUTORIAL);
    let long = "a_very_long_name_that_somebody_gave_to_a_dag_because_they_could_and_nobody_said_that_it_is_too_much";
    home.write(
        "long.yaml",
        &format!("dag_id: {long}\nschedule: null\ntags: [one, two, three, four]\ntasks:\n  - {{ task_id: t, bash_command: \"true\" }}\n"),
    );
    let node = home.start();
    home.wait_dag("parallel_dag");
    home.wait_dag(long);
    let browser = Browser::open(&node.site(), Screen::NARROW);
    let pages = [
        "/",
        "/runs",
        "/workers",
        "/queues",
        "/pools?new=1",
        "/variables?new=1",
        "/connections?new=1",
        "/config",
        "/users?new=1",
        "/audit",
        "/backfills?new=1",
        "/assets",
        "/import-errors",
        "/search?q=dag",
        "/dags/parallel_dag/trigger",
    ];
    for page in pages {
        browser.go(page);
        browser.wait_has("h1");
        let width = browser.script("return document.documentElement.scrollWidth").as_u64().expect("a width");
        assert!(width <= 390, "{page} is {width} pixels wide");
        let nameless = browser.script(NAMELESS);
        assert_eq!(nameless, serde_json::json!([]), "{page} has controls without a name");
    }
    browser.assert_silent();
}

/// Controls that neither text nor a label names, ids that are there twice, and a page without one heading.
const NAMELESS: &str = r#"
    const named = (one) => one.getAttribute("aria-label") || one.textContent.trim() || one.title
        || (one.labels && one.labels.length) || one.type === "hidden";
    const controls = [...document.querySelectorAll("a, button, input, select, textarea, summary")];
    const bad = controls.filter((one) => !named(one)).map((one) => one.outerHTML);
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    bad.push(...ids.filter((id, at) => ids.indexOf(id) !== at));
    if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
    if (!document.documentElement.lang) bad.push("no language");
    return bad;
"#;
