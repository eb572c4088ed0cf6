//! A sketch with the states of a run, as SVG.
//!
//! A box carries the numbers of the boxes before and after it, so that a script can let arrow keys walk along edges;
//! without one every box is a link all the same.

use std::collections::HashMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::layout::Point;
use super::sketch::{Sketch, SketchKind};
use crate::domain::graph::{Dag, TaskIx};
use crate::domain::ids::{GroupId, TaskId};
use crate::domain::native::Native;
use crate::domain::operator::{Decide, Operator};
use crate::domain::state::TaskState;
use crate::domain::time::Time;
use crate::web::view::icon::Icon;
use crate::web::view::number;
use crate::web::view::shorten;
use crate::web::view::tally::{Tally, word};

const MARGIN: f64 = 16.0;

/// What is drawn, and where it leads.
pub struct Shown<'a> {
    pub dag: &'a Dag,
    pub sketch: &'a Sketch,
    /// By task, as one run has them; empty: no run is selected.
    pub stands: &'a HashMap<TaskIx, Tally>,
    pub selected: Option<&'a TaskId>,
    /// The tasks that the end of the run waited for; lit where they are named.
    pub critical: &'a [TaskIx],
    pub now: Time,
    pub task_link: &'a dyn Fn(&TaskId) -> String,
    /// To the same view with the group folded, or unfolded.
    pub fold_link: &'a dyn Fn(&GroupId) -> String,
}

pub fn draw(shown: &Shown<'_>) -> Markup {
    let layout = &shown.sketch.layout;
    let (width, height) = (layout.width + 2.0 * MARGIN, layout.height + 2.0 * MARGIN);
    let view = format!("{:.0} {:.0} {width:.0} {height:.0}", -MARGIN, -MARGIN);
    html! {
        svg.graph xmlns="http://www.w3.org/2000/svg" viewBox=(view) width=(format!("{width:.0}")) height=(format!("{height:.0}"))
            role="group" aria-label=(format!("The graph of {}", shown.dag.definition.dag_id)) {
            defs {
                marker #arrow viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                    path.arrow d="M0 1L7 4L0 7" {}
                }
            }
            (frames(shown))
            (edges(shown))
            (boxes(shown))
        }
    }
}

fn is_lit(shown: &Shown<'_>, number: usize) -> bool {
    match &shown.sketch.boxes[number].kind {
        SketchKind::Task { ix, .. } => shown.critical.contains(ix),
        SketchKind::Folded { tasks, .. } => tasks.iter().any(|ix| shown.critical.contains(ix)),
        SketchKind::Frame { .. } => false,
    }
}

fn frames(shown: &Shown<'_>) -> Markup {
    html! {
        @for (one, place) in shown.sketch.boxes.iter().zip(&shown.sketch.layout.boxes) {
            @if let SketchKind::Frame { id, tooltip, is_mapped, tasks } = &one.kind {
                g.frame data-group=(id) {
                    rect x=(place.x) y=(place.y) width=(place.width) height=(place.height) rx="8" {}
                    a href=((shown.fold_link)(id)) aria-label=(format!("Fold the group {id}")) {
                        title { (tooltip.as_deref().unwrap_or("Fold this group")) }
                        text.frame-name x=(place.x + 12.0) y=(place.y + 18.0) {
                            "▾ " (shorten(&one.label, letters(place.width, 60.0))) @if *is_mapped { " [ ]" }
                        }
                    }
                    @if let Some(state) = together(shown, tasks).worst() {
                        circle class=(format!("dot s-{}", state.as_str())) cx=(place.x + place.width - 14.0) cy=(place.y + 14.0) r="4" {}
                    }
                }
            }
        }
    }
}

fn edges(shown: &Shown<'_>) -> Markup {
    html! {
        @for (edge, way) in shown.sketch.edges.iter().zip(&shown.sketch.layout.ways) {
            path class=(if is_lit(shown, edge.from) && is_lit(shown, edge.to) { "edge lit" } else { "edge" })
                data-from=(edge.from) data-to=(edge.to) d=(curve(way)) marker-end="url(#arrow)" {}
        }
    }
}

