//! A small HTTP client that shows everything: status, headers, cookies. It follows no redirect and hides no error.

use std::net::TcpStream;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::kit::Home;

/// What a server answered.
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// `name=value` of the cookie that was set.
    pub fn cookie(&self) -> Option<String> {
        self.header("set-cookie").and_then(|cookie| cookie.split(';').next()).map(str::to_owned)
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.body);
        self
    }
}

/// A server, and what is sent with every request.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    address: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub fn of(home: &Home) -> Self {
        Self::at(home.settings().api.port)
    }

    pub fn at(port: u16) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
        Self { agent, address: format!("127.0.0.1:{port}"), headers: Vec::new() }
    }

    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// As a browser that fills in the form of the login.
    #[track_caller]
    pub fn signed_in(&self, user: &str, password: &str) -> Self {
        let answer = self.post_form("/login", &[("username", user), ("password", password)]).expect(303);
        self.with("cookie", &answer.cookie().expect("a session"))
    }

    /// As a program that asks for a token.
    #[track_caller]
    pub fn with_token(&self, user: &str, password: &str) -> Self {
        let body = serde_json::json!({ "username": user, "password": password });
        let answer = self.post_json("/auth/token", &body).expect(201);
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", &body.to_string())
    }

    pub fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.send("POST", path, "application/x-www-form-urlencoded", &body.join("&"))
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let answered = if kind.is_empty() && body.is_empty() && matches!(method, "GET" | "DELETE") {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent.run(request.body(body.to_owned()).expect("a request"))
        };
        let mut answer = answered.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        Answer {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body: answer.body_mut().read_to_string().expect("a text"),
        }
    }

    /// A connection for what goes on and on.
    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("the server listens")
    }

    pub fn headers_of(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("host: {}\r\n{}", self.address, lines.collect::<String>())
    }
}

/// The value of the hidden field that proves a form to be ours.
#[track_caller]
pub fn form_token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf_token\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// The password that a first start made up.
#[track_caller]
pub fn made_password(home: &Home, user: &str) -> String {
    let file = home.path().join("simple_auth_manager_passwords.json.generated");
    let text = std::fs::read_to_string(file).expect("the first start kept the passwords");
    let passwords: Value = serde_json::from_str(&text).expect("JSON");
    passwords[user].as_str().unwrap_or_else(|| panic!("no password for {user}")).to_owned()
}

/// Makes a user by the command line.
#[track_caller]
pub fn make_user(home: &Home, name: &str, role: &str) {
    let words = ["users", "create", "-u", name, "-f", "A", "-l", "B", "-r", role, "-p", PASSWORD, "-e"];
    let email = format!("{name}@example.org");
    let said = home.finished(&[&words[..], &[email.as_str()]].concat());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// Of every user that a test makes.
pub const PASSWORD: &str = "correct horse battery";
