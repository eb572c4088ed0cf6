//! The committed changes as they come, for whoever watches. A page knows at which [`Position`] it was made and can
//! ask for everything since.
//!
//! ```text
//!  tap (scheduler's events, or a look at the database) ─► ring of the newest changes ─► each watcher reads at its pace
//! ```
//!
//! The tap runs only while somebody watches, and a moment longer. A watcher holds nothing but its position, so one
//! that is slow, or gone, costs nothing: when the ring has moved past it, it is told so and reloads.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::time::Time;
use crate::protocol::event::{Change, Event};

/// So many changes are kept for those who come back.
const KEPT: usize = 4_096;
/// So many are handed to one watcher at once.
const PORTION: usize = 256;
/// How long the tap stays open when nobody watches: a page that was just made asks soon.
const LINGER: Duration = Duration::from_secs(20);
/// How long a page waits for the tap to open.
const PATIENCE: Duration = Duration::from_secs(1);
/// After how long a tap that ended by itself is opened again, while somebody watches.
const AGAIN: Duration = Duration::from_millis(500);

/// Brings changes into a [`Sink`] for as long as it is polled.
pub type Tap = Arc<dyn Fn(Sink) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A place in the sequence of changes. `life` tells one server process from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    life: u32,
    number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.life, self.number)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (life, number) = text.split_once('-').ok_or(())?;
        let life = u32::from_str_radix(life, 16).map_err(|_| ())?;
        Ok(Self { life, number: number.parse().map_err(|_| ())? })
    }
}

/// What a watcher hears.
#[derive(Clone, Debug)]
pub enum News {
    /// Changes in their order; then it is at `at`.
    Changes { events: Vec<Arc<Event>>, at: Position },
    /// Something was missed: only a look at the store tells how things are.
    Missed { at: Position },
}

/// The way to the changes. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    tap: Tap,
    linger: Duration,
    life: u32,
    ring: Mutex<Ring>,
    /// The number of the newest change.
    newest: watch::Sender<u64>,
    /// How many watch.
    watchers: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    newest: u64,
    /// Nothing that came before this number can be told any more.
    complete_since: u64,
    /// Counts the openings and looks: a tap that lingers sees whether somebody came meanwhile.
    touched: u64,
    is_tapped: bool,
}

impl Watch {
    pub fn new(tap: Tap) -> Self {
        Self::lingering(tap, LINGER)
    }

    fn lingering(tap: Tap, linger: Duration) -> Self {
        Self(Arc::new(Shared {
            tap,
            linger,
            life: fastrand::u32(..),
            ring: Mutex::new(Ring::default()),
            newest: watch::Sender::new(0),
            watchers: watch::Sender::new(0),
            is_open: watch::Sender::new(false),
        }))
    }

    /// Where things are now. Ask before the store is read: then the page and the changes since leave no gap.
    pub async fn now(&self) -> Position {
        self.open();
        let mut is_open = self.0.is_open.subscribe();
        // A tap that does not open delays no page: the watcher is told that it missed something.
        let _ = tokio::time::timeout(PATIENCE, is_open.wait_for(|is_open| *is_open)).await;
        self.position(self.0.ring().newest)
    }

    /// Everything since `since`; without it, from now on.
    pub fn subscribe(&self, since: Option<Position>) -> Subscription {
        self.0.watchers.send_modify(|watchers| *watchers += 1);
        self.open();
        let newest = self.0.ring().newest;
        // Another life's numbers mean nothing here: too old on purpose.
        let (next, is_foreign) = match since {
            None => (newest, false),
            Some(since) => (since.number.min(newest), since.life != self.0.life || since.number > newest),
        };
        Subscription { watch: self.clone(), at: next, is_foreign, newest: self.0.newest.subscribe() }
    }

    /// How many watch now.
    pub fn watchers(&self) -> usize {
        *self.0.watchers.borrow()
    }

    fn position(&self, number: u64) -> Position {
        Position { life: self.0.life, number }
    }

