//! Who may write, what a commit does, and what it refuses.

use std::time::Duration;

use serde_json::json;

use crate::domain::attempt::{AttemptState, Outcome};
use crate::domain::ids::{Dispatch, Epoch, MapIndex, RunKey};
use crate::domain::state::{RunState, TaskState};
use crate::store::write::Write;
use crate::store::{CommitError, Refused, Succession};

use super::on_every_database;
use super::rows::{attempt, claim, dag_id, done, run, task, task_id, version, xcom};

#[tokio::test]
async fn the_older_of_two_leaders_is_refused_and_writes_nothing() {
    on_every_database(async |bed| {
        let (mut old, first) = bed.leader().await;
        let mut new = bed.another().await.writer();
        let second = new.take_leadership("other:2").await.expect("a takeover");
        assert_eq!(second, first.next());

        let conflict = CommitError::Conflict { current: second, holder: "other:2".to_owned() };
        let refused = old.commit(first, vec![Write::Task(task(1, "t", TaskState::Success))]).await;
        assert_eq!(refused, Err(conflict.clone()));
        assert_eq!(old.commit(first, Vec::new()).await, Err(conflict.clone()), "a refusal needs the guard too");
        assert_eq!(old.renew_leadership(first).await, Err(conflict));
        assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), []);

        new.commit(second, Vec::new()).await.expect("the new leader's guard");
        new.renew_leadership(second).await.expect("a renewal");
        let leader = bed.store.leader().await.expect("a leader");
        assert_eq!((leader.epoch, leader.holder.as_str()), (second, "other:2"));
        assert!(leader.age < Duration::from_secs(60), "{leader:?}");
    })
    .await;
}

#[tokio::test]
async fn of_several_that_follow_one_leader_one_does() {
    on_every_database(async |bed| {
        let (mut old, first) = bed.leader().await;
        let (mut one, mut two) = (bed.another().await.writer(), bed.another().await.writer());
        assert_eq!(one.succeed("one:1", first).await, Ok(Succession::Leads(first.next())));
        let overtaken = Succession::Overtaken { current: first.next(), holder: "one:1".to_owned() };
        assert_eq!(two.succeed("two:2", first).await, Ok(overtaken));
        assert!(matches!(old.commit(first, Vec::new()).await, Err(CommitError::Conflict { .. })));
        one.commit(first.next(), Vec::new()).await.expect("who follows leads");
        assert_eq!(two.succeed("two:2", first.next()).await, Ok(Succession::Leads(first.next().next())));
    })
    .await;
}

#[tokio::test]
async fn a_takeover_waits_for_the_guarded_transaction_under_way_and_sees_what_it_wrote() {
    on_every_database(async |bed| {
        let (old, first) = bed.leader().await;
        let under_way = old.guarded(first).await.expect("a guarded transaction");
        let other = bed.another().await;
        let mut new = other.writer();
        let mut takeover = Box::pin(new.take_leadership("other:2"));
        let early = tokio::time::timeout(Duration::from_millis(300), &mut takeover).await;
        assert!(early.is_err(), "took over beside a guarded transaction: {early:?}");
        under_way.commit().await.expect("the commit under way");
        assert_eq!(takeover.await, Ok(first.next()));
    })
    .await;
}

