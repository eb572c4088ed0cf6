//! One attempt, from the grant to its last line of output: prepare, start, stream, stop, judge.
//!
//! ```text
//!  prepare ──► spawn ──► stream output, answer questions ──► exit ──► group gone, output ended ──► judge
//!     │           │            │ Stop or timeout: TERM, grace, KILL
//!     └───────────┴── Unstartable
//! ```
//!
//! A slot runs on the arbiter, beside the worker actor, which alone decides what
//! a claim may do. The slot tells it what happened, and never reports by itself.

mod decided;
mod hear;
mod pieces;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use chrono::Utc;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::companion::ProcessId;
use super::companion::frame::{End, FromCompanion, Remark, Stop};
use super::leftover::TempFolders;
use super::log::{Level, TaskLog};
use super::operator::channel::{Channel, First};
use super::operator::{self, Job, Judged, Prepared, Unstartable};
use super::output::LastLine;
use super::process::{Companion, Process};
use super::question::{found, question, secrets};
use super::settings::WorkerSettings;
use super::shipping::Shipper;
use crate::domain::attempt::Outcome;
use crate::domain::ids::Claim;

use crate::domain::template::{Lookups, Wanted};
use crate::domain::time::{Time, to_micros};
use crate::protocol::task_channel::{Finish, FromTask, ToTask};
use crate::protocol::work::{Answer, Question, Report, TaskMessage};

/// A line without a newline is shown when the task writes nothing for so long.
const SHOW_AFTER: Duration = Duration::from_millis(100);

/// How long output is awaited when the process group is gone and something outside it still holds the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why an attempt ended that was not its own doing.
const COMPANION_ENDED: &str = "The worker's companion ended, and with it the attempt";

/// What the worker tells a slot.
#[derive(Debug)]
pub enum SlotOrder {
    /// End the process; or start none, if none was started.
    Stop {
        why: StopWhy,
        grace: Duration,
    },
    /// Start no process, if none was started. One that runs goes on.
    Withdraw,
    Answer {
        seq: u64,
        answer: Answer,
    },
}

/// Why a running attempt is made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopWhy {
    Terminated,
    Drained,
    TimedOut,
}

/// What a slot tells its worker.
#[derive(Debug)]
pub enum SlotNews {
    Started {
        process: ProcessId,
        at: Time,
    },
    Asked {
        seq: u64,
        question: Question,
    },
    /// Nothing was started and nothing will be: it was told so in time.
    Withdrawn,
    Ended {
        how: Ended,
        report: Box<Report>,
    },
}

/// At which point of the claim's life it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Unstartable,
    Exited,
    /// The lease is over, or the companion gone.
    Fenced,
}

/// Everything that running one attempt needs.
pub struct Slot {
    pub claim: Claim,
    pub task: Box<TaskMessage>,
    pub settings: Rc<WorkerSettings>,
    pub folders: Rc<TempFolders>,
    pub companion: Companion,
    /// Over a broker: who ships the log.
    pub shipper: Option<Shipper>,
    pub orders: mpsc::UnboundedReceiver<SlotOrder>,
    pub tell: Box<dyn Fn(Claim, SlotNews)>,
}

/// A process that runs, and what is known of it so far.
struct Running {
    process: Process,
    pid: Option<ProcessId>,
    started_at: Time,
    output: pipe::Receiver,
    output_ended: bool,
    channel: Option<Channel>,
    result: Option<LastLine>,
    finish: Option<Finish>,
    xcoms: Vec<(String, Value)>,
    /// Questions for what may be secret, until they are answered.
    asked: BTreeMap<u64, Wanted>,
    stopping: Option<StopWhy>,
    kill_at: Option<Instant>,
    end: Option<End>,
    /// Processes of its group outlived it.
    strays: bool,
    fenced: bool,
}

