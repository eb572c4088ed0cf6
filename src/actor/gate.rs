//! The mailbox limit, made exact (STYLE §4, DEPENDENCIES §2).
//!
//! actix counts messages that *wait*, not work that runs, so a bounded mailbox
//! alone limits nothing. A gate takes a permit **before** it reads its next
//! message and gives it to the work, which drops it when it ends:
//!
//! ```text
//!  Entrance::try_send ──► mailbox (capacity N) ──► gate waits for a permit ──► work, with the permit
//!        ▲ Full: the message comes back                (N permits)               │
//!        └───────────── `on_room`: a place came free ◄──────────────────────────┘ drop
//! ```
//!
//! The gate must never spawn work in its own context: while it waits for a
//! permit, actix polls nothing there, and work that cannot go on never gives its permit back.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::WeakAddr;
use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::told::{Told, tell};

/// How many at once; `None` is without limit.
pub type Limit = Option<NonZeroU32>;

/// How many jobs may run at once, changeable at any time.
///
/// A limit that shrinks takes nothing from running work: the permits that are
/// out too many are withheld as they come back.
#[derive(Clone)]
pub struct Permits {
    semaphore: Arc<Semaphore>,
    count: Arc<Mutex<Count>>,
}

struct Count {
    total: usize,
    /// Permits to keep when they come back.
    owed: usize,
}

/// The right to run one job; dropping it gives it back.
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    of: Permits,
}

impl Permits {
    pub fn new(limit: Limit) -> Self {
        let total = permits_for(limit);
        Self { semaphore: Arc::new(Semaphore::new(total)), count: Arc::new(Mutex::new(Count { total, owed: 0 })) }
    }

    /// The number of jobs at once from now on; what runs beyond it may end by itself.
    pub fn resize(&self, limit: Limit) {
        let wanted = permits_for(limit);
        let mut count = self.count();
        if wanted >= count.total {
            let more = wanted - count.total;
            let forgiven = more.min(count.owed);
            count.owed -= forgiven;
            self.semaphore.add_permits(more - forgiven);
        } else {
            let fewer = count.total - wanted;
            count.owed += fewer - self.semaphore.forget_permits(fewer);
        }
        count.total = wanted;
    }

    /// Permits that nobody holds.
    pub fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    async fn take(self) -> Option<Permit> {
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.ok()?;
        Some(Permit { permit: Some(permit), of: self })
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        // Two numbers that are always written together: a panic elsewhere cannot leave them half done.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut count = self.of.count();
        if count.owed > 0 {
            count.owed -= 1;
            if let Some(permit) = self.permit.take() {
                permit.forget();
            }
        }
    }
}

/// Half of what the semaphore can hold, so that growing and shrinking never overflow it.
fn permits_for(limit: Limit) -> usize {
    match limit {
        None => Semaphore::MAX_PERMITS / 2,
        Some(n) => usize::try_from(n.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS / 2),
    }
}

/// actix reads 0 as "no limit".
fn capacity_for(limit: Limit) -> usize {
    match limit {
        None => 0,
        Some(n) => usize::try_from(n.get()).unwrap_or(usize::MAX),
    }
}

/// What a gate does with a job and the permit that it came through with.
pub type Work<J> = Box<dyn FnMut(J, Permit)>;

/// Called when a sender was refused and there is room again; asks it to send once more.
pub type OnRoom = Arc<dyn Fn() + Send + Sync>;

/// The actor behind an [`Entrance`].
pub struct Gate<J: Send + Unpin + 'static> {
    permits: Permits,
    next: Option<Permit>,
    work: Work<J>,
    refused: Arc<Refusals>,
}

#[derive(Default)]
struct Refusals {
    /// A sender was told `Full` and waits for room.
    waiting: AtomicBool,
    on_room: Mutex<Option<OnRoom>>,
}

/// The one sender to a gate. It is not `Clone`: each clone of an address would add a place to the mailbox.
pub struct Entrance<J: Send + Unpin + 'static> {
    gate: Addr<Gate<J>>,
    permits: Permits,
    refused: Arc<Refusals>,
}

/// Why a job was not taken; it comes back to the sender.
#[derive(Debug, PartialEq, Eq)]
pub enum NotTaken<J> {
    /// Keep it until `on_room` is called.
    Full(J),
    /// The gate is gone for good.
    Closed(J),
}

/// Resizes and closes a gate; as many of these as are wanted.
pub struct GateControl<J: Send + Unpin + 'static> {
    gate: WeakAddr<Gate<J>>,
    permits: Permits,
}

