//! Users, sessions, tokens and the record of deeds.

use crate::domain::time::Time;
use crate::store::{AccountRow, ApiTokenRow, AuditFilter, AuditRow, SessionRow};

use super::on_every_database;

fn at(second: i64) -> Time {
    Time::from_timestamp(1_700_000_000 + second, 0).expect("an instant")
}

fn user(name: &str, roles: &[&str]) -> AccountRow {
    AccountRow {
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        first_name: "Ünn".to_owned(),
        last_name: String::new(),
        password: "$argon2id$…".to_owned(),
        is_active: true,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        created_at: at(0),
        credentials_at: at(0),
        signed_in_at: None,
    }
}

fn session(token: &str, name: &str, seen_at: Time) -> SessionRow {
    SessionRow {
        token: token.to_owned(),
        username: name.to_owned(),
        created_at: at(0),
        seen_at,
        address: "::1".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_kept_with_their_roles_and_leaves_with_all_that_is_theirs() {
    on_every_database(async |bed| {
        let store = &bed.store;
        assert!(store.add_account(&user("ann", &["Op", "User"])).await.expect("added"));
        assert!(store.add_account(&user("Ann", &[])).await.expect("added"), "names are compared letter by letter");
        assert!(!store.add_account(&user("ann", &["Admin"])).await.expect("taken"));
        assert_eq!(store.account("ann").await.expect("read"), Some(user("ann", &["Op", "User"])));
        // Which of the two comes first is the business of the database's language.
        let all = store.accounts().await.expect("read");
        assert!(all.len() == 2 && all.contains(&user("Ann", &[])) && all.contains(&user("ann", &["Op", "User"])));

        assert!(store.add_role("ann", "Admin").await.expect("added"));
        assert!(!store.add_role("ann", "Admin").await.expect("had it"));
        assert!(store.remove_role("ann", "Op").await.expect("removed"));
        assert!(!store.remove_role("ann", "Op").await.expect("gone"));
        store.note_sign_in("ann", at(7)).await.expect("noted");
        let now = store.account("ann").await.expect("read").expect("there");
        assert_eq!((now.roles, now.signed_in_at), (vec!["Admin".to_owned(), "User".to_owned()], Some(at(7))));
        store.replace_account(&user("ann", &["Viewer"])).await.expect("replaced");
        assert_eq!(store.account("ann").await.expect("read"), Some(user("ann", &["Viewer"])));

        let token = ApiTokenRow {
            token: "t".to_owned(),
            username: "ann".to_owned(),
            name: "ci".to_owned(),
            created_at: at(1),
            expires_at: Some(at(9)),
        };
        store.add_api_token(&token).await.expect("kept");
        store.add_session(&session("s", "ann", at(5)), at(0)).await.expect("kept");
        assert_eq!(store.api_tokens("ann").await.expect("read"), [token.clone()]);
        assert!(!store.delete_api_token("Ann", "t").await.expect("not theirs"));
        assert_eq!(store.api_token("t").await.expect("read"), Some(token));
        assert!(store.delete_account("ann").await.expect("deleted"));
        assert!(!store.delete_account("ann").await.expect("gone"));
        assert_eq!(store.api_token("t").await.expect("read"), None);
        assert_eq!(store.session("s").await.expect("read"), None);
        assert_eq!(store.accounts().await.expect("read").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_until_it_ends_or_nobody_is_seen_in_it_or_the_password_changes() {
    on_every_database(async |bed| {
        let store = &bed.store;
        store.add_account(&user("ann", &[])).await.expect("added");
        store.add_session(&session("old", "ann", at(1)), at(0)).await.expect("kept");
        store.add_session(&session("seen", "ann", at(1)), at(0)).await.expect("kept");
        store.see_session("seen", at(100)).await.expect("seen");
        store.add_session(&session("new", "ann", at(100)), at(50)).await.expect("kept");
        assert_eq!(store.session("old").await.expect("read"), None, "a new one sweeps what nobody uses");
        assert_eq!(store.session("seen").await.expect("read").map(|row| row.seen_at), Some(at(100)));
        store.end_session("seen").await.expect("ended");
        assert_eq!(store.session("seen").await.expect("read"), None);
        assert!(store.set_password("ann", "another", at(200)).await.expect("set"));
        assert!(!store.set_password("bob", "another", at(200)).await.expect("nobody"));
        assert_eq!(store.session("new").await.expect("read"), None);
        let ann = store.account("ann").await.expect("read").expect("there");
        assert_eq!((ann.password.as_str(), ann.credentials_at), ("another", at(200)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deeds_are_found_by_what_they_were_done_to_and_counted() {
    on_every_database(async |bed| {
        let store = &bed.store;
        let deed = |second: i64, event: &str, dag: Option<&str>| AuditRow {
            at: at(second),
            event: event.to_owned(),
            username: "ann".to_owned(),
            origin: "session from ::1".to_owned(),
            outcome: "done".to_owned(),
            dag_id: dag.map(str::to_owned),
            run_id: None,
            task_id: None,
            map_index: None,
            extra: Some("{\"a\":1}".to_owned()),
        };
        for (second, event, dag) in [(1, "pause", Some("a")), (2, "login", None), (3, "pause", Some("b"))] {
            store.record(deed(second, event, dag)).await.expect("recorded");
        }
        store.record(AuditRow { username: "x".repeat(9_999), ..deed(4, "login_failed", None) }).await.expect("clipped");
        let look = async |filter: AuditFilter| {
            let (found, total) = store.audit_log(&AuditFilter { limit: 2, ..filter }).await.expect("read");
            (found.into_iter().map(|entry| entry.row.at).collect::<Vec<_>>(), total)
        };
        let all = AuditFilter::default();
        assert_eq!(look(all.clone()).await, (vec![at(4), at(3)], 4));
        assert_eq!(look(AuditFilter { offset: 2, ..all.clone() }).await, (vec![at(2), at(1)], 4));
        assert_eq!(look(AuditFilter { oldest_first: true, ..all.clone() }).await, (vec![at(1), at(2)], 4));
        assert_eq!(look(AuditFilter { dag_id: Some("b".into()), ..all.clone() }).await, (vec![at(3)], 1));
        let pauses = AuditFilter { included_events: vec!["pause".into()], ..all.clone() };
        assert_eq!(look(pauses).await, (vec![at(3), at(1)], 2));
        let others = AuditFilter { excluded_events: vec!["pause".into(), "login".into()], ..all.clone() };
        assert_eq!(look(others).await, (vec![at(4)], 1));
        let between = AuditFilter { after: Some(at(1)), before: Some(at(3)), ..all.clone() };
        assert_eq!(look(between).await, (vec![at(2)], 1));
        let (first, _) = store.audit_log(&AuditFilter { limit: 1, oldest_first: true, ..all }).await.expect("read");
        assert_eq!(store.audit_entry(first[0].id).await.expect("read").as_ref(), Some(&first[0]));
        assert_eq!(first[0].row, deed(1, "pause", Some("a")));
    })
    .await;
}