impl Slot {
    /// Runs the attempt to its end.
    pub async fn run(mut self) {
        let (path, bound) = (&self.task.log_path, self.settings.max_task_log_bytes);
        let feed = self.shipper.as_ref().map(|shipper| shipper.feed(self.task.attempt, path));
        let mut log = TaskLog::new(&self.settings.base_log_folder, path, bound).shipped_by(feed);
        let source = operator::source(&self.task.operator);
        let title = self.title(source);
        log.say(Utc::now(), "worker", Level::Info, &title);

        let news = match self.start(&mut log).await {
            Err(Unstartable(why)) => self.unstartable(&mut log, why),
            Ok(None) => self.end_of_nothing(&mut log),
            Ok(Some(started)) => self.follow(started, &mut log).await,
        };
        match &news {
            // What was withdrawn may be another worker's next, and so may its log.
            SlotNews::Withdrawn => {}
            SlotNews::Started { .. } | SlotNews::Asked { .. } | SlotNews::Ended { .. } => log.release(),
        }
        log.flush();
        drop(log);
        (self.tell)(self.claim, news);
    }

    fn title(&self, source: &str) -> String {
        let (task, worker) = (&self.task, &self.settings.name);
        match &task.notice {
            Some(notice) => {
                format!("{}: {}, worker {worker}", notice.title(&task.key, task.try_number), notice.summary)
            }
            None => {
                let tries = task.max_tries.saturating_add(1);
                format!("Attempt {} of {tries}: task {}, operator {source}, worker {worker}", task.try_number, task.key)
            }
        }
    }

    /// Makes the process. `None` when the operator has nothing to run.
    async fn start(&mut self, log: &mut TaskLog) -> Result<Option<Started>, Unstartable> {
        match self.take_pieces().await {
            Some(settled) => settled?,
            None => return Ok(Some(Started::Withdrawn)),
        }
        let lookups = Lookups::default();
        let (now, prepared) = loop {
            let now = Utc::now();
            let prepared = operator::prepare(&self.task, self.claim, now, &self.settings, &self.folders, &lookups);
            let wanted = lookups.wanted();
            if wanted.is_empty() {
                break (now, prepared?);
            }
            if !self.look_up(&lookups, wanted, log).await {
                return Ok(Some(Started::Withdrawn));
            }
        };
        let mut job = match prepared {
            Prepared::Nothing => return Ok(None),
            Prepared::Decided(decided) => return Ok(Some(Started::Decided(decided))),
            Prepared::Process(job) => job,
        };
        log.say(now, operator::source(&self.task.operator), Level::Info, &format!("Running command: {}", job.shown));
        // The channel is the process's; it comes with the job and leaves with the frame.
        let (channel, stdin) = match job.start.take() {
            Some(start) => {
                log.hide(secrets_of(&start));
                let opened = Channel::open(start);
                let (channel, stdin) =
                    opened.map_err(|error| Unstartable(format!("cannot open the task's channel: {error}")))?;
                (Some(channel), Some(stdin))
            }
            None => (None, None),
        };
        let pipe = || -> std::io::Result<(pipe::Receiver, OwnedFd)> {
            let (reading, writing) = pipe_with(PipeFlags::CLOEXEC)?;
            Ok((pipe::Receiver::from_owned_fd(reading)?, writing))
        };
        let (output, writing) =
            pipe().map_err(|error| Unstartable(format!("cannot make a pipe for the task's output: {error}")))?;
        if self.is_withdrawn() {
            return Ok(Some(Started::Withdrawn));
        }
        let process = match self.companion.spawn(job.spec.clone(), writing, stdin) {
            Ok(process) => process,
            // Its end is the machinery's failure and not the task's: the worker will hear of it in a moment.
            Err(error) if is_gone(&error) => return Ok(Some(Started::CompanionGone)),
            Err(error) => return Err(Unstartable(format!("cannot ask the companion for a process: {error}"))),
        };
        Ok(Some(Started::Asked(Box::new(Asked { job, process, output, channel }))))
    }

    /// Asks for what the templates want; `false` when the attempt was withdrawn meanwhile.
    async fn look_up(&mut self, lookups: &Lookups, wanted: Vec<Wanted>, log: &mut TaskLog) -> bool {
        let mut open = BTreeMap::new();
        for (seq, wanted) in (1..).zip(wanted) {
            (self.tell)(self.claim, SlotNews::Asked { seq, question: question(&wanted) });
            open.insert(seq, wanted);
        }
        while !open.is_empty() {
            match self.orders.recv().await {
                Some(SlotOrder::Answer { seq, answer }) => {
                    let Some(wanted) = open.remove(&seq) else { continue };
                    log.hide(secrets(&self.settings.sensitive, &answer, &wanted));
                    lookups.put(wanted, found(answer));
                }
                Some(SlotOrder::Stop { .. } | SlotOrder::Withdraw) | None => return false,
            }
        }
        true
    }

