//! How the runs of a DAG ended, counted by half hours: fine enough for the days of every zone, and few rows however
//! many runs there are.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::domain::ids::DagId;
use crate::domain::state::RunState;
use crate::domain::time::Time;
use crate::store::convert::{Reading, micros};
use crate::store::error::StoreError;
use crate::store::mysql::placeholders;
use crate::store::open::Store;

const HALF_HOUR: i64 = 30 * 60 * 1_000_000;

/// Runs of the same half hour and state.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTally {
    /// The logical date; of a run that has none, when it was due. Cut to the half hour.
    pub at: Time,
    pub state: RunState,
    pub count: u64,
}

impl Store {
    /// The runs of a DAG that became due between these instants.
    pub async fn run_tallies(&self, dag: &DagId, from: Time, until: Time) -> Result<Vec<RunTally>, StoreError> {
        let backend = self.read.get_database_backend();
        // MySQL's `/` gives fractions; its word for whole numbers is another.
        let divide = if backend == DbBackend::MySql { "DIV" } else { "/" };
        let sql = format!(
            "SELECT COALESCE(logical_date, run_after) {divide} {HALF_HOUR} AS slot, state, COUNT(*) FROM dag_run \
             WHERE dag_id = $1 AND run_after >= $2 AND run_after < $3 GROUP BY slot, state"
        );
        let values: Vec<sea_orm::Value> = vec![dag.as_str().into(), micros(from).into(), micros(until).into()];
        let statement = Statement::from_sql_and_values(backend, placeholders(backend, sql), values);
        let read = async {
            let rows = self.read.query_all_raw(statement).await?;
            rows.iter()
                .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?)))
                .collect::<Result<Vec<(i64, String, i64)>, DbErr>>()
        };
        let rows = read.await.map_err(|error| self.location.explain(&error))?;
        let reading = Reading::new("dag_run", dag);
        let tally = |(slot, state, count): (i64, String, i64)| {
            Ok(RunTally {
                at: reading.time(slot * HALF_HOUR)?,
                state: reading.word(&state)?,
                count: count.unsigned_abs(),
            })
        };
        rows.into_iter().map(tally).collect::<Result<_, _>>().map_err(|row| self.location.unreadable(row))
    }
}
