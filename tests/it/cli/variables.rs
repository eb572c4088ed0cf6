//! `variables …` and the key that encrypts them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Home, Said};

#[test]
fn a_variable_is_set_read_listed_and_deleted_in_airflows_words() {
    let home = Home::new();
    assert_eq!(home.out(&["variables", "list"]), "No data found\n");
    assert_eq!(home.out(&["variables", "set", "rows", "50"]), "Variable rows created\n");
    assert_eq!(home.out(&["variables", "set", "limits", "{\"a\": 1}", "-j"]), "Variable limits created\n");
    assert_eq!(home.out(&["variables", "get", "rows"]), "50\n");
    assert_eq!(home.out(&["variables", "get", "limits", "--json"]), "{\"a\":1}\n");
    assert_eq!(home.json(&["variables", "list"]), serde_json::json!([{"key": "limits"}, {"key": "rows"}]));
    assert_eq!(home.out(&["variables", "get", "none", "-d", "7"]), "7\n");
    let talk = home.failure(1, &["variables", "get", "row"]);
    assert!(talk.contains("Variable row does not exist") && talk.contains("did you mean `rows`?"), "{talk}");
    let talk = home.failure(1, &["variables", "set", "bad", "{hunter2", "-j"]);
    assert!(talk.contains("not JSON") && !talk.contains("hunter2"), "{talk}");
    assert_eq!(home.out(&["variables", "delete", "rows"]), "Variable rows deleted\n");
    assert!(home.failure(1, &["variables", "delete", "rows"]).contains("Variable rows does not exist"));
}

#[test]
fn variables_travel_through_a_file_with_every_way_to_treat_the_known() {
    let home = Home::new();
    let file = home.path().join("variables.json");
    let file = file.to_str().expect("text");
    home.out(&["variables", "set", "rows", "50", "--description", "How many"]);
    home.out(&["variables", "set", "word", "hello"]);
    let said = home.out(&["variables", "export", file]);
    assert_eq!(said, format!("2 variables successfully exported to {file}\n"));
    assert_eq!(fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(file).expect("there");
    assert!(text.starts_with("{\n    \"rows\": {\n        \"description\": \"How many\",\n"), "{text}");

    home.out(&["variables", "set", "word", "changed"]);
    home.out(&["variables", "delete", "rows"]);
    let talk = home.failure(1, &["variables", "import", file, "-a", "fail"]);
    assert!(talk.contains("The variables with these keys: word already exists."), "{talk}");
    let said = home.out(&["variables", "import", file, "-a", "skip"]);
    assert!(
        said.starts_with("1 of 2 variables successfully updated.\n") && said.contains("word were skipped"),
        "{said}"
    );
    assert_eq!(home.out(&["variables", "get", "word"]), "changed\n");
    assert_eq!(home.out(&["variables", "get", "rows"]), "50\n");
    home.out(&["variables", "import", file]);
    assert_eq!(home.out(&["variables", "get", "word"]), "hello\n");
    assert_eq!(home.out(&["variables", "export", "-"]), text);
}

#[test]
fn the_key_is_made_once_for_its_owner_alone_and_a_wrong_one_opens_nothing() {
    let home = Home::new();
    home.out(&["variables", "set", "rows", "50"]);
    let file = home.path().join("fernet.key");
    assert_eq!(fs::metadata(&file).expect("made").permissions().mode() & 0o777, 0o600);
    let old = fs::read_to_string(&file).expect("made").trim().to_owned();

    let new = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    let with_key = |key: &str, words: &[&str]| {
        Said::from(home.command().env("UPDRAFT__CORE__FERNET_KEY", key).args(words).output().expect("it runs"))
    };
    let said = with_key(new, &["variables", "get", "rows"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.talk.contains("variable `rows` cannot be decrypted"), "{}", said.talk);

    let both = format!("{new},{old}");
    assert_eq!(with_key(&both, &["variables", "get", "rows"]).out, "50\n");
    let said = with_key(&both, &["rotate-fernet-key"]);
    assert_eq!(said.code, Some(0), "{}", said.talk);
    assert_eq!(with_key(new, &["variables", "get", "rows"]).out, "50\n");
    assert_eq!(with_key(&old, &["variables", "get", "rows"]).code, Some(1));

    let said = with_key("short", &["variables", "list"]);
    assert_eq!(said.code, Some(1));
    assert!(said.talk.contains("[core] fernet_key: key 1 of 1 is no Fernet key"), "{}", said.talk);
}

#[test]
fn the_environment_comes_before_what_is_kept() {
    let home = Home::new();
    home.out(&["variables", "set", "rows", "50"]);
    let mut command = home.command();
    let said =
        Said::from(command.env("AIRFLOW_VAR_ROWS", "7").args(["variables", "get", "rows"]).output().expect("it runs"));
    assert_eq!(said.out, "7\n");
}