/// Flat where it leaves a box and where it comes in, so that bends between them flow.
fn curve(way: &[Point]) -> String {
    let mut path = String::new();
    for (at, point) in way.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = match at.checked_sub(1).map(|before| way[before]) {
            None => write!(path, "M{:.1} {:.1}", point.x, point.y),
            Some(last) if (last.y - point.y).abs() < 0.05 => write!(path, "H{:.1}", point.x),
            Some(last) => {
                let middle = (last.x + point.x) / 2.0;
                // An edge of a circle of frames goes backwards: it swings out.
                let (out, back) = if point.x < last.x { (last.x + 40.0, point.x - 40.0) } else { (middle, middle) };
                write!(path, "C{out:.1} {:.1} {back:.1} {:.1} {:.1} {:.1}", last.y, point.y, point.x, point.y)
            }
        };
    }
    path
}

fn together(shown: &Shown<'_>, tasks: &[TaskIx]) -> Tally {
    let mut all = Tally::default();
    tasks.iter().filter_map(|ix| shown.stands.get(ix)).for_each(|tally| all.join(tally));
    all
}

/// How many letters of the second line fit; those of names are wider.
fn small_letters(width: f64) -> usize {
    ((width - 44.0) / 6.2).max(3.0) as usize
}

fn letters(width: f64, beside: f64) -> usize {
    ((width - beside) / 7.2).max(3.0) as usize
}

fn boxes(shown: &Shown<'_>) -> Markup {
    html! {
        @for (number, one) in shown.sketch.boxes.iter().enumerate() {
            @match &one.kind {
                SketchKind::Frame { .. } => {}
                SketchKind::Task { ix, is_mapped } => {
                    @let task = shown.dag.task(*ix);
                    @let tally = shown.stands.get(ix).cloned().unwrap_or_default();
                    (node(shown, number, &Node {
                        id: task.task_id.as_str(),
                        label: &one.label,
                        icon: picture_of(&task.operator, &task.operator_name),
                        what: &task.operator_name,
                        link: (shown.task_link)(&task.task_id),
                        is_selected: shown.selected == Some(&task.task_id),
                        is_group: false,
                        counts: *is_mapped,
                        tally,
                    }))
                }
                SketchKind::Folded { id, tasks, is_mapped } => {
                    (node(shown, number, &Node {
                        id: id.as_str(),
                        label: &one.label,
                        icon: Icon::Group,
                        what: &format!("{} tasks{}", tasks.len(), if *is_mapped { ", mapped" } else { "" }),
                        link: (shown.fold_link)(id),
                        is_selected: false,
                        is_group: true,
                        counts: true,
                        tally: together(shown, tasks),
                    }))
                }
            }
        }
    }
}

struct Node<'a> {
    id: &'a str,
    label: &'a str,
    icon: Icon,
    what: &'a str,
    link: String,
    is_selected: bool,
    is_group: bool,
    /// Whether it stands for several, so that they are counted.
    counts: bool,
    tally: Tally,
}

fn node(shown: &Shown<'_>, number: usize, node: &Node<'_>) -> Markup {
    let place = shown.sketch.layout.boxes[number];
    let state = node.tally.worst();
    let mut class = format!("node s-{}", state.unwrap_or(TaskState::None).as_str());
    for (holds, more) in [
        (node.is_group, " group"),
        (node.counts && !node.is_group, " mapped"),
        (node.is_selected, " selected"),
        (is_lit(shown, number), " lit"),
    ] {
        class.push_str(if holds { more } else { "" });
    }
    let name = match state {
        Some(_) if node.counts => format!("{}: {}", node.id, node.tally.words()),
        Some(state) => format!("{}: {}", node.id, word(state)),
        None => node.id.to_owned(),
    };
    html! {
        a class=(class) href=(node.link) data-n=(number) data-task=[(!node.is_group).then_some(node.id)] data-group=[node.is_group.then_some(node.id)]
            aria-label=(name) transform=(format!("translate({} {})", place.x, place.y)) {
            title { (name) " (" (node.what) ")" }
            @if node.counts { rect.behind x="4" y="-4" width=(place.width - 4.0) height=(place.height) rx="6" {} }
            rect.body width=(place.width) height=(place.height) rx="6" {}
            rect.stripe width="5" height=(place.height) rx="2.5" {}
            path.icon transform="translate(14 14)" d=(node.icon.path()) {}
            text.name x="38" y="19" { (shorten(node.label, letters(place.width, 46.0))) }
            text.sub x="38" y="35" { (line(shown, node, place.width)) }
            @if node.counts { (bar(node, place.width)) }
        }
    }
}