impl<J: Send + Unpin + 'static> Gate<J> {
    /// Starts a gate on the current arbiter. `work` is called there, once per job, and must not block.
    pub fn open(limit: Limit, work: Work<J>) -> (Entrance<J>, GateControl<J>) {
        let permits = Permits::new(limit);
        let refused = Arc::new(Refusals::default());
        let gate = Self { permits: permits.clone(), next: None, work, refused: Arc::clone(&refused) };
        let gate = Gate::create(|ctx| {
            ctx.set_mailbox_capacity(capacity_for(limit));
            gate
        });
        let control = GateControl { gate: gate.downgrade(), permits: permits.clone() };
        (Entrance { gate, permits, refused }, control)
    }

    fn take_permit_before_the_next_message(&self, ctx: &mut Context<Self>) {
        ctx.wait(self.permits.clone().take().into_actor(self).map(|permit, gate, _| gate.next = permit));
    }

    fn tell_that_there_is_room(&self) {
        if self.refused.waiting.swap(false, Ordering::SeqCst) {
            let on_room = self.refused.on_room.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(on_room) = on_room {
                on_room();
            }
        }
    }
}

impl<J: Send + Unpin + 'static> Actor for Gate<J> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.take_permit_before_the_next_message(ctx);
    }
}

impl<J: Send + Unpin + 'static> Handler<Told<J>> for Gate<J> {
    type Result = ();

    fn handle(&mut self, Told(job): Told<J>, ctx: &mut Context<Self>) {
        let permit = self.next.take().expect("a message is read only once a permit is held");
        (self.work)(job, permit);
        self.take_permit_before_the_next_message(ctx);
        self.tell_that_there_is_room();
    }
}

/// Changes the number of places in the mailbox.
struct SetCapacity(Limit);

impl Message for SetCapacity {
    type Result = ();
}

impl<J: Send + Unpin + 'static> Handler<SetCapacity> for Gate<J> {
    type Result = ();

    fn handle(&mut self, SetCapacity(limit): SetCapacity, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(capacity_for(limit));
        self.tell_that_there_is_room();
    }
}

/// Calls back when every job sent before it has been given to the work.
struct Fence(Box<dyn FnOnce() + Send>);

impl Message for Fence {
    type Result = ();
}

impl<J: Send + Unpin + 'static> Handler<Fence> for Gate<J> {
    type Result = ();

    fn handle(&mut self, Fence(done): Fence, _: &mut Context<Self>) {
        done();
    }
}

/// Takes nothing more.
struct Close;

impl Message for Close {
    type Result = ();
}

impl<J: Send + Unpin + 'static> Handler<Close> for Gate<J> {
    type Result = ();

    fn handle(&mut self, _: Close, ctx: &mut Context<Self>) {
        ctx.stop();
        self.refused.waiting.store(true, Ordering::SeqCst);
        self.tell_that_there_is_room();
    }
}

impl<J: Send + Unpin + 'static> Entrance<J> {
    /// Sends a job, or gives it back. After `Full`, `on_room` is called when trying again makes sense.
    pub fn try_send(&self, job: J) -> Result<(), NotTaken<J>> {
        let job = match self.once(job) {
            Err(NotTaken::Full(job)) => job,
            sent_or_closed => return sent_or_closed,
        };
        // The wish to be called is left first and the job tried once more, so
        // that a place which came free in between is not missed.
        self.refused.waiting.store(true, Ordering::SeqCst);
        self.once(job)
    }

    fn once(&self, job: J) -> Result<(), NotTaken<J>> {
        self.gate.try_send(Told(job)).map_err(|error| match error {
            SendError::Full(Told(job)) => NotTaken::Full(job),
            SendError::Closed(Told(job)) => NotTaken::Closed(job),
        })
    }

    /// Who is called when there is room after a refusal; replaces the one before.
    pub fn on_room(&self, on_room: OnRoom) {
        *self.refused.on_room.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_room);
    }

    /// Jobs that could start at once, the one place that the gate holds ahead included.
    pub fn free(&self) -> usize {
        self.permits.free()
    }
}

