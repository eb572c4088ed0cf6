//! The tasks of a DAG as its file defines them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::domain::dag::{DagDefinition, TaskDefinition};
use crate::domain::graph;
use crate::domain::ids::TaskId;
use crate::store::query::DagEntry;
use crate::web::Error;

use super::asked::Asked;
use super::find;
use super::lists::{Kind, Param};
use super::moment::TimeDelta;
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = TaskResponse)]
struct Task {
    task_id: Option<String>,
    task_display_name: Option<String>,
    owner: Option<String>,
    start_date: Option<DateTime<Utc>>,
    end_date: Option<DateTime<Utc>>,
    trigger_rule: Option<String>,
    depends_on_past: bool,
    wait_for_downstream: bool,
    retries: Option<f64>,
    queue: Option<String>,
    pool: Option<String>,
    pool_slots: Option<f64>,
    execution_timeout: Option<TimeDelta>,
    retry_delay: Option<TimeDelta>,
    retry_exponential_backoff: f64,
    priority_weight: Option<f64>,
    weight_rule: Option<String>,
    ui_color: Option<String>,
    ui_fgcolor: Option<String>,
    template_fields: Option<Vec<String>>,
    downstream_task_ids: Option<Vec<String>>,
    doc_md: Option<String>,
    operator_name: Option<String>,
    #[schema(value_type = Option<Object>)]
    params: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    class_ref: Option<Value>,
    is_mapped: Option<bool>,
    extra_links: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskCollectionResponse)]
struct Tasks {
    tasks: Vec<Task>,
    total_entries: usize,
}

pub fn operations() -> Vec<Operation> {
    let needs = may(Action::Read, Resource::Dag);
    vec![
        Operation::get("/dags/{dag_id}/tasks", "get_tasks", "Get Tasks", needs, list)
            .params([Param::new("order_by", Kind::Text, "A field; with `-` in front of it, descending.")])
            .answers::<Tasks>(),
        Operation::get("/dags/{dag_id}/tasks/{task_id}", "get_task", "Get Task", needs, get).answers::<Task>(),
    ]
}

async fn list(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    let order = asked.one("order_by").unwrap_or("task_id");
    let (name, descending) = order.strip_prefix('-').map_or((order, false), |name| (name, true));
    let key: fn(&TaskDefinition) -> String = match name {
        "task_id" | "task_display_name" => |task| task.task_id.to_string(),
        "owner" => |task| task.owner.clone(),
        "operator_name" => |task| task.operator_name.clone(),
        "pool" => |task| task.pool.to_string(),
        "queue" => |task| task.queue.to_string(),
        "trigger_rule" => |task| task.trigger_rule.as_str().to_owned(),
        "start_date" => |task| task.start_date.map(|date| date.to_rfc3339()).unwrap_or_default(),
        // Numbers as texts of one length sort as numbers.
        "retries" => |task| format!("{:010}", task.retries),
        "priority_weight" => |task| format!("{:020}", i64::from(task.priority_weight) - i64::from(i32::MIN)),
        _ => return Err(Error::Bad(format!("'Task' object has no attribute '{name}'"))),
    };
    let mut tasks: Vec<&TaskDefinition> = entry.definition.tasks.iter().collect();
    tasks.sort_by_cached_key(|task| (key(task), task.task_id.clone()));
    if descending {
        tasks.reverse();
    }
    let downstream = Downstream::of(&entry.definition);
    let tasks: Vec<Task> = tasks.into_iter().map(|task| Task::of(&entry, task, &downstream)).collect();
    good(Tasks { total_entries: tasks.len(), tasks })
}

async fn get(asked: Asked) -> Answer {
    let entry = find::dag(&asked).await?;
    let name = asked.path("task_id");
    let task = entry.definition.tasks.iter().find(|task| task.task_id.as_str() == name);
    let task = task.ok_or_else(|| Error::NotFound(format!("Task with id {name} was not found")))?;
    good(Task::of(&entry, task, &Downstream::of(&entry.definition)))
}

/// What follows directly on each task, mapping included.
struct Downstream(Option<graph::Dag>);

impl Downstream {
    fn of(definition: &DagDefinition) -> Self {
        // A definition that was stored has been compiled before.
        Self(graph::Dag::compile(definition.clone()).ok())
    }

    fn names(&self, task: &TaskId) -> Vec<String> {
        let Some(dag) = &self.0 else { return Vec::new() };
        let ix = dag.find(task).into_iter();
        let mut names: Vec<String> =
            ix.flat_map(|ix| dag.downstream(ix)).map(|ix| dag.task(*ix).task_id.to_string()).collect();
        names.sort_unstable();
        names
    }
}

impl Task {
    fn of(entry: &DagEntry, task: &TaskDefinition, downstream: &Downstream) -> Self {
        let name = &task.operator_name;
        let class = json!({ "module_path": null, "class_name": name });
        Self {
            task_id: Some(task.task_id.to_string()),
            task_display_name: Some(task.task_id.to_string()),
            owner: Some(task.owner.clone()),
            start_date: task.start_date.or(entry.definition.start_date),
            end_date: task.end_date.or(entry.definition.end_date),
            trigger_rule: Some(task.trigger_rule.as_str().to_owned()),
            depends_on_past: task.past.depends_on_past,
            wait_for_downstream: task.past.wait_for_downstream,
            retries: Some(f64::from(task.retries)),
            queue: Some(task.queue.to_string()),
            pool: Some(task.pool.to_string()),
            pool_slots: Some(f64::from(task.pool_slots)),
            execution_timeout: task.execution_timeout.map(Into::into),
            retry_delay: Some(task.retry_delay.into()),
            retry_exponential_backoff: task.retry_exponential_backoff.unwrap_or(0.0),
            priority_weight: Some(f64::from(task.priority_weight)),
            weight_rule: Some(task.weight_rule.as_str().to_owned()),
            ui_color: Some("#fff".to_owned()),
            ui_fgcolor: Some("#000".to_owned()),
            template_fields: Some(task.operator.template_fields().into_iter().map(|(name, _)| name).collect()),
            downstream_task_ids: Some(downstream.names(&task.task_id)),
            doc_md: task.doc_md.clone(),
            operator_name: Some(name.clone()),
            params: Some(super::dags::params(&task.params, &task.param_schemas)),
            class_ref: Some(class),
            is_mapped: Some(task.expand.is_some()),
            extra_links: Vec::new(),
        }
    }
}
