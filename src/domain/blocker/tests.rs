//! The sentences, pinned.

use super::*;

fn at(seconds: i64) -> Time {
    chrono::DateTime::from_timestamp(1_795_219_200 + seconds, 0).expect("an instant")
}

fn holder(task: &str) -> Holder {
    let key = TaskKey {
        dag: DagId::new("etl").expect("an id"),
        run: RunId::new("r1").expect("an id"),
        task: TaskId::new(task).expect("an id"),
        map_index: MapIndex::UNMAPPED,
    };
    Holder { key, state: TaskState::Running, since: Some(at(-90)), slots: 1 }
}

#[test]
fn a_full_pool_is_said_with_who_takes_it_and_the_place_in_the_line() {
    let pool = PoolName::new("etl").expect("a name");
    let by = Few { shown: vec![holder("a"), holder("b")], total: 8 };
    let ahead = Ahead { tasks: 37, or_more: false };
    let full = Blocker::Pool { pool, limit: Limit::from(8), taken: 8, wants: 1, by, ahead };
    assert_eq!(
        full.sentence(at(0)),
        "pool `etl` is full: 8 of 8 slots are taken; 37 tasks are ahead of it (taken by etl.a of run r1 running \
         for 1 min 30 s, etl.b of run r1 running for 1 min 30 s, 6 more)"
    );
    assert_eq!(full.hint().as_deref(), Some("`updraft pools set etl SLOTS DESCRIPTION` changes it at once"));
}

#[test]
fn what_is_due_is_said_from_now() {
    let retry = Blocker::Retry { due: at(40), failed_try: 1 };
    assert_eq!(retry.sentence(at(0)), "try 1 failed; the next one is due in 40 s (at 00:00:40 UTC)");
    assert_eq!(retry.sentence(at(50)), "try 1 failed; the next one is due now (at 00:00:40 UTC)");
    assert!(retry.sentence(at(-90_000)).ends_with("in 1 d 1 h (at 2026-11-21 00:00:40 UTC)"));
}

#[test]
fn an_upstream_that_only_waits_itself_is_to_be_asked_next() {
    let upstream = |state| Blocker::Upstreams {
        rule: TriggerRule::AllSuccess,
        total: 2,
        unfinished: Few {
            shown: vec![Upstream { task: TaskId::new("x").expect("an id"), map_index: MapIndex::UNMAPPED, state }],
            total: 1,
        },
    };
    let running = upstream(TaskState::Running);
    assert_eq!(running.sentence(at(0)), "waits for 1 of 2 upstream tasks (all_success): `x` is running");
    assert_eq!(running.hint(), None);
    assert!(upstream(TaskState::None).hint().is_some_and(|hint| hint.contains("`x`")));
}

#[test]
fn lengths_have_at_most_two_units() {
    let table = [(0, "0 s"), (5, "5 ms"), (1_500, "1.5 s"), (40_000, "40 s"), (185_000, "3 min 5 s")];
    for (millis, text) in table {
        assert_eq!(length(Duration::from_millis(millis)), text);
    }
    assert_eq!(length(Duration::from_secs(7_260)), "2 h 1 min");
    assert_eq!(length(Duration::from_secs(2 * 86_400)), "2 d");
}
