//! Signing in and out, and everything that pretends to be signed in.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::kit::Home;

use super::http::{Client, PASSWORD, form_token, made_password, make_user};

#[test]
fn the_first_start_makes_an_administrator_whose_password_it_says_once() {
    let home = Home::new();
    let node = home.start();
    let password = made_password(&home, "admin");
    assert!(node.output().contains(&password), "{}", node.output());
    let file = home.path().join("simple_auth_manager_passwords.json.generated");
    assert_eq!(std::fs::metadata(&file).expect("it is kept").permissions().mode() & 0o777, 0o600);
    let client = Client::of(&home);
    let led = client.get("/runs?state=failed").expect(303);
    assert_eq!(led.header("location"), Some("/login?next=%2Fruns%3Fstate%3Dfailed"));
    client.signed_in("admin", &password).get("/").expect(200);
    drop(node);
    let again = home.start();
    assert!(!again.output().contains(&password), "it is said once");
    assert_eq!(made_password(&home, "admin"), password);
}

#[test]
fn in_the_era_of_airflow_2_the_administrator_is_a_user_like_any_other() {
    let home = Home::new().with("core.airflow_era", "2");
    let node = home.start();
    let password = std::fs::read_to_string(home.path().join("standalone_admin_password.txt")).expect("it is kept");
    assert!(node.output().contains(password.trim()));
    Client::of(&home).signed_in("admin", password.trim()).get("/").expect(200);
    let listed = home.json(&["users", "list", "-o", "json"]);
    assert_eq!((&listed[0]["username"], &listed[0]["roles"]), (&json!("admin"), &json!(["Admin"])));
}

#[test]
fn a_session_is_a_cookie_that_no_script_reads_and_ends_with_the_logout() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Admin");
    let client = Client::of(&home);
    let fields = [("username", "ann"), ("password", PASSWORD), ("next", "//evil.example")];
    let answer = client.post_form("/login", &fields).expect(303);
    assert_eq!(answer.header("location"), Some("/"), "nobody is led away");
    let cookie = answer.header("set-cookie").expect("a session").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"), "{cookie}");
    assert!(!cookie.contains("Secure"), "it would not come back over plain HTTP");
    let ann = client.with("cookie", &answer.cookie().expect("a session"));
    let page = ann.get("/").expect(200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for (header, value) in [("x-frame-options", "DENY"), ("x-content-type-options", "nosniff")] {
        assert_eq!(page.header(header), Some(value));
    }
    ann.post_form("/logout", &[("csrf_token", &form_token(&page.body))]).expect(303);
    ann.get("/").expect(303);
}

#[test]
fn behind_https_the_cookie_is_for_https_alone() {
    let home = Home::new().with("api.base_url", "https://flows.example.org");
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    let answer = Client::of(&home).post_form("/login", &[("username", "ann"), ("password", PASSWORD)]).expect(303);
    let cookie = answer.header("set-cookie").expect("a session");
    assert!(cookie.starts_with("__Host-") && cookie.contains("Secure"), "{cookie}");
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
}

#[test]
fn a_change_that_another_site_asks_for_is_refused() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Admin");
    let ann = Client::of(&home).signed_in("ann", PASSWORD);
    let token = form_token(&ann.get("/").expect(200).body);
    let out = |client: &Client, token: &str| client.post_form("/logout", &[("csrf_token", token)]).status;
    assert_eq!(out(&ann, ""), 403, "a form without its token");
    assert_eq!(out(&ann, &"0".repeat(64)), 403, "a form with another token");
    assert_eq!(out(&ann.with("sec-fetch-site", "cross-site"), &token), 403);
    assert_eq!(out(&ann.with("sec-fetch-site", "same-site"), &token), 403);
    assert_eq!(out(&ann.with("origin", "https://evil.example"), &token), 403);
    assert_eq!(out(&ann.with("origin", "null"), &token), 403);
    ann.get("/").expect(200);
    let own = format!("http://127.0.0.1:{}", home.settings().api.port);
    assert_eq!(out(&ann.with("origin", &own).with("sec-fetch-site", "same-origin"), &token), 303);
    let elsewhere = Client::of(&home).with("sec-fetch-site", "cross-site");
    elsewhere.post_form("/login", &[("username", "ann"), ("password", PASSWORD)]).expect(403);
}

