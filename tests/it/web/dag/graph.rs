//! The graph of a DAG.

use super::said;
use crate::kit::{Browser, Screen};
use crate::web::home::open_home;

#[test]
fn arrow_keys_walk_along_the_edges_and_a_box_opens_its_task() {
    let home = open_home();
    home.copy("dags/parallel_dag.py");
    let node = home.start();
    home.wait_scheduled_run("parallel_dag");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/parallel_dag?tab=graph");
    browser.wait_has("#graph.zooms");
    browser.script("document.querySelector('.node[data-task=task_1]').focus()");
    let focused = || said(&browser, "document.activeElement.dataset.task");
    browser.press("\u{e014}");
    assert_eq!(focused(), "task_2");
    browser.press("\u{e015}");
    assert_eq!(focused(), "task_3");
    browser.press("\u{e014}");
    assert_eq!(focused(), "task_4");
    browser.press("\u{e007}");
    browser.wait_path("the task is selected", |path| path.contains("task=task_4"));
    browser.wait_text("#panel", "BashOperator");
    browser.assert_silent();
}

#[test]
fn the_graph_zooms_and_goes_back_to_the_whole() {
    let home = open_home();
    home.copy("dags/parallel_dag.py");
    let node = home.start();
    home.wait_dag("parallel_dag");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go("/dags/parallel_dag?tab=graph");
    browser.wait_has("#graph.zooms");
    let width = || {
        said(&browser, "document.querySelector('svg.graph').viewBox.baseVal.width").parse::<f64>().expect("a number")
    };
    let whole = width();
    browser.click("[data-zoom=in]");
    assert!(width() < whole);
    browser.click("[data-zoom=fit]");
    assert!((width() - whole).abs() < 1.0);
    browser.assert_silent();
}
