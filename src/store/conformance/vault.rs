//! Variables and connections: kept, replaced, encrypted, rotated.

use std::sync::Arc;

use sea_orm::EntityTrait;

use crate::domain::connection::Connection;
use crate::domain::ids::{ConnectionId, VariableKey};
use crate::store::entity::{connection, variable};
use crate::store::{Cipher, Given, Variable, Vault, VaultError};

use super::{Bed, on_every_database};

fn vault(bed: &Bed, keys: &str) -> Vault {
    Vault::new(bed.store.clone(), Arc::new(Cipher::parse(keys).expect("keys")), Arc::new(Given::new([])))
}

fn key(name: &str) -> VariableKey {
    VariableKey::new(name).expect("a key")
}

fn id(name: &str) -> ConnectionId {
    ConnectionId::new(name).expect("an id")
}

fn a_variable(name: &str, value: &str) -> Variable {
    Variable { key: key(name), value: value.to_owned(), description: None }
}

fn a_connection() -> Connection {
    Connection::from_uri("postgres://ann:hunter2@db:5432/flows?sslmode=require").expect("a URI")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_keeps_comes_back_and_what_is_kept_again_replaces_it() {
    on_every_database(async |bed| {
        let vault = vault(bed, &Cipher::generate_key());
        let described = Variable { description: Some("first".into()), ..a_variable("a", "1 \"ü\\") };
        vault.set_variables(&[a_variable("b", "2"), described.clone()]).await.expect("kept");
        assert_eq!(vault.variables().await.expect("read"), [described, a_variable("b", "2")]);
        vault.set_variables(&[a_variable("a", "")]).await.expect("replaced");
        assert_eq!(vault.variable(&key("a")).await.expect("read"), Some(a_variable("a", "")));
        assert_eq!(vault.variable_keys().await.expect("read"), ["a", "b"]);
        assert!(vault.delete_variable(&key("a")).await.expect("deleted"));
        assert!(!vault.delete_variable(&key("a")).await.expect("gone"));
        assert_eq!(vault.variable(&key("a")).await.expect("read"), None);

        assert!(vault.add_connection(&id("c"), &a_connection()).await.expect("added"));
        let other = Connection { port: None, ..a_connection() };
        assert!(!vault.add_connection(&id("c"), &other).await.expect("taken"));
        assert_eq!(vault.connection(&id("c")).await.expect("read"), Some(a_connection()));
        vault.set_connections(&[(id("c"), other.clone()), (id("b"), Connection::default())]).await.expect("replaced");
        let both = [(id("b"), Connection::default()), (id("c"), other)];
        assert_eq!(vault.connections().await.expect("read"), both);
        assert_eq!(vault.connection_ids().await.expect("read"), ["b", "c"]);
        assert!(vault.delete_connection(&id("c")).await.expect("deleted"));
        assert!(!vault.delete_connection(&id("c")).await.expect("gone"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_can_be_read_in_the_tables() {
    on_every_database(async |bed| {
        let vault = vault(bed, &Cipher::generate_key());
        vault.set_variables(&[a_variable("a", "hunter2")]).await.expect("kept");
        assert!(vault.add_connection(&id("c"), &a_connection()).await.expect("added"));
        let row = variable::Entity::find().one(&bed.store.read).await.expect("read").expect("a row");
        assert!(row.value.starts_with("gAAAAA"), "a token: {}", row.value);
        let row = connection::Entity::find().one(&bed.store.read).await.expect("read").expect("a row");
        assert_eq!(row.host.as_deref(), Some("db"));
        for token in [row.password, row.extra] {
            assert!(token.expect("a secret").starts_with("gAAAAA"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_opens_nothing_and_says_so_and_rotation_changes_the_key_of_all() {
    on_every_database(async |bed| {
        let (old, new) = (Cipher::generate_key(), Cipher::generate_key());
        let before = vault(bed, &old);
        before.set_variables(&[a_variable("a", "1"), a_variable("b", "2")]).await.expect("kept");
        assert!(before.add_connection(&id("c"), &a_connection()).await.expect("added"));

        let stranger = vault(bed, &new);
        let wrong = VaultError::WrongKey { what: "variable `a`".into() };
        assert_eq!(stranger.variable(&key("a")).await.expect_err("another key"), wrong);
        assert_eq!(stranger.rotate().await.expect_err("another key"), wrong);
        let wrong = VaultError::WrongKey { what: "the password of connection `c`".into() };
        assert_eq!(stranger.connection(&id("c")).await.expect_err("another key"), wrong);
        assert_eq!(before.variables().await.expect("untouched").len(), 2);

        let rotated = vault(bed, &format!("{new},{old}")).rotate().await.expect("rotated");
        assert_eq!((rotated.variables, rotated.connections), (2, 1));
        assert_eq!(stranger.variable(&key("b")).await.expect("the new key"), Some(a_variable("b", "2")));
        assert_eq!(stranger.connection(&id("c")).await.expect("the new key"), Some(a_connection()));
        assert!(before.variable(&key("b")).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_environment_gives_comes_before_what_is_kept() {
    let bed = Bed::sqlite().await;
    let kept = vault(&bed, &Cipher::generate_key());
    kept.set_variables(&[a_variable("Rows", "kept"), a_variable("other", "kept")]).await.expect("kept");
    let given = Given::new([
        ("AIRFLOW_VAR_ROWS", "given"),
        ("AIRFLOW_CONN_DB", "postgres://h"),
        ("UPDRAFT_CONN_DB", "{\"conn_type\": \"mysql\"}"),
        ("AIRFLOW_CONN_BAD", "hunter2"),
    ]);
    let vault = kept.with_given(given);
    assert_eq!(vault.find_variable(&key("Rows")).await.expect("read").as_deref(), Some("given"));
    assert_eq!(vault.find_variable(&key("other")).await.expect("read").as_deref(), Some("kept"));
    assert_eq!(vault.find_variable(&key("none")).await.expect("read"), None);
    let found = vault.find_connection(&id("db")).await.expect("read").expect("given");
    assert_eq!(found.conn_type, "mysql", "our own prefix comes first");
    let error = vault.find_connection(&id("bad")).await.expect_err("no connection").to_string();
    assert!(error.starts_with("the environment variable AIRFLOW_CONN_BAD holds no connection"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
