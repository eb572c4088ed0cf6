//! The tab Graph.

use std::collections::HashMap;

use maud::html;

use super::Shown;
use super::look::{Look, stands};
use crate::domain::graph::{Dag, TaskIx};
use crate::web::error::Error;
use crate::web::page::kept;
use crate::web::state::Web;
use crate::web::view::graph::{self, Shown as Drawing};
use crate::web::view::tally::Tally;

use super::head::run_choice;

pub(super) async fn show(web: &Web, look: &Look) -> Result<Shown, Error> {
    // A run is shown on the graph that it ran.
    let dag = match &look.run {
        Some(run) => kept::dag(web, look.id(), run.version).await?,
        None => look.dag.clone(),
    };
    let sketch = kept::sketch(&dag, &look.folded).await?;
    let tallies = match &look.run {
        Some(run) => stands(web.store.tallies(&[run.key]).await?),
        None => HashMap::new(),
    };
    let by_task: HashMap<TaskIx, Tally> =
        tallies.into_iter().filter_map(|((_, id), tally)| Some((dag.find(&id)?, tally))).collect();
    let is_lit = look.address.get("critical").is_some();
    let critical = if is_lit { critical_path(&dag, &by_task) } else { Vec::new() };
    let selected = look.task.map(|ix| &look.dag.task(ix).task_id);
    let drawing = Drawing {
        dag: &dag,
        sketch: &sketch,
        stands: &by_task,
        selected,
        critical: &critical,
        now: look.now,
        task_link: &|task| look.with_task(task),
        fold_link: &|group| look.with_fold(group.as_str()),
    };
    let critical_link = if is_lit { look.address.without("critical") } else { look.address.with("critical", "1") };
    let body = html! {
        div.toolbar {
            (run_choice(web, look).await?)
            span.push {}
            @if look.run.is_some() {
                a.chip href=(critical_link.url()) aria-current=[is_lit.then_some("true")] title="The tasks that the end of the run waited for" { "Critical path" }
            }
            span.chips.only-script {
                button.chip type="button" data-zoom="out" aria-label="Smaller" { "−" }
                button.chip type="button" data-zoom="fit" { "Fit" }
                button.chip type="button" data-zoom="in" aria-label="Larger" { "+" }
            }
        }
        div.graph-sheet #graph tabindex="-1" { (graph::draw(&drawing)) }
    };
    Ok(Shown::live(body))
}

/// From the task that ended last back along whoever of its upstreams ended last.
fn critical_path(dag: &Dag, stands: &HashMap<TaskIx, Tally>) -> Vec<TaskIx> {
    let end = |ix: &TaskIx| stands.get(ix).and_then(|tally| tally.ended_at);
    let last = dag.tasks().map(|(ix, _)| ix).filter(|ix| end(ix).is_some()).max_by_key(end);
    let before = |ix: &TaskIx| dag.upstream(*ix).iter().copied().filter(|up| end(up).is_some()).max_by_key(end);
    std::iter::successors(last, before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::TaskState;
    use crate::web::view::examples;

    #[test]
    fn the_critical_path_goes_through_whoever_ended_last() {
        let dag = examples::diamond();
        let stand = |seconds| {
            let mut tally = Tally::one(TaskState::Success);
            tally.ended_at = Some(examples::at(seconds));
            tally
        };
        let stands = [3, 5, 9, 12].into_iter().zip(0..).map(|(end, ix)| (TaskIx(ix), stand(end))).collect();
        assert_eq!(critical_path(&dag, &stands), [TaskIx(3), TaskIx(2), TaskIx(0)]);
        assert_eq!(critical_path(&dag, &HashMap::new()), []);
    }
}