    /// Whether an order came before anything was started.
    fn is_withdrawn(&mut self) -> bool {
        match self.orders.try_recv() {
            Ok(SlotOrder::Stop { .. } | SlotOrder::Withdraw) => true,
            Ok(SlotOrder::Answer { .. }) | Err(_) => false,
        }
    }

    async fn follow(&mut self, started: Started, log: &mut TaskLog) -> SlotNews {
        let Asked { mut job, mut process, output, channel } = match started {
            Started::Withdrawn => return withdrawn(log),
            Started::CompanionGone => return self.fenced_unstarted(log),
            Started::Decided(decided) => return self.decide(decided, log).await,
            Started::Asked(asked) => *asked,
        };
        let pid = match process.news().await {
            Some(FromCompanion::Spawned { pid, start_time, remark, .. }) => {
                self.note(log, remark);
                Some(ProcessId { pid, start_time })
            }
            Some(FromCompanion::SpawnFailed { why, .. }) => return self.unstartable(log, why),
            // The companion went: whether the process was started is not known.
            Some(
                FromCompanion::Ready { .. }
                | FromCompanion::Cannot { .. }
                | FromCompanion::Exited { .. }
                | FromCompanion::Gone { .. }
                | FromCompanion::LeaseOver,
            )
            | None => None,
        };
        let started_at = to_micros(Utc::now());
        let mut running = Running {
            process,
            pid,
            started_at,
            output,
            output_ended: false,
            channel,
            result: (self.task.do_xcom_push && operator::has_result_line(&self.task.operator)).then(LastLine::default),
            finish: None,
            xcoms: Vec::new(),
            asked: BTreeMap::new(),
            stopping: None,
            kill_at: None,
            end: None,
            strays: false,
            fenced: pid.is_none(),
        };
        if let Some(process) = pid {
            log.say(started_at, "worker", Level::Info, &format!("Process {} started", process.pid));
            log.release();
            log.flush();
            (self.tell)(self.claim, SlotNews::Started { process, at: started_at });
            self.stream(&mut running, log).await;
        }
        // Before the report: whoever hears it may count on the folder being gone.
        if let Some(leftover) = &mut job.leftover
            && (running.fenced || running.strays || !running.output_ended)
        {
            leftover.never_reuse();
        }
        drop(job);
        self.conclude(running, log)
    }

    /// What the companion said about how the process began.
    fn note(&self, log: &mut TaskLog, remark: Option<Remark>) {
        match remark {
            Some(Remark::Otherwise(why)) => log.say(Utc::now(), "worker", Level::Warning, &why),
            Some(Remark::Slower(why)) => {
                tracing::debug!(file = self.task.run.file, %why, "a file is not kept imported")
            }
            None => {}
        }
    }

