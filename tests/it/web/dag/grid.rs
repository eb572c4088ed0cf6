//! The grid and the Gantt chart of a DAG.

use super::said;
use crate::kit::{Browser, Home, Screen, wait_until};
use crate::web::home::open_home;

const TUTORIAL: &str = "dags/parallel_dag.py";

/// The letters of all cells of the grid, row by row.
fn cells(browser: &Browser) -> String {
    said(browser, "[...document.querySelectorAll('#grid li')].map((row) => row.dataset.cells).join(' ')")
}

#[test]
fn the_tutorial_is_triggered_by_a_click_and_its_end_is_seen_in_the_grid_without_a_reload() {
    let home = open_home();
    home.copy(TUTORIAL);
    let node = home.start();
    home.wait_scheduled_run("parallel_dag");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/parallel_dag");
    assert_eq!(cells(&browser), "s s s s", "one run, four tasks");
    browser.click("form[action$='/trigger'] button");
    browser.wait_text(".toast", "Triggered parallel_dag");
    browser.script(
        "window.untouched = true; window.seen = {}; new MutationObserver(() => { \
         for (const row of document.querySelectorAll('#grid li')) \
         if (/^ss$/.test(row.dataset.cells)) window.seen[row.dataset.task] ??= Date.now(); \
         }).observe(document.querySelector('#view'), { subtree: true, attributes: true, childList: true });",
    );
    wait_until("every cell is green", || cells(&browser) == "ss ss ss ss");
    assert_eq!(browser.script("return window.untouched"), true, "the page was not loaded anew");
    let run = home.runs("parallel_dag").remove(0);
    for row in home.tasks(&run) {
        let ended = row.ended_at.expect("it has ended").timestamp_millis();
        let seen = browser.script(&format!("return window.seen['{}']", row.task_id)).as_i64().expect("it was seen");
        println!("{} was seen {} ms after its end", row.task_id, seen - ended);
        assert!(seen - ended < 2_000, "{} was seen {} ms after its end", row.task_id, seen - ended);
    }
    browser.assert_silent();
}

#[test]
fn the_parallel_tasks_of_the_tutorial_overlap_in_the_gantt_chart() {
    let home = open_home();
    home.copy(TUTORIAL);
    let node = home.start();
    home.wait_scheduled_run("parallel_dag");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/parallel_dag?tab=gantt");
    let bar = |task: &str| {
        let found = browser.script(&format!(
            "const box = document.querySelector('.try[data-task={task}] .ran').getBoundingClientRect(); return [box.left, box.right]"
        ));
        (found[0].as_f64().expect("a number"), found[1].as_f64().expect("a number"))
    };
    let (one, two, three, four) = (bar("task_1"), bar("task_2"), bar("task_3"), bar("task_4"));
    let shared = two.1.min(three.1) - two.0.max(three.0);
    assert!(shared > 0.9 * (two.1 - two.0), "the two in the middle run side by side: {two:?} {three:?}");
    assert!(one.1 <= two.0 + 1.0 && four.0 + 1.0 >= two.1.max(three.1), "{one:?} {two:?} {three:?} {four:?}");
    assert!((one.1 - one.0) > 200.0, "a bar is as wide as its time: {one:?}");
    browser.wait_text(".gantt-strip", "at most 2 of 16");
    browser.assert_silent();
}

fn small(home: &Home) {
    home.write(
        "small.yaml",
        "schedule: null\ntask_groups:\n  load: {tooltip: Loads}\ntasks:\n  start: {bash: 'true'}\n  \
         one: {group: load, bash: 'true', depends_on: start}\n  two: {group: load, bash: 'exit 1', depends_on: one}\n  \
         end: {bash: 'true', depends_on: two}\n",
    );
}

#[test]
fn keys_move_in_the_grid_and_enter_opens_the_panel() {
    let home = open_home();
    small(&home);
    let node = home.start();
    let run = home.trigger_and_wait("small");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/small");
    assert_eq!(cells(&browser), "s f s f u", "the group has the worst state of its tasks");
    browser.script("document.querySelector('.grid-cells').focus()");
    // Start, the group, one, two.
    browser.press("\u{e015}\u{e015}\u{e015}");
    browser.wait_text(".tip", "two");
    browser.press("\u{e007}");
    let path = browser.wait_path("the panel is in the address", |path| path.contains("task=two"));
    assert!(path.contains("run=manual__"), "{path}");
    browser.wait_text("#panel", "failed");
    browser.wait_text("#panel", run.row.run_id.as_str());
    browser.click("#panel .close");
    browser.wait_path("the panel is closed", |path| !path.contains("task="));
    browser.assert_silent();
}

#[test]
fn a_group_folds_to_one_row_and_the_address_remembers_it() {
    let home = open_home();
    small(&home);
    let node = home.start();
    home.trigger_and_wait("small");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/small");
    browser.click("#grid li[data-group=load] a");
    browser.wait_path("the fold is in the address", |path| path.contains("fold=load"));
    assert_eq!(cells(&browser), "s f u");
    browser.go("/dags/small?tab=graph&fold=load");
    browser.wait_text(".graph .node.group", "load");
    browser.assert_silent();
}

#[test]
fn a_telephone_shows_the_pages_without_scrolling_sideways() {
    let home = open_home();
    small(&home);
    let node = home.start();
    let run = home.trigger_and_wait("small");
    let browser = Browser::open(&node.site(), Screen::NARROW);
    let run = format!("/dags/small/runs/{}", run.row.run_id.as_str().replace('+', "%2B"));
    let tabs = ["grid", "graph", "gantt", "calendar", "runs", "code", "details"];
    let pages = tabs.map(|tab| format!("/dags/small?tab={tab}&task=two"));
    for page in pages.into_iter().chain([run.clone(), format!("{run}/tasks/two"), format!("{run}/tasks/two?tab=why")]) {
        browser.go(&page);
        let wider = browser.script("return document.documentElement.scrollWidth - innerWidth").as_i64();
        assert!(wider.is_some_and(|wider| wider <= 0), "{page} is {wider:?} px too wide");
    }
    browser.assert_silent();
}
