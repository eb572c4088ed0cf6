//! Clear and mark, with the preview of what they touch.

use crate::kit::{Browser, Screen, wait_until};
use crate::web::home::open_home;
use updraft::domain::state::{RunState, TaskState};

#[test]
fn a_task_is_cleared_with_what_follows_it_after_a_look_at_what_that_is() {
    let home = open_home();
    home.write(
        "diamond.yaml",
        "schedule: null\ntasks:\n  a: {bash: 'true'}\n  b: {bash: 'true', depends_on: a}\n  c: {bash: 'true', depends_on: a}\n  \
         d: {bash: 'true', depends_on: [b, c]}\n",
    );
    let node = home.start();
    let run = home.trigger_and_wait("diamond");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go(&format!("/dags/diamond?task=b&run={}", run.row.run_id.as_str().replace('+', "%2B")));
    browser.click("#panel details summary");
    browser.click("#panel details a[href*='downstream=1']");
    browser.wait_text("#touched", "2 tasks in 1 run");
    assert!(home.tasks(&run.row).iter().all(|task| task.try_number.0 == 1), "nothing has happened yet");
    browser.click(".preview button");
    browser.wait_text(".toast", "Cleared 2 tasks of b in run");
    wait_until("b and d have run again", || {
        let tries: Vec<i32> = home.tasks(&run.row).iter().map(|task| task.try_number.0).collect();
        tries == [1, 2, 1, 2] && home.run("diamond", &run.row.run_id).state == RunState::Success
    });
    browser.assert_silent();
}

#[test]
fn a_task_is_marked_and_the_run_goes_on_accordingly() {
    let home = open_home();
    home.write(
        "stuck.yaml",
        "schedule: null\ntasks:\n  a: {bash: 'exit 1', retries: 0}\n  b: {bash: 'true', depends_on: a}\n",
    );
    let node = home.start();
    let run = home.trigger_and_wait("stuck");
    let browser = Browser::open(&node.site(), Screen::WIDE);
    browser.go(&format!("/dags/stuck/mark?run={}&task=a&as=failed", run.row.run_id.as_str().replace('+', "%2B")));
    browser.click(".preview .chip[href*='as=success']");
    browser.wait_text(".preview button", "success");
    browser.click(".preview button");
    browser.wait_text(".toast", "Marked");
    wait_until("a is a success", || {
        home.tasks(&run.row).iter().any(|task| task.task_id.as_str() == "a" && task.state == TaskState::Success)
    });
    browser.assert_silent();
}
