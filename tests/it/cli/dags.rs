//! `dags …`: looking at DAGs, and pausing them.

use serde_json::{Value, json};

use super::Home;

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().expect("rows").iter().filter_map(|row| row["dag_id"].as_str()).collect()
}

#[test]
fn dags_are_listed_in_every_format() {
    let home = Home::new();
    let table = home.out(&["dags", "list"]);
    let mut lines = table.lines();
    assert_eq!(
        lines.next().map(|line| line.split(" | ").map(str::trim).collect::<Vec<_>>()),
        Some(vec!["dag_id", "fileloc", "owners", "is_paused", "bundle_name", "bundle_version"])
    );
    assert!(lines.next().is_some_and(|rule| rule.starts_with("====")), "{table}");
    let rows = home.json(&["dags", "list"]);
    assert_eq!(ids(&rows), ["january", "leap_year", "on_demand"]);
    assert_eq!(rows[0]["owners"], json!(["ann"]));
    assert_eq!(rows[0]["is_paused"], "True");
    assert_eq!(rows[0]["fileloc"], home.path().join("dags/january.yaml").to_string_lossy().as_ref());
    assert_eq!(
        home.out(&["dags", "list", "-o", "plain", "--columns", "is_paused,dag_id"]),
        "is_paused  dag_id\nTrue       january\nTrue       leap_year\nTrue       on_demand\n"
    );
    assert!(home.out(&["dags", "list", "-o", "yaml"]).starts_with("- dag_id: january\n"));
}

#[test]
fn each_era_has_its_own_columns() {
    let home = Home::new();
    std::fs::write(home.path().join("updraft.toml"), "[core]\nairflow_era = 2\n").expect("a file");
    let columns = |rows: &Value| rows[0].as_object().expect("a row").keys().cloned().collect::<Vec<_>>();
    assert_eq!(columns(&home.json(&["dags", "list"])), ["dag_id", "fileloc", "owners", "is_paused"]);
    home.out(&["dags", "trigger", "on_demand", "-e", "2026-01-31"]);
    let runs = home.json(&["dags", "list-runs", "-d", "on_demand"]);
    // What a table has no room for is in JSON alone.
    let with_deadlines = ["dag_id", "run_id", "state", "execution_date", "start_date", "end_date", "missed_deadlines"];
    assert_eq!(columns(&runs), with_deadlines);
    let table = home.out(&["dags", "list-runs", "-d", "on_demand"]);
    assert!(!table.contains("missed_deadlines"), "{table}");
}

#[test]
fn flags_of_airflow_without_a_meaning_here_are_accepted_and_said() {
    let home = Home::new();
    for flag in [["-S", "dags/january.yaml"], ["-B", "dags-folder"]] {
        let said = home.run(&[&["dags", "list"], &flag[..]].concat());
        assert_eq!(said.code, Some(0));
        assert!(said.talk.contains(flag[0]) && said.talk.contains("no effect"), "{}", said.talk);
        assert!(!said.out.contains("no effect"), "stdout is for data");
    }
}

#[test]
fn a_file_with_a_mistake_is_shown_with_its_place_and_a_hint() {
    let home = Home::new();
    assert_eq!(home.out(&["dags", "list-import-errors"]), "No data found\n");
    home.write("broken.yaml", "dag_id: broken\nschedule: '@dayly'\ntasks:\n  a: {bash: 'true'}\n");
    let said = home.run(&["dags", "list"]);
    assert!(said.talk.contains("list-import-errors"), "{}", said.talk);
    assert!(said.out.contains("january"), "one bad file does not hide the others");
    let rows = home.json(&["dags", "list-import-errors"]);
    let row = &rows[0];
    assert_eq!(row["filepath"], home.path().join("dags/broken.yaml").to_string_lossy().as_ref());
    assert_eq!(row["line"], "2");
    assert!(row["error"].as_str().expect("text").contains("@dayly"), "{row}");
    assert!(rows.to_string().contains("@daily"), "what was meant is said: {rows}");
    home.write("broken.yaml", "dag_id: broken\nschedule: '@daily'\ntasks:\n  a: {bash: 'true'}\n");
    assert_eq!(home.json(&["dags", "list-import-errors"]), json!([]));
}

#[test]
fn a_traceback_is_shown_when_more_is_asked_for() {
    let home = Home::new();
    home.write("broken.py", "from airflow import DAG\nwith DAG('x'):\n    task1 >> 2\n");
    let quiet = home.run(&["dags", "list-import-errors"]);
    assert!(quiet.out.contains("NameError") && !quiet.talk.contains("Traceback"), "{}{}", quiet.out, quiet.talk);
    let verbose = home.run(&["dags", "list-import-errors", "-v"]);
    assert!(verbose.talk.contains("Traceback"), "{}", verbose.talk);
    assert!(home.json(&["dags", "list-import-errors", "-v"])[0]["traceback"].to_string().contains("line 3"));
}

#[test]
fn details_are_keys_and_values() {
    let home = Home::new();
    let rows = home.json(&["dags", "details", "january"]);
    let value = |name: &str| {
        let mut rows = rows.as_array().expect("rows").iter();
        rows.find(|row| row["property_name"] == name).map(|row| row["property_value"].clone())
    };
    assert_eq!(value("description"), Some(json!("One month.")));
    assert_eq!(value("tags"), Some(json!(["past", "small"])));
    assert_eq!(value("start_date"), Some(json!("2020-01-01T00:00:00+00:00")));
    assert_eq!(value("catchup"), Some(json!("True")));
    assert_eq!(value("timetable_summary"), Some(json!("@daily")));
    assert_eq!(value("task_count"), Some(json!("2")));
    assert!(home.out(&["dags", "details", "january"]).starts_with("property_name"));
}

