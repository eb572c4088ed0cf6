//! What users want: triggers and pauses; clears and marks have files of their own. Every control gets exactly one answer.

use crate::domain::ids::{DagId, RunId};
use crate::domain::param::{Mistake, merged, mistakes, mistakes_of};
use crate::domain::problem::suggestion;
use crate::domain::run::{DataInterval, RunType};
use crate::domain::state::RunState;
use crate::domain::time::{Time, to_micros};
use crate::protocol::control::{Control, Refused, Reply, Trigger, Triggered, TriggeredBy};
use crate::store::write::{RunRow, Write};

use super::core::{Core, Effect, History, Ticket};

impl Core {
    pub(super) fn on_control(&mut self, now: Time, ticket: Ticket, control: Control, history: &History) {
        for row in history.backfills.iter().filter(|row| row.completed_at.is_some()) {
            // A run of it that is cleared finds its places there again.
            self.restore_backfill(row.clone());
        }
        let reply = match control {
            Control::Trigger(trigger) => self.trigger(now, trigger, history),
            Control::Materialize(wanted) => self.materialize(now, wanted, history),
            Control::Pause { dag, paused } => self.pause(now, dag, paused),
            Control::SetPool(pool) => self.change_pool(pool),
            Control::DeletePool { pool } => self.delete_pool(pool),
            Control::Clear(clear) => self.clear(now, &clear, history),
            Control::MarkTasks { selection, mark, dry_run } => self.mark_tasks(now, &selection, mark, dry_run, history),
            Control::Explain { dag, run_id, task, map_index } => {
                self.answer_why(now, dag, run_id, task, map_index, history)
            }
            Control::ExplainDag { dag } => self.answer_why_no_run(now, dag),
            Control::MarkRun { dag, run_id, succeeded } => self.mark_run(now, dag, run_id, succeeded, history),
            Control::CreateBackfill { request, user } => self.create_backfill(now, request, user),
            Control::PauseBackfill { backfill, paused } => self.pause_backfill(now, backfill, paused, history),
            Control::CancelBackfill { backfill } => self.cancel_backfill(now, backfill, history),
            Control::Clean(clean) => Ok(self.clean(clean, history)),
            Control::DeleteDag { dag } => self.delete_dag(now, dag, history),
            Control::NoteRun { dag, run_id, note } => self.note_run(dag, run_id, note, history),
            Control::DeleteRun { dag, run_id } => self.delete_run(now, dag, run_id, history),
            Control::OrderWorkers { name, order } => self.order_workers(name, &order),
        };
        self.reply(now, ticket, reply.unwrap_or_else(|why| Reply::Refused { why }));
    }

    /// The one place where a control is answered: a durable command's answer is a row.
    pub(super) fn reply(&mut self, now: Time, ticket: Ticket, reply: Reply) {
        match ticket {
            Ticket::Command(id) => self.write(Write::CommandDone { id, reply: reply.clone(), at: now }),
            Ticket::Task { claim, seq } => return self.answer_errand(claim, seq, reply),
            Ticket::Caller(_) => {}
        }
        self.effect(Effect::Answer { ticket, reply });
    }

    pub(super) fn known(&self, id: &DagId) -> Result<(), Refused> {
        if self.dags.get(id).is_some_and(|dag| !dag.row.is_stale) {
            return Ok(());
        }
        let hint = suggestion(id.as_str(), self.dags.keys().map(DagId::as_str));
        Err(Refused::DagNotFound { dag: id.clone(), hint })
    }

    fn pause(&mut self, now: Time, id: DagId, paused: bool) -> Result<Reply, Refused> {
        self.known(&id)?;
        let changed = self.set_paused(now, &id, paused);
        Ok(Reply::Paused { dag: id, paused, changed })
    }

