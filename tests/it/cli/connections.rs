//! `connections …`: kept, shown without their secrets, tried.

use std::net::TcpListener;

use super::Home;

const URI: &str = "postgres://ann:hunter2@db.example:5432/flows?sslmode=require&api_key=hunter2";

#[test]
fn a_connection_is_added_shown_and_deleted_and_its_secrets_are_masked_unless_asked_for() {
    let home = Home::new();
    let said = home.out(&["connections", "add", "db", "--conn-uri", URI]);
    assert!(said.starts_with("Successfully added `conn_id`=db\n"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let talk = home.failure(1, &["connections", "add", "db", "--conn-type", "http"]);
    assert!(talk.contains("A connection with `conn_id`=db already exists."), "{talk}");

    assert_eq!(
        home.json(&["connections", "list"]),
        serde_json::json!([{"conn_id": "db", "conn_type": "postgres"}]),
        "Airflow 3 hides the rest"
    );
    let row = home.json(&["connections", "get", "db"])[0].clone();
    assert_eq!(row["password"], "***");
    assert_eq!(row["extra_dejson"], serde_json::json!({"sslmode": "require", "api_key": "***"}));
    assert_eq!((&row["port"], &row["is_encrypted"]), (&"5432".into(), &"True".into()));
    assert!(!row.to_string().contains("hunter2"), "{row}");
    assert_eq!(home.json(&["connections", "get", "db", "--show-values"])[0]["get_uri"], URI);

    assert!(home.failure(1, &["connections", "get", "dv"]).contains("Connection not found."));
    let said = home.out(&["connections", "delete", "db"]);
    assert_eq!(said, "Successfully deleted connection with `conn_id`=db\n");
    assert!(home.failure(1, &["connections", "delete", "db"]).contains("Did not find a connection with `conn_id`=db"));
}

#[test]
fn what_makes_no_connection_is_a_usage_error_that_repeats_no_secret() {
    let home = Home::new();
    for words in [
        &["connections", "add", "c"][..],
        &["connections", "add", "c", "--conn-uri", "http://u:hunter2@h:port"],
        &["connections", "add", "c", "--conn-uri", "http://h", "--conn-host", "h"],
        &["connections", "add", "c", "--conn-json", "{\"pasword\": \"hunter2\"}"],
        &["connections", "add", "c", "--conn-type", "http", "--conn-extra", "[hunter2]"],
    ] {
        let talk = home.failure(2, words);
        assert!(!talk.contains("hunter2"), "{words:?}: {talk}");
    }
}

#[test]
fn connections_travel_through_every_kind_of_file() {
    let home = Home::new();
    home.out(&["connections", "add", "db", "--conn-uri", URI]);
    home.out(&[
        "connections",
        "add",
        "api",
        "--conn-type",
        "http",
        "--conn-host",
        "h",
        "--conn-extra",
        "{\"a\": {\"b\": 1}}",
    ]);
    let before = home.json(&["connections", "list", "--show-values"]);
    for name in ["c.json", "c.yaml", "c.env"] {
        let file = home.path().join(name);
        let file = file.to_str().expect("text");
        let said = home.out(&["connections", "export", file]);
        assert_eq!(said, format!("Connections successfully exported to {file}\n"));
        home.out(&["connections", "delete", "db"]);
        let said = home.out(&["connections", "import", file]);
        assert!(said.contains("Imported connection db\n"), "{name}: {said}");
        assert!(said.contains("Could not import connection api: connection already exists.\n"), "{name}: {said}");
        let said = home.out(&["connections", "import", file, "--overwrite"]);
        assert!(said.contains("Imported connection api\n"), "{name}: {said}");
        let after = home.json(&["connections", "list", "--show-values"]);
        for (before, after) in before.as_array().expect("rows").iter().zip(after.as_array().expect("rows")) {
            for column in ["conn_id", "conn_type", "host", "login", "password", "port", "extra_dejson"] {
                // A URI always has a host and a schema, if only empty ones.
                assert_eq!(before[column], after[column], "{name}: {column}");
            }
        }
    }
}

#[test]
fn a_connection_is_tested_against_what_is_really_there() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("http://127.0.0.1:{}", listener.local_addr().expect("bound").port());
    home.out(&["connections", "add", "up", "--conn-uri", &uri]);
    assert_eq!(home.out(&["connections", "test", "up"]), "Connection success!\n");
    drop(listener);
    assert!(home.failure(1, &["connections", "test", "up"]).contains("Connection failed!"));

    let database = home.path().join("updraft.db");
    home.out(&["connections", "add", "file", "--conn-uri", &format!("sqlite://{}", database.display())]);
    assert_eq!(home.out(&["connections", "test", "file"]), "Connection success!\n");
    let other = home.path().join("dags/january.yaml");
    home.out(&["connections", "add", "text", "--conn-uri", &format!("sqlite://{}", other.display())]);
    assert!(home.failure(1, &["connections", "test", "text"]).contains("is not an SQLite database"));
}

#[test]
fn a_connection_that_says_nothing_hears_of_all_three_ways() {
    let home = Home::new();
    let talk = home.failure(2, &["connections", "add", "c"]);
    assert!(talk.contains("--conn-uri <URI>|--conn-json <JSON>|--conn-type"), "{talk}");
    home.failure(2, &["connections", "add", "c", "--conn-uri", "http://h", "--conn-type", "http"]);
    home.out(&["connections", "add", "c", "--conn-type", "http", "--conn-host", "h"]);
}
