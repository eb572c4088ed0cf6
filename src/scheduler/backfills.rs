//! Backfills: runs of past dates, as many at once as their own limit lets (SCHEDULING §13).
//!
//! ```text
//!   create ─► the next dates are inquired about ──(the shell read the store)──► runs are made, run again, or let be
//!                ▲                                                                   │ a run of it ends: a place is free
//!                └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A run is made only when there is a place for it, so a backfill of ten thousand
//! dates costs no more at once than one of ten. What history a date has is asked
//! just before, because anybody may have made or ended a run of it meanwhile.

use std::collections::BTreeSet;

use crate::domain::backfill::{self, BackfillRequest, Step};
use crate::domain::ids::{BackfillId, DagId, RunId, RunKey};
use crate::domain::notification::RunEnd;
use crate::domain::run::{BackfillPlace, PlannedRun, RunType};
use crate::domain::state::{RunEvent, RunState};
use crate::domain::time::Time;
use crate::protocol::control::{BackfillCreated, Refused, Reply, TriggeredBy};
use crate::store::write::{BackfillRow, RunRow};

use super::TaskRef;
use super::core::{Core, Effect, History, Inquiry};
use super::runs::count;

/// How many dates are inquired about at once: those that have a run cost no question of their own.
const AHEAD: usize = 64;

/// A backfill that is not over, or of which a run is not.
#[derive(Debug)]
pub(super) struct BackfillState {
    pub row: BackfillRow,
    /// All of its dates, in its order.
    pub dates: Vec<PlannedRun>,
    pub running: BTreeSet<RunKey>,
    /// Its runs that wait for a place, in its order.
    pub queued: BTreeSet<(u32, RunKey)>,
    /// An inquiry is under way.
    asked: bool,
}

impl BackfillState {
    /// Its dates follow from the schedule that it was made with.
    fn restored(row: BackfillRow) -> Self {
        let dates = backfill::dates_again(&row.request, &row.schedule, row.timezone, row.created_at);
        Self::new(row, dates.unwrap_or_default())
    }

    fn new(row: BackfillRow, dates: Vec<PlannedRun>) -> Self {
        Self { row, dates, running: BTreeSet::new(), queued: BTreeSet::new(), asked: false }
    }

    pub fn is_over(&self) -> bool {
        self.row.completed_at.is_some()
    }

    /// The first date that nothing was done about yet.
    fn next_date(&self) -> Option<PlannedRun> {
        self.dates.get(self.row.dealt as usize).copied()
    }

    /// How many more of its runs may exist at once.
    fn room(&self) -> u32 {
        let most = self.row.request.max_active_runs.get();
        most.saturating_sub(count(self.running.len() + self.queued.len()))
    }

    /// Whether a run of it that waits may start.
    fn lets_start(&self) -> bool {
        let is_held = self.row.is_paused && !self.is_over();
        !is_held && count(self.running.len()) < self.row.request.max_active_runs.get()
    }

    fn has_open_runs(&self) -> bool {
        !self.running.is_empty() || !self.queued.is_empty()
    }
}

impl Core {
    pub(super) fn create_backfill(
        &mut self,
        now: Time,
        request: BackfillRequest,
        user: Option<String>,
    ) -> Result<Reply, Refused> {
        self.known(&request.dag)?;
        let dag = &self.dags[&request.dag];
        if let Some(active) = dag.backfills.iter().find(|id| self.backfills.get(id).is_some_and(|b| !b.is_over())) {
            return Err(Refused::BackfillActive { dag: request.dag, backfill: *active });
        }
        let definition = &dag.dag.definition;
        let dates = backfill::dates(&request, definition, now)
            .map_err(|unfit| Refused::Invalid { message: unfit.to_string() })?;
        let (id, dag, paused) = (self.next_backfill, request.dag.clone(), dag.row.is_paused);
        self.next_backfill = id.next();
        let number = count(dates.len());
        let row = BackfillRow {
            id,
            request,
            schedule: definition.schedule.clone(),
            timezone: definition.timezone,
            dates: number,
            dealt: 0,
            skipped: 0,
            is_paused: false,
            is_cancelled: false,
            user,
            created_at: now,
            updated_at: now,
            completed_at: None,
        };
        self.add_backfill(BackfillState::new(row, dates));
        self.work.dirty_backfills.insert(id);
        self.advance_backfill(id);
        Ok(Reply::BackfillCreated(BackfillCreated { backfill: id, dag, dates: number, paused }))
    }

