//! The journal hears how far each log was shipped.

use actix::prelude::*;

use super::Worker;
use crate::actor::told::tell;
use crate::worker::journal::Journal;
use crate::worker::settings::{Posted, WorkerSettings};
use crate::worker::shipping::{Note, Options, Shipper};

struct FromShipper(Note);

impl Message for FromShipper {
    type Result = ();
}

/// Ships what the journal knows to be left, and what is written from now on.
pub(super) fn shipper(
    Posted { broker, keys, .. }: Posted,
    settings: &WorkerSettings,
    journal: &Journal,
    ctx: &Context<Worker>,
) -> Shipper {
    let options = Options {
        broker,
        keys,
        worker: journal.worker(),
        incarnation: journal.incarnation(),
        base_log_folder: settings.base_log_folder.clone(),
    };
    let worker = ctx.address();
    let left = journal.unshipped().cloned().collect();
    Shipper::start(options, left, move |note| tell(&worker, FromShipper(note)))
}

impl Handler<FromShipper> for Worker {
    type Result = ();

    fn handle(&mut self, FromShipper(note): FromShipper, _: &mut Context<Self>) {
        let written = self.journal.note(&note);
        self.journal_written(written);
    }
}
