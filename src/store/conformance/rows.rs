//! Every row comes back as it went.

use serde_json::json;
use uuid::Uuid;

use crate::domain::asset::{Asset, AssetEvent, EventSource};
use crate::domain::attempt::{AttemptState, Outcome, Wish};
use crate::domain::dag::{DagDefinition, TaskLimitScope};
use crate::domain::ids::{
    AssetEventId, AssetName, AttemptId, Claim, DagId, Dispatch, Incarnation, MapIndex, PoolName, QueueName, RunId,
    RunKey, TaskId, TryNumber, VersionNumber, WorkerId,
};
use crate::domain::journal::{Held, Journal, Stretch};
use crate::domain::limit::Limit;
use crate::domain::problem::{Place, Problem};
use crate::domain::run::{DataInterval, PlannedRun, RunType};
use crate::domain::schedule::Schedule;
use crate::domain::state::{Mark, RunState, TaskState};
use crate::domain::time::Time;
use crate::protocol::control::TriggeredBy;
use crate::store::query::ImportError;
use crate::store::write::{AttemptRow, DagRow, PoolRow, QueueRow, RunRow, TaskRow, VersionRow, Write, XComRow};

use super::on_every_database;

/// An instant with every microsecond in use.
pub fn at(seconds: i64) -> Time {
    Time::from_timestamp_micros(1_763_700_000_123_457 + seconds * 1_000_000).expect("an instant")
}

pub fn dag_id(name: &str) -> DagId {
    DagId::new(name).expect("a DAG id")
}

pub fn task_id(name: &str) -> TaskId {
    TaskId::new(name).expect("a task id")
}

pub fn definition(dag: &str) -> DagDefinition {
    DagDefinition {
        dag_id: dag_id(dag),
        description: Some("größer, 比較, \u{1f680}".to_owned()),
        doc_md: None,
        tags: vec!["a".to_owned()],
        file: format!("{dag}.yaml"),
        schedule: Schedule::Never,
        timezone: chrono_tz::Europe::Vienna,
        start_date: Some(at(0)),
        end_date: None,
        catchup: false,
        max_active_runs: Limit::from(16),
        max_active_tasks: Limit::Unlimited,
        max_active_tasks_scope: TaskLimitScope::EachRun,
        dagrun_timeout: None,
        fail_fast: false,
        max_consecutive_failed_runs: None,
        is_paused_upon_creation: None,
        params: serde_json::Map::new(),
        param_schemas: serde_json::Map::new(),
        render_template_as_native_obj: false,
        assets: Vec::new(),
        template_searchpath: Vec::new(),
        groups: Vec::new(),
        callbacks: Default::default(),
        deadlines: Vec::new(),
        tasks: Vec::new(),
    }
}

pub fn version(dag: &str, number: i32) -> VersionRow {
    VersionRow {
        dag_id: dag_id(dag),
        version: VersionNumber(number),
        hash: format!("hash {number}"),
        definition: definition(dag),
        source: "dag_id: 'quoted'\n".to_owned(),
        created_at: at(1),
    }
}

pub fn dag(name: &str) -> DagRow {
    DagRow {
        dag_id: dag_id(name),
        version: VersionNumber(1),
        is_paused: true,
        is_stale: false,
        file: format!("{name}.yaml"),
        last_interval: None,
        next_run: None,
        parsed_at: at(2),
    }
}

pub fn run(key: i64, dag: &str, state: RunState) -> RunRow {
    RunRow {
        key: RunKey(key),
        dag_id: dag_id(dag),
        run_id: RunId::new(format!("manual__{key}")).expect("a run id"),
        run_type: RunType::Manual,
        state,
        version: VersionNumber(1),
        logical_date: None,
        interval: None,
        run_after: at(key),
        conf: serde_json::Map::new(),
        note: None,
        triggered_by: TriggeredBy::Cli,
        user: None,
        queued_at: at(key),
        started_at: None,
        ended_at: None,
        clear_number: 0,
        backfill: None,
    }
}

