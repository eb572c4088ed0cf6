//! What MySQL and MariaDB do that the others do not: no transaction around a
//! change of tables, sessions that end in their own ways, statements of bounded length.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::domain::ids::RunKey;
use crate::domain::state::{RunState, TaskState};
use crate::store::write::{RunRow, Write};
use crate::store::{CommitError, OpenOptions, Refused, Store, StoreError};

use super::rows::{at, run, task, xcom};
use super::{Bed, Kind};

/// The first column of every row.
async fn column(bed: &Bed, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(bed.store.read.get_database_backend(), sql);
    let rows = bed.store.read.query_all_raw(statement).await.expect("a query that the story needs");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

#[tokio::test]
async fn every_table_compares_byte_by_byte_and_takes_texts_of_any_length() {
    let Some(bed) = Bed::mysql().await else { return };
    let ours = "table_schema = DATABASE() AND table_name <> 'seaql_migrations'";
    let tables = column(&bed, &format!("SELECT table_name FROM information_schema.tables WHERE {ours}")).await;
    assert!(tables.len() > 15, "{tables:?}");
    let binary = "('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')";
    let otherwise = format!(
        "SELECT CONCAT(table_name, '.', column_name, ' ', column_type, ' ', collation_name) \
         FROM information_schema.columns WHERE {ours} AND collation_name NOT IN {binary}"
    );
    assert_eq!(column(&bed, &otherwise).await, [""; 0], "make it by way of `migration::change`");
    let short = format!(
        "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns \
         WHERE {ours} AND data_type IN ('text', 'tinytext')"
    );
    assert_eq!(column(&bed, &short).await, [""; 0], "make it by way of `migration::change`");
    let engines = format!("SELECT DISTINCT engine FROM information_schema.tables WHERE {ours}");
    assert_eq!(column(&bed, &engines).await, ["InnoDB"]);
    let keyless = format!(
        "SELECT t.table_name FROM information_schema.tables t WHERE {ours} AND NOT EXISTS (\
         SELECT 1 FROM information_schema.statistics s \
         WHERE s.table_schema = t.table_schema AND s.table_name = t.table_name AND s.index_name = 'PRIMARY')"
    );
    assert_eq!(column(&bed, &keyless).await, [""; 0], "servers that replicate want a primary key");
}

#[tokio::test]
async fn steps_that_were_cut_off_are_taken_up_by_several_at_once() {
    let Some(bed) = Bed::mysql().await else { return };
    let kept = run(1, "a", RunState::Running);
    bed.write(vec![Write::Run(kept.clone())]).await;
    // As a crash leaves them: done in part, and not one of them noted.
    bed.execute("DELETE FROM seaql_migrations").await;
    bed.execute("DROP INDEX dag_run_newest ON dag_run").await;
    bed.execute("ALTER TABLE task_instance DROP COLUMN waiting").await;
    bed.execute("DROP TABLE deadline").await;
    let other = bed.another().await;
    let (one, two) = tokio::join!(bed.store.migrate(), other.migrate());
    assert_eq!((one, two), (Ok(()), Ok(())));
    bed.store.check().await.expect("a good schema");
    assert_eq!(bed.store.runs(&Default::default()).await.expect("runs"), [kept]);
    bed.write(vec![Write::Task(task(1, "t", TaskState::Running))]).await;
    let epochs = column(&bed, "SELECT CAST(epoch AS CHAR) FROM leader").await;
    assert_eq!(epochs, ["2"], "the leader's row is not made anew");
}

#[tokio::test]
async fn one_commit_may_hold_more_than_the_server_takes_in_one_statement() {
    let Some(mut bed) = Bed::mysql().await else { return };
    // Without optimisation so much takes its time, which this story is not about.
    bed.options.txn_timeout = Duration::from_secs(60);
    let store = bed.another().await;
    let mut writer = store.writer();
    let epoch = writer.take_leadership("host:1").await.expect("a leadership");
    let megabyte = "x".repeat(1 << 20);
    let rows = (0..20).map(|n| Write::XCom(xcom(1, "t", &format!("k{n:02}"), megabyte.clone().into())));
    writer.commit(epoch, rows.collect()).await.expect("a commit");
    let length = "SELECT CAST(SUM(LENGTH(value)) AS CHAR) FROM xcom";
    assert_eq!(column(&bed, length).await, [(20 * ((1 << 20) + 2)).to_string()]);
}

#[tokio::test]
async fn a_run_that_takes_the_name_or_date_of_another_changes_neither() {
    let Some(bed) = Bed::mysql().await else { return };
    let (mut writer, epoch) = bed.leader().await;
    let first = RunRow { logical_date: Some(at(0)), ..run(1, "a", RunState::Success) };
    writer.commit(epoch, vec![Write::Run(first.clone())]).await.expect("a run");
    let same_name = RunRow { run_id: first.run_id.clone(), ..run(2, "a", RunState::Queued) };
    let same_date = RunRow { logical_date: Some(at(0)), ..run(3, "a", RunState::Queued) };
    for twin in [same_name, same_date] {
        let with_company = vec![Write::Run(run(4, "a", RunState::Queued)), Write::Run(twin)];
        let error = writer.commit(epoch, with_company).await.expect_err("a twin");
        assert!(matches!(&error, CommitError::Refused(Refused::Row(why)) if why.contains("its name")), "{error:?}");
    }
    assert_eq!(bed.store.runs(&Default::default()).await.expect("runs"), [first]);
}

#[tokio::test]
async fn who_may_not_come_in_is_named_without_the_password() {
    let Some(bed) = Bed::mysql().await else { return };
    let (_, rest) = bed.options.url.split_once('@').expect("a URL with a user");
    let stranger = OpenOptions::new(format!("mysql://nobody_we_know:s3cret@{rest}"));
    let Err(error) = Store::open(&stranger).await else { panic!("nobody was let in") };
    assert!(matches!(&error, StoreError::WrongPassword { user, .. } if user == "nobody_we_know"), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn what_the_server_answers_decides_whether_a_commit_may_be_tried_again() {
    let Some(bed) = Bed::mysql().await else { return };
    let (mut writer, epoch) = bed.leader().await;
    let writes = || vec![Write::Task(task(1, "t", TaskState::None))];
    let mut trip = async |number: u16| {
        bed.execute("DROP TRIGGER IF EXISTS trip").await;
        bed.execute(&format!(
            "CREATE TRIGGER trip BEFORE INSERT ON task_instance FOR EACH ROW \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'tripped'"
        ))
        .await;
        writer.commit(epoch, writes()).await.expect_err("the trigger")
    };
    let full = trip(1114).await;
    assert!(matches!(&full, CommitError::Aborted(StoreError::Full { .. })), "{full:?}");
    let deadlock = trip(1213).await;
    assert!(matches!(&deadlock, CommitError::Aborted(StoreError::Locked { .. })), "{deadlock:?}");
    let too_long = trip(1153).await;
    assert!(matches!(&too_long, CommitError::Refused(Refused::Row(_))), "{too_long:?}");
    bed.execute("DROP TRIGGER trip").await;
    writer.commit(epoch, writes()).await.expect("life goes on");
}

#[tokio::test]
async fn a_server_that_ended_all_sessions_costs_one_aborted_commit() {
    let Some(bed) = Bed::mysql().await else { return };
    let (mut writer, epoch) = bed.leader().await;
    let writes = || vec![Write::Task(task(1, "t", TaskState::None))];
    let sessions = "SELECT CAST(id AS CHAR) FROM information_schema.processlist \
         WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    for session in column(&bed, sessions).await {
        // One may have ended by itself.
        drop(bed.another().await.write.execute_unprepared(&format!("KILL {session}")).await);
    }
    match writer.commit(epoch, writes()).await {
        Ok(()) => {}
        Err(CommitError::Aborted(StoreError::Unreachable { .. })) => {
            writer.commit(epoch, writes()).await.expect("a new session");
        }
        Err(other) => panic!("{other:?}"),
    }
    assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks").len(), 1);
}

/// Between us and the server: passes everything on, until it is told to cut the next COMMIT's answer off.
async fn go_between(server: String, cut: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, cut) = (server.clone(), cut.clone());
            tokio::spawn(async move {
                let server = TcpStream::connect(server).await.expect("the server");
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 1 << 16];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    let is_commit = buffer[..read].windows(6).any(|word| word == b"COMMIT");
                    let cuts = is_commit && cut.swap(false, Ordering::SeqCst);
                    if cuts {
                        // What is dropped here the client sees as the end of its connection.
                        answers.abort();
                    }
                    if to_server.write_all(&buffer[..read]).await.is_err() || cuts {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_unknown_and_a_new_epoch_settles_it() {
    let Some(bed) = Bed::mysql().await else { return };
    let Kind::Mysql { name, .. } = &bed.kind else { panic!("a server") };
    let (user, rest) = bed.options.url.rsplit_once('@').expect("a URL with a user");
    let (address, _) = rest.split_once('/').expect("a URL with a database");
    let cut = Arc::new(AtomicBool::new(false));
    let port = go_between(address.to_owned(), cut.clone()).await;
    let through = OpenOptions::new(format!("{user}@127.0.0.1:{port}/{name}?ssl-mode=DISABLED"));
    let store = Store::open(&through).await.expect("the same database");
    let mut writer = store.writer();
    let epoch = writer.take_leadership("host:1").await.expect("a leadership");

    cut.store(true, Ordering::SeqCst);
    let lost = writer.commit(epoch, vec![Write::Task(task(1, "t", TaskState::None))]).await;
    assert!(matches!(&lost, Err(CommitError::Unknown(StoreError::Unreachable { .. }))), "{lost:?}");

    // PROTOCOL L3: a new epoch waits for the transaction in doubt; then what is there is the truth.
    let next = writer.take_leadership("host:1").await.expect("a new session and a new epoch");
    assert_eq!(next, epoch.next());
    let there = store.tasks(RunKey(1)).await.expect("tasks").len();
    assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks").len(), there);
    writer.commit(next, vec![Write::Task(task(1, "t", TaskState::Running))]).await.expect("life goes on");
    assert_eq!(store.tasks(RunKey(1)).await.expect("tasks"), [task(1, "t", TaskState::Running)]);
}
