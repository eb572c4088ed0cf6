//! Notifications and deadlines: they come back as they went, and a new leader loads what is pending.

use uuid::Uuid;

use crate::domain::deadline::DeadlineState;
use crate::domain::ids::{AttemptId, Dispatch, MapIndex, NotificationId, QueueName, RunId, RunKey, TaskKey, TryNumber};
use crate::domain::notification::{About, MissedDeadline, Notice, NotificationState, Occasion};
use crate::domain::operator::Operator;
use crate::domain::run::RunType;
use crate::domain::state::RunState;
use crate::protocol::control::HistoryTable;
use crate::protocol::work::{RunContext, TaskMessage};
use crate::store::query::NotificationFilter;
use crate::store::write::{CleanedRows, DeadlineRow, NotificationRow, Write};

use super::on_every_database;
use super::rows::{at, dag, dag_id, run, task_id, version};

fn notification(id: u128, state: NotificationState) -> NotificationRow {
    let notice = Notice {
        occasion: Occasion::Failure,
        about: About::Task,
        number: 0,
        place: Some(2),
        summary: "command größe".to_owned(),
        state: "failed".to_owned(),
        exception: Some("it's \u{0} \"broken\", {a\\b}".to_owned()),
        reason: None,
        started_at: Some(at(1)),
        ended_at: Some(at(2)),
        hostname: Some("höst".to_owned()),
        run_state: "running".to_owned(),
        run_ended_at: None,
        deadline: Some(MissedDeadline { name: None, due_at: at(3) }),
    };
    let message = TaskMessage {
        attempt: AttemptId(Uuid::from_u128(id)),
        dispatch: Dispatch(0),
        key: TaskKey {
            dag: dag_id("a"),
            run: RunId::new("manual__1").expect("a run id"),
            task: task_id("t"),
            map_index: MapIndex(3),
        },
        try_number: TryNumber(2),
        max_tries: 3,
        operator: Operator::Empty,
        operator_name: "BashOperator".to_owned(),
        retries: 1,
        queue: QueueName::default_queue(),
        owner: "ann".to_owned(),
        execution_timeout: None,
        do_xcom_push: false,
        log_path: "dag_id=a/x.log".to_owned(),
        run: RunContext {
            run_type: RunType::Manual,
            logical_date: None,
            interval: None,
            run_after: at(0),
            started_at: None,
            conf: serde_json::Map::new(),
            params: serde_json::Map::new(),
            previous_logical_date: None,
            next_logical_date: None,
            description: None,
            tags: Vec::new(),
            file: "a.yaml".to_owned(),
            file_hash: None,
            template_searchpath: Vec::new(),
            previous_success: None,
            xcom_of_any_task: false,
            native_templates: false,
            asset_events: Vec::new(),
        },
        inlets: Vec::new(),
        outlets: Vec::new(),
        waiting_since: None,
        reschedules: 0,
        mapped: None,
        notice: Some(Box::new(notice)),
    };
    NotificationRow {
        id: NotificationId(Uuid::from_u128(id)),
        run: RunKey(1),
        task_id: Some(task_id("t")),
        map_index: MapIndex(3),
        try_number: TryNumber(2),
        occasion: Occasion::Failure,
        number: 1,
        message,
        state,
        failed_tries: u32::MAX,
        next_try_at: Some(at(9)),
        created_at: at(i64::try_from(id).expect("a small number")),
        ended_at: Some(at(5)),
        error: Some("nobody \"listens\"".to_owned()),
    }
}

fn deadline(run: i64, number: u32, state: DeadlineState) -> DeadlineRow {
    DeadlineRow { run: RunKey(run), number, name: Some("früh".to_owned()), due_at: at(7), state, settled_at: None }
}

