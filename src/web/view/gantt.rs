//! What happened in one run over time: the queued part of each try thin, the running part full, and below it how
//! many slots were taken.
//!
//! Lengths are shares of the width, so the picture fits any screen and its texts are never stretched.

use std::time::Duration;

use maud::{Markup, html};

use super::number::duration;
use crate::domain::ids::{MapIndex, TaskId, TryNumber};
use crate::domain::state::TaskState;
use crate::domain::time::{Time, until};

/// The height of a row; the stylesheet has the same.
pub const ROW: usize = 26;
const STRIP: usize = 56;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Gantt {
    pub from: Time,
    pub until: Time,
    pub bars: Vec<Bar>,
    /// How many tasks of the run may run at once; `None`: no limit.
    pub limit: Option<u32>,
    /// Instances that are not shown, because they are too many.
    pub left_out: usize,
}

/// One task instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub task: TaskId,
    pub map_index: MapIndex,
    pub link: String,
    pub tries: Vec<Try>,
    /// The rows of those that it waits for directly.
    pub upstream: Vec<usize>,
}

/// One try.
#[derive(Clone, Debug, PartialEq)]
pub struct Try {
    pub number: TryNumber,
    pub state: TaskState,
    pub queued_at: Time,
    pub started_at: Option<Time>,
    pub ended_at: Option<Time>,
}

impl Gantt {
    fn share(&self, at: Time) -> f64 {
        let whole = until(self.from, self.until).as_secs_f64().max(0.001);
        (until(self.from, at.min(self.until)).as_secs_f64() / whole * 100.0).min(100.0)
    }

    /// How many run at each change: (instant, how many from there on).
    pub fn taken(&self) -> Vec<(Time, u32)> {
        let tries = self.bars.iter().flat_map(|bar| &bar.tries);
        let mut changes: Vec<(Time, i32)> = Vec::new();
        for (from, to) in tries.filter_map(|one| Some((one.started_at?, one.ended_at.unwrap_or(self.until)))) {
            changes.extend([(from, 1), (to, -1)]);
        }
        // Who leaves at an instant makes room for who comes.
        changes.sort_unstable();
        let mut taken = 0;
        let mut steps: Vec<(Time, u32)> = vec![(self.from, 0)];
        for (at, change) in changes {
            taken += change;
            let now = u32::try_from(taken).unwrap_or(0);
            match steps.last_mut() {
                Some(last) if last.0 == at => last.1 = now,
                Some(_) | None => steps.push((at, now)),
            }
        }
        steps
    }
}

/// Distances that people count in.
const STEPS: [u64; 19] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
    21_600_000,
];

/// About six marks, at round distances.
fn marks(whole: Duration) -> Vec<Duration> {
    let wanted = whole.as_millis() / 6;
    let step = STEPS.into_iter().find(|step| u128::from(*step) >= wanted);
    let step = step.unwrap_or_else(|| u64::try_from(wanted / 86_400_000 + 1).unwrap_or(1) * 86_400_000);
    let step = Duration::from_millis(step);
    std::iter::successors(Some(Duration::ZERO), |at| at.checked_add(step)).take_while(|at| *at <= whole).collect()
}

pub fn draw(gantt: &Gantt, zone: chrono_tz::Tz) -> Markup {
    let height = gantt.bars.len() * ROW;
    html! {
        div.gantt #gantt {
            div.gantt-names {
                div.gantt-head {}
                ol { @for bar in &gantt.bars {
                    li data-task=(bar.task) data-map=(bar.map_index) { a href=(bar.link) title=(bar.task) {
                        span.name { (bar.task) }
                        @if bar.map_index != MapIndex::UNMAPPED { small { "[" (bar.map_index) "]" } }
                    } }
                } }
                div.gantt-foot { "slots" }
            }
            div.gantt-sheet {
                (axis(gantt, zone))
                svg.gantt-bars xmlns="http://www.w3.org/2000/svg" width="100%" height=(height) role="group" aria-label="Task instances over time" {
                    (ruler(gantt, height))
                    @for (row, bar) in gantt.bars.iter().enumerate() { (tries(gantt, row, bar)) }
                    (lines(gantt))
                }
                (strip(gantt))
            }
        }
        @if gantt.left_out > 0 { p.note { "and " (gantt.left_out) " more task instances, which started later" } }
    }
}