    /// False when it was so already.
    pub(super) fn set_paused(&mut self, now: Time, id: &DagId, paused: bool) -> bool {
        let dag = self.dags.get_mut(id).expect("only a DAG in memory is paused");
        let changed = dag.row.is_paused != paused;
        if changed {
            dag.row.is_paused = paused;
            self.admission.set_paused(id, paused);
            self.dag_changed(id);
            self.plan(now, id);
            self.work.maybe_triggered.insert(id.clone());
        }
        changed
    }

    fn trigger(&mut self, now: Time, trigger: Trigger, history: &History) -> Result<Reply, Refused> {
        let run_type = run_type(trigger.by);
        self.trigger_as(now, trigger, run_type, history)
    }

    pub(super) fn trigger_as(
        &mut self,
        now: Time,
        trigger: Trigger,
        run_type: RunType,
        history: &History,
    ) -> Result<Reply, Refused> {
        self.known(&trigger.dag)?;
        self.refuse_params(&trigger)?;
        let logical_date =
            trigger.logical_date.map(to_micros).or_else(|| self.settings.manual_runs_have_dates.then_some(now));
        let dag = &self.dags[&trigger.dag];
        let interval = logical_date.map(|date| dag.dag.timetable.manual_interval(dag.dag.definition.timezone, date));
        self.refuse_taken_date(&trigger.dag, logical_date, history)?;
        let run_id = self.choose_run_id(&trigger, run_type, logical_date.unwrap_or(now), history)?;
        let row = self.manual_run(now, trigger, run_type, run_id, logical_date, interval);
        let (key, id) = (row.key, row.dag_id.clone());
        if let (Some(date), Some(dag)) = (logical_date, self.dags.get_mut(&id)) {
            dag.taken_dates.insert(date);
        }
        self.add_run(row);
        self.start_runs(now, &id);
        Ok(Reply::Triggered(self.triggered(key)))
    }