#[test]
fn a_token_of_the_api_is_made_of_a_password_and_of_nothing_else() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    let client = Client::of(&home);
    let ann = client.with_token("ann", PASSWORD);
    ann.get("/").expect(200);
    let wrong = client.post_json("/auth/token", &json!({"username": "ann", "password": "x"})).expect(401);
    assert_eq!(wrong.json(), json!({"detail": "Invalid credentials"}));
    let nobody = client.post_json("/auth/token", &json!({"username": "bob", "password": "x"})).expect(401);
    assert_eq!(nobody.body, wrong.body, "nobody learns who exists");
    let missing = client.post_json("/auth/token", &json!({"username": "ann"})).expect(422);
    assert!(missing.json()["detail"].is_string());
    client.get("/auth/token").expect(403);
    client.post_json("/auth/token/cli", &json!({"username": "ann", "password": PASSWORD})).expect(201);
    let none = client.get("/live").expect(401);
    assert_eq!(none.json(), json!({"detail": "Not authenticated"}));
    let bad = client.with("authorization", "Bearer x.y.z").get("/live").expect(403);
    assert_eq!(bad.json(), json!({"detail": "Invalid JWT token"}));
    // {"alg":"none"} and an administrator, without a signature.
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiIsImp0aSI6IjEiLCJhdWQiOiJhcGFjaGUtYWlyZmxvdyIsIm5iZiI6MCwiaWF0IjowLCJleHAiOjQxMDI0NDQ4MDB9.";
    client.with("authorization", &format!("Bearer {unsigned}")).get("/live").expect(403);
}

#[test]
fn a_new_password_ends_sessions_and_tokens_of_the_old_one() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    let client = Client::of(&home);
    let (browser, program) = (client.signed_in("ann", PASSWORD), client.with_token("ann", PASSWORD));
    let basic = client.with("authorization", &basic("ann", PASSWORD));
    basic.get("/").expect(200);
    // A token says in whole seconds when it was made.
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    home.finished(&["users", "reset-password", "-u", "ann", "-p", "another one"]);
    browser.get("/").expect(303);
    program.get("/").expect(403);
    basic.get("/").expect(401);
    client.with("authorization", &self::basic("ann", "another one")).get("/").expect(200);
    client.signed_in("ann", "another one").get("/").expect(200);
    home.finished(&["users", "delete", "-u", "ann"]);
    client.with("authorization", &self::basic("ann", "another one")).get("/").expect(401);
}

#[test]
fn who_guesses_passwords_is_slowed_down_and_nobody_else() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    make_user(&home, "bob", "Viewer");
    let client = Client::of(&home);
    let guess = |user: &str| client.post_json("/auth/token", &json!({"username": user, "password": "guess"})).status;
    let statuses: Vec<u16> = (0..7).map(|_| guess("ann")).collect();
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");
    let refused = client.post_json("/auth/token", &json!({"username": "ann", "password": PASSWORD})).expect(429);
    assert!(refused.header("retry-after").is_some());
    client.with_token("bob", PASSWORD).get("/").expect(200);
}

#[test]
fn a_proxy_signs_people_in_only_from_its_own_address() {
    let with_proxy = |addresses: &str| {
        Home::new()
            .with("api.remote_user_header", "X-Forwarded-User")
            .with("api.remote_user_proxies", addresses)
            .with("api.remote_user_role", "Viewer")
    };
    let home = with_proxy("127.0.0.1");
    let _node = home.start();
    make_user(&home, "ann", "Admin");
    let client = Client::of(&home);
    client.with("x-forwarded-user", "ann").get("/").expect(200);
    client.with("x-forwarded-user", "somebody").get("/").expect(200);
    client.with("x-forwarded-user", "").get("/").expect(303);
    let elsewhere = with_proxy("10.0.0.5");
    let _node = elsewhere.start();
    Client::of(&elsewhere).with("x-forwarded-user", "admin").get("/").expect(303);
    let everybody = Home::new().with("api.remote_user_header", "X-Forwarded-User");
    assert!(everybody.start_in_vain().output.contains("everybody could send it"));
}

