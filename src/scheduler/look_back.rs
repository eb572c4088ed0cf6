//! The shell's part of looking back: asks the store for the run before another one, and tells the core.
//!
//! It is asked after the commit of whatever wanted to know, and once for each run: where
//! the runs of a DAG follow one another in memory, nothing is asked at all.

use std::time::Duration;

use actix::prelude::*;

use crate::domain::ids::RunKey;
use crate::store::{Store, StoreError};

use super::actor::Scheduler;
use super::core::{Input, KnownPast, LookBack};
use super::lookup;

/// How long a store that cannot answer is left alone.
const PATIENCE: Duration = Duration::from_secs(1);

impl Scheduler {
    /// Asks what was wanted since the last time.
    pub(super) fn look_back(&mut self, ctx: &mut Context<Self>) {
        for question in std::mem::take(&mut self.looking_back) {
            let store = self.store.clone();
            let asked = async move { (question.run, answer(&store, &question).await) };
            let then = |(run, past): (RunKey, KnownPast), this: &mut Self, ctx: &mut Context<Self>| {
                this.gather(Input::LookedBack { run, past }, ctx);
            };
            ctx.spawn(asked.into_actor(self).map(then));
        }
    }
}

/// Asks once, without patience.
pub async fn ask(store: &Store, question: &LookBack) -> Result<KnownPast, StoreError> {
    lookup::past(store, question).await
}

async fn answer(store: &Store, question: &LookBack) -> KnownPast {
    loop {
        match lookup::past(store, question).await {
            Ok(past) => return past,
            Err(error) => {
                tracing::warn!(%error, dag = %question.dag, "the run before cannot be looked up yet");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}
