//! `pools …`, with no node and with one.

use super::Home;

#[test]
fn a_pool_is_made_changed_shown_and_deleted_in_airflows_words() {
    let home = Home::new();
    assert_eq!(home.out(&["pools", "set", "etl", "8", "The warehouse"]), "Pool etl created\n");
    home.out(&["pools", "set", "free", "-1", "", "--include-deferred"]);
    let row = serde_json::json!({
        "pool": "etl", "slots": "8", "description": "The warehouse", "include_deferred": "False"
    });
    assert_eq!(home.json(&["pools", "get", "etl"]), serde_json::json!([row]));
    let listed = home.json(&["pools", "list"]);
    let names: Vec<_> =
        listed.as_array().expect("rows").iter().map(|row| row["pool"].as_str().expect("text")).collect();
    assert_eq!(names, ["default_pool", "etl", "free"]);
    assert_eq!(home.out(&["pools", "delete", "etl"]), "Pool etl deleted\n");
    for words in [&["pools", "delete", "etl"][..], &["pools", "get", "etl"]] {
        assert!(home.failure(1, words).contains("Pool etl does not exist"));
    }
    assert!(home.failure(1, &["pools", "delete", "default_pool"]).contains("cannot be deleted"));
    assert!(home.failure(1, &["pools", "set", "etl", "-2", ""]).contains("-1 (no limit) or more"));
}

#[test]
fn pools_travel_through_a_file_and_a_mistake_in_it_changes_nothing() {
    let home = Home::new();
    home.out(&["pools", "set", "etl", "8", "The warehouse"]);
    let file = home.path().join("pools.json");
    let name = file.to_str().expect("text");
    assert_eq!(home.out(&["pools", "export", name]), format!("Exported 2 pools to {name}\n"));
    home.out(&["pools", "delete", "etl"]);
    assert_eq!(home.out(&["pools", "import", name]), "Uploaded 2 pool(s)\n");
    assert_eq!(home.json(&["pools", "get", "etl"])[0]["slots"], "8");
    std::fs::write(&file, "{\"a\": {\"slots\": 1}, \"b\": {\"slot\": 1}}").expect("a file");
    assert!(home.failure(1, &["pools", "import", name]).contains("pool b: unknown field `slot`"));
    assert!(home.failure(1, &["pools", "get", "a"]).contains("does not exist"));
    std::fs::write(&file, "{\"a\": {\"slots\": \"many\"}}").expect("a file");
    assert!(
        home.failure(1, &["pools", "import", name])
            .contains("pool a: invalid type: string \"many\", expected a whole number")
    );
}
