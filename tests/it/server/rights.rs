//! Every route, asked by nobody and by every role: none answers whom it should not.

use updraft::auth::{Role, may};
use updraft::web::{self, Needs};

use crate::kit::Home;

use super::http::{Client, PASSWORD, make_user};

/// What is open to everybody, and why that is right.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/health"),
    ("GET", "/api/v1/health"),
    ("GET", "/api/v2/monitor/health"),
    ("GET", "/api/v2/version"),
    ("GET", "/api/v1/version"),
    // What the API is, which is the same in every installation.
    ("GET", "/openapi.json"),
    ("GET", "/api/v2/openapi.json"),
    // The stylesheet of the login.
    ("GET", "/static/{file}"),
    // Light or dark: a cookie, also on the login.
    ("GET", "/theme"),
    ("POST", "/theme"),
    // Where one signs in.
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/auth/token"),
    ("POST", "/auth/token/cli"),
    ("GET", "/auth/token"),
    ("GET", "/auth/token/login"),
    // Asks for itself: see `metrics_need_a_right_unless_this_machine_alone_can_ask`.
    ("GET", "/metrics"),
];

/// A path with something in the place of every name.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (_, after) = after.split_once('}').expect("a path with whole names");
        filled += before;
        filled += "1";
        rest = after;
    }
    filled + rest
}

#[test]
fn no_route_answers_whom_it_should_not() {
    let home = Home::new().with("api.expose_config", "True");
    let _node = home.start();
    let roles = [Role::Public, Role::Viewer, Role::User, Role::Op, Role::Admin];
    for role in roles {
        make_user(&home, &format!("a-{role}"), role.as_str());
    }
    let client = Client::of(&home);
    let callers: Vec<(Role, Client)> =
        roles.into_iter().map(|role| (role, client.with_token(&format!("a-{role}"), PASSWORD))).collect();
    let routes = web::routes();
    assert!(routes.len() > 10);
    let mut violations = Vec::new();
    for route in &routes {
        let (method, path) = (route.method.as_str(), filled(route.path));
        let is_open = OPEN.contains(&(method, route.path));
        if (route.needs == Needs::Nobody) != is_open {
            violations.push(format!(
                "{method} {}: {:?}, and the list of what is open says otherwise",
                route.path, route.needs
            ));
            continue;
        }
        if is_open || route.path == "/live" {
            continue;
        }
        let nobody = client.send(method, &path, "", "").status;
        if !matches!(nobody, 303 | 401) {
            violations.push(format!("{method} {path} answers nobody with {nobody}"));
        }
        for (role, caller) in &callers {
            let is_allowed = match route.needs {
                Needs::Nobody | Needs::SignedIn => true,
                Needs::May(action, resource) => may(*role, action, resource),
            };
            // What is allowed is only looked at: a change is the matter of its own tests.
            if is_allowed && method != "GET" {
                continue;
            }
            let status = caller.send(method, &path, "", "").status;
            if is_allowed == matches!(status, 401 | 403) {
                violations.push(format!("{method} {path} answers {role} with {status}"));
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn what_is_not_there_says_so_in_the_form_of_its_path() {
    let home = Home::new();
    let _node = home.start();
    let client = Client::of(&home);
    let api = client.get("/api/v2/nothing").expect(404);
    assert_eq!(api.json(), serde_json::json!({"error": "API route not found"}));
    let page = client.get("/nothing").expect(404);
    assert!(page.body.starts_with("<!DOCTYPE html>") && page.header("content-security-policy").is_some());
    client.send("DELETE", "/health", "", "").expect(405);
    let large = "x".repeat(5 * 1024 * 1024);
    client.send("POST", "/auth/token", "application/json", &large).expect(413);
}