    pub(super) fn pause_backfill(
        &mut self,
        now: Time,
        id: BackfillId,
        paused: bool,
        history: &History,
    ) -> Result<Reply, Refused> {
        let dag = self.active_backfill(id, history)?;
        let row = &mut self.backfills.get_mut(&id).expect("an active backfill is in memory").row;
        let changed = row.is_paused != paused;
        if changed {
            row.is_paused = paused;
            self.backfill_changed(now, id);
            self.start_runs(now, &dag);
            self.advance_backfill(id);
        }
        Ok(Reply::BackfillChanged { backfill: id, dag, changed })
    }

    /// What waits of it fails, what runs goes on, and nothing more of it begins.
    pub(super) fn cancel_backfill(&mut self, now: Time, id: BackfillId, history: &History) -> Result<Reply, Refused> {
        let dag = self.active_backfill(id, history)?;
        let backfill = self.backfills.get_mut(&id).expect("an active backfill is in memory");
        backfill.row.is_cancelled = true;
        backfill.row.completed_at = Some(now);
        let queued: Vec<RunKey> = backfill.queued.iter().map(|(_, key)| *key).collect();
        self.backfill_changed(now, id);
        self.work.touched_backfills.insert(id);
        for key in queued {
            let tasks: Vec<TaskRef> = self.run(key).places().collect();
            self.end_run(now, key, RunEvent::Failed, RunEnd::Marked);
            for at in tasks {
                self.abandon(now, at);
            }
        }
        Ok(Reply::BackfillChanged { backfill: id, dag, changed: true })
    }

    fn active_backfill(&self, id: BackfillId, history: &History) -> Result<DagId, Refused> {
        match self.backfills.get(&id) {
            Some(backfill) if !backfill.is_over() => Ok(backfill.row.request.dag.clone()),
            Some(_) => Err(Refused::BackfillOver { backfill: id }),
            None if history.backfills.iter().any(|row| row.id == id) => Err(Refused::BackfillOver { backfill: id }),
            None => Err(Refused::BackfillNotFound { backfill: id }),
        }
    }

    fn backfill_changed(&mut self, now: Time, id: BackfillId) {
        if let Some(backfill) = self.backfills.get_mut(&id) {
            backfill.row.updated_at = now;
            self.work.dirty_backfills.insert(id);
        }
    }

    fn add_backfill(&mut self, backfill: BackfillState) {
        let id = backfill.row.id;
        let Some(dag) = self.dags.get_mut(&backfill.row.request.dag) else { return };
        dag.backfills.insert(id);
        self.backfills.insert(id, backfill);
    }

    /// A backfill as the store has it; what is in memory already is the truth.
    pub(super) fn restore_backfill(&mut self, row: BackfillRow) {
        if !self.backfills.contains_key(&row.id) {
            self.work.touched_backfills.insert(row.id);
            self.add_backfill(BackfillState::restored(row));
        }
    }

    /// The backfills of a DAG that memory knows.
    pub(super) fn backfills_of(&self, id: &DagId) -> Vec<BackfillId> {
        self.dags.get(id).map(|dag| dag.backfills.iter().copied().collect()).unwrap_or_default()
    }

