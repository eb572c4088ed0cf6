//! `updraft users` and `updraft roles`, as the tutorials of Airflow type them.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::kit::Home;

use super::http::{Client, PASSWORD, make_user};

fn says(home: &Home, words: &[&str]) -> (i32, String) {
    let ended = home.finished(words);
    let text = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

const ADMIN: [&str; 12] = [
    "users",
    "create",
    "--username",
    "admin",
    "--firstname",
    "A",
    "--lastname",
    "B",
    "--role",
    "Admin",
    "--email",
    "a@example.org",
];

#[test]
fn a_user_is_made_as_the_tutorials_make_one() {
    let home = Home::new();
    let create = |more: &[&str]| says(&home, &[&ADMIN[..], more].concat());
    let (code, said) = create(&["--password", "admin"]);
    assert_eq!((code, said.as_str()), (0, "User \"admin\" created with role \"Admin\"\n"));
    let (code, said) = create(&["--password", "other"]);
    assert_eq!((code, said.as_str()), (0, "admin already exist in the db\n"), "a script may say it at every start");
    let (code, said) =
        says(&home, &["users", "create", "-u", "x", "-f", "A", "-l", "B", "-r", "NoRole", "-e", "x@y", "-p", "p"]);
    assert!(code == 1 && said.contains("NoRole is not a valid role. Valid roles are: ["), "{said}");
    let (code, said) = says(&home, &["users", "delete", "-u", "admn"]);
    assert!(code == 1 && said.contains("User \"admn\" does not exist") && said.contains("`admin`"), "{said}");
    let listed = home.json(&["users", "list", "-o", "json"]);
    assert_eq!(
        listed,
        json!([{"id": "1", "username": "admin", "email": "a@example.org", "first_name": "A", "last_name": "B", "roles": ["Admin"]}])
    );
    let (code, said) = says(&home, &["roles", "list"]);
    assert!(code == 0 && ["Admin", "Op", "User", "Viewer", "Public"].iter().all(|role| said.contains(role)), "{said}");
}

#[test]
fn a_password_that_is_not_given_is_read_from_a_pipe() {
    let home = Home::new();
    let mut child =
        home.command().args(ADMIN).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(b"hunter2 hunter2\n").expect("it reads");
    assert!(child.wait_with_output().expect("it ends").status.success());
    let _node = home.start();
    Client::of(&home).signed_in("admin", "hunter2 hunter2").get("/").expect(200);
}

#[test]
fn roles_come_and_go_and_take_effect_at_once() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Public");
    let ann = Client::of(&home).signed_in("ann", PASSWORD);
    ann.get("/").expect(403);
    assert_eq!(says(&home, &["users", "add-role", "-u", "ann", "-r", "Op"]).1, "User \"ann\" added to role \"Op\"\n");
    ann.get("/").expect(200);
    let (code, said) = says(&home, &["users", "add-role", "-e", "ann@example.org", "-r", "Op"]);
    assert!(code == 1 && said.contains("already a member"), "{said}");
    says(&home, &["users", "remove-role", "-u", "ann", "-r", "Op"]);
    ann.get("/").expect(403);
    assert_eq!(says(&home, &["users", "delete", "-u", "ann"]).1, "User \"ann\" deleted\n");
    ann.get("/").expect(303);
}

#[test]
fn users_leave_in_a_file_without_their_passwords_and_come_back() {
    let (home, other) = (Home::new(), Home::new());
    make_user(&home, "ann", "Op");
    let file = home.in_world("users.json");
    let path = file.to_string_lossy();
    let (code, said) = says(&home, &["users", "export", &path]);
    assert!(code == 0 && said.contains("1 users successfully exported"), "{said}");
    let text = std::fs::read_to_string(&file).expect("a file");
    assert!(!text.contains("argon2"), "{text}");
    let (code, said) = says(&other, &["users", "import", &path]);
    assert!(code == 0 && said.contains("Created the following users:\n\tann"), "{said}");
    assert!(says(&other, &["users", "import", &path]).1.contains("Updated the following users:\n\tann"));
    assert_eq!(other.json(&["users", "list", "-o", "json"])[0]["roles"], json!(["Op"]));
}
