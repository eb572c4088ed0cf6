//! Everything at once: two schedulers, two workers, a broker, a database, and tasks that are real processes.

use std::fs::File;
use std::process::{Child, Stdio};

use crate::kit::broker::Installation;
use crate::kit::{Counter, Database, Home, wait_until};

/// `updraft celery worker` in a home of its own; killed when dropped.
struct Worker {
    child: Child,
    home: Home,
}

impl Worker {
    fn start(installation: &Installation, name: &str) -> Self {
        let home = installation.home();
        let log = File::create(home.in_world("worker.log")).expect("a file");
        let child = home
            .command()
            .args(["celery", "worker", "-c", "4", "-H", name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        Self { child, home }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.home.in_world("worker.log")).unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- a worker said:\n{}---", self.said());
        }
    }
}

/// Layers of tasks of which each needs the whole layer before it.
fn layers(starts: &Counter, width: usize, depth: usize) -> String {
    let command = format!("{}; sleep 0.1", starts.shell("$AIRFLOW_CTX_TASK_ID $AIRFLOW_CTX_TRY_NUMBER"));
    let mut text = format!("schedule: null\ndefault_args: {{bash: {command:?}}}\ntasks:\n");
    for layer in 0..depth {
        let before: Vec<String> = (0..width).map(|n| format!("t{}_{n}", layer.saturating_sub(1))).collect();
        let depends = if layer == 0 { String::new() } else { format!("depends_on: [{}]", before.join(", ")) };
        for n in 0..width {
            text.push_str(&format!("  t{layer}_{n}: {{{depends}}}\n"));
        }
    }
    text
}

#[test]
fn a_leader_that_is_killed_in_the_middle_of_everything_costs_no_task_and_doubles_none() {
    let (database, installation) = (Database::create(), Installation::new());
    let [home, other] = [(); 2].map(|()| installation.home().with("database.sql_alchemy_conn", &database.url()));
    let starts = home.counter("starts");
    let (width, depth) = (10, 5);
    for home in [&home, &other] {
        home.write("layers.yaml", &layers(&starts, width, depth));
    }
    let leader = home.start();
    let standby = other.start();
    let _workers = ["one@test", "two@test"].map(|name| Worker::start(&installation, name));
    let run = home.trigger("layers");
    wait_until("half of it has begun", || starts.count() >= width * depth / 2);
    leader.kill();
    let run = other.wait_run("layers", &run.run_id);
    run.assert_success();
    assert_eq!(starts.count(), width * depth);
    assert_eq!(starts.repeated(), Vec::<String>::new());
    assert_eq!(other.attempts(&run.row).len(), width * depth, "no attempt was lost with the leader");
    assert_eq!(standby.stop().code, Some(0));
}