pub fn task(run: i64, name: &str, state: TaskState) -> TaskRow {
    TaskRow {
        run: RunKey(run),
        task_id: task_id(name),
        map_index: MapIndex::UNMAPPED,
        state,
        try_number: TryNumber(0),
        max_tries: 0,
        infra_tries: 0,
        attempt: None,
        operator: "BashOperator".to_owned(),
        pool: PoolName::default_pool(),
        pool_slots: 1,
        queue: QueueName::default_queue(),
        priority_weight: 1,
        scheduled_at: None,
        queued_at: None,
        started_at: None,
        ended_at: None,
        next_try_at: None,
        hostname: None,
        pid: None,
        note: None,
        journal: Journal::default(),
        waiting: None,
        xcom_lengths: Default::default(),
    }
}

pub fn claim(n: i64) -> Claim {
    Claim { worker: WorkerId(Uuid::from_u128(7)), incarnation: Incarnation(3), n }
}

pub fn done(outcome: Outcome) -> AttemptState {
    AttemptState::Done { dispatch: Dispatch(1), claim: Some(claim(1)), outcome }
}

pub fn attempt(id: u128, run: i64, task: &str, state: AttemptState) -> AttemptRow {
    AttemptRow {
        id: AttemptId(Uuid::from_u128(id)),
        run: RunKey(run),
        task_id: task_id(task),
        map_index: MapIndex::UNMAPPED,
        try_number: TryNumber(1),
        state,
        queued_at: at(3),
        started_at: None,
        ended_at: None,
        exit_code: None,
        message: None,
        log_path: "dag_id=a/attempt=1.log".to_owned(),
    }
}

pub fn xcom(run: i64, task: &str, key: &str, value: serde_json::Value) -> XComRow {
    XComRow {
        run: RunKey(run),
        task_id: task_id(task),
        map_index: MapIndex::UNMAPPED,
        key: key.to_owned(),
        value,
        at: at(4),
    }
}

#[tokio::test]
async fn a_dag_and_its_versions_come_back_as_they_went() {
    on_every_database(async |bed| {
        let bare = dag("bare");
        let mut full = dag("größe");
        full.is_paused = false;
        full.is_stale = true;
        full.last_interval = Some(DataInterval { start: at(-5), end: at(-4) });
        full.next_run =
            Some(PlannedRun { logical_date: at(5), interval: DataInterval::exact(at(6)), run_after: at(7) });
        let versions = [version("bare", 1), version("größe", 1), version("größe", 2)];
        let mut writes: Vec<Write> = versions.iter().cloned().map(|row| Write::Version(Box::new(row))).collect();
        writes.extend([Write::Dag(bare.clone()), Write::Dag(full.clone())]);
        bed.write(writes).await;

        let dags = bed.store.dags(true).await.expect("dags");
        assert_eq!(dags.iter().map(|dag| dag.row.clone()).collect::<Vec<_>>(), [bare, full]);
        assert_eq!(dags[1].definition, definition("größe"));
        assert_eq!(bed.store.dags(false).await.expect("dags").len(), 1, "a stale DAG is hidden");
        let newest = bed.store.version(&dag_id("größe"), None).await.expect("a version");
        assert_eq!(newest.as_ref(), Some(&versions[2]));
        let first = bed.store.version(&dag_id("größe"), Some(VersionNumber(1))).await.expect("a version");
        assert_eq!(first.as_ref(), Some(&versions[1]));
    })
    .await;
}

#[tokio::test]
async fn a_run_comes_back_as_it_went() {
    on_every_database(async |bed| {
        let mut full = run(1, "a", RunState::Success);
        full.run_type = RunType::Scheduled;
        full.logical_date = Some(at(-1));
        full.interval = Some(DataInterval { start: at(-1), end: at(0) });
        full.conf = json!({"z": 1, "a": [null, "ü\u{0}\"'"], "big": 9_007_199_254_740_993_i64})
            .as_object()
            .cloned()
            .expect("an object");
        full.note = Some("it's \u{1f680}".to_owned());
        full.user = Some("anna".to_owned());
        full.started_at = Some(at(1));
        full.ended_at = Some(at(2));
        let bare = run(2, "a", RunState::Queued);
        bed.write(vec![Write::Run(full.clone()), Write::Run(bare.clone())]).await;

        let found = bed.store.run(&full.dag_id, &full.run_id).await.expect("a run").expect("that exists");
        assert_eq!(found, full);
        assert_eq!(found.conf.keys().collect::<Vec<_>>(), ["z", "a", "big"], "the order of keys is the user's");
        assert_eq!(bed.store.run_by_key(RunKey(2)).await.expect("a run"), Some(bare));
    })
    .await;
}