/// Above: the time of day; below it: since the start.
fn axis(gantt: &Gantt, zone: chrono_tz::Tz) -> Markup {
    let whole = until(gantt.from, gantt.until);
    let clock = if whole < Duration::from_secs(2) { "%H:%M:%S%.3f" } else { "%H:%M:%S" };
    html! {
        svg.gantt-axis xmlns="http://www.w3.org/2000/svg" width="100%" height="36" aria-hidden="true" {
            @for at in marks(whole) {
                @let time = crate::domain::time::after(gantt.from, at);
                @let share = gantt.share(time);
                @let anchor = if share > 94.0 { "end" } else { "start" };
                text.clock x=(format!("{share:.2}%")) y="13" text-anchor=(anchor) { (time.with_timezone(&zone).format(clock)) }
                text.elapsed x=(format!("{share:.2}%")) y="29" text-anchor=(anchor) { "+" (duration(at)) }
            }
        }
    }
}

fn ruler(gantt: &Gantt, height: usize) -> Markup {
    html! {
        @for at in marks(until(gantt.from, gantt.until)) {
            @let share = format!("{:.2}%", gantt.share(crate::domain::time::after(gantt.from, at)));
            line.ruler x1=(share) x2=(share) y1="0" y2=(height) {}
        }
    }
}

fn tries(gantt: &Gantt, row: usize, bar: &Bar) -> Markup {
    let y = row * ROW;
    html! {
        @for one in &bar.tries {
            @let (queued, until_start) = (gantt.share(one.queued_at), gantt.share(one.started_at.or(one.ended_at).unwrap_or(gantt.until)));
            a.try href=(bar.link) data-row=(row) data-task=(bar.task) {
                title { (said(bar, one, gantt.until)) }
                rect.waits x=(format!("{queued:.3}%")) y=(y + 11) width=(format!("{:.3}%", until_start - queued)) height="4" rx="2" {}
                @if let Some(started) = one.started_at {
                    @let (from, to) = (gantt.share(started), gantt.share(one.ended_at.unwrap_or(gantt.until)));
                    rect class=(format!("ran s-{}", one.state.as_str())) x=(format!("{from:.3}%")) y=(y + 5)
                        width=(format!("{:.3}%", (to - from).max(0.15))) height="16" rx="3" {}
                }
            }
        }
    }
}

fn said(bar: &Bar, one: &Try, now: Time) -> String {
    let index = if bar.map_index == MapIndex::UNMAPPED { String::new() } else { format!(" [{}]", bar.map_index) };
    let waited = duration(until(one.queued_at, one.started_at.or(one.ended_at).unwrap_or(now)));
    let ran = one.started_at.map(|from| format!(", ran {}", duration(until(from, one.ended_at.unwrap_or(now)))));
    format!(
        "{}{index}, try {}: queued {waited}{} ({})",
        bar.task,
        one.number,
        ran.unwrap_or_default(),
        one.state.as_str()
    )
}

/// From the end of one bar to the start of those that waited for it; seen when one points at either.
fn lines(gantt: &Gantt) -> Markup {
    let middle = |row: usize| row * ROW + ROW / 2;
    let end = |bar: &Bar| bar.tries.iter().filter_map(|one| one.ended_at).max();
    let start = |bar: &Bar| bar.tries.first().map(|one| one.queued_at);
    html! {
        g.gantt-lines {
            @for (row, bar) in gantt.bars.iter().enumerate() {
                @for before in &bar.upstream {
                    @if let (Some(from), Some(to)) = (end(&gantt.bars[*before]), start(bar)) {
                        line.dependency data-from=(before) data-to=(row) x1=(format!("{:.3}%", gantt.share(from))) y1=(middle(*before))
                            x2=(format!("{:.3}%", gantt.share(to))) y2=(middle(row)) {}
                    }
                }
            }
        }
    }
}

