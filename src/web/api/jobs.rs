//! Jobs: Airflow's word for what runs all the time. The one that the database knows is the scheduler that leads.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::store::query::LeaderStatus;
use crate::web::Error;

use super::asked::Asked;
use super::lists::{Kind, Param, paging};
use super::operation::{Answer, Operation, good, may};
use super::page::page_params;

#[derive(Serialize, ToSchema)]
#[schema(as = JobResponse)]
struct Job {
    id: i64,
    dag_id: Option<String>,
    state: Option<&'static str>,
    job_type: Option<&'static str>,
    start_date: Option<DateTime<Utc>>,
    end_date: Option<DateTime<Utc>>,
    latest_heartbeat: Option<DateTime<Utc>>,
    executor_class: Option<String>,
    hostname: Option<String>,
    unixname: Option<String>,
    dag_display_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = JobCollectionResponse)]
struct Jobs {
    jobs: Vec<Job>,
    total_entries: usize,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::Job);
    vec![
        Operation::get("/jobs", "get_jobs", "Get Jobs", read, list)
            .params(page_params())
            .params([
                Param::new("is_alive", Kind::Flag, "Only those that live, or do not."),
                Param::new("job_state", Kind::Text, "running or success"),
                Param::new("job_type", Kind::Text, "SchedulerJob is the one there is."),
                Param::new("hostname", Kind::Text, "Only on this machine."),
                Param::new("executor_class", Kind::Text, "Only with this executor."),
            ])
            .answers::<Jobs>()
            .new_in_v2(),
    ]
}

async fn list(asked: Asked) -> Answer {
    let (limit, offset) = paging(&asked)?;
    let leader = asked.web.store.leader().await?;
    let pulse = (asked.web.pulse)().await;
    let lives = pulse.scheduler.is_some() || leader.age <= pulse.threshold;
    let is_alive = asked.flag("is_alive")?;
    let jobs = job(&asked, &leader, lives).into_iter();
    let is = |name: &str, value: Option<&str>| asked.one(name).is_none_or(|wanted| Some(wanted) == value);
    let jobs = jobs.filter(|job| {
        is("job_state", job.state)
            && is("job_type", job.job_type)
            && is("hostname", job.hostname.as_deref())
            && is("executor_class", job.executor_class.as_deref())
            && is_alive.is_none_or(|wanted| wanted == lives)
    });
    let jobs: Vec<Job> = jobs.collect();
    let total_entries = jobs.len();
    let (from, many) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
    for word in asked.all("order_by") {
        let name = word.trim_start_matches('-');
        if !["id", "dag_id", "state", "job_type", "start_date", "end_date", "latest_heartbeat", "hostname"]
            .contains(&name)
        {
            let why = format!("Ordering with '{name}' is disallowed or the attribute does not exist on the model");
            return Err(Error::Bad(why));
        }
    }
    good(Jobs { jobs: jobs.into_iter().skip(from).take(many).collect(), total_entries })
}

fn job(asked: &Asked, leader: &LeaderStatus, lives: bool) -> Option<Job> {
    (leader.epoch.0 > 0).then(|| Job {
        id: leader.epoch.0,
        dag_id: None,
        state: Some(if lives { "running" } else { "success" }),
        job_type: Some("SchedulerJob"),
        start_date: None,
        end_date: None,
        latest_heartbeat: (leader.renewed_at.timestamp() > 0).then_some(leader.renewed_at),
        executor_class: Some(asked.web.settings.executor.to_string()),
        // A holder is written as the name of its machine, and which process there.
        hostname: Some(leader.holder.split_once(", ").map_or(leader.holder.clone(), |(host, _)| host.to_owned())),
        unixname: None,
        dag_display_name: None,
    })
}