    /// Asks about the next dates of a backfill that has a place for a run.
    pub(super) fn advance_backfill(&mut self, id: BackfillId) {
        if !self.may_advance(id) {
            return;
        }
        let backfill = self.backfills.get_mut(&id).expect("a backfill that may advance is in memory");
        if std::mem::replace(&mut backfill.asked, true) {
            return;
        }
        let from = backfill.row.dealt as usize;
        let ahead = AHEAD.max(backfill.room() as usize);
        let inquiry = Inquiry {
            backfill: id,
            dag: backfill.row.request.dag.clone(),
            reprocess: backfill.row.request.reprocess,
            dates: backfill.dates[from..].iter().take(ahead).copied().collect(),
        };
        self.effect(Effect::Inquire(inquiry));
    }

    fn may_advance(&self, id: BackfillId) -> bool {
        let Some(backfill) = self.backfills.get(&id) else { return false };
        let lives = self.dags.get(&backfill.row.request.dag).is_some_and(|dag| !dag.row.is_paused && !dag.row.is_stale);
        self.planning
            && !self.leaving
            && lives
            && !backfill.is_over()
            && !backfill.row.is_paused
            && backfill.room() > 0
            && backfill.next_date().is_some()
    }

    /// What the store knows about the dates that were inquired about.
    pub(super) fn on_dates_known(&mut self, now: Time, inquiry: &Inquiry, history: &History) {
        let id = inquiry.backfill;
        let Some(backfill) = self.backfills.get_mut(&id) else { return };
        backfill.asked = false;
        while self.may_advance(id) {
            let date = self.backfills[&id].next_date().expect("a backfill that may advance has a date left");
            if !inquiry.dates.contains(&date) {
                break;
            }
            self.deal_with(now, id, date, history);
        }
        self.start_runs(now, &inquiry.dag);
        self.end_backfill_if_done(now, id);
        self.advance_backfill(id);
    }

    /// One date: a run is made, or the one that is there runs again, or stays.
    fn deal_with(&mut self, now: Time, id: BackfillId, date: PlannedRun, history: &History) {
        let backfill = self.backfills.get_mut(&id).expect("only a backfill in memory deals with dates");
        backfill.row.dealt += 1;
        let place = BackfillPlace { backfill: id, ordinal: backfill.row.dealt };
        let (dag, reprocess) = (backfill.row.request.dag.clone(), backfill.row.request.reprocess);
        self.backfill_changed(now, id);
        let open = self.open_runs(&dag).find(|run| run.logical_date == Some(date.logical_date)).map(|run| run.state);
        let known = history.runs.iter().find(|known| known.row.logical_date == Some(date.logical_date));
        match reprocess.step(open.or_else(|| known.map(|known| known.row.state))) {
            Step::Create => self.create_backfill_run(now, place, date, history),
            Step::Reprocess => {
                let key = known.and_then(|known| self.recall(known));
                if let Some(key) = key {
                    self.reprocess(now, key, place);
                }
            }
            Step::AlreadyExists | Step::InFlight => {
                let backfill = self.backfills.get_mut(&id).expect("only a backfill in memory deals with dates");
                backfill.row.skipped += 1;
            }
        }
    }

    fn create_backfill_run(&mut self, now: Time, place: BackfillPlace, date: PlannedRun, history: &History) {
        let row = &self.backfills[&place.backfill].row;
        let (dag, conf, user) = (row.request.dag.clone(), row.request.conf.clone(), row.user.clone());
        let run_id = self.backfill_run_id(&dag, date, history);
        let row = RunRow {
            key: self.next_run,
            version: self.dags[&dag].row.version,
            dag_id: dag.clone(),
            run_id,
            run_type: RunType::Backfill,
            state: RunState::Queued,
            logical_date: Some(date.logical_date),
            interval: Some(date.interval),
            run_after: date.run_after,
            conf,
            note: None,
            triggered_by: TriggeredBy::Backfill,
            user,
            queued_at: now,
            started_at: None,
            ended_at: None,
            clear_number: 0,
            backfill: Some(place),
        };
        let dag = self.dags.get_mut(&dag).expect("a backfill belongs to a known DAG");
        if dag.row.last_interval.is_none_or(|last| date.logical_date > last.start) {
            dag.taken_dates.insert(date.logical_date);
        }
        self.add_run(row);
    }