    /// Streams output and answers questions until the process, its group and its output have ended.
    async fn stream(&mut self, running: &mut Running, log: &mut TaskLog) {
        let source = operator::source(&self.task.operator);
        let slack = operator::sdk::slack(&self.task, &self.settings);
        let timeout = self.task.execution_timeout.and_then(|timeout| Instant::now().checked_add(timeout + slack));
        let mut buffer = vec![0; 16 * 1024];
        let mut show_at: Option<Instant> = None;
        let mut group_gone: Option<Instant> = None;
        let mut orders_open = true;
        loop {
            let last_words = group_gone.map(|at| at + LAST_WORDS);
            let heard_everything = running.output_ended && running.channel.is_none();
            if running.fenced
                || (group_gone.is_some() && heard_everything)
                || last_words.is_some_and(|until| until <= Instant::now())
            {
                return;
            }
            let timeout = timeout.filter(|_| running.stopping.is_none() && running.end.is_none());
            tokio::select! {
                read = running.output.read(&mut buffer), if !running.output_ended => match read {
                    Ok(0) | Err(_) => running.output_ended = true,
                    Ok(got) => {
                        let bytes = &buffer[..got];
                        log.output(Utc::now(), source, bytes);
                        log.flush();
                        if let Some(result) = &mut running.result {
                            result.push(bytes);
                        }
                        show_at = (!bytes.ends_with(b"\n")).then(|| Instant::now() + SHOW_AFTER);
                    }
                },
                news = running.process.news(), if group_gone.is_none() => match news {
                    Some(FromCompanion::Exited { end, strays, .. }) => {
                        running.end = Some(end);
                        running.strays = strays;
                        if !strays {
                            group_gone = Some(Instant::now());
                        }
                    }
                    Some(FromCompanion::Gone { .. }) => group_gone = Some(Instant::now()),
                    Some(FromCompanion::LeaseOver) | None => running.fenced = true,
                    Some(
                        FromCompanion::Ready { .. }
                        | FromCompanion::Cannot { .. }
                        | FromCompanion::Spawned { .. }
                        | FromCompanion::SpawnFailed { .. },
                    ) => {}
                },
                order = self.orders.recv(), if orders_open => match order {
                    Some(SlotOrder::Stop { why, grace }) => self.stop(running, log, why, grace),
                    Some(SlotOrder::Withdraw) => {}
                    Some(SlotOrder::Answer { seq, answer }) => {
                        // Before the task can print it.
                        if let Some(asked) = running.asked.remove(&seq) {
                            log.hide(secrets(&self.settings.sensitive, &answer, &asked));
                        }
                        if let Some(channel) = &mut running.channel {
                            channel.answer(seq, answer);
                        }
                    }
                    None => orders_open = false,
                },
                heard = hear(&mut running.channel), if running.channel.is_some() => self.hear(running, log, heard),
                () = at(show_at) => {
                    show_at = None;
                    log.pause(Utc::now(), source);
                },
                () = at(timeout) => self.stop(running, log, StopWhy::TimedOut, self.settings.kill_grace),
                () = at(running.kill_at) => {
                    running.kill_at = None;
                    log.say(Utc::now(), "worker", Level::Warning, "It did not end in time: sending KILL to its process group");
                    log.flush();
                    running.process.signal(Stop::Kill);
                },
                () = at(last_words) => return,
            }
        }
    }

    /// TERM now, KILL after `grace`. A second order can only hurry the first.
    fn stop(&self, running: &mut Running, log: &mut TaskLog, why: StopWhy, grace: Duration) {
        if running.end.is_some() {
            return;
        }
        let kill_at = Instant::now() + grace;
        if running.stopping.is_none() {
            running.stopping = Some(why);
            let text =
                format!("{}: sending TERM to its process group, KILL in {} s", self.reason(why), grace.as_secs_f64());
            log.say(Utc::now(), "worker", Level::Warning, &text);
            log.flush();
            running.process.signal(Stop::Term);
            running.kill_at = Some(kill_at);
        } else if let Some(planned) = &mut running.kill_at {
            *planned = kill_at.min(*planned);
        }
    }

    fn reason(&self, why: StopWhy) -> String {
        match why {
            StopWhy::Terminated => "The scheduler ended this attempt".to_owned(),
            StopWhy::Drained => "The worker has to leave".to_owned(),
            StopWhy::TimedOut => {
                let limit = self.task.execution_timeout.unwrap_or_default().as_secs_f64();
                match self.task.notice {
                    Some(_) => format!("The callback ran longer than [workers] callback_timeout = {limit} s"),
                    None => format!("The task ran longer than its execution_timeout of {limit} s"),
                }
            }
        }
    }