/// The second line: what is going on where a run is shown, otherwise what it is.
fn line(shown: &Shown<'_>, node: &Node<'_>, width: f64) -> String {
    let Some(state) = node.tally.worst() else { return shorten(node.what, small_letters(width)) };
    let took = node.tally.length(shown.now).map(|took| format!(" · {}", number::duration(took)));
    let text = if node.counts {
        format!("{}/{}{}", node.tally.finished(), node.tally.total(), took.unwrap_or_default())
    } else {
        format!("{}{}", word(state), took.unwrap_or_default())
    };
    shorten(&text, small_letters(width))
}

/// One stacked bar for all instances, at the lower edge.
fn bar(node: &Node<'_>, width: f64) -> Markup {
    let step = (width - 16.0) / f64::from(node.tally.total().max(1));
    let mut before = 0;
    let parts = node.tally.parts().into_iter().map(|(state, count)| {
        let from = 8.0 + step * f64::from(before);
        before += count;
        (state, from, step * f64::from(count))
    });
    html! {
        @for (state, x, length) in parts {
            rect class=(format!("part s-{}", state.as_str())) x=(format!("{x:.1}")) y="39" width=(format!("{length:.1}")) height="3" {}
        }
    }
}

/// What tells operators apart at a glance.
fn picture_of(operator: &Operator, name: &str) -> Icon {
    match operator {
        Operator::Empty => Icon::Empty,
        Operator::Bash(_) => Icon::Bash,
        Operator::Python(_) if name.contains("ranch") => Icon::Branch,
        Operator::Python(_) => Icon::Python,
        Operator::Native(native) => match **native {
            Native::Http(_) => Icon::Web,
            Native::Sql(_) => Icon::Database,
            Native::Email(_) => Icon::Mail,
            Native::TriggerDagRun(_) => Icon::Trigger,
            Native::Sensor(_) => Icon::Sensor,
        },
        Operator::Decide(Decide::Branch { .. }) => Icon::Branch,
        Operator::Decide(Decide::ShortCircuit { .. }) => Icon::Skip,
        Operator::Decide(Decide::LatestOnly) => Icon::Clock,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::web::view::examples;

    fn drawn(dag: &Dag, folded: &[&str], stands: &HashMap<TaskIx, Tally>) -> String {
        let folded: BTreeSet<String> = folded.iter().map(|&id| id.to_owned()).collect();
        let sketch = Sketch::of(dag, &folded);
        let shown = Shown {
            dag,
            sketch: &sketch,
            stands,
            selected: None,
            critical: &[],
            now: examples::at(9),
            task_link: &|task| format!("?task={task}"),
            fold_link: &|group| format!("?fold={group}"),
        };
        draw(&shown).into_string().replace('>', ">\n")
    }

    #[test]
    fn the_diamond_of_the_tutorial() {
        let dag = examples::diamond();
        let mut stands = HashMap::new();
        for (ix, state) in [(0, TaskState::Success), (1, TaskState::Running), (2, TaskState::Running)] {
            let mut tally = Tally::one(state);
            tally.started_at = Some(examples::at(i64::from(ix) * 3));
            tally.ended_at = (ix == 0).then(|| examples::at(3));
            stands.insert(TaskIx(ix), tally);
        }
        stands.insert(TaskIx(3), Tally::one(TaskState::None));
        insta::assert_snapshot!(drawn(&dag, &[], &stands));
    }

    #[test]
    fn groups_are_frames_that_fold_to_one_box_with_counts() {
        let dag = examples::grouped();
        let mut mapped = Tally::one(TaskState::Failed);
        mapped.add(TaskState::Success, 11);
        mapped.add(TaskState::Running, 28);
        let stands = HashMap::from([(TaskIx(1), mapped)]);
        insta::assert_snapshot!("open", drawn(&dag, &[], &stands));
        insta::assert_snapshot!("folded", drawn(&dag, &["load"], &stands));
    }
}
