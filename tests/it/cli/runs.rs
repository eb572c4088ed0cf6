//! Runs: triggering them, listing them, asking for their state. No node runs here, so that nothing moves.

use serde_json::json;

use super::Home;

#[test]
fn a_trigger_answers_with_the_run_and_says_that_it_waits() {
    let home = Home::new();
    let said = home.run(&["dags", "trigger", "on_demand", "--conf", r#"{"word": "hi", "n": [1]}"#, "-o", "json"]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    let rows: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let row = &rows[0];
    assert_eq!(row["conf"], json!({"word": "hi", "n": [1]}));
    assert_eq!((&row["state"], &row["run_type"]), (&json!("queued"), &json!("manual")));
    assert_eq!(row["triggering_user_name"], "ann");
    assert!(row["dag_run_id"].as_str().expect("text").starts_with("manual__2"), "{row}");
    assert!(said.talk.contains("is paused: the run waits until `updraft dags unpause on_demand`"), "{}", said.talk);
    let id = row["dag_run_id"].as_str().expect("text");
    assert_eq!(home.out(&["dags", "state", "on_demand", id]), "queued, {\"word\": \"hi\", \"n\": [1]}\n");
}

#[test]
fn a_run_is_found_by_its_id_and_by_its_date() {
    let home = Home::new();
    home.out(&["dags", "trigger", "on_demand", "-r", "again", "-l", "2026-01-31T06:00:00+01:00"]);
    for named in ["again", "2026-01-31T05:00:00+00:00", "2026-01-31T05:00", "2026-01-31 05:00:00"] {
        assert_eq!(home.out(&["dags", "state", "on_demand", named]), "queued\n", "{named}");
    }
    let said = home.run(&["dags", "state", "on_demand", "agian"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "None\n"));
    assert!(said.talk.contains("did you mean `again`?"), "{}", said.talk);
}

#[test]
fn a_name_or_a_date_is_taken_once() {
    let home = Home::new();
    home.out(&["dags", "trigger", "on_demand", "-r", "one", "-l", "2026-01-31"]);
    let same_name = home.failure(1, &["dags", "trigger", "on_demand", "-r", "one"]);
    assert!(same_name.contains("already has a run `one`"), "{same_name}");
    let same_date = home.failure(1, &["dags", "trigger", "on_demand", "--exec-date", "2026-01-31"]);
    assert!(same_date.contains("2026-01-31") && same_date.contains("`one`"), "{same_date}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_opened() {
    let home = Home::new();
    let talk = home.failure(2, &["dags", "trigger", "on_demand", "-c", r#"{"rows": 5O}"#]);
    assert!(talk.contains("line 1, column 11"), "{talk}");
    let talk = home.failure(2, &["dags", "trigger", "on_demand", "-c", "[1]"]);
    assert!(talk.contains("expected a JSON object"), "{talk}");
    let talk = home.failure(2, &["dags", "trigger", "on_demand", "-l", "yesterday"]);
    assert!(talk.contains("ISO 8601"), "{talk}");
    home.failure(2, &["dags", "trigger", "on_demand", "-r", "../etc"]);
    home.failure(2, &["dags", "list-runs", "on_demand", "--state", "sleeping"]);
    assert!(!home.path().join("updraft.db").exists());
}

#[test]
fn runs_are_listed_newest_first_and_filtered() {
    let home = Home::new();
    assert_eq!(home.out(&["dags", "list-runs", "on_demand"]), "No data found\n");
    for (id, date) in [("a", "2026-01-01"), ("b", "2026-01-02"), ("c", "2026-01-03")] {
        home.out(&["dags", "trigger", "on_demand", "-r", id, "-l", date]);
    }
    let listed = |more: &[&str]| -> Vec<String> {
        let rows = home.json(&[&["dags", "list-runs", "on_demand"], more].concat());
        let ids = rows.as_array().expect("rows").iter().filter_map(|row| row["run_id"].as_str());
        ids.map(str::to_owned).collect()
    };
    assert_eq!(listed(&[]), ["c", "b", "a"]);
    assert_eq!(listed(&["-s", "2026-01-02"]), ["c", "b"]);
    assert_eq!(listed(&["-e", "2026-01-02", "--no-backfill"]), ["b", "a"]);
    assert_eq!(listed(&["--state", "queued"]).len(), 3);
    assert_eq!(listed(&["--state", "failed"]).len(), 0);
    let by_flag = home.json(&["dags", "list-runs", "-d", "on_demand"]);
    assert_eq!(by_flag.as_array().map(Vec::len), Some(3));
}
