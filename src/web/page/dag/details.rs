//! The tab Details: what the DAG file says, in full.

use maud::{Markup, html};

use super::Shown;
use super::look::Look;
use crate::domain::limit::Limit;
use crate::domain::run::iso;
use crate::web::state::Web;
use crate::web::view::{number, time};

pub(super) fn show(web: &Web, look: &Look) -> Shown {
    let dag = &look.dag.definition;
    let zone = dag.timezone;
    let date = |at: Option<crate::domain::time::Time>| at.map_or_else(time::dash, |at| time::clock(at, zone, look.now));
    let limit = |limit: Limit| match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::AtMost(most) => number::count(most.get().into()),
    };
    let fact = |name: &str, value: Markup| html! { dt { (name) } dd { (value) } };
    let yes = |holds: bool| html! { (if holds { "yes" } else { "no" }) };
    let body = html! {
        @if let Some(doc) = &dag.doc_md { section.doc { pre.doc { (doc.trim()) } } }
        dl.facts {
            (fact("File", html! { code.break { (web.settings.dags_folder.join(&look.row.file).display()) } }))
            (fact("Schedule", html! { (look.dag.timetable.summary()) }))
            (fact("Time zone", html! { (zone.name()) }))
            (fact("Start date", date(dag.start_date)))
            (fact("End date", date(dag.end_date)))
            (fact("Catchup", yes(dag.catchup)))
            @if let Some(next) = look.row.next_run {
                (fact("Next run", html! { (time::clock(next.run_after, zone, look.now)) " for the logical date " (time::clock(next.logical_date, zone, look.now)) }))
            }
            (fact("Runs at once", html! { (limit(dag.max_active_runs)) }))
            (fact("Tasks at once", html! { (limit(dag.max_active_tasks)) }))
            @if let Some(timeout) = dag.dagrun_timeout { (fact("Run timeout", html! { (number::duration(timeout)) })) }
            (fact("Fails fast", yes(dag.fail_fast)))
            (fact("Tasks", html! { (number::count(dag.tasks.len() as u64)) }))
            (fact("Version", html! { (look.row.version) " " code.quiet { (look.dag.hash.chars().take(12).collect::<String>()) } }))
            (fact("Last read", time::ago(look.row.parsed_at, look.now)))
            @for deadline in &dag.deadlines { (fact("Deadline", html! { code { (serde_json::to_string(deadline).unwrap_or_default()) } })) }
        }
        @if !dag.params.is_empty() {
            h2 { "Params" }
            pre { (serde_json::to_string_pretty(&dag.params).unwrap_or_default()) }
        }
        h2 { "Tasks" }
        div.scroll {
            table.list {
                thead { tr { th { "task" } th { "operator" } th { "waits for" } th { "rule" } th { "owner" } th { "pool" } th { "queue" } th.number { "retries" } th.number { "weight" } } }
                tbody {
                    @for (ix, task) in look.dag.tasks() {
                        tr {
                            td.name { a.title.break href=(look.with_task(&task.task_id)) { (task.task_id) } }
                            td.tight { (task.operator_name) }
                            td { span.break { (task.upstream.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) } }
                            td.tight { (task.trigger_rule) }
                            td.tight { (task.owner) }
                            td.tight { (task.pool) @if task.pool_slots != 1 { " ×" (task.pool_slots) } }
                            td.tight { (task.queue) }
                            td.number { (task.retries) }
                            td.number { (look.dag.priority(ix)) }
                        }
                    }
                }
            }
        }
        p.quiet { "Definition of " (iso(look.row.parsed_at)) }
    };
    Shown::still(body)
}