#[test]
fn an_unknown_dag_is_named_with_the_one_that_was_meant() {
    let home = Home::new();
    for words in [
        &["dags", "details", "januari"][..],
        &["dags", "show", "januari"],
        &["dags", "list-runs", "januari"],
        &["dags", "pause", "januari"],
        &["dags", "unpause", "januari"],
        &["dags", "trigger", "januari"],
        &["dags", "state", "januari", "x"],
        &["dags", "test", "januari"],
        &["dags", "next-execution", "januari"],
        &["tasks", "list", "januari"],
        &["tasks", "test", "januari", "a"],
        &["tasks", "state", "januari", "a", "x"],
        &["tasks", "states-for-dag-run", "januari", "x"],
        &["tasks", "logs", "januari", "a", "x"],
    ] {
        let talk = home.failure(1, words);
        assert_eq!(talk, "error: no DAG is named `januari`\nhint: did you mean `january`?\n", "{words:?}");
    }
    assert!(home.failure(1, &["dags", "show", "zebra"]).contains("hint: `updraft dags list`"));
    home.failure(2, &["dags", "show", "not a name"]);
}

#[test]
fn a_dag_is_shown_as_a_graph() {
    let home = Home::new();
    let dot = home.out(&["dags", "show", "leap_year"]);
    assert!(dot.starts_with("digraph \"leap_year\" {\n") && dot.ends_with("}\n"), "{dot}");
    for edge in ["\"a\" -> \"b\"", "\"a\" -> \"c\"", "\"b\" -> \"d\"", "\"c\" -> \"d\""] {
        assert!(dot.contains(edge), "{edge} is missing:\n{dot}");
    }
    let file = home.path().join("graph.dot");
    assert_eq!(home.out(&["dags", "show", "leap_year", "-s", "graph.dot"]), "");
    assert_eq!(std::fs::read_to_string(file).expect("a file"), dot);
    let talk = home.failure(2, &["dags", "show", "leap_year", "--save", "graph.png"]);
    assert!(talk.contains("| dot -Tpng"), "{talk}");
}

#[test]
fn the_schema_is_json_for_editors() {
    let home = Home::new();
    let schema: Value = serde_json::from_str(&home.out(&["dags", "schema"])).expect("JSON");
    assert!(schema["properties"]["tasks"].is_object());
}

#[test]
fn the_next_runs_follow_the_schedule() {
    let home = Home::new();
    let said = home.run(&["dags", "next-execution", "january", "-n", "3"]);
    assert_eq!(said.out, "2020-01-01T00:00:00+00:00\n2020-01-02T00:00:00+00:00\n2020-01-03T00:00:00+00:00\n");
    assert!(said.talk.contains("is paused"), "{}", said.talk);
    let past_the_end = home.run(&["dags", "next-execution", "january", "-n", "40"]);
    assert_eq!(past_the_end.out.lines().count(), 32);
    assert!(past_the_end.out.ends_with("\nNone\n") && past_the_end.talk.contains("no further run"));
    assert_eq!(home.out(&["dags", "next-execution", "on_demand"]), "None\n");
    home.failure(2, &["dags", "next-execution", "january", "-n", "0"]);
}

#[test]
fn unpausing_says_first_what_the_schedule_will_make_up_for() {
    let home = Home::new();
    let said = home.run(&["dags", "unpause", "january"]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    let sentence = "unpausing `january` will create 31 runs, 62 tasks, \
                    from 2020-01-01T00:00:00+00:00 to 2020-01-31T00:00:00+00:00";
    assert!(said.talk.contains(sentence), "{}", said.talk);
    assert_eq!(said.out, "dag_id  | is_paused\n========+==========\njanuary | False\n\n");
    let again = home.run(&["dags", "unpause", "january"]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""));
    assert_eq!(again.talk, "No paused DAGs were found\n");
    assert_eq!(home.json(&["dags", "pause", "january"]), json!([{"dag_id": "january", "is_paused": "True"}]));
    assert_eq!(home.json(&["dags", "pause", "january"]), json!([]));
}

#[test]
fn many_runs_need_a_yes() {
    let home = Home::new();
    let talk = home.failure_after_question(&["dags", "unpause", "leap_year"]);
    assert!(talk.contains("366 runs, 1,464 tasks"), "{talk}");
    assert!(talk.contains("hint: add --yes"), "{talk}");
    assert_eq!(home.json(&["dags", "list"])[1]["is_paused"], "True", "nothing was changed");
    assert_eq!(home.json(&["dags", "unpause", "leap_year", "--yes"])[0]["is_paused"], "False");
}

#[test]
fn a_regular_expression_pauses_several_with_one_yes() {
    let home = Home::new();
    home.failure_after_question(&["dags", "unpause", "--treat-dag-id-as-regex", "^(jan|on_)"]);
    let rows = home.json(&["dags", "unpause", "--treat-dag-id-as-regex", "^(jan|on_)", "-y"]);
    assert_eq!(ids(&rows), ["january", "on_demand"]);
    let talk = home.failure(2, &["dags", "pause", "--treat-dag-id-as-regex", "(", "-y"]);
    assert!(talk.contains("no regular expression"), "{talk}");
}
