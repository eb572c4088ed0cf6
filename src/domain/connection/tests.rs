//! The forms of a connection, there and back, and what is said about bad ones.

use super::*;

#[test]
fn a_second_scheme_belongs_to_the_host() {
    let connection = Connection::from_uri("http://https://Api.Example.com:8443/v1").expect("a URI");
    assert_eq!(connection.host.as_deref(), Some("https://api.example.com"));
    assert_eq!((connection.port, connection.schema.as_deref()), (Some(8443), Some("v1")));
    assert_eq!(connection.uri(), "http://https://api.example.com:8443/v1");
}

#[test]
fn a_host_may_be_a_path_or_an_address_of_version_six() {
    let socket = Connection::from_uri("mysql://ann@%2FVar%2Frun%2Fmysql.sock/db").expect("a URI");
    assert_eq!(socket.host.as_deref(), Some("/Var/run/mysql.sock"));
    let six = Connection::from_uri("http://[FE80::1]:80/").expect("a URI");
    assert_eq!((six.host.as_deref(), six.port), (Some("fe80::1"), Some(80)));
}

#[test]
fn both_forms_come_back_as_they_were() {
    let connection = Connection {
        conn_type: "my_type".to_owned(),
        description: None,
        host: Some("h".to_owned()),
        login: Some("a:b@c/d".to_owned()),
        password: Some("p w%é".to_owned()),
        schema: Some("x/y z".to_owned()),
        port: Some(1),
        extra: Some("{\"a\": [1, {\"b\": null}]}".to_owned()),
    };
    assert_eq!(Connection::from_uri(&connection.uri()).expect("our URI"), connection);
    assert_eq!(Connection::from_json(&connection.json().to_string()).expect("our JSON"), connection);
    assert_eq!(Connection::from_env_value(&connection.json().to_string()).expect("JSON"), connection);
    assert_eq!(Connection::from_env_value(&connection.uri()).expect("a URI"), connection);
}

#[test]
fn a_text_that_is_no_connection_says_why_and_never_repeats_a_password() {
    let said = |text: &str| Connection::from_env_value(text).expect_err(text).to_string();
    assert!(said("hunter2").starts_with("expected a URI such as postgres://"), "{}", said("hunter2"));
    assert_eq!(said("http://u:hunter2@h:99999"), "expected a port from 0 to 65535, got: \"99999\"");
    assert!(said("a://b://c://d").contains("3 times"));
    assert!(said("a://u:hunter2@b://c").contains("second scheme"));
    assert!(said("{\"pasword\": \"hunter2\"}").contains("did you mean `password`?"));
    assert!(
        said("{\"password\": \"hunter2\", ").ends_with("line 1, column 24"),
        "{}",
        said("{\"password\": \"hunter2\", ")
    );
    assert!(said("{\"host\": []}").contains("`host` to be a text"));
    let shown = format!("{:?}", Connection::from_uri("http://u:hunter2@h?token=hunter2").expect("a URI"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_password_and_what_looks_secret_in_the_extra_are_secrets() {
    let uri = "aws://AKIA:pass@/?region_name=eu&aws_session_token=tok";
    let connection = Connection::from_uri(uri).expect("a URI");
    assert_eq!(connection.secrets(&crate::domain::secret::Sensitive::default()), ["pass", "tok"]);
}