    fn conclude(&self, running: Running, log: &mut TaskLog) -> SlotNews {
        let ended_at = to_micros(Utc::now()).max(running.started_at);
        log.end_output(ended_at, operator::source(&self.task.operator));
        let mut xcoms = running.xcoms;
        let mut finish = running.finish;
        let outlet_events = finish.as_mut().map(|finish| std::mem::take(&mut finish.outlet_events)).unwrap_or_default();
        let (how, judged) = match (running.stopping, running.end) {
            (_, None) => (Ended::Fenced, judged(Outcome::Fenced, COMPANION_ENDED.to_owned())),
            (Some(why), Some(_)) => {
                let outcome = match why {
                    StopWhy::TimedOut => Outcome::TimedOut,
                    StopWhy::Terminated | StopWhy::Drained => Outcome::Killed,
                };
                (Ended::Exited, judged(outcome, self.reason(why)))
            }
            (None, Some(end)) => (Ended::Exited, operator::judge(&self.task.operator, end, finish)),
        };
        if let (Outcome::Success, Some(result)) = (judged.outcome, running.result) {
            match result.end() {
                Ok(line) => xcoms.push(operator::result(line)),
                Err(length) => {
                    let text = format!(
                        "The last line of output has {length} bytes, more than the {} that a result may have: it is not stored",
                        super::output::MAX_RESULT
                    );
                    log.say(ended_at, "worker", Level::Warning, &text);
                }
            }
        }
        let exit_code = running.end.map(End::returncode);
        let level = match judged.outcome {
            Outcome::Success | Outcome::Skipped | Outcome::Rescheduled | Outcome::Deferred => Level::Info,
            Outcome::Failed { .. }
            | Outcome::TimedOut
            | Outcome::Killed
            | Outcome::Fenced
            | Outcome::Lost
            | Outcome::NeverStarted
            | Outcome::Undeliverable => Level::Error,
        };
        if let Some(message) = &judged.message {
            log.say(ended_at, "worker", level, message);
        }
        let text = format!(
            "Ended as {}{} after {:.3} s",
            judged.outcome.as_str(),
            exit_code.map(|code| format!(" with exit code {code}")).unwrap_or_default(),
            (ended_at - running.started_at).to_std().unwrap_or_default().as_secs_f64(),
        );
        log.say(ended_at, "worker", level, &text);
        let report = Report {
            attempt: self.task.attempt,
            claim: self.claim,
            outcome: judged.outcome,
            exit_code,
            message: judged.message.map(|message| log.masked(&message)),
            started_at: Some(running.started_at),
            ended_at,
            pid: running.pid.map(|process| process.pid),
            xcoms,
            outlet_events,
            awaited: judged.awaited,
        };
        SlotNews::Ended { how, report: Box::new(report) }
    }

    fn unstartable(&self, log: &mut TaskLog, why: String) -> SlotNews {
        log.say(Utc::now(), "worker", Level::Error, &why);
        let why = log.masked(&why);
        self.ended_unstarted(Ended::Unstartable, Outcome::Failed { retryable: true }, Some(why))
    }

    fn end_of_nothing(&self, log: &mut TaskLog) -> SlotNews {
        log.say(Utc::now(), "worker", Level::Info, "There is nothing to run");
        self.ended_unstarted(Ended::Unstartable, Outcome::Success, None)
    }

    fn fenced_unstarted(&self, log: &mut TaskLog) -> SlotNews {
        log.say(Utc::now(), "worker", Level::Error, COMPANION_ENDED);
        self.ended_unstarted(Ended::Fenced, Outcome::Fenced, Some(COMPANION_ENDED.to_owned()))
    }

    fn ended_unstarted(&self, how: Ended, outcome: Outcome, message: Option<String>) -> SlotNews {
        let report = Report {
            attempt: self.task.attempt,
            claim: self.claim,
            outcome,
            exit_code: None,
            message,
            started_at: None,
            ended_at: to_micros(Utc::now()),
            pid: None,
            xcoms: Vec::new(),
            outlet_events: Vec::new(),
            awaited: None,
        };
        SlotNews::Ended { how, report: Box::new(report) }
    }
}

/// An end that the process did not choose.
fn judged(outcome: Outcome, message: String) -> Judged {
    Judged { outcome, message: Some(message), awaited: None }
}

/// What of the first word must not stand in the log.
fn secrets_of(first: &First) -> Vec<String> {
    match first {
        First::Sdk(_) => Vec::new(),
        First::Bridge(first) => match &**first {
            ToTask::Start(_) => Vec::new(),
            ToTask::Operate(operate) => operate.mail.password.iter().map(|password| password.0.clone()).collect(),
        },
    }
}

fn withdrawn(log: &mut TaskLog) -> SlotNews {
    log.say(Utc::now(), "worker", Level::Info, "Given back before it started");
    SlotNews::Withdrawn
}

/// Whether the other end of the companion's socket is closed.
fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}

/// How far starting came.
enum Started {
    Withdrawn,
    /// There is nobody to ask.
    CompanionGone,
    /// Nothing is to be started: what it decides is known.
    Decided(operator::decide::Decided),
    Asked(Box<Asked>),
}

/// The companion was asked for the process.
struct Asked {
    job: Box<Job>,
    process: Process,
    output: pipe::Receiver,
    channel: Option<Channel>,
}

/// At that time; never, if there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn hear(channel: &mut Option<Channel>) -> Option<Result<FromTask, String>> {
    match channel {
        Some(channel) => channel.hear().await,
        None => std::future::pending().await,
    }
}