    /// Airflow's id, unless somebody gave that to another run.
    fn backfill_run_id(&mut self, dag: &DagId, date: PlannedRun, history: &History) -> RunId {
        let plain = RunType::Backfill.run_id(date.run_after);
        let is_taken = history.taken_ids.contains(&plain) || self.open_runs(dag).any(|run| run.run_id == plain);
        if !is_taken {
            return plain;
        }
        let suffix = self.ids.suffix();
        let suffixed = RunType::Backfill.suffixed_run_id(date.run_after, &suffix);
        suffixed.expect("a type, a date and eight letters make a valid run id")
    }

    /// A finished run becomes one of the backfill, and every task of it runs again.
    fn reprocess(&mut self, now: Time, key: RunKey, place: BackfillPlace) {
        let run = self.run_mut(key);
        run.row.backfill = Some(place);
        run.row.run_type = RunType::Backfill;
        run.row.triggered_by = TriggeredBy::Backfill;
        self.enter_timeline(key);
        let run = self.run(key);
        let tasks: BTreeSet<TaskRef> = run.places().collect();
        self.clear_tasks(now, key, &tasks, true);
    }

    /// A run waits for its place: in its backfill, or in its DAG.
    pub(super) fn enqueue(&mut self, key: RunKey) {
        let row = &self.run(key).row;
        let (entry, dag, place) = ((row.run_after, key), row.dag_id.clone(), row.backfill);
        match place.and_then(|place| Some((place, self.backfills.get_mut(&place.backfill)?))) {
            Some((place, backfill)) => {
                backfill.queued.insert((place.ordinal, key));
            }
            None => {
                let dag = self.dags.get_mut(&dag).expect("a run is made of a known DAG");
                dag.queued.insert(entry);
            }
        }
    }

    /// A run gives its place back, wherever it has one.
    pub(super) fn leave_places(&mut self, now: Time, key: RunKey) {
        let row = &self.run(key).row;
        let (entry, id, place) = ((row.run_after, key), row.dag_id.clone(), row.backfill);
        if let Some(dag) = self.dags.get_mut(&id) {
            dag.running.remove(&key);
            dag.queued.remove(&entry);
        }
        if let Some((place, backfill)) = place.and_then(|p| Some((p, self.backfills.get_mut(&p.backfill)?))) {
            backfill.running.remove(&key);
            backfill.queued.remove(&(place.ordinal, key));
            self.end_backfill_if_done(now, place.backfill);
        }
    }

    /// The next run of a backfill that may start, which takes its place.
    pub(super) fn next_of_backfill(&mut self, id: BackfillId) -> Option<RunKey> {
        let backfill = self.backfills.get_mut(&id)?;
        if !backfill.lets_start() {
            return None;
        }
        let (_, key) = backfill.queued.pop_first()?;
        backfill.running.insert(key);
        Some(key)
    }

    fn end_backfill_if_done(&mut self, now: Time, id: BackfillId) {
        let Some(backfill) = self.backfills.get_mut(&id) else { return };
        if backfill.has_open_runs() {
            return;
        }
        self.work.touched_backfills.insert(id);
        if !backfill.is_over() && backfill.next_date().is_none() {
            backfill.row.completed_at = Some(now);
            self.backfill_changed(now, id);
        }
    }

    /// Backfills that are over, with every run, need no memory.
    pub(super) fn forget_backfills(&mut self, touched: &BTreeSet<BackfillId>) {
        for id in touched {
            let is_done = self.backfills.get(id).is_some_and(|b| b.is_over() && !b.has_open_runs());
            if let Some(backfill) = is_done.then(|| self.backfills.remove(id)).flatten()
                && let Some(dag) = self.dags.get_mut(&backfill.row.request.dag)
            {
                dag.backfills.remove(id);
            }
        }
    }
}
