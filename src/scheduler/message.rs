//! What the Scheduler actor may be told and asked. Each message becomes an input
//! of the core, or is answered from what the actor holds; nothing is decided here.

use std::pin::Pin;
use std::task::{self, Poll};

use actix::prelude::*;
use tokio::sync::{broadcast, oneshot};

use crate::actor::told::Told;
use crate::protocol::control::{Control, Refused, Reply};
use crate::protocol::event::Event;
use crate::protocol::status::Status;
use crate::protocol::work::FromWorker;

use super::actor::Scheduler;
use super::core::{FileChange, History, Input, Ticket};

impl Handler<Told<FromWorker>> for Scheduler {
    type Result = ();

    fn handle(&mut self, Told(message): Told<FromWorker>, ctx: &mut Self::Context) {
        if let FromWorker::Online(online) = &message {
            self.online.insert(online.worker, online.clone());
        }
        self.gather(Input::Worker(message), ctx);
    }
}

/// DAG files were read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FilesChanged(pub Vec<FileChange>);

impl Handler<FilesChanged> for Scheduler {
    type Result = ();

    fn handle(&mut self, FilesChanged(changes): FilesChanged, ctx: &mut Self::Context) {
        self.gather(Input::FilesChanged(changes), ctx);
    }
}

/// The DAGs folder was read once: the timetables are followed from now on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FolderRead;

impl Handler<FolderRead> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: FolderRead, ctx: &mut Self::Context) {
        self.folder_read = true;
        self.gather(Input::FolderRead, ctx);
    }
}

/// The node is leaving: nothing new is handed out.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Leave;

impl Handler<Leave> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        self.gather(Input::Leaving, ctx);
    }
}

/// A user in this process wants something.
#[derive(Debug, Message)]
#[rtype(result = "Reply")]
pub struct Ask(pub Control);

impl Handler<Ask> for Scheduler {
    type Result = ResponseFuture<Reply>;

    fn handle(&mut self, Ask(control): Ask, ctx: &mut Self::Context) -> Self::Result {
        let (caller, answer) = oneshot::channel();
        self.next_ticket += 1;
        self.callers.insert(self.next_ticket, caller);
        let ticket = Ticket::Caller(self.next_ticket);
        self.gather(Input::Control { ticket, control, history: History::default() }, ctx);
        Box::pin(async move {
            let gone = Refused::Invalid { message: "the scheduler stopped before it could answer".to_owned() };
            answer.await.unwrap_or(Reply::Refused { why: gone })
        })
    }
}

/// Another process has left a command in the store.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Nudge;

impl Handler<Nudge> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Nudge, ctx: &mut Self::Context) {
        self.commands_waiting = true;
        self.go_on(ctx);
    }
}

/// Asks for the events from now on.
#[derive(Debug, Message)]
#[rtype(result = "Watch")]
pub struct Subscribe;

/// The events from now on.
#[derive(Debug, MessageResponse)]
pub struct Watch(pub broadcast::Receiver<Event>);

impl Handler<Subscribe> for Scheduler {
    type Result = Watch;

    fn handle(&mut self, _: Subscribe, _: &mut Self::Context) -> Self::Result {
        Watch(self.events.subscribe())
    }
}

/// Asks how the scheduler is.
#[derive(Debug, Message)]
#[rtype(result = "Status")]
pub struct HowAreYou;

impl Handler<HowAreYou> for Scheduler {
    type Result = MessageResult<HowAreYou>;

    fn handle(&mut self, _: HowAreYou, _: &mut Self::Context) -> Self::Result {
        let (runs, occupied) = self.core.load();
        MessageResult(Status {
            epoch: self.epoch,
            runs,
            occupied,
            commits: self.commits,
            violations: self.broken,
            rejected: self.rejected,
        })
    }
}

/// Everything gathered is committed, then the actor stops.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for Scheduler {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        self.hear_no_more();
        let resigned = UntilIdle.then(|(), this: &mut Self, _: &mut Context<Self>| this.resign());
        Box::pin(resigned.map(|(), _, ctx: &mut Context<Self>| ctx.stop()))
    }
}

/// Ready when nothing is gathered and nothing commits. The actor wakes it when it rests: that the
/// end of a commit polls the same context is not enough, because this one may have had its turn before.
struct UntilIdle;

impl ActorFuture<Scheduler> for UntilIdle {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        scheduler: &mut Scheduler,
        _: &mut Context<Scheduler>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        if scheduler.writer.is_some() && scheduler.gathered.is_empty() {
            return Poll::Ready(());
        }
        scheduler.waits_for_rest = Some(task.waker().clone());
        Poll::Pending
    }
}
