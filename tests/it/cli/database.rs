//! `db …`

use super::{Home, Said};

#[test]
fn a_new_home_is_set_up_checked_and_emptied() {
    let home = Home::new();
    let talk = home.failure(1, &["db", "check"]);
    assert!(talk.contains("updraft db migrate"), "{talk}");
    assert!(!home.path().join("updraft.db").exists(), "checking makes nothing");
    let out = home.out(&["db", "init"]);
    assert!(out.starts_with("DB: sqlite:///") && out.ends_with("\nInitialization done\n"), "{out}");
    for again in ["init", "migrate", "upgrade"] {
        home.out(&["db", again]);
    }
    assert_eq!(home.out(&["db", "migrate"]), "Database migration done!\n");
    assert_eq!(home.out(&["db", "check"]), "Connection successful.\n");
}

#[test]
fn a_reset_needs_a_yes_and_then_removes_everything() {
    let home = Home::new();
    home.out(&["dags", "trigger", "on_demand", "-r", "first"]);
    let talk = home.failure_after_question(&["db", "reset"]);
    assert!(talk.contains("--yes"), "{talk}");
    assert_eq!(home.json(&["dags", "list-runs", "on_demand"]).as_array().expect("rows").len(), 1);
    assert_eq!(home.out(&["db", "reset", "-y"]), "Database reset done!\n");
    assert_eq!(home.json(&["dags", "list-runs", "on_demand"]).as_array().expect("rows").len(), 0);
}

#[test]
fn a_database_that_is_none_is_named() {
    let home = Home::new();
    std::fs::write(home.path().join("updraft.db"), "this is a letter, not a database".repeat(100)).expect("a file");
    for words in [&["db", "check"][..], &["dags", "list"], &["db", "migrate"]] {
        let talk = home.failure(1, words);
        assert!(talk.contains("is not an SQLite database"), "{words:?}: {talk}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_named_without_the_password() {
    let home = Home::new();
    let output = home
        .command()
        .env("UPDRAFT__DATABASE__SQL_ALCHEMY_CONN", "postgresql://ann:hunter2@127.0.0.1:1/flows")
        .args(["db", "check"])
        .output()
        .expect("it runs");
    let said = Said::from(output);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.talk.contains("127.0.0.1:1") && !said.talk.contains("hunter2"), "{}", said.talk);
}

impl Home {
    /// A command that has to ask, with nobody there: it says first what it is about.
    #[track_caller]
    pub fn failure_after_question(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{words:?}: {}", said.talk);
        assert!(said.talk.contains("\nerror: this needs a confirmation"), "{words:?}: {}", said.talk);
        said.talk
    }
}