    /// Lets the tap run, unless it does.
    fn open(&self) {
        let mut ring = self.0.ring();
        ring.touched += 1;
        if std::mem::replace(&mut ring.is_tapped, true) {
            return;
        }
        drop(ring);
        let shared = Arc::clone(&self.0);
        tokio::spawn(shared.run());
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = (self.tap)(Sink(Arc::clone(&self))) => tokio::time::sleep(AGAIN).await,
                () = self.until_nobody_watches() => {}
            }
            let mut ring = self.ring();
            if *self.watchers.borrow() == 0 {
                ring.is_tapped = false;
                // What happens now goes unheard.
                ring.newest += 1;
                ring.complete_since = ring.newest;
                ring.events.clear();
                ring.events.shrink_to_fit();
                self.is_open.send_replace(false);
                return;
            }
            drop(ring);
            // Somebody came in between.
            self.miss();
        }
    }

    async fn until_nobody_watches(&self) {
        let mut watchers = self.watchers.subscribe();
        loop {
            // The sender lives in `self`.
            let _ = watchers.wait_for(|watchers| *watchers == 0).await;
            let touched = self.ring().touched;
            tokio::time::sleep(self.linger).await;
            if *watchers.borrow() == 0 && self.ring().touched == touched {
                return;
            }
        }
    }

    fn push(&self, at: Time, change: Change) {
        let mut ring = self.ring();
        ring.newest += 1;
        let number = ring.newest;
        ring.events.push_back(Arc::new(Event { number, at, change }));
        if ring.events.len() > KEPT {
            ring.events.pop_front();
            ring.complete_since = number - KEPT as u64;
        }
        drop(ring);
        self.newest.send_replace(number);
    }

    fn miss(&self) {
        let mut ring = self.ring();
        ring.newest += 1;
        ring.complete_since = ring.newest;
        ring.events.clear();
        let number = ring.newest;
        drop(ring);
        self.is_open.send_replace(false);
        self.newest.send_replace(number);
    }
}

/// Where a tap puts what it hears.
pub struct Sink(Arc<Shared>);

impl Sink {
    /// From here on nothing is missed.
    pub fn opened(&self) {
        self.0.is_open.send_replace(true);
    }

    pub fn change(&self, at: Time, change: Change) {
        self.0.push(at, change);
    }

    /// Something happened that nobody can tell.
    pub fn missed(&self) {
        self.0.miss();
        self.0.is_open.send_replace(true);
    }
}

/// One watcher.
pub struct Subscription {
    watch: Watch,
    /// The number of the last change that it has heard.
    at: u64,
    is_foreign: bool,
    newest: watch::Receiver<u64>,
}

