//! The log of a task instance, and what a failed run says first.

use crate::kit::{Browser, Screen, wait_until};
use crate::web::home::open_home;

fn address(run: &str) -> String {
    run.replace('+', "%2B").replace(':', "%3A")
}

#[test]
fn a_log_is_followed_while_it_grows() {
    let home = open_home();
    let gate = home.in_world("gate");
    home.write(
        "talks.yaml",
        &format!(
            "schedule: null\ntasks:\n  talk:\n    bash: |\n      echo the first word\n      while [ ! -e {} ]; do sleep 0.05; done\n      echo the last word\n",
            gate.display()
        ),
    );
    let node = home.start();
    let run = home.trigger("talks");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    wait_until("the task has begun", || !home.attempts(&home.run("talks", &run.run_id)).is_empty());
    browser.go(&format!("/dags/talks/runs/{}/tasks/talk", address(run.run_id.as_str())));
    browser.wait_text("#lines", "the first word");
    browser.script("window.untouched = true");
    std::fs::write(&gate, "").expect("the gate opens");
    browser.wait_text("#lines", "the last word");
    browser.wait_has("#follow.over");
    browser.wait_text("#head", "success");
    assert_eq!(browser.script("return window.untouched"), true, "the page was not loaded anew");
    let numbers =
        browser.script("return [...document.querySelectorAll('#lines .number')].map((one) => Number(one.textContent))");
    let numbers: Vec<u64> = serde_json::from_value(numbers).expect("numbers");
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "each line once, in order");
    browser.assert_silent();
}

#[test]
fn a_failed_run_leads_with_what_failed_and_e_jumps_to_the_first_error_of_a_long_log() {
    let home = open_home();
    home.write(
        "breaks.yaml",
        "schedule: null\ntasks:\n  break:\n    retries: 0\n    bash: |\n      seq -f 'a line before the error %g' 20000\n      \
         echo 'ERROR: no such table'\n      seq -f 'a line after the error %g' 20000\n      exit 3\n",
    );
    let node = home.start();
    let run = home.trigger_and_wait("breaks");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go(&format!("/dags/breaks/runs/{}", address(run.row.run_id.as_str())));
    browser.wait_text(".first-failed", "break");
    browser.wait_text(".first-failed .log", "exit code 3");
    browser.click(".first-failed h2 a");
    browser.wait_path("it leads to the first error", |path| path.contains("line=") && path.contains("#L"));
    browser.wait_text(".line:target", "ERROR: no such table");
    let path = browser.path();
    browser.go(path.split('?').next().expect("a path"));
    assert!(!browser.has(".line.l-info.error"), "the end of the log is shown first");
    browser.keys("body", "e");
    browser.wait_text(".line:target", "ERROR: no such table");
    let lines = browser.script("return document.querySelectorAll('#lines .line').length").as_u64();
    assert!(lines.is_some_and(|lines| lines < 10_000), "only a window of the log is sent: {lines:?}");
    browser.click("[data-more=after]");
    wait_until("more lines are added", || {
        browser.script("return document.querySelectorAll('#lines .line').length").as_u64() > lines
    });
    browser.assert_silent();
}
