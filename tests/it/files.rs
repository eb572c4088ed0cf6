//! DAG files come, change and go under a running node.

use std::time::{Duration, Instant};

use crate::kit::{Home, wait_for, wait_until};

/// What a change may take until it is in effect.
const SOON: Duration = Duration::from_secs(1);

fn says(word: &str) -> String {
    format!("schedule: null\ntasks:\n  say: {{bash: 'echo {word}'}}\n")
}

/// What the newest run of `dag` printed.
fn said(home: &Home, dag: &str) -> String {
    let run = home.trigger_and_wait(dag);
    run.assert_success();
    home.log(&run.row, "say", 1)
}

/// Waits for the effect of what was just done, which has to come soon.
#[track_caller]
fn soon<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    let found = wait_for(what, look);
    assert!(begun.elapsed() < SOON, "{what}, but only after {:?}", begun.elapsed());
    found
}

#[test]
fn a_file_takes_effect_within_a_second_when_it_comes_changes_and_goes() {
    let home = Home::new();
    home.write("first.yaml", &says("one"));
    let _node = home.start();
    assert!(said(&home, "first").contains("one"));

    home.write("second.yaml", &says("two"));
    soon("the new file is read", || home.dag("second"));

    let before = home.wait_dag("first").row.version;
    home.write("first.yaml", &says("three"));
    soon("the changed file is read", || home.dag("first").filter(|dag| dag.row.version > before));
    assert!(said(&home, "first").contains("three"));

    home.remove("first.yaml");
    soon("the removed file is noticed", || home.dag("first").filter(|dag| dag.row.is_stale));
    assert!(!home.wait_dag("second").row.is_stale);

    home.write("first.yaml", &says("four"));
    soon("the file is back", || home.dag("first").filter(|dag| !dag.row.is_stale));
    assert!(said(&home, "first").contains("four"));
}

#[test]
fn a_folder_of_files_may_come_at_once_and_a_file_may_be_moved_over_another() {
    let home = Home::new();
    home.write("team/old.yaml", &says("old"));
    let _node = home.start();
    home.wait_dag("old");
    let beside = home.in_world("staged");
    std::fs::create_dir_all(&beside).expect("a folder");
    std::fs::write(beside.join("fresh.yaml"), says("fresh")).expect("a file");
    std::fs::rename(&beside, home.dags().join("deep")).expect("a folder moves in");
    soon("the folder that moved in is read", || home.dag("fresh"));
    // An editor saves like this.
    home.write("team/.old.yaml.swp", &says("new"));
    std::fs::rename(home.dags().join("team/.old.yaml.swp"), home.dags().join("team/old.yaml")).expect("a save");
    soon("the save is read", || home.dag("old").filter(|dag| dag.row.version.0 == 2));
    assert!(said(&home, "old").contains("new"));
}

#[test]
fn a_running_run_keeps_the_version_it_began_with() {
    let home = Home::new();
    let (gate, started) = (home.in_world("gate"), home.counter("started"));
    let dag = |word: &str| {
        let wait = format!("{}; until [ -e '{}' ]; do sleep 0.02; done", started.shell("1"), gate.display());
        format!(
            "schedule: null\ntasks:\n  wait: {{bash: {wait:?}}}\n  say: {{bash: 'echo {word}', depends_on: wait}}\n"
        )
    };
    home.write("slow.yaml", &dag("old"));
    let _node = home.start();
    let run = home.trigger("slow");
    wait_until("the run is under way", || started.count() == 1);
    let before = home.wait_dag("slow").row.version;
    home.write("slow.yaml", &dag("new"));
    soon("the change is read", || home.dag("slow").filter(|dag| dag.row.version > before));
    std::fs::write(&gate, "").expect("the gate opens");

    let run = home.wait_run("slow", &run.run_id);
    run.assert_success();
    assert_eq!(run.row.version, before);
    assert!(home.log(&run.row, "say", 1).contains("old"));
    assert!(said(&home, "slow").contains("new"), "the next run has the new version");
}

#[test]
fn a_broken_edit_keeps_the_last_good_dag_and_says_where_it_is_broken() {
    let home = Home::new();
    home.write("steady.yaml", &says("steady"));
    home.write("snake.py", SNAKE);
    let _node = home.start();
    home.wait_dag("steady");
    home.wait_dag("snake");

    home.write("steady.yaml", "schedule: null\ntasks:\n  say: {bahs: 'echo x'}\n");
    let problem = home.wait_import_error("steady.yaml");
    assert!(problem.contains("line 3") && problem.contains("did you mean `bash`"), "{problem}");
    home.write("snake.py", &SNAKE.replace("task_id='say'", "task_id='say"));
    let problem = home.wait_import_error("snake.py");
    assert!(problem.contains("line 5"), "{problem}");

    assert!(!home.wait_dag("steady").row.is_stale, "the last good one is still there");
    assert!(said(&home, "steady").contains("steady"));
    assert!(said(&home, "snake").contains("hiss"));

    home.write("steady.yaml", &says("mended"));
    home.write("snake.py", SNAKE);
    soon("the mended files are read", || home.import_errors().is_empty().then_some(()));
    assert!(said(&home, "steady").contains("mended"));
}

const SNAKE: &str = "\
from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG('snake', schedule=None):
    BashOperator(task_id='say', bash_command='echo hiss')
";

#[test]
fn what_an_ignore_file_names_is_no_dag() {
    let home = Home::new();
    home.write(".airflowignore", "*_draft.yaml\nattic/\n");
    for file in ["kept.yaml", "my_draft.yaml", "attic/old.yaml"] {
        home.write(file, &says("x"));
    }
    let _node = home.start();
    home.wait_dag("kept");
    assert!(home.dag("my_draft").is_none() && home.dag("old").is_none());

    home.write(".airflowignore", "kept.yaml\n");
    soon("the ignore file is read anew", || home.dag("kept").filter(|dag| dag.row.is_stale));
    soon("what was ignored is read", || home.dag("my_draft").and(home.dag("old")));
}

#[test]
fn files_that_changed_while_no_node_ran_are_noticed_at_its_start() {
    let home = Home::new();
    home.write("stays.yaml", &says("stays"));
    home.write("goes.yaml", &says("goes"));
    home.write("changes.yaml", &says("before"));
    let node = home.start();
    for dag in ["stays", "goes", "changes"] {
        home.wait_dag(dag);
    }
    node.kill();
    home.remove("goes.yaml");
    home.write("changes.yaml", &says("after"));
    home.write("comes.yaml", &says("comes"));
    let _node = home.start();
    home.wait_dag("comes");
    wait_until("the file that went is noticed", || home.dag("goes").is_some_and(|dag| dag.row.is_stale));
    assert_eq!(home.wait_dag("stays").row.version.0, 1, "an unchanged file is no new version");
    assert!(said(&home, "changes").contains("after"));
}