#[tokio::test]
async fn of_several_writes_to_one_row_the_last_one_counts() {
    on_every_database(async |bed| {
        let (mut writer, epoch) = bed.leader().await;
        writer.commit(epoch, vec![Write::Task(task(1, "t", TaskState::None))]).await.expect("a commit");
        let states = [TaskState::Scheduled, TaskState::Queued, TaskState::Running];
        let mut writes: Vec<Write> = states.map(|state| Write::Task(task(1, "t", state))).into();
        writes.push(Write::XCom(xcom(1, "t", "gone", json!(1))));
        writes.push(Write::ClearXComs { run: RunKey(1), task: task_id("t"), map_index: MapIndex::UNMAPPED });
        writes.push(Write::XCom(xcom(1, "t", "kept", json!(2))));
        writes.push(Write::XCom(xcom(1, "u", "other", json!(3))));
        writer.commit(epoch, writes).await.expect("a commit");

        assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), [task(1, "t", TaskState::Running)]);
        let keys = bed.store.xcoms(RunKey(1), None).await.expect("values").into_iter().map(|row| row.key);
        assert_eq!(keys.collect::<Vec<_>>(), ["kept", "other"]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_any_size_is_written_whole() {
    on_every_database(async |bed| {
        let (mut writer, epoch) = bed.leader().await;
        for (round, size) in (1..).zip([1, 2, 15, 16, 17, 127, 128, 129, 1000, 2345]) {
            let rows: Vec<_> = (0..size).map(|n| task(round, &format!("t{n:05}"), TaskState::ALL[n % 14])).collect();
            writer.commit(epoch, rows.iter().cloned().map(Write::Task).collect()).await.expect("a commit");
            assert_eq!(bed.store.tasks(RunKey(round)).await.expect("tasks"), rows);
        }
    })
    .await;
}

#[tokio::test]
async fn an_outcome_is_recorded_once_and_a_second_one_is_refused_by_name() {
    on_every_database(async |bed| {
        let (mut writer, epoch) = bed.leader().await;
        let row = |state| attempt(1, 1, "t", state);
        let running = AttemptState::Run { dispatch: Dispatch(1), claim: claim(1) };
        let success = row(done(Outcome::Success));
        writer.commit(epoch, vec![Write::Attempt(row(running))]).await.expect("a start");
        writer.commit(epoch, vec![Write::Attempt(success.clone())]).await.expect("an outcome");

        for second in [row(done(Outcome::Lost)), row(running)] {
            let with_company = vec![Write::Task(task(1, "t", TaskState::Failed)), Write::Attempt(second)];
            let error = writer.commit(epoch, with_company).await.expect_err("a second outcome");
            assert!(matches!(&error, CommitError::Refused(Refused::OneOutcome { .. })), "{error:?}");
            assert!(error.to_string().contains("invariant I3 one_outcome"), "{error}");
        }
        assert_eq!(bed.store.attempts(RunKey(1), None).await.expect("attempts"), std::slice::from_ref(&success));
        assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), [], "its company is not written either");
        writer.commit(epoch, vec![Write::Attempt(success)]).await.expect("the same outcome again changes nothing");

        let in_one_batch = [Outcome::Success, Outcome::Lost].map(|o| Write::Attempt(attempt(2, 1, "t", done(o))));
        let error = writer.commit(epoch, in_one_batch.into()).await.expect_err("two outcomes in a batch");
        assert!(matches!(error, CommitError::Refused(Refused::OneOutcome { .. })), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn a_version_is_written_once() {
    on_every_database(async |bed| {
        let (mut writer, epoch) = bed.leader().await;
        let first = version("a", 1);
        for _ in 0..2 {
            writer.commit(epoch, vec![Write::Version(Box::new(first.clone()))]).await.expect("the same version");
        }
        let mut other = version("a", 1);
        other.hash = "another".to_owned();
        let error = writer.commit(epoch, vec![Write::Version(Box::new(other))]).await.expect_err("another content");
        assert!(matches!(error, CommitError::Refused(Refused::VersionChanged { .. })), "{error:?}");
        assert_eq!(bed.store.version(&dag_id("a"), None).await.expect("a version"), Some(first));
    })
    .await;
}

#[tokio::test]
async fn two_runs_of_one_name_or_date_are_refused_and_the_writer_goes_on() {
    on_every_database(async |bed| {
        let (mut writer, epoch) = bed.leader().await;
        let first = run(1, "a", RunState::Queued);
        writer.commit(epoch, vec![Write::Run(first.clone())]).await.expect("a run");
        let mut twin = run(2, "a", RunState::Queued);
        twin.run_id = first.run_id;
        let error = writer.commit(epoch, vec![Write::Run(twin)]).await.expect_err("a twin");
        assert!(matches!(error, CommitError::Refused(Refused::Row(_))), "{error:?}");
        writer.commit(epoch, vec![Write::Run(run(2, "a", RunState::Queued))]).await.expect("the next commit");
    })
    .await;
}

#[tokio::test]
async fn nobody_leads_a_new_database_and_epochs_only_rise() {
    on_every_database(async |bed| {
        assert_eq!(bed.store.leader().await.expect("the row").epoch, Epoch(0));
        let (mut writer, first) = bed.leader().await;
        assert_eq!(first, Epoch(1));
        assert_eq!(writer.take_leadership("host:1").await, Ok(Epoch(2)), "a reload takes a new epoch too");
    })
    .await;
}