#[tokio::test]
async fn a_task_instance_comes_back_as_it_went() {
    on_every_database(async |bed| {
        let mut full = task(1, "group.t", TaskState::UpForRetry);
        full.map_index = MapIndex(7);
        full.try_number = TryNumber(2);
        full.max_tries = 3;
        full.infra_tries = 1;
        full.attempt = Some(AttemptId(Uuid::from_u128(u128::MAX)));
        full.pool_slots = u32::MAX;
        full.priority_weight = i32::MIN;
        (full.scheduled_at, full.queued_at) = (Some(at(1)), Some(at(2)));
        (full.started_at, full.ended_at, full.next_try_at) = (Some(at(3)), Some(at(4)), Some(at(5)));
        full.hostname = Some("höst".to_owned());
        full.pid = Some(u32::MAX);
        full.note = Some("{\"a\\b\"}, NULL\n".to_owned());
        let pool = PoolName::new("größe \"8\"").expect("a name");
        full.journal.push(Stretch { from: at(1), to: at(2), held: Held::Pool { pool } });
        full.journal.push(Stretch { from: at(2), to: at(3), held: Held::Retry });
        let awaited = crate::domain::wait::Awaited::Moment { at: at(6) };
        full.waiting = Some(Box::new(crate::domain::wait::Waiting { since: at(3), reschedules: 2, awaited }));
        let every_state = TaskState::ALL.map(|state| task(1, state.as_str(), state));
        let mut writes = vec![Write::Task(full.clone())];
        writes.extend(every_state.iter().cloned().map(Write::Task));
        bed.write(writes).await;

        let found = bed.store.tasks(RunKey(1)).await.expect("tasks");
        assert_eq!(found.len(), 1 + every_state.len());
        for row in every_state.iter().chain([&full]) {
            assert!(found.contains(row), "{row:?}");
        }
        let one = bed.store.task(RunKey(1), &full.task_id, full.map_index).await.expect("a task");
        assert_eq!(one, Some(full));
    })
    .await;
}

#[tokio::test]
async fn an_attempt_comes_back_in_every_state_it_can_have() {
    on_every_database(async |bed| {
        let dispatch = Dispatch(2);
        let mut states = vec![
            AttemptState::Queued { dispatch },
            AttemptState::Run { dispatch, claim: claim(i64::MAX) },
            AttemptState::Done { dispatch, claim: None, outcome: Outcome::NeverStarted },
        ];
        let marks = [Mark::Success, Mark::Failed, Mark::Skipped].map(|mark| Wish::Mark { mark });
        states.extend(
            [Wish::Clear, Wish::Abandon, Wish::FailFast].into_iter().chain(marks).map(|wish| AttemptState::Ending {
                dispatch,
                claim: claim(2),
                wish,
            }),
        );
        let outcomes = [
            Outcome::Success,
            Outcome::Failed { retryable: true },
            Outcome::Failed { retryable: false },
            Outcome::Skipped,
            Outcome::TimedOut,
            Outcome::Killed,
            Outcome::Fenced,
            Outcome::Lost,
            Outcome::NeverStarted,
            Outcome::Undeliverable,
        ];
        states.extend(outcomes.map(done));
        let mut rows: Vec<AttemptRow> =
            states.into_iter().zip(1..).map(|(state, id)| attempt(id, 1, "t", state)).collect();
        rows[0].started_at = Some(at(1));
        rows[0].ended_at = Some(at(2));
        rows[0].exit_code = Some(-9);
        rows[0].message = Some("Ende: \"größer\"".to_owned());
        bed.write(rows.iter().cloned().map(Write::Attempt).collect()).await;

        assert_eq!(bed.store.attempts(RunKey(1), Some(&task_id("t"))).await.expect("attempts"), rows);
        assert_eq!(bed.store.attempt(rows[3].id).await.expect("an attempt").as_ref(), Some(&rows[3]));
    })
    .await;
}