/// How many slots are taken over time, against the limit where it is in sight.
fn strip(gantt: &Gantt) -> Markup {
    let steps = gantt.taken();
    let most = steps.iter().map(|(_, taken)| *taken).max().unwrap_or(0);
    let limit = gantt.limit.filter(|limit| *limit <= most.saturating_mul(3).max(4));
    let scale = (STRIP - 14) as f64 / f64::from(most.max(limit.unwrap_or(0)).max(1));
    let floor = (STRIP - 2) as f64;
    html! {
        svg.gantt-strip xmlns="http://www.w3.org/2000/svg" width="100%" height=(STRIP) role="img"
            aria-label=(format!("At most {most} tasks ran at once")) {
            @for (at, (time, taken)) in steps.iter().enumerate() {
                @let (from, to) = (gantt.share(*time), gantt.share(steps.get(at + 1).map_or(gantt.until, |next| next.0)));
                @let high = f64::from(*taken) * scale;
                @if *taken > 0 && to > from {
                    rect.taken x=(format!("{from:.3}%")) width=(format!("{:.3}%", to - from)) y=(format!("{:.1}", floor - high)) height=(format!("{high:.1}")) {
                        title { (taken) " running" }
                    }
                }
            }
            @if let Some(limit) = limit {
                @let y = format!("{:.1}", floor - f64::from(limit) * scale);
                line.limit x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            text.most x="4" y="11" { "at most " (most) @if let Some(limit) = gantt.limit { " of " (limit) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::examples::at;

    fn bar(task: &str, upstream: &[usize], tries: &[(i64, i64, i64, TaskState)]) -> Bar {
        let tries = tries.iter().zip(1..).map(|((queued, started, ended, state), number)| Try {
            number: TryNumber(number),
            state: *state,
            queued_at: at(*queued),
            started_at: Some(at(*started)),
            ended_at: (state.is_finished() || *state == TaskState::UpForRetry).then(|| at(*ended)),
        });
        Bar {
            task: TaskId::new(task).expect("an id"),
            map_index: MapIndex::UNMAPPED,
            link: format!("?task={task}"),
            tries: tries.collect(),
            upstream: upstream.to_vec(),
        }
    }

    fn tutorial() -> Gantt {
        let done = TaskState::Success;
        let bars = vec![
            bar("task_1", &[], &[(0, 0, 3, done)]),
            bar("task_2", &[0], &[(3, 3, 6, done)]),
            bar("task_3", &[0], &[(3, 3, 4, TaskState::UpForRetry), (5, 5, 8, done)]),
            bar("task_4", &[1, 2], &[(8, 9, 10, TaskState::Running)]),
        ];
        Gantt { from: at(0), until: at(10), bars, limit: Some(16), left_out: 0 }
    }

    #[test]
    fn the_tutorial_with_a_retry() {
        let drawn = draw(&tutorial(), chrono_tz::UTC).into_string();
        insta::assert_snapshot!(drawn.replace('>', ">\n"));
    }

    #[test]
    fn slots_are_counted_and_who_leaves_makes_room_for_who_comes() {
        let taken: Vec<(i64, u32)> =
            tutorial().taken().into_iter().map(|(time, taken)| ((time - at(0)).num_seconds(), taken)).collect();
        assert_eq!(taken, [(0, 1), (3, 2), (4, 1), (5, 2), (6, 1), (8, 0), (9, 1), (10, 0)]);
    }

    #[test]
    fn marks_stand_at_round_distances() {
        let seconds =
            |whole: u64| -> Vec<u64> { marks(Duration::from_secs(whole)).into_iter().map(|at| at.as_secs()).collect() };
        assert_eq!(seconds(9), [0, 2, 4, 6, 8]);
        assert_eq!(seconds(3_600), [0, 900, 1_800, 2_700, 3_600]);
        assert_eq!(seconds(0), [0]);
    }
}