    /// Everything that the run's parameters are not, in one sentence.
    fn refuse_params(&self, trigger: &Trigger) -> Result<(), Refused> {
        let dag = &self.dags[&trigger.dag].dag.definition;
        let overrides = self.settings.conf_overrides_params;
        let values = merged(&dag.params, &serde_json::Map::new(), &trigger.conf, overrides);
        let place = |param: &str| if overrides && trigger.conf.contains_key(param) { "in conf" } else { "by default" };
        let mut wrong: Vec<String> = mistakes(&dag.param_schemas, &values)
            .into_iter()
            .map(|Mistake { param, message }| format!("the parameter `{param}` ({}): {message}", place(&param)))
            .collect();
        for task in dag.tasks.iter().filter(|_| overrides) {
            let given = task.param_schemas.iter().filter(|(name, _)| trigger.conf.contains_key(*name));
            for mistake in given.flat_map(|(name, schema)| mistakes_of(name, schema, trigger.conf.get(name))) {
                let Mistake { param, message } = mistake;
                wrong.push(format!("the parameter `{param}` of task `{}` (in conf): {message}", task.task_id));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let message = format!("DAG `{}` cannot be triggered like this: {}", trigger.dag, wrong.join("; "));
        Err(Refused::Invalid { message })
    }

    fn refuse_taken_date(&self, id: &DagId, date: Option<Time>, history: &History) -> Result<(), Refused> {
        let Some(logical_date) = date else { return Ok(()) };
        let in_memory =
            self.open_runs(id).find(|run| run.logical_date == Some(logical_date)).map(|run| run.run_id.clone());
        match in_memory.or_else(|| history.same_date.clone()) {
            Some(run_id) => Err(Refused::LogicalDateTaken { dag: id.clone(), logical_date, run_id }),
            None => Ok(()),
        }
    }

    /// The user's id, or one made from the run's type and instant.
    fn choose_run_id(
        &mut self,
        trigger: &Trigger,
        run_type: RunType,
        instant: Time,
        history: &History,
    ) -> Result<RunId, Refused> {
        let taken = |core: &Self, id: &RunId| {
            history.same_id.as_ref() == Some(id) || core.open_runs(&trigger.dag).any(|run| run.run_id == *id)
        };
        let reserved = trigger.run_id.as_ref().and_then(RunType::reserving).filter(|by| *by != run_type);
        match &trigger.run_id {
            Some(id) if reserved.is_some() => Err(Refused::Invalid { message: is_reserved(id, run_type) }),
            Some(id) if taken(self, id) => Err(Refused::RunExists { dag: trigger.dag.clone(), run_id: id.clone() }),
            Some(id) => Ok(id.clone()),
            None => {
                let plain = run_type.run_id(instant);
                if !taken(self, &plain) {
                    return Ok(plain);
                }
                let suffix = self.ids.suffix();
                run_type
                    .suffixed_run_id(instant, &suffix)
                    .map_err(|invalid| Refused::Invalid { message: invalid.to_string() })
            }
        }
    }

    fn manual_run(
        &self,
        now: Time,
        trigger: Trigger,
        run_type: RunType,
        run_id: RunId,
        logical_date: Option<Time>,
        interval: Option<DataInterval>,
    ) -> RunRow {
        RunRow {
            key: self.next_run,
            version: self.dags[&trigger.dag].row.version,
            dag_id: trigger.dag,
            run_id,
            run_type,
            state: RunState::Queued,
            logical_date,
            interval,
            run_after: now,
            conf: trigger.conf,
            note: trigger.note,
            triggered_by: trigger.by,
            user: trigger.user,
            queued_at: now,
            started_at: None,
            ended_at: None,
            clear_number: 0,
            backfill: None,
        }
    }

    /// The unfinished runs of a DAG, those of its backfills too.
    pub(super) fn open_runs(&self, id: &DagId) -> impl Iterator<Item = &RunRow> {
        let dag = self.dags.get(id).into_iter();
        let backfills = dag.clone().flat_map(|dag| dag.backfills.iter().filter_map(|id| self.backfills.get(id)));
        let theirs = backfills.flat_map(|b| b.running.iter().copied().chain(b.queued.iter().map(|(_, key)| *key)));
        let own = dag.flat_map(|dag| dag.running.iter().copied().chain(dag.queued.iter().map(|(_, key)| *key)));
        own.chain(theirs).filter_map(|key| self.runs.get(&key).map(|run| &run.row))
    }

    fn triggered(&self, key: crate::domain::ids::RunKey) -> Triggered {
        let row = &self.run(key).row;
        Triggered {
            dag: row.dag_id.clone(),
            run_id: row.run_id.clone(),
            run_type: row.run_type,
            state: row.state,
            logical_date: row.logical_date,
            interval_start: row.interval.map(|interval| interval.start),
            interval_end: row.interval.map(|interval| interval.end),
            run_after: row.run_after,
            started_at: row.started_at,
            conf: row.conf.clone(),
            paused: self.dags.get(&row.dag_id).is_some_and(|dag| dag.row.is_paused),
        }
    }
}

/// The timetable would come to the same id one day, and could not make its run.
fn is_reserved(id: &RunId, run_type: RunType) -> String {
    let owner = RunType::reserving(id).map_or("other", RunType::as_str);
    format!(
        "a {} run cannot have the id `{id}`: ids that begin with `{owner}__` are reserved for {owner} runs; choose another id, or give only the logical date",
        run_type.as_str()
    )
}

fn run_type(by: TriggeredBy) -> RunType {
    match by {
        TriggeredBy::Operator => RunType::OperatorTriggered,
        TriggeredBy::Asset => RunType::AssetTriggered,
        TriggeredBy::Backfill => RunType::Backfill,
        TriggeredBy::Timetable => RunType::Scheduled,
        TriggeredBy::Cli | TriggeredBy::RestApi | TriggeredBy::Ui | TriggeredBy::Test => RunType::Manual,
    }
}
