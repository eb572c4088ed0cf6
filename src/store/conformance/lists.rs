//! Lists answer whatever they may be asked, on every database, and their pages never overlap.

use crate::domain::state::{RunState, TaskState};
use crate::store::StoreError;
use crate::store::query::{
    Cell, Field, FieldKind, Listing, Order, Page, RUN_IS_OPEN, Test, asset_event_fields, asset_fields, backfill_fields,
    dag_fields, event_log_fields, import_error_fields, pool_fields, run_fields, task_fields, version_fields,
    xcom_fields,
};
use crate::store::write::Write;

use super::rows::{at, dag, run, task, version, xcom};
use super::{Bed, on_every_database};

/// Every test that a field of this kind is ever put to.
fn tests(field: &Field) -> Vec<Test> {
    let number = || Cell::Integer(1_763_700_000_123_457);
    match field.kind {
        FieldKind::Text => {
            let odd = || vec!["%_\\".to_owned(), "ü'\"".to_owned(), "a\\".to_owned()];
            vec![
                Test::OneOf(vec!["a".into(), "b".into()]),
                Test::OneOf(Vec::new()),
                Test::NoneOf(vec!["a".into()]),
                Test::Contains(odd()),
                Test::Begins(odd()),
                Test::IsThere(true),
                Test::IsThere(false),
            ]
        }
        FieldKind::Flag => vec![Test::OneOf(vec![Cell::Flag(true)]), Test::OneOf(vec![Cell::Flag(false)])],
        FieldKind::Integer | FieldKind::Time | FieldKind::Duration => vec![
            Test::OneOf(vec![Cell::Integer(1), Cell::Integer(i64::MAX)]),
            Test::AtLeast(number()),
            Test::Above(number()),
            Test::AtMost(number()),
            Test::Below(number()),
            Test::IsThere(true),
        ],
    }
}

/// Asks a list everything, one field at a time.
async fn ask_everything<T>(
    fields: &'static [&'static Field],
    list: impl AsyncFn(&Listing) -> Result<Page<T>, StoreError>,
) {
    for field in fields {
        for test in tests(field) {
            for descending in [false, true] {
                let mut listing = Listing::first(2).and(field, test.clone());
                listing.order = vec![Order { field, descending }];
                list(&listing).await.unwrap_or_else(|error| panic!("{} {test:?}: {error}", field.name));
            }
        }
    }
}

#[tokio::test]
async fn every_field_filters_and_sorts_on_every_database() {
    on_every_database(async |Bed { store, .. }| {
        ask_everything(dag_fields::ALL, async |listing| store.list_dags(listing).await).await;
        ask_everything(run_fields::ALL, async |listing| store.list_runs(listing).await).await;
        ask_everything(task_fields::ALL, async |listing| store.list_tasks(listing).await).await;
        let open = Listing::first(2).and(RUN_IS_OPEN, Test::Holds);
        assert_eq!(store.list_tasks(&open).await.expect("tasks").total, 0);
        ask_everything(xcom_fields::ALL, async |listing| store.list_xcoms(listing).await).await;
        ask_everything(pool_fields::ALL, async |listing| store.list_pools(listing).await).await;
        ask_everything(import_error_fields::ALL, async |listing| store.list_import_errors(listing).await).await;
        ask_everything(asset_fields::ALL, async |listing| store.list_assets(listing).await).await;
        ask_everything(asset_event_fields::ALL, async |listing| store.list_asset_events(listing).await).await;
        ask_everything(backfill_fields::ALL, async |listing| store.list_backfills(listing).await).await;
        ask_everything(version_fields::ALL, async |listing| store.list_versions(listing).await).await;
        ask_everything(event_log_fields::ALL, async |listing| store.list_event_logs(listing).await).await;
    })
    .await;
}

#[tokio::test]
async fn pages_do_not_overlap_and_say_how_many_there_are() {
    on_every_database(async |bed| {
        let mut writes = Vec::new();
        for name in ["a", "b"] {
            writes.extend([Write::Dag(dag(name)), Write::Version(Box::new(version(name, 1)))]);
        }
        for n in 1..=7 {
            let mut row = run(n, if n % 2 == 0 { "a" } else { "b" }, RunState::Success);
            row.logical_date = Some(at(n));
            // All at once: only the key tells them apart.
            row.run_after = at(0);
            writes.push(Write::Run(row));
            for name in ["x", "y"] {
                writes.push(Write::Task(task(n, name, if n == 3 { TaskState::Failed } else { TaskState::Success })));
            }
            writes.push(Write::XCom(xcom(n, "x", "return_value", serde_json::Value::Null)));
        }
        bed.write(writes).await;
        let store = &bed.store;

        let mut seen = Vec::new();
        for offset in [0, 3, 6] {
            let order = vec![Order { field: run_fields::RUN_AFTER, descending: true }];
            let page =
                store.list_runs(&Listing { order, limit: 3, offset, ..Listing::default() }).await.expect("a page");
            assert_eq!(page.total, 7);
            seen.extend(page.rows.into_iter().map(|row| row.key.0));
        }
        assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);

        let beyond = store.list_runs(&Listing { limit: 3, offset: 70, ..Listing::default() }).await.expect("a page");
        assert_eq!((beyond.rows.len(), beyond.total), (0, 7), "a page beyond the end still says how many there are");

        let of_a = Listing::first(50).only(task_fields::DAG_ID, "a");
        assert_eq!(store.list_tasks(&of_a).await.expect("tasks").total, 6);
        let failed = Listing::first(50).only(task_fields::STATE, "failed");
        let failed = store.list_tasks(&failed).await.expect("tasks");
        assert_eq!(failed.rows.iter().map(|row| row.run.0).collect::<Vec<_>>(), [3, 3]);
        let since =
            Listing::first(50).and(xcom_fields::LOGICAL_DATE, Test::AtLeast(Cell::Integer(at(5).timestamp_micros())));
        assert_eq!(store.list_xcoms(&since).await.expect("values").total, 3);
        let pattern = Listing::first(50).and(task_fields::TASK_ID, Test::Contains(vec!["X".to_owned()]));
        assert_eq!(store.list_tasks(&pattern).await.expect("tasks").total, 7, "capitals do not matter");
        let counted = store.run_states(&["b".to_owned()]).await.expect("counts");
        assert_eq!(counted, [("b".to_owned(), RunState::Success, 4)]);
    })
    .await;
}