#[test]
fn where_everybody_is_an_administrator_only_this_machine_is_served() {
    let home = Home::new().with("core.simple_auth_manager_all_admins", "True");
    let _node = home.start();
    let client = Client::of(&home);
    client.get("/").expect(200);
    client.get("/auth/token").expect(201);
    client.with("host", "evil.example:8080").get("/live").expect(403);
    let open = Home::new().with("core.simple_auth_manager_all_admins", "True").with("api.host", "0.0.0.0");
    let ended = open.start_in_vain();
    assert!(ended.output.contains("everybody who reaches 0.0.0.0"), "{}", ended.output);
}

#[test]
fn a_program_has_a_token_of_its_own_until_it_is_deleted() {
    let home = Home::new();
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    let client = Client::of(&home);
    let ann = client.signed_in("ann", PASSWORD);
    let token = form_token(&ann.get("/profile").expect(200).body);
    let made = ann.post_form("/profile/tokens", &[("csrf_token", &token), ("name", "ci"), ("days", "30")]).expect(200);
    let (_, rest) = made.body.split_once("<code>updraft_").expect("it is shown once");
    let text = format!("updraft_{}", rest.split('<').next().unwrap_or_default());
    let program = client.with("authorization", &format!("Bearer {text}"));
    program.get("/").expect(200);
    let page = ann.get("/profile").expect(200).body;
    assert!(!page.contains(&text), "only its hash is kept");
    let (_, rest) = page.split_once("name=\"token\" value=\"").expect("it is listed");
    let hash = rest.split('"').next().unwrap_or_default();
    ann.post_form("/profile/tokens/delete", &[("csrf_token", &token), ("token", hash)]).expect(303);
    program.get("/").expect(403);
}

#[test]
fn whatever_somebody_changes_is_on_the_record_whichever_way_they_came() {
    let home = Home::new();
    home.write("hello.yaml", "dag_id: hello\nschedule: null\ntasks:\n  greet: {bash_command: \"true\"}\n");
    let _node = home.start();
    make_user(&home, "ann", "Admin");
    home.wait_dag("hello");
    let ann = Client::of(&home).signed_in("ann", PASSWORD);
    let token = form_token(&ann.get("/").expect(200).body);
    ann.post_form("/dags/hello/trigger", &[("csrf_token", &token)]).expect(303);
    let body = json!({"key": "colour", "value": "a secret colour"});
    Client::of(&home).with_token("ann", PASSWORD).post_json("/api/v2/variables", &body).expect(201);
    assert!(home.finished(&["dags", "pause", "hello"]).status.success());
    Client::of(&home).post_json("/auth/token", &json!({"username": "ann", "password": "wrong"})).expect(401);
    let log = Client::of(&home).with_token("ann", PASSWORD).get("/api/v2/eventLogs?order_by=event_log_id").expect(200);
    assert!(!log.body.contains("a secret colour") && !log.body.contains(PASSWORD), "{}", log.body);
    let log = log.json();
    let entries = log["event_logs"].as_array().expect("a list");
    let find = |event: &str| {
        entries.iter().find(|entry| entry["event"] == event).unwrap_or_else(|| panic!("no {event} in {log}"))
    };
    assert_eq!(
        (&find("trigger_dag_run")["dag_id"], &find("trigger_dag_run")["owner"]),
        (&json!("hello"), &json!("ann"))
    );
    assert!(find("trigger_dag_run")["run_id"].as_str().is_some_and(|run| run.starts_with("manual__")));
    assert!(find("post_variable")["extra"].as_str().is_some_and(|extra| extra.contains("colour")));
    assert_eq!(find("pause")["dag_id"], json!("hello"));
    find("create_user");
    find("login");
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}")))
}