#[tokio::test]
async fn a_notification_comes_back_as_it_went_and_is_loaded_while_it_is_pending() {
    on_every_database(async |bed| {
        let mut bare = notification(2, NotificationState::Pending);
        (bare.task_id, bare.next_try_at, bare.ended_at, bare.error) = (None, None, None, None);
        let rows = [notification(1, NotificationState::Pending), bare, notification(3, NotificationState::Failed)];
        bed.write(rows.iter().cloned().map(|row| Write::Notification(Box::new(row))).collect()).await;
        assert_eq!(bed.store.load().await.expect("a load").notifications, rows[..2]);
        assert_eq!(bed.store.pending_notifications().await.expect("a count"), 2);
        let all = bed.store.notifications(&NotificationFilter::default()).await.expect("rows");
        assert_eq!(all, [rows[2].clone(), rows[1].clone(), rows[0].clone()], "newest first");

        let done = NotificationRow { state: NotificationState::Done, ..rows[0].clone() };
        bed.write(vec![Write::Notification(Box::new(done.clone()))]).await;
        assert_eq!(bed.store.load().await.expect("a load").notifications, rows[1..2]);
        let filter =
            NotificationFilter { state: Some(NotificationState::Done), dag: Some(dag_id("a")), ..Default::default() };
        assert_eq!(bed.store.notifications(&filter).await.expect("rows"), [done]);
        let filter = NotificationFilter { dag: Some(dag_id("b")), ..Default::default() };
        assert_eq!(bed.store.notifications(&filter).await.expect("rows"), []);
    })
    .await;
}

#[tokio::test]
async fn what_was_carried_out_long_ago_is_cleaned_and_what_is_owed_is_not() {
    on_every_database(async |bed| {
        let recent = NotificationRow { ended_at: Some(at(20)), ..notification(2, NotificationState::Done) };
        // A try of it failed long ago, and another one follows.
        let owed = notification(4, NotificationState::Pending);
        let old = [notification(1, NotificationState::Done), notification(3, NotificationState::Failed)];
        let rows = [old[0].clone(), recent.clone(), old[1].clone(), owed.clone()];
        bed.write(rows.into_iter().map(|row| Write::Notification(Box::new(row))).collect()).await;
        assert_eq!(bed.store.count_old(HistoryTable::Notification, at(10)).await.expect("a count"), 2);
        let clean = |table| {
            let (runs, tables, before) = (Vec::new(), vec![table], at(10));
            vec![Write::Clean(Box::new(CleanedRows { runs, tables, before }))]
        };
        bed.write(clean(HistoryTable::Command)).await;
        assert_eq!(bed.store.count_old(HistoryTable::Notification, at(10)).await.expect("a count"), 2);
        bed.write(clean(HistoryTable::Notification)).await;
        let left = bed.store.notifications(&NotificationFilter::default()).await.expect("rows");
        assert_eq!(left, [owed, recent]);
    })
    .await;
}

#[tokio::test]
async fn a_deadline_that_is_pending_brings_its_run_even_when_that_has_ended() {
    on_every_database(async |bed| {
        let failed = run(1, "a", RunState::Failed);
        let rows = [
            deadline(1, 0, DeadlineState::Pending),
            deadline(1, 1, DeadlineState::Missed),
            deadline(2, 0, DeadlineState::Missed),
        ];
        let mut writes = vec![Write::Dag(dag("a")), Write::Version(Box::new(version("a", 1)))];
        writes.extend([failed.clone(), run(2, "a", RunState::Success)].map(Write::Run));
        writes.extend(rows.iter().cloned().map(Write::Deadline));
        bed.write(writes).await;
        let loaded = bed.store.load().await.expect("a load");
        assert_eq!((loaded.runs, loaded.deadlines), (vec![failed], vec![rows[0].clone()]));
        let missed = bed.store.missed_deadlines(&[RunKey(1), RunKey(2), RunKey(3)]).await.expect("rows");
        assert_eq!(missed, rows[1..]);

        let met = DeadlineRow { state: DeadlineState::Met, settled_at: Some(at(8)), ..rows[0].clone() };
        bed.write(vec![Write::Deadline(met)]).await;
        assert_eq!(bed.store.load().await.expect("a load").runs, []);
    })
    .await;
}