#[tokio::test]
async fn a_pushed_value_comes_back_whatever_it_is() {
    on_every_database(async |bed| {
        let values = [
            json!(null),
            json!("plain"),
            json!("with \u{0} and \\u0000 and ☃"),
            json!({"z": {"nested": [1, 2.5, true]}, "a": "order"}),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(0.1),
        ];
        let rows: Vec<XComRow> =
            values.iter().enumerate().map(|(n, value)| xcom(1, "t", &format!("k{n} ü"), value.clone())).collect();
        bed.write(rows.iter().cloned().map(Write::XCom).collect()).await;

        assert_eq!(bed.store.xcoms(RunKey(1), None).await.expect("values"), rows);
        let one = bed.store.xcom(RunKey(1), &task_id("t"), MapIndex::UNMAPPED, "k3 ü").await.expect("a value");
        assert_eq!(one.expect("that exists").value.to_string(), values[3].to_string(), "keys keep their order");
    })
    .await;
}

#[tokio::test]
async fn keys_that_differ_in_case_accent_or_space_are_different_keys() {
    on_every_database(async |bed| {
        let keys = ["k", "K", "k ", "ḱ", "\u{212a}", "ss", "ß", "\u{1f680}", "\u{1f681}"];
        let rows = keys.map(|key| xcom(1, "t", key, json!(key)));
        bed.write(rows.iter().cloned().map(Write::XCom).collect()).await;
        assert_eq!(bed.store.xcoms(RunKey(1), None).await.expect("values").len(), rows.len());
        for row in rows {
            let found = bed.store.xcom(RunKey(1), &row.task_id, row.map_index, &row.key).await.expect("a value");
            assert_eq!(found, Some(row));
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_very_long_comes_back_whole() {
    on_every_database(async |bed| {
        let value = xcom(1, "t", &"ü".repeat(512), json!("größe ".repeat(100_000)));
        let name = |end: &str| AssetName::new(format!("{}{end}", "s".repeat(1499))).expect("a name");
        let assets = ["a", "b"].map(|end| Asset { extra: serde_json::Map::new(), ..Asset::bare(name(end)) });
        let mut longest = task(1, &"t".repeat(250), TaskState::Failed);
        longest.note = Some("n".repeat(200_000));
        let mut writes = vec![Write::XCom(value.clone()), Write::Task(longest.clone())];
        writes.extend(assets.iter().cloned().map(Write::Asset));
        for _ in 0..2 {
            bed.write(writes.clone()).await;
        }
        assert_eq!(bed.store.xcoms(RunKey(1), None).await.expect("values"), [value]);
        assert_eq!(bed.store.tasks(RunKey(1)).await.expect("tasks"), [longest]);
        assert_eq!(bed.store.assets().await.expect("assets"), assets);
        assert_eq!(bed.store.asset(&name("b")).await.expect("an asset").as_ref(), Some(&assets[1]));
    })
    .await;
}

#[tokio::test]
async fn pools_and_problems_come_back_as_they_went() {
    on_every_database(async |bed| {
        let pool = PoolRow {
            name: PoolName::new("with space").expect("a pool name"),
            slots: -1,
            description: String::new(),
            include_deferred: true,
        };
        let mut place = Place::line("other.py", 31);
        place.column = Some(5);
        let full = Problem::error(place, "name 'task1' is not defined").hint("did you mean `task_1`?").detail("a\nb");
        let bare = Problem::warning(Place::file("a.py"), "old name");
        let problems = |problems| Write::FileProblems { file: "a.py".to_owned(), problems, at: at(2) };
        bed.write(vec![Write::Pool(pool.clone()), problems(vec![full.clone(), bare.clone()])]).await;

        assert_eq!(bed.store.pools().await.expect("pools").as_slice(), std::slice::from_ref(&pool));
        bed.write(vec![Write::Pool(pool.clone()), Write::DeletePool(pool.name)]).await;
        assert_eq!(bed.store.pools().await.expect("pools"), [], "the last word on a pool counts");
        let shown = |problem: &Problem| ImportError { file: "a.py".to_owned(), problem: problem.clone(), at: at(2) };
        assert_eq!(bed.store.import_errors().await.expect("problems"), [shown(&full), shown(&bare)]);
        bed.write(vec![problems(vec![bare.clone()])]).await;
        assert_eq!(bed.store.import_errors().await.expect("problems"), [shown(&bare)], "new ones replace old ones");
        bed.write(vec![problems(Vec::new())]).await;
        assert_eq!(bed.store.import_errors().await.expect("problems"), [], "a mended file has none");
    })
    .await;
}

#[tokio::test]
async fn free_text_with_a_null_character_cannot_stop_a_commit() {
    on_every_database(async |bed| {
        let mut row = task(1, "t", TaskState::Failed);
        row.note = Some("before\0after".to_owned());
        bed.write(vec![Write::Task(row)]).await;
        let found = bed.store.tasks(RunKey(1)).await.expect("tasks");
        assert_eq!(found[0].note.as_deref(), Some("before\u{fffd}after"));
    })
    .await;
}

#[tokio::test]
async fn assets_their_events_and_who_waits_for_them_come_back_as_they_went() {
    on_every_database(async |bed| {
        let name = |text: &str| AssetName::new(text).expect("a name");
        let extra = json!({"z": 1, "a": "ü\u{0}"}).as_object().cloned().expect("an object");
        let full = Asset {
            name: name("with space"),
            uri: "s3://bucket/key".to_owned(),
            group: "model".to_owned(),
            extra: extra.clone(),
        };
        let bare = Asset::bare(name("bare"));
        let event = |id: i64, asset: &str| AssetEvent {
            id: AssetEventId(id),
            asset: name(asset),
            uri: asset.to_owned(),
            at: at(id),
            extra: extra.clone(),
            source: EventSource {
                dag: dag_id("p"),
                run: RunId::new("r").expect("a run id"),
                task: task_id("t"),
                map_index: MapIndex(3),
                interval: (id > 1).then(|| DataInterval { start: at(0), end: at(1) }),
            },
            aliases: [name("day")].into_iter().filter(|_| id == 2).collect(),
        };
        let events = [event(1, "bare"), event(2, "bare"), event(3, "with space")];
        let queued = |event: i64, run: Option<i64>| QueueRow {
            dag: dag_id("c"),
            event: AssetEventId(event),
            counts: event != 2,
            run: run.map(RunKey),
        };
        let mut writes: Vec<Write> = events.iter().cloned().map(Write::AssetEvent).collect();
        writes.extend([full.clone(), Asset::bare(full.name.clone()), full.clone(), bare.clone()].map(Write::Asset));
        writes.extend([1, 2, 3].map(|event| Write::Queued(queued(event, None))));
        let mut run = run(7, "c", RunState::Running);
        run.run_type = RunType::AssetTriggered;
        writes.push(Write::Run(run.clone()));
        writes.extend([Write::Dag(dag("c")), Write::Version(Box::new(version("c", 1)))]);
        bed.write(writes).await;
        assert_eq!(bed.store.assets().await.expect("assets"), [bare.clone(), full.clone()]);
        assert_eq!(bed.store.asset_by_uri("s3://bucket/key").await.expect("an asset"), Some(full));
        assert_eq!(bed.store.asset_events(&bare.name, 1).await.expect("events"), [events[1].clone()], "the newest");
        bed.write(vec![
            Write::Queued(queued(1, Some(7))),
            Write::Queued(queued(2, Some(7))),
            Write::Dequeued { dag: dag_id("c"), event: AssetEventId(3) },
        ])
        .await;
        bed.write(vec![Write::Queued(QueueRow { dag: dag_id("d"), ..queued(3, None) })]).await;
        let loaded = bed.store.load().await.expect("the loaded state");
        assert_eq!(loaded.queued, [(QueueRow { dag: dag_id("d"), ..queued(3, None) }, events[2].clone())]);
        assert_eq!(loaded.events_of_runs[&run.key], events[..2]);
        assert_eq!(loaded.next_event, AssetEventId(4));
        assert_eq!(bed.store.waiting_assets(&dag_id("d")).await.expect("events"), [events[2].clone()]);
        assert_eq!(bed.store.waiting_assets(&dag_id("c")).await.expect("events"), []);
    })
    .await;
}
