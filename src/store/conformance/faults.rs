//! What breaks is named, with the place and what to do, and nothing is half written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::domain::ids::RunKey;
use crate::domain::state::{RunState, TaskState};
use crate::store::write::Write;
use crate::store::{CommitError, OpenOptions, Store, StoreError};

use super::rows::{run, task};
use super::{Bed, Kind, on_every_database};

async fn refused(options: &OpenOptions) -> StoreError {
    match Store::open(options).await {
        Ok(_) => panic!("{options:?} could be opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_new_database_is_its_owners_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("new/folder/updraft.db");
    let options = OpenOptions::new(format!("sqlite://{}", file.display()));
    let store = Store::open(&options).await.expect("a new database");
    store.migrate().await.expect("tables");
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&file.with_file_name("updraft.db-wal")), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("notes.txt");
    let text = "not a database at all, ".repeat(100);
    fs::write(&file, &text).expect("a file");
    let error = refused(&OpenOptions::new(format!("sqlite://{}", file.display()))).await;
    assert_eq!(error, StoreError::NotADatabase { path: file.clone() });
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("still there"), text);
}

#[tokio::test]
async fn a_damaged_file_is_named_with_what_to_do() {
    let bed = Bed::sqlite().await;
    let rows = (0..2000).map(|n| Write::Task(task(1, &format!("t{n}"), TaskState::None))).collect();
    bed.write(rows).await;
    let file = bed.file();
    bed.store.clone().close().await.expect("a closed database");
    let whole = fs::read(&file).expect("the file");

    // The first page describes the tables, so its loss shows at once; that of rows when they are read.
    let damage = |from: usize| {
        let mut bytes = whole.clone();
        bytes[from..].fill(0x5a);
        fs::write(&file, bytes).expect("damage");
    };
    damage(4096);
    let at_once = refused(&bed.options).await;
    damage(whole.len() / 2);
    let when_read = bed.another().await.tasks(RunKey(1)).await.expect_err("damage is noticed");
    for error in [at_once, when_read] {
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("updraft.db") && error.to_string().contains("backup"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let as_folder = refused(&OpenOptions::new(format!("sqlite://{}", dir.path().display()))).await;
    assert!(as_folder.to_string().contains("it is a folder"), "{as_folder}");

    let mut absent = OpenOptions::new(format!("sqlite://{}/none.db", dir.path().display()));
    absent.create = false;
    let error = refused(&absent).await;
    assert!(error.to_string().contains("updraft db migrate"), "{error}");
    assert!(!dir.path().join("none.db").exists(), "asking makes nothing");

    // Nobody, root included, can make a file in /proc.
    let error = refused(&OpenOptions::new("sqlite:///proc/updraft/updraft.db")).await;
    assert!(matches!(&error, StoreError::CannotOpen { .. }), "{error:?}");
    assert!(error.to_string().contains("/proc/updraft"), "{error}");
}

#[tokio::test]
async fn a_locked_database_aborts_the_commit_and_the_next_one_succeeds() {
    let mut bed = Bed::sqlite().await;
    bed.options.txn_timeout = Duration::from_millis(20);
    let impatient = bed.another().await;
    let mut writer = impatient.writer();
    let epoch = writer.take_leadership("host:1").await.expect("a leadership");
    let writes = || vec![Write::Task(task(1, "t", TaskState::Running))];

    let lock = bed.store.begin().await.expect("the lock");
    let error = writer.commit(epoch, writes()).await.expect_err("locked");
    assert!(matches!(&error, CommitError::Aborted(StoreError::Locked { .. })), "{error:?}");
    assert!(error.to_string().contains("locked by another program"), "{error}");
    lock.rollback().await.expect("the lock is given back");
    writer.commit(epoch, writes()).await.expect("the same commit again");
}

#[tokio::test]
async fn a_full_disk_aborts_the_commit_whole_and_room_lets_it_go_on() {
    let bed = Bed::sqlite().await;
    let (mut writer, epoch) = bed.leader().await;
    let writes = || {
        let rows = (0..5000).map(|n| Write::Task(task(1, &format!("t{n:04}"), TaskState::None)));
        rows.chain([Write::Run(run(1, "a", RunState::Running))]).collect::<Vec<_>>()
    };
    bed.execute("PRAGMA max_page_count = 60").await;
    let error = writer.commit(epoch, writes()).await.expect_err("no room");
    assert!(matches!(&error, CommitError::Aborted(StoreError::Full { .. })), "{error:?}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), [], "nothing is half written");
    assert_eq!(bed.store.run_by_key(RunKey(1)).await.expect("no run"), None);

    bed.execute("PRAGMA max_page_count = 100000").await;
    writer.commit(epoch, writes()).await.expect("the same commit again");
    assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks").len(), 5000);
}

#[tokio::test]
async fn missing_old_and_newer_tables_are_told_apart() {
    on_every_database(async |bed| {
        bed.store.check().await.expect("a good schema");
        bed.store.migrate().await.expect("again, without harm");
        bed.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_future', 0)").await;
        let error = bed.store.check().await.expect_err("a newer schema");
        assert!(matches!(&error, StoreError::SchemaNewer { step, .. } if step.contains("future")), "{error:?}");
        assert_eq!(bed.store.migrate().await, Err(error), "a newer schema is left alone");

        bed.execute("DELETE FROM seaql_migrations").await;
        let error = bed.store.check().await.expect_err("no schema");
        assert!(matches!(&error, StoreError::SchemaMissing { .. }), "{error:?}");
        bed.execute("DROP TABLE seaql_migrations").await;
        assert_eq!(bed.store.check().await, Err(error), "the same without the table of steps");
        bed.execute("DROP TABLE leader").await;
        let error = bed.store.leader().await.expect_err("no table");
        assert!(error.to_string().ends_with("has no tables of ours: run `updraft db migrate`"), "{error}");
        let error = bed.store.writer().take_leadership("host:1").await.expect_err("no table");
        assert!(matches!(&error, StoreError::SchemaMissing { .. }), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_reset_forgets_our_rows_and_keeps_what_others_made() {
    on_every_database(async |bed| {
        bed.execute("CREATE TABLE of_somebody_else (n INTEGER)").await;
        bed.write(vec![Write::Task(task(1, "t", TaskState::None))]).await;
        bed.store.reset().await.expect("a reset");
        bed.store.check().await.expect("tables");
        assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), []);
        bed.execute("INSERT INTO of_somebody_else VALUES (1)").await;
        assert!(bed.store.migration_status().await.expect("steps").iter().all(|step| step.applied));
    })
    .await;
}

#[tokio::test]
async fn an_edited_row_is_named_instead_of_guessed() {
    on_every_database(async |bed| {
        bed.write(vec![Write::Run(run(7, "a", RunState::Running)), Write::Task(task(7, "t", TaskState::None))]).await;
        bed.execute("UPDATE task_instance SET state = 'finnished'").await;
        let error = bed.store.tasks(RunKey(7)).await.expect_err("no such state");
        assert!(error.to_string().contains("t of run 7"), "{error}");
        assert!(error.to_string().contains("finnished"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_query_can_never_become_a_change() {
    on_every_database(async |bed| {
        let tried = bed.store.read.execute_unprepared("DELETE FROM dag_run").await;
        assert!(tried.is_err(), "the readers' connections are read-only");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_away_or_lacks_the_database_is_named_without_the_password() {
    let error = refused(&OpenOptions::new("postgres://me:s3cret@127.0.0.1:1/flows")).await;
    assert!(matches!(&error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1") && !error.to_string().contains("s3cret"), "{error}");

    let error = refused(&OpenOptions::new("mysql://me:s3cret@127.0.0.1:1/flows")).await;
    assert!(matches!(&error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1") && !error.to_string().contains("s3cret"), "{error}");

    for bed in [Bed::postgres().await, Bed::mysql().await].into_iter().flatten() {
        let (name, hint) = match &bed.kind {
            Kind::Postgres { name, .. } => (name, "`createdb updraft_never_made`"),
            Kind::Mysql { name, .. } => (name, "`CREATE DATABASE updraft_never_made CHARACTER SET utf8mb4`"),
            Kind::Sqlite(_) => panic!("a server"),
        };
        let error = refused(&OpenOptions::new(bed.options.url.replace(name, "updraft_never_made"))).await;
        assert!(
            matches!(&error, StoreError::DatabaseMissing { name, .. } if name == "updraft_never_made"),
            "{error:?}"
        );
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_password_that_is_wrong_is_named_with_its_user() {
    let Some(bed) = Bed::postgres().await else { return };
    // A trusting server checks no password, but it knows who may come in.
    let url = bed.options.url.replace("postgres@", "nobody_we_know:s3cret@");
    let error = refused(&OpenOptions::new(url)).await;
    assert!(matches!(&error, StoreError::WrongPassword { user, .. } if user == "nobody_we_know"), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// The server ends what the writer leaves open, so that a takeover never waits for a leader that hangs.
#[tokio::test]
async fn a_leader_that_stops_inside_a_commit_loses_it_after_the_timeout() {
    for bed in [Bed::postgres().await, Bed::mysql().await].into_iter().flatten() {
        stop_inside_a_commit(bed).await;
    }
}

async fn stop_inside_a_commit(mut bed: Bed) {
    bed.options.txn_timeout = Duration::from_millis(200);
    let stopped = bed.another().await;
    let mut old = stopped.writer();
    let epoch = old.take_leadership("stopped:1").await.expect("a leadership");
    let hanging = old.guarded(epoch).await.expect("a guarded transaction");
    hanging.execute_unprepared("UPDATE pool SET slots = 1").await.expect("a statement");

    let next = bed.store.writer().take_leadership("next:2").await;
    assert_eq!(next, Ok(epoch.next()), "the takeover did not wait for ever");
    assert!(hanging.commit().await.is_err(), "the transaction in doubt can no longer commit");
    let error = old.commit(epoch, Vec::new()).await.expect_err("it leads no longer");
    match error {
        CommitError::Conflict { current, .. } => assert_eq!(current, epoch.next()),
        // The session was ended; the next attempt has a new one.
        CommitError::Aborted(_) => {
            let again = old.commit(epoch, Vec::new()).await;
            assert!(matches!(again, Err(CommitError::Conflict { .. })), "{again:?}");
        }
        CommitError::Refused(_) | CommitError::Unknown(_) => panic!("{error:?}"),
    }
}

/// A Postgres that meets every new task row with `body`: at once, or not before COMMIT.
async fn trip_on_task_rows(bed: &Bed, at_commit: bool, body: &str) {
    let when = if at_commit { "DEFERRED" } else { "IMMEDIATE" };
    bed.execute("DROP TRIGGER IF EXISTS trip ON task_instance").await;
    bed.execute(&format!(
        "CREATE OR REPLACE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
    ))
    .await;
    bed.execute(&format!(
        "CREATE CONSTRAINT TRIGGER trip AFTER INSERT ON task_instance DEFERRABLE INITIALLY {when} \
         FOR EACH ROW EXECUTE FUNCTION trip()"
    ))
    .await;
}

#[tokio::test]
async fn a_failed_commit_says_whether_anything_can_have_been_written() {
    let Some(bed) = Bed::postgres().await else { return };
    let (mut writer, epoch) = bed.leader().await;
    let writes = || vec![Write::Task(task(1, "t", TaskState::None))];

    trip_on_task_rows(&bed, false, "RAISE EXCEPTION 'no space' USING ERRCODE = '53100';").await;
    let full = writer.commit(epoch, writes()).await.expect_err("a full disk");
    assert!(matches!(&full, CommitError::Aborted(StoreError::Full { .. })), "{full:?}");

    trip_on_task_rows(&bed, true, "RAISE EXCEPTION 'not now' USING ERRCODE = '40001';").await;
    let answered = writer.commit(epoch, writes()).await.expect_err("the server answered COMMIT with no");
    assert!(matches!(&answered, CommitError::Aborted(StoreError::Locked { .. })), "{answered:?}");

    trip_on_task_rows(&bed, true, "PERFORM pg_terminate_backend(pg_backend_pid());").await;
    let cut_off = writer.commit(epoch, writes()).await.expect_err("the session ended within COMMIT");
    assert!(matches!(&cut_off, CommitError::Unknown(_)), "{cut_off:?}");

    // PROTOCOL L3: a new epoch settles what the transaction in doubt became.
    let epoch = writer.take_leadership("host:1").await.expect("a new session and a new epoch");
    bed.another().await.write.execute_unprepared("DROP TRIGGER trip ON task_instance").await.expect("no trip");
    assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), []);
    writer.commit(epoch, writes()).await.expect("life goes on");
}

#[tokio::test]
async fn a_database_that_restarted_costs_one_aborted_commit() {
    let Some(bed) = Bed::postgres().await else { return };
    let (mut writer, epoch) = bed.leader().await;
    let writes = || vec![Write::Task(task(1, "t", TaskState::None))];
    let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    bed.another().await.write.execute_unprepared(end_sessions).await.expect("sessions that end");

    match writer.commit(epoch, writes()).await {
        Ok(()) => {}
        Err(CommitError::Aborted(StoreError::Unreachable { .. })) => {
            writer.commit(epoch, writes()).await.expect("a new session");
        }
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks").len(), 1);
}
