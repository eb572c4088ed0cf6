//! `config …`, and what every command does with a configuration that is wrong.

use super::{Home, Said};

#[test]
fn get_value_answers_with_the_value_alone() {
    let home = Home::new();
    assert_eq!(home.out(&["config", "get-value", "core", "executor"]), "LocalExecutor\n");
    let said = home.run(&["config", "get-value", "core", "executer"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""));
    assert!(said.talk.contains("did you mean"), "{}", said.talk);
    assert!(home.out(&["config", "list", "--section", "core"]).starts_with("[core]\n"));
}

#[test]
fn old_names_work_and_are_named_once_on_stderr() {
    let home = Home::new();
    let output = home
        .command()
        .env("AIRFLOW__CORE__DAG_CONCURRENCY", "7")
        .args(["config", "get-value", "core", "max_active_tasks_per_dag"])
        .output()
        .expect("it runs");
    let said = Said::from(output);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "7\n"));
    assert_eq!(said.talk.matches("warning: ").count(), 1, "{}", said.talk);
    assert!(said.talk.contains("dag_concurrency"), "{}", said.talk);
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_place_and_a_hint() {
    let home = Home::new();
    std::fs::write(home.path().join("airflow.cfg"), "[core]\nexecutor = LocalExecutr\nparallelism = many\n")
        .expect("a file");
    let talk = home.failure(1, &["dags", "list"]);
    assert!(talk.contains("airflow.cfg, line 2"), "{talk}");
    assert!(talk.contains("LocalExecutor"), "{talk}");
    assert!(talk.contains("airflow.cfg, line 3"), "all mistakes are said at once: {talk}");
}

#[test]
fn colours_appear_nowhere_in_a_pipe() {
    let home = Home::new();
    let talk = home.failure(1, &["dags", "details", "nothing"]);
    assert!(!talk.contains('\x1b'), "{talk:?}");
}
