//! Writes down what happens in a simulation, and sums it up.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, MapIndex, RunKey, TaskId};
use crate::domain::journal::Held;
use crate::domain::run::RunType;
use crate::domain::schedule::{Bounds, Schedule};
use crate::domain::state::{RunState, TaskState};
use crate::domain::time::{Time, until};
use crate::store::write::{RunRow, TaskRow, Write};

use super::stage::{Happened, interval_before};
use super::{DagSummary, Figures, HeldSummary, Scenario, Simulated, SimulatedRun, SimulatedTask, Utilisation};

/// Up to so many days the buckets are half hours, beyond they are days.
const FINE_DAYS: i64 = 62;

/// What has happened so far.
pub(super) struct Ledger<'a> {
    scenario: &'a Scenario,
    open: BTreeMap<RunKey, OpenRun>,
    runs: Vec<SimulatedRun>,
    tasks: Vec<SimulatedTask>,
    by_dag: BTreeMap<DagId, Lengths>,
    held: HashMap<String, HeldSummary>,
    busy: Buckets,
    waiting: Buckets,
    running: u32,
    most: u32,
}

struct OpenRun {
    row: RunRow,
    tasks: BTreeMap<(TaskId, MapIndex), TaskRow>,
}

#[derive(Default)]
struct Lengths {
    run: Vec<f64>,
    delay: Vec<f64>,
    wait: Vec<f64>,
    timed_out: usize,
    overran: usize,
    /// Runs that the timetable made.
    scheduled: usize,
}

/// Seconds of something, by stretch of time.
struct Buckets {
    from: Time,
    until: Time,
    width: Duration,
    seconds: Vec<f64>,
}

impl Buckets {
    fn new(from: Time, end: Time) -> Self {
        let fine = (end - from).num_days() <= FINE_DAYS;
        let width = Duration::from_secs(if fine { 1_800 } else { 86_400 });
        let count = until(from, end).as_secs_f64() / width.as_secs_f64();
        Self { from, until: end, width, seconds: vec![0.0; count.ceil().max(1.0) as usize] }
    }

    fn add(&mut self, from: Time, to: Time) {
        let width = self.width.as_secs_f64();
        let (from, to) = (from.max(self.from), to.min(self.until));
        let (mut at, to) = (until(self.from, from).as_secs_f64(), until(self.from, to).as_secs_f64());
        while at < to {
            let bucket = (at / width) as usize;
            let end = ((bucket + 1) as f64 * width).min(to);
            let Some(seconds) = self.seconds.get_mut(bucket) else { return };
            *seconds += end - at;
            at = end;
        }
    }

    /// How many at once on average; the last bucket may be shorter than the others.
    fn averages(&self) -> Vec<f64> {
        let (width, whole) = (self.width.as_secs_f64(), until(self.from, self.until).as_secs_f64());
        let length = |at: usize| (whole - at as f64 * width).min(width);
        self.seconds.iter().enumerate().map(|(at, seconds)| seconds / length(at)).collect()
    }
}

