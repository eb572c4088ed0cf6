//! The shell's side of waiting: what the core wants to know of runs that are no longer in memory.

use actix::prelude::*;

use crate::domain::wait::{Awaited, Seen};
use crate::store::{Store, StoreError};

use super::TaskRef;
use super::actor::Scheduler;
use super::core::Input;

impl Scheduler {
    /// Looks at everything that is asked for, one after the other: after a restart it may be much.
    pub(super) fn look_around(&mut self, ctx: &mut Context<Self>) {
        if self.to_look_at.is_empty() {
            return;
        }
        let wanted = std::mem::take(&mut self.to_look_at);
        let store = self.store.clone();
        let looked = async move {
            let mut seen = Vec::with_capacity(wanted.len());
            for (at, awaited) in wanted {
                let found = look_at(&store, &awaited).await;
                seen.push((at, awaited, found));
            }
            seen
        };
        let then =
            |seen: Vec<(TaskRef, Awaited, Result<Seen, StoreError>)>, this: &mut Self, ctx: &mut Context<Self>| {
                for (at, awaited, found) in seen {
                    match found {
                        Ok(Seen::NotYet) => {}
                        Ok(seen) => this.gather(Input::Seen { at, awaited, seen }, ctx),
                        Err(error) => {
                            tracing::warn!(%error, "what a sensor waits for cannot be read yet");
                            ctx.run_later(super::actor::RETRY_LONGEST, move |this, ctx| {
                                this.to_look_at.push((at, awaited));
                                this.look_around(ctx);
                            });
                        }
                    }
                }
            };
        ctx.spawn(looked.into_actor(self).map(then));
    }
}

/// How a run and its tasks stand, as the store has them.
pub(super) async fn look_at(store: &Store, awaited: &Awaited) -> Result<Seen, StoreError> {
    match awaited {
        Awaited::Look { .. } | Awaited::Moment { .. } => Ok(Seen::NotYet),
        Awaited::Run(awaited) => Ok(awaited.judge(store.run(&awaited.dag, &awaited.run).await?.map(|run| run.state))),
        Awaited::Tasks(awaited) => {
            if awaited.check_existence && store.dag(&awaited.dag).await?.is_none() {
                return Ok(Seen::Failed { why: format!("The external DAG {} does not exist", awaited.dag) });
            }
            let Some(run) = store.run_of_date(&awaited.dag, awaited.date).await? else { return Ok(Seen::NotYet) };
            let tasks = store.tasks(run.key).await?;
            let states: Vec<_> = tasks.into_iter().map(|task| (task.task_id, task.state)).collect();
            let version = match awaited.group {
                Some(_) => store.version(&run.dag_id, Some(run.version)).await?,
                None => None,
            };
            Ok(awaited.judge(Some(run.state), &states, version.as_ref().map(|version| &version.definition)))
        }
    }
}
