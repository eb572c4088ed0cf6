//! The tutorial's DAG from a fresh home, as its reader runs it, with the times that its reader sees.

use updraft::domain::problem::Severity;
use updraft::store::query::ImportError;

use crate::kit::{FinishedRun, Home, wait_for};

/// A machine that is busy with something else is slow once; a product that is slow is slow every time.
const TRIES: usize = 3;

/// Lets the tutorial run until it keeps its time, with the first run the timetable's own.
#[track_caller]
fn runs_within(home: &Home, seconds: std::ops::RangeInclusive<f64>) -> FinishedRun {
    let mut run = home.wait_scheduled_run("parallel_dag");
    for _ in 1..TRIES {
        run.assert_success();
        assert!(run.seconds() >= *seconds.start(), "{} s are too few: the tasks cannot have run", run.seconds());
        if seconds.contains(&run.seconds()) {
            break;
        }
        run = home.trigger_and_wait("parallel_dag");
    }
    assert!(seconds.contains(&run.seconds()), "the run took {} s, not {seconds:?}", run.seconds());
    run
}

fn start_of(run: &FinishedRun, task: &str) -> chrono::DateTime<chrono::Utc> {
    run.task(task).started_at.expect("it started")
}

/// The files that give no DAG; old names alone are no reason for that.
fn broken(home: &Home) -> Vec<ImportError> {
    home.import_errors().into_iter().filter(|error| error.problem.severity == Severity::Error).collect()
}

#[test]
fn the_tutorial_runs_its_middle_tasks_side_by_side_and_its_broken_twin_is_explained() {
    let home = Home::new();
    home.copy("tests/dags/good/parallel_dag.py");
    home.copy("tests/dags/broken/parallel_dag_as_printed.py");
    let node = home.start();

    let run = runs_within(&home, 9.0..=9.3);
    let apart = (start_of(&run, "task_2") - start_of(&run, "task_3")).num_milliseconds().abs();
    assert!(apart < 50, "task_2 and task_3 started {apart} ms apart");
    assert!(start_of(&run, "task_4") >= run.task("task_2").ended_at.expect("it ended"));

    let errors = broken(&home);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].file, "parallel_dag_as_printed.py");
    assert_eq!(errors[0].problem.place.line, Some(31));
    assert!(errors[0].problem.message.contains("task1"), "{errors:#?}");
    assert!(errors[0].problem.hint.as_deref().unwrap_or_default().contains("task_1"), "{errors:#?}");

    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn the_sequential_executor_runs_the_tutorial_one_task_at_a_time() {
    let home = Home::new().with("core.executor", "SequentialExecutor");
    home.copy("tests/dags/good/parallel_dag.py");
    let _node = home.start();
    let run = runs_within(&home, 12.0..=12.5);
    let mut times: Vec<_> = run.tasks.iter().map(|task| (task.started_at, task.ended_at)).collect();
    times.sort();
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two ran at once: {times:#?}");
}

#[test]
fn the_executor_of_airflow_2_is_the_sequential_one() {
    let home = Home::new().with("core.airflow_era", "2");
    let node = home.start();
    node.wait_says("SequentialExecutor");
}

/// Eight tasks that wait for each other: they end only if all of both runs run at once.
#[test]
fn without_a_limit_two_runs_do_not_wait_for_each_other() {
    let home = Home::new().with("core.parallelism", "0");
    let arrived = home.counter("arrived");
    let command = format!(
        "{}; until [ $(wc -l < '{}') -ge 40 ]; do sleep 0.02; done",
        arrived.shell("$AIRFLOW_CTX_DAG_RUN_ID $AIRFLOW_CTX_TASK_ID"),
        arrived.path().display()
    );
    let tasks: Vec<String> = (0..20).map(|n| format!("  t{n}: {{bash: {command:?}}}\n")).collect();
    home.write("meeting.yaml", &format!("schedule: null\nmax_active_tasks: 0\ntasks:\n{}", tasks.concat()));
    let _node = home.start();
    let (one, two) = (home.trigger("meeting"), home.trigger("meeting"));
    for run in [one, two] {
        home.wait_run("meeting", &run.run_id).assert_success();
    }
    assert_eq!(arrived.repeated(), Vec::<String>::new());
}

/// Three at once, never four, however many are ready.
#[test]
fn a_limit_of_three_is_exact() {
    let home = Home::new().with("core.parallelism", "3");
    let (inside, tokens) = (home.counter("inside"), home.in_world("tokens"));
    std::fs::create_dir_all(&tokens).expect("a folder");
    let tokens = tokens.display();
    let command = format!(
        "mkdir '{tokens}'/$AIRFLOW_CTX_TASK_ID; {}; sleep 0.05; rmdir '{tokens}'/$AIRFLOW_CTX_TASK_ID",
        inside.shell(&format!("$(ls '{tokens}' | wc -l)"))
    );
    let tasks: Vec<String> = (0..18).map(|n| format!("  t{n}: {{bash: {command:?}}}\n")).collect();
    home.write("crowd.yaml", &format!("schedule: null\ntasks:\n{}", tasks.concat()));
    let _node = home.start();
    home.trigger_and_wait("crowd").assert_success();
    let most = inside.lines().iter().map(|line| line.trim().parse::<u32>().expect("a number")).max();
    assert_eq!(most, Some(3));
}

#[test]
fn every_example_of_the_repository_is_read_without_an_error() {
    let home = Home::new().with("core.dags_are_paused_at_creation", "True");
    for name in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/dags")).expect("the examples") {
        let path = name.expect("an entry").path();
        if path.is_file() {
            home.copy(&path.to_string_lossy());
        }
    }
    let node = home.start();
    for dag in ["hello", "fan_out", "etl", "skip_and_join", "tell_somebody"] {
        home.wait_dag(dag);
    }
    wait_for("the Python examples are read", || home.dag("parallel_dag").zip(home.dag("every_language")));
    assert_eq!(broken(&home), []);
    drop(node);
}