impl<'a> Ledger<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let buckets = || Buckets::new(scenario.from, scenario.until);
        let dags = scenario.dags.iter().map(|dag| (dag.definition.dag_id.clone(), Lengths::default()));
        Self {
            scenario,
            open: BTreeMap::new(),
            runs: Vec::new(),
            tasks: Vec::new(),
            by_dag: dags.collect(),
            held: HashMap::new(),
            busy: buckets(),
            waiting: buckets(),
            running: 0,
            most: 0,
        }
    }

    pub fn take(&mut self, happened: Happened) {
        if let Some(ended) = happened.ended {
            self.busy.add(ended.started, happened.now);
            self.running -= 1;
        }
        let mut touched = Vec::new();
        for write in happened.writes {
            match write {
                Write::Run(row) => {
                    touched.push(row.key);
                    let tasks = BTreeMap::new;
                    self.open
                        .entry(row.key)
                        .and_modify(|run| run.row = row.clone())
                        .or_insert_with(|| OpenRun { row, tasks: tasks() });
                }
                Write::Task(row) => {
                    touched.push(row.run);
                    self.on_task(row);
                }
                Write::Dag(_)
                | Write::Version(_)
                | Write::Attempt(_)
                | Write::XCom(_)
                | Write::ClearXComs { .. }
                | Write::FileProblems { .. }
                | Write::Worker(_)
                | Write::Pool(_)
                | Write::DeletePool(_)
                | Write::Asset(_)
                | Write::AssetEvent(_)
                | Write::Queued(_)
                | Write::Dequeued { .. }
                | Write::Backfill(_)
                | Write::DeleteDag(_)
                | Write::DropTask { .. }
                | Write::Clean(_)
                | Write::Notification(_)
                | Write::Deadline(_)
                | Write::CommandDone { .. } => {}
            }
        }
        self.most = self.most.max(self.running);
        for key in touched {
            let is_over = |run: &OpenRun| {
                run.row.state.is_finished() && run.tasks.values().all(|task| !task.state.occupies_slots())
            };
            if self.open.get(&key).is_some_and(is_over)
                && let Some(run) = self.open.remove(&key)
            {
                self.close_run(run);
            }
        }
    }

    fn on_task(&mut self, row: TaskRow) {
        let Some(run) = self.open.get_mut(&row.run) else { return };
        let before = run.tasks.get(&(row.task_id.clone(), row.map_index)).map(|before| before.state);
        if row.state == TaskState::Running && before != Some(TaskState::Running) {
            self.running += 1;
            if let (Some(ready), Some(started)) = (row.scheduled_at, row.started_at) {
                self.waiting.add(ready, started);
                let lengths = self.by_dag.entry(run.row.dag_id.clone()).or_default();
                lengths.wait.push(until(ready, started).as_secs_f64());
            }
        }
        run.tasks.insert((row.task_id.clone(), row.map_index), row);
    }

    fn close_run(&mut self, run: OpenRun) {
        let row = &run.row;
        let id = row.dag_id.clone();
        let dag = self.scenario.dags.iter().find(|dag| dag.definition.dag_id == id);
        let length = row.started_at.zip(row.ended_at).map(|(start, end)| until(start, end));
        let limit = dag.and_then(|dag| dag.definition.dagrun_timeout);
        let timed_out =
            row.state == RunState::Failed && length.zip(limit).is_some_and(|(length, limit)| length >= limit);
        let ended = row.ended_at.unwrap_or(self.scenario.until);
        let overran = dag.and_then(|dag| next_due(dag, row)).is_some_and(|next| ended > next);
        let lengths = self.by_dag.entry(id.clone()).or_default();
        lengths.run.extend(length.map(|length| length.as_secs_f64()));
        lengths.timed_out += usize::from(timed_out);
        lengths.overran += usize::from(overran);
        lengths.scheduled += usize::from(row.run_type == RunType::Scheduled);
        let started = row.started_at.unwrap_or(self.scenario.until);
        let delay = until(row.run_after, started);
        lengths.delay.push(delay.as_secs_f64());
        if !delay.is_zero() {
            self.add_held(&Held::RunQueued, delay);
        }
        for task in run.tasks.into_values() {
            for stretch in task.journal.stretches() {
                self.add_held(&stretch.held, stretch.length());
            }
            if self.scenario.keep_tasks {
                self.tasks.push(SimulatedTask {
                    dag_id: id.clone(),
                    run_id: row.run_id.clone(),
                    task_id: task.task_id,
                    map_index: task.map_index,
                    state: task.state,
                    tries: task.try_number.0,
                    scheduled: task.scheduled_at,
                    started: task.started_at,
                    ended: task.ended_at,
                });
            }
        }
        self.runs.push(SimulatedRun {
            dag_id: id,
            run_id: row.run_id.clone(),
            state: row.state,
            due: row.run_after,
            started: row.started_at,
            ended: row.ended_at,
            late: timed_out || overran,
        });
    }

    fn add_held(&mut self, held: &Held, wait: Duration) {
        let by = held.name();
        let none = HeldSummary { by: by.clone(), waits: 0, total_seconds: 0.0, longest_seconds: 0.0 };
        let summary = self.held.entry(by).or_insert(none);
        summary.waits += 1;
        summary.total_seconds += wait.as_secs_f64();
        summary.longest_seconds = summary.longest_seconds.max(wait.as_secs_f64());
    }

    /// The simulation is over: what has not ended is part of the result too.
    pub fn close(mut self) -> Simulated {
        let end = self.scenario.until;
        for (_, run) in std::mem::take(&mut self.open) {
            let running = run.tasks.values().filter(|task| task.state.occupies_slots());
            for started in running.filter_map(|task| task.started_at) {
                self.busy.add(started, end);
            }
            let ready = run.tasks.values().filter(|task| task.state == TaskState::Scheduled);
            for ready in ready.filter_map(|task| task.scheduled_at) {
                self.waiting.add(ready, end);
            }
            self.close_run(run);
        }
        self.runs.sort_by(|a, b| (a.due, &a.dag_id, &a.run_id).cmp(&(b.due, &b.dag_id, &b.run_id)));
        self.tasks.sort_by(|a, b| {
            (a.started, &a.dag_id, &a.run_id, &a.task_id).cmp(&(b.started, &b.dag_id, &b.run_id, &b.task_id))
        });
        let mut held: Vec<HeldSummary> = self.held.into_values().collect();
        held.sort_by(|a, b| b.total_seconds.total_cmp(&a.total_seconds).then_with(|| a.by.cmp(&b.by)));
        let whole = until(self.scenario.from, end).as_secs_f64().max(f64::MIN_POSITIVE);
        let mut counts: HashMap<&DagId, [usize; 3]> = HashMap::new();
        for run in &self.runs {
            let at = match run.state {
                RunState::Success => 0,
                RunState::Failed => 1,
                RunState::Queued | RunState::Running => 2,
            };
            counts.entry(&run.dag_id).or_default()[at] += 1;
        }
        let dues = self.scenario.dags.iter().map(|dag| (dag.definition.dag_id.clone(), dues(dag, self.scenario)));
        let dues: HashMap<DagId, usize> = dues.collect();
        let summary = |(dag_id, lengths): (DagId, Lengths)| {
            let [success, failed, unfinished] = counts.get(&dag_id).copied().unwrap_or_default();
            DagSummary {
                runs: success + failed + unfinished,
                success,
                failed,
                unfinished,
                not_made: dues.get(&dag_id).copied().unwrap_or_default().saturating_sub(lengths.scheduled),
                run_length: Figures::of(lengths.run),
                start_delay: Figures::of(lengths.delay),
                task_wait: Figures::of(lengths.wait),
                timed_out: lengths.timed_out,
                overran: lengths.overran,
                dag_id,
            }
        };
        Simulated {
            from: self.scenario.from,
            until: end,
            slots: self.scenario.slots,
            parallelism: self.scenario.settings.parallelism,
            seed: self.scenario.seed,
            dags: self.by_dag.into_iter().map(summary).collect(),
            held,
            utilisation: Utilisation {
                bucket_seconds: self.busy.width.as_secs_f64(),
                mean: self.busy.seconds.iter().sum::<f64>() / whole,
                busy: self.busy.averages(),
                waiting: self.waiting.averages(),
                most: self.most,
            },
            runs: self.runs,
            tasks: self.tasks,
        }
    }
}

/// When the run after this one is due.
fn next_due(dag: &Dag, row: &RunRow) -> Option<Time> {
    let interval = row.interval.filter(|_| row.run_type == RunType::Scheduled)?;
    let bounds = Bounds { catchup: true, ..dag.bounds() };
    let next = dag.timetable.next(&bounds, Some(&interval), row.run_after)?;
    (next.run_after > row.run_after).then_some(next.run_after)
}

/// How many runs the timetable asks for in the time of the scenario.
fn dues(dag: &Dag, scenario: &Scenario) -> usize {
    if matches!(dag.definition.schedule, Schedule::Never | Schedule::Continuous) {
        return 0;
    }
    let bounds = Bounds { catchup: true, ..dag.bounds() };
    let mut last = interval_before(dag, scenario.from);
    let mut dues = 0;
    while let Some(next) = dag.timetable.next(&bounds, last.as_ref(), scenario.from) {
        if next.run_after >= scenario.until || last == Some(next.interval) {
            break;
        }
        dues += usize::from(next.run_after >= scenario.from);
        last = Some(next.interval);
    }
    dues
}