impl<J: Send + Unpin + 'static> GateControl<J> {
    /// The number of jobs at once, and of places in the mailbox, from now on.
    pub fn resize(&self, limit: Limit) {
        self.permits.resize(limit);
        if let Some(gate) = self.gate.upgrade() {
            tell(&gate, SetCapacity(limit));
        }
    }

    /// Ends the gate: senders get their jobs back as `Closed`, and one that waits for room is called to learn it.
    pub fn close(&self) {
        self.permits.resize(None);
        if let Some(gate) = self.gate.upgrade() {
            tell(&gate, Close);
        }
    }

    /// Lets everything that waits through, then calls `done`. For a work that hands back what it is given.
    pub fn let_all_through(&self, done: impl FnOnce() + Send + 'static) {
        self.permits.resize(None);
        match self.gate.upgrade() {
            Some(gate) => tell(&gate, Fence(Box::new(done))),
            None => done(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::rc::Rc;

    /// What runs behind the gate; the test ends jobs as it likes.
    #[derive(Clone, Default)]
    struct Running(Rc<RefCell<VecDeque<(u32, Permit)>>>);

    impl Running {
        fn work(&self) -> Work<u32> {
            let running = self.clone();
            Box::new(move |job, permit| running.0.borrow_mut().push_back((job, permit)))
        }

        fn count(&self) -> usize {
            self.0.borrow().len()
        }

        fn end_one(&self) -> Option<u32> {
            self.0.borrow_mut().pop_front().map(|(job, _permit)| job)
        }
    }

    /// Lets everything that can happen on this arbiter happen.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn at_most(n: u32) -> Limit {
        NonZeroU32::new(n)
    }

    #[actix::test]
    async fn ten_times_the_limit_at_once_runs_exactly_the_limit_and_the_rest_comes_back() {
        let running = Running::default();
        let (entrance, _control) = Gate::open(at_most(4), running.work());
        settle().await;
        let mut sent = 0;
        let mut back = 0;
        for job in 0..40 {
            match entrance.try_send(job) {
                Ok(()) => sent += 1,
                Err(NotTaken::Full(same)) => {
                    assert_eq!(same, job, "the sender gets its own message back");
                    back += 1;
                }
                Err(NotTaken::Closed(_)) => panic!("the gate is open"),
            }
            settle().await;
            assert!(running.count() <= 4);
        }
        assert_eq!((running.count(), sent, back), (4, 8, 32), "4 run, 4 wait in the mailbox, 32 are pushed back");
        let mut ended = Vec::new();
        while let Some(job) = running.end_one() {
            ended.push(job);
            settle().await;
            assert!(running.count() <= 4);
        }
        assert_eq!(ended, (0..8).collect::<Vec<_>>(), "in the order in which they were sent");
    }

    #[actix::test]
    async fn a_refused_sender_is_called_once_when_there_is_room() {
        let running = Running::default();
        let (entrance, _control) = Gate::open(at_most(1), running.work());
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        entrance.on_room(Arc::new(move || *counted.lock().expect("not poisoned") += 1));
        settle().await;
        for job in 0..2 {
            entrance.try_send(job).expect("one runs, one waits");
            settle().await;
        }
        assert_eq!(*calls.lock().expect("not poisoned"), 0, "nobody was refused yet");
        assert_eq!(entrance.try_send(2), Err(NotTaken::Full(2)));
        running.end_one();
        settle().await;
        assert_eq!(*calls.lock().expect("not poisoned"), 1);
        entrance.try_send(2).expect("there is room now");
    }

    #[actix::test]
    async fn slots_grow_and_shrink_while_work_runs() {
        let running = Running::default();
        let (entrance, control) = Gate::open(at_most(2), running.work());
        settle().await;
        for job in 0..4 {
            entrance.try_send(job).expect("two run, two wait");
            settle().await;
        }
        control.resize(at_most(3));
        settle().await;
        assert_eq!(running.count(), 3, "a new slot takes what waits");
        control.resize(at_most(1));
        running.end_one();
        settle().await;
        assert_eq!(running.count(), 2, "a retired slot takes nothing new");
        running.end_one();
        settle().await;
        assert_eq!(running.count(), 1);
        running.end_one();
        settle().await;
        assert_eq!(running.count(), 1, "the one slot that is left takes the last job");
        control.resize(at_most(2));
        entrance.try_send(9).expect("room");
        settle().await;
        assert_eq!(running.count(), 2);
    }

    #[actix::test]
    async fn no_limit_holds_nothing_back() {
        let running = Running::default();
        let (entrance, _control) = Gate::open(None, running.work());
        for job in 0..5_000 {
            entrance.try_send(job).expect("unlimited");
        }
        settle().await;
        assert_eq!(running.count(), 5_000);
    }

    #[actix::test]
    async fn a_closed_gate_gives_back_what_is_sent() {
        let running = Running::default();
        let (entrance, control) = Gate::open(at_most(1), running.work());
        settle().await;
        control.close();
        settle().await;
        assert_eq!(entrance.try_send(1), Err(NotTaken::Closed(1)));
    }

    #[actix::test]
    async fn what_waits_can_be_let_through_to_be_handed_back() {
        let running = Running::default();
        let (entrance, control) = Gate::open(at_most(2), running.work());
        settle().await;
        for job in 0..4 {
            entrance.try_send(job).expect("two run, two wait");
            settle().await;
        }
        let (done, is_done) = tokio::sync::oneshot::channel();
        control.let_all_through(move || done.send(()).expect("the test waits"));
        is_done.await.expect("the fence is behind the last job");
        assert_eq!(running.count(), 4);
    }
}