impl Subscription {
    /// The next news; waits until there is some.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.look() {
                return news;
            }
            // The sender lives in `watch`.
            let _ = self.newest.changed().await;
        }
    }

    fn look(&mut self) -> Option<News> {
        self.newest.mark_unchanged();
        let ring = self.watch.0.ring();
        if self.is_foreign || self.at < ring.complete_since {
            self.is_foreign = false;
            self.at = ring.newest;
            return Some(News::Missed { at: self.watch.position(self.at) });
        }
        if self.at == ring.newest {
            return None;
        }
        let first = ring.events.partition_point(|event| event.number <= self.at);
        let events: Vec<_> = ring.events.iter().skip(first).take(PORTION).cloned().collect();
        let last = events.last()?.number;
        drop(ring);
        self.at = last;
        Some(News::Changes { events, at: self.watch.position(last) })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.watch.0.watchers.send_modify(|watchers| *watchers -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::{mpsc, watch as signal};

    use super::*;
    use crate::domain::ids::DagId;

    /// A tap that lets through what the test says, and tells how many of it run.
    struct Source {
        watch: Watch,
        say: mpsc::UnboundedSender<()>,
        running: signal::Receiver<usize>,
    }

    struct Counted(signal::Sender<usize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.send_modify(|running| *running -= 1);
        }
    }

    fn source(linger: Duration) -> Source {
        let (say, said) = mpsc::unbounded_channel();
        let said = Arc::new(tokio::sync::Mutex::new(said));
        let (count, running) = signal::channel(0);
        let number = Arc::new(AtomicUsize::new(0));
        let tap: Tap = Arc::new(move |sink: Sink| {
            let (said, count, number) = (Arc::clone(&said), count.clone(), Arc::clone(&number));
            Box::pin(async move {
                count.send_modify(|running| *running += 1);
                let _counted = Counted(count);
                let mut said = said.lock().await;
                sink.opened();
                while said.recv().await.is_some() {
                    let dag = DagId::new(format!("d{}", number.fetch_add(1, Ordering::Relaxed))).expect("a DAG id");
                    sink.change(chrono::Utc::now(), Change::Dag { dag });
                }
            })
        });
        Source { watch: Watch::lingering(tap, linger), say, running }
    }

    fn dags(news: News) -> Vec<String> {
        match news {
            News::Changes { events, .. } => events
                .iter()
                .map(|event| match &event.change {
                    Change::Dag { dag } => dag.to_string(),
                    other => panic!("{other:?}"),
                })
                .collect(),
            News::Missed { .. } => vec!["missed".to_owned()],
        }
    }

    #[tokio::test]
    async fn a_page_hears_of_everything_since_it_was_made() {
        let Source { watch, say, .. } = source(LINGER);
        let made = watch.now().await;
        say.send(()).expect("it listens");
        let mut early = watch.subscribe(Some(made));
        assert_eq!(dags(early.next().await), ["d0"]);
        let mut late = watch.subscribe(None);
        say.send(()).expect("it listens");
        assert_eq!((dags(early.next().await), dags(late.next().await)), (vec!["d1".to_owned()], vec!["d1".to_owned()]));
        let News::Changes { at, .. } = watch.subscribe(Some(made)).next().await else { panic!("both are there") };
        assert_eq!(at.to_string().parse(), Ok(at));
    }

    #[tokio::test]
    async fn a_watcher_that_is_too_slow_or_of_another_life_is_told_to_look_anew() {
        let Source { watch, say, .. } = source(LINGER);
        let made = watch.now().await;
        let mut slow = watch.subscribe(Some(made));
        let mut newest = watch.0.newest.subscribe();
        (0..KEPT + 10).for_each(|_| say.send(()).expect("it listens"));
        newest.wait_for(|newest| *newest >= (KEPT + 10) as u64).await.expect("it lives");
        assert_eq!(dags(slow.next().await), ["missed"]);
        say.send(()).expect("it listens");
        assert_eq!(dags(slow.next().await), [format!("d{}", KEPT + 10)], "it goes on from there");
        let foreign = Position { life: made.life.wrapping_add(1), ..made };
        assert_eq!(dags(watch.subscribe(Some(foreign)).next().await), ["missed"]);
        let ahead = Position { number: u64::MAX, ..made };
        assert_eq!(dags(watch.subscribe(Some(ahead)).next().await), ["missed"]);
    }

    #[tokio::test]
    async fn nothing_runs_when_nobody_watches_and_what_happened_then_is_known_to_be_missed() {
        let Source { watch, say, mut running } = source(Duration::from_millis(10));
        assert_eq!(*running.borrow(), 0, "nobody has asked yet");
        let made = watch.now().await;
        let watchers: Vec<_> = (0..200).map(|_| watch.subscribe(None)).collect();
        assert_eq!((*running.borrow_and_update(), watch.watchers()), (1, 200));
        drop(watchers);
        running.wait_for(|running| *running == 0).await.expect("the tap is closed");
        assert_eq!(watch.watchers(), 0);
        let mut back = watch.subscribe(Some(made));
        assert_eq!(dags(back.next().await), ["missed"]);
        say.send(()).expect("it listens");
        assert_eq!(dags(back.next().await), ["d0"]);
    }
}
