//! `updraft dags details`

use clap::Args;
use serde_json::Value;

use crate::domain::ids::DagId;
use crate::domain::run::iso;
use crate::domain::schedule::{Schedule, Timetable};
use crate::domain::time::Time;
use crate::store::query::{DagEntry, RunFilter};

use super::super::arguments::{DagSource, Output};
use super::super::error::CliError;
use super::super::lookup;
use super::super::output::{Cell, Rows};
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Details {
    dag_id: DagId,
    #[command(flatten)]
    source: DagSource,
    #[command(flatten)]
    output: Output,
}

impl Details {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.source.say(session);
        let client = session.client_with_dags().await?;
        let config = session.config()?;
        let entry = lookup::dag(&client.store, &self.dag_id).await?;
        let filter = RunFilter { dag: Some(self.dag_id), limit: Some(1), ..RunFilter::default() };
        let newest = client.store.runs(&filter).await?.pop();
        let mut rows = Rows::new(["property_name", "property_value"]);
        let fileloc = config.settings().core.dags_folder.join(&entry.row.file);
        for (name, value) in properties(&entry, fileloc.to_string_lossy().into_owned()) {
            rows.push([name.into(), value]);
        }
        rows.push(["last_run_id".into(), newest.as_ref().map(|run| run.run_id.as_str()).into()]);
        rows.push(["last_run_state".into(), newest.as_ref().map(|run| run.state.as_str()).into()]);
        Ok(rows.write(self.output.format, &mut session.out)?)
    }
}

/// Under the names of Airflow's REST API.
fn properties(entry: &DagEntry, fileloc: String) -> Vec<(&'static str, Cell)> {
    let (row, dag) = (&entry.row, &entry.definition);
    let time = |time: Option<Time>| time.map(iso).into();
    let owners: Vec<String> = entry.owners().into_iter().map(str::to_owned).collect();
    let summary = Timetable::compile(&dag.schedule).map(|timetable| timetable.summary().to_owned()).ok();
    let next = row.next_run.as_ref();
    vec![
        ("dag_id", dag.dag_id.as_str().into()),
        ("description", dag.description.clone().into()),
        ("is_paused", row.is_paused.into()),
        ("is_stale", row.is_stale.into()),
        ("fileloc", fileloc.into()),
        ("relative_fileloc", row.file.as_str().into()),
        ("owners", owners.into()),
        ("tags", dag.tags.clone().into()),
        ("timetable_summary", written(&dag.schedule).into()),
        ("timetable_description", summary.into()),
        ("timezone", dag.timezone.name().into()),
        ("start_date", time(dag.start_date)),
        ("end_date", time(dag.end_date)),
        ("catchup", dag.catchup.into()),
        ("max_active_runs", dag.max_active_runs.to_string().into()),
        ("max_active_tasks", dag.max_active_tasks.to_string().into()),
        ("dagrun_timeout", dag.dagrun_timeout.map(|timeout| format!("{} s", timeout.as_secs_f64())).into()),
        ("is_paused_upon_creation", dag.is_paused_upon_creation.into()),
        ("params", Value::Object(dag.params.clone()).into()),
        ("template_search_path", dag.template_searchpath.clone().into()),
        ("task_count", dag.tasks.len().to_string().into()),
        ("latest_dag_version", row.version.to_string().into()),
        ("last_parsed_time", row.parsed_at.into()),
        ("next_dagrun_logical_date", time(next.map(|run| run.logical_date))),
        ("next_dagrun_data_interval_start", time(next.map(|run| run.interval.start))),
        ("next_dagrun_data_interval_end", time(next.map(|run| run.interval.end))),
        ("next_dagrun_run_after", time(next.map(|run| run.run_after))),
        ("doc_md", dag.doc_md.as_ref().map(|text| text.trim_end().lines().collect::<Vec<_>>().join(" ")).into()),
    ]
}

/// As Airflow's list of DAGs shows it.
fn written(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Never => "None".to_owned(),
        Schedule::Once => "@once".to_owned(),
        Schedule::Continuous => "@continuous".to_owned(),
        Schedule::Cron { expression, .. } => expression.clone(),
        Schedule::Every { period, .. } => format!("{} s", period.as_secs_f64()),
        Schedule::EveryMonths { months, plus, .. } if plus.is_zero() => format!("{months} months"),
        Schedule::EveryMonths { months, plus, .. } => format!("{months} months and {} s", plus.as_secs_f64()),
        // As Airflow calls its timetable.
        Schedule::Assets { time: None, .. } => "Asset".to_owned(),
        Schedule::Assets { time: Some(time), .. } => format!("Asset or {}", written(time)),
    }
}
