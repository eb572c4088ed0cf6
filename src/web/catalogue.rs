//! What pages and the search know of every DAG without reading its definition each time: a card per DAG, read anew
//! only where its definition has changed. A list of a thousand DAGs costs one query.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono_tz::Tz;

use crate::domain::asset::{AssetCondition, AssetRef};
use crate::domain::dag::DagDefinition;
use crate::domain::ids::{DagId, TaskId, VersionNumber};
use crate::domain::schedule::{Schedule, Timetable};
use crate::domain::time::Time;
use crate::store::write::DagRow;
use crate::store::{Store, StoreError};

use super::view::number;

/// What a list says of a DAG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub owners: Vec<String>,
    pub kind: ScheduleKind,
    /// As written: `@daily`.
    pub schedule: String,
    /// For people: `every day at 00:00`.
    pub summary: String,
    pub timezone: Tz,
    pub tasks: Vec<TaskId>,
    /// What its tasks change.
    pub outlets: BTreeSet<AssetRef>,
    /// What its schedule waits for.
    pub waits_for: BTreeSet<AssetRef>,
    /// A run of it needs, or may be given, values.
    pub has_params: bool,
}

/// By what a DAG's runs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScheduleKind {
    Time,
    Assets,
    Once,
    Manual,
}

impl ScheduleKind {
    pub const ALL: [Self; 4] = [Self::Time, Self::Assets, Self::Once, Self::Manual];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Assets => "assets",
            Self::Once => "once",
            Self::Manual => "manual",
        }
    }
}

impl Card {
    pub fn of(definition: &DagDefinition) -> Self {
        let owners: BTreeSet<&str> = definition.tasks.iter().map(|task| task.owner.as_str()).collect();
        let (kind, schedule) = match &definition.schedule {
            Schedule::Never => (ScheduleKind::Manual, "manual".to_owned()),
            Schedule::Once => (ScheduleKind::Once, "@once".to_owned()),
            Schedule::Continuous => (ScheduleKind::Time, "@continuous".to_owned()),
            Schedule::Cron { expression, .. } => (ScheduleKind::Time, expression.clone()),
            Schedule::Every { period, .. } => (ScheduleKind::Time, format!("every {}", number::duration(*period))),
            Schedule::EveryMonths { months, plus, .. } => {
                let plus = if *plus == Duration::ZERO { "" } else { " and more" };
                (ScheduleKind::Time, format!("every {months} months{plus}"))
            }
            Schedule::Assets { .. } => (ScheduleKind::Assets, "assets".to_owned()),
        };
        let summary = Timetable::compile(&definition.schedule)
            .map_or_else(|_| schedule.clone(), |time| time.summary().to_owned());
        Self {
            description: definition.description.clone(),
            tags: definition.tags.clone(),
            owners: owners.into_iter().map(str::to_owned).collect(),
            kind,
            schedule,
            summary,
            timezone: definition.timezone,
            tasks: definition.tasks.iter().map(|task| task.task_id.clone()).collect(),
            outlets: definition.tasks.iter().flat_map(|task| task.outlets.iter().cloned()).collect(),
            waits_for: definition.schedule.assets().map(AssetCondition::refs).unwrap_or_default(),
            has_params: !definition.params.is_empty() || !definition.param_schemas.is_empty(),
        }
    }
}

/// A DAG with its card.
#[derive(Clone, Debug)]
pub struct Listed {
    pub row: DagRow,
    pub card: Arc<Card>,
}

/// Which definition a card was made of. A DAG that was deleted and came back begins with version 1 again.
type Made = (VersionNumber, Time);

/// The cards. Cheap to clone; every clone shares them.
#[derive(Clone, Default)]
pub struct Catalogue(Arc<Mutex<Cards>>);

type Cards = HashMap<DagId, (Made, Arc<Card>)>;

impl Catalogue {
    /// All DAGs that are not stale, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn dags(&self, store: &Store) -> Result<Vec<Listed>, StoreError> {
        let rows = store.dag_rows().await?;
        let unknown: Vec<(DagId, VersionNumber)> = {
            let cards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_known = |row: &&DagRow| cards.get(&row.dag_id).is_some_and(|(made, _)| *made == made_of(row));
            rows.iter().filter(|row| !is_known(row)).map(|row| (row.dag_id.clone(), row.version)).collect()
        };
        let read = store.definitions(&unknown).await?;
        let mut cards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut listed = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(definition) = read.get(&row.dag_id) {
                cards.insert(row.dag_id.clone(), (made_of(&row), Arc::new(Card::of(definition))));
            }
            // A DAG that came between the two queries is there the next time.
            if let Some((_, card)) = cards.get(&row.dag_id) {
                listed.push(Listed { card: Arc::clone(card), row });
            }
        }
        if cards.len() > listed.len() {
            let named: std::collections::HashSet<&DagId> = listed.iter().map(|dag| &dag.row.dag_id).collect();
            cards.retain(|dag, _| named.contains(dag));
        }
        Ok(listed)
    }
}

fn made_of(row: &DagRow) -> Made {
    (row.version, row.parsed_at)
}
