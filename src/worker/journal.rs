//! What a worker must not forget: its lives, its processes and its unsettled outcomes (PROTOCOL §7).
//!
//! One append-only file of JSON lines per state directory. What is written here
//! survives `kill -9` of the worker at once, and a loss of power after
//! [`Journal::to_sync`] was synced. It never holds back a task: an outcome counts when
//! the database has it, so the hot path pays no fsync.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::companion::ProcessId;
use super::shipping::{Mark, Note};
use crate::domain::ids::{AttemptId, Claim, Incarnation, WorkerId};
use crate::protocol::work::Report;

/// Beyond this many bytes the journal is written anew with what still counts.
const COMPACT_AT: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record {
    /// Whose journal it is. A copy on another machine is another worker's.
    Worker {
        id: WorkerId,
        machine: String,
    },
    Incarnation {
        n: Incarnation,
    },
    Start {
        claim: Claim,
        process: ProcessId,
    },
    Outcome {
        report: Box<Report>,
    },
    Settled {
        claim: Claim,
    },
    /// A log that is being shipped over a broker, and how far it came.
    Log {
        mark: Mark,
    },
    /// It was shipped to its end.
    Shipped {
        attempt: AttemptId,
    },
}

/// The open journal of a running worker.
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    worker: WorkerId,
    machine: String,
    incarnation: Incarnation,
    running: HashMap<Claim, ProcessId>,
    unsettled: BTreeMap<Claim, Report>,
    unshipped: BTreeMap<AttemptId, Mark>,
    unsynced: bool,
}

/// What earlier lives left behind.
#[derive(Debug, Default, PartialEq)]
pub struct Past {
    /// Processes that started and of which no outcome is known.
    pub running: Vec<(Claim, ProcessId)>,
    /// Outcomes that nobody confirmed.
    pub unsettled: Vec<Report>,
    /// What is wrong with the file, in sentences.
    pub remarks: Vec<String>,
}

/// What a dead worker left in its journal, for its companion.
#[derive(Debug, PartialEq)]
pub struct Remains {
    pub incarnation: Incarnation,
    pub unsettled: Vec<Report>,
    pub unshipped: Vec<Mark>,
}

/// Why there is no journal, and so no worker.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} the worker's journal {path}: {error}", path = path.display())]
pub struct JournalError {
    act: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl Journal {
    /// Opens the journal and begins the next incarnation, which is on disk when this returns.
    ///
    /// `fresh` is the id of the worker if this turns out to be a new one.
    pub fn open(path: &Path, machine: &str, fresh: WorkerId) -> Result<(Self, Past), JournalError> {
        let failed = |act| move |error| JournalError { act, path: path.to_owned(), error };
        let mut past = Past::default();
        let mut read = read(path, &mut past.remarks).map_err(failed("read"))?;
        if let Some((_, of)) = &read.worker
            && of != machine
        {
            let aside = path.with_extension("of-another-machine");
            fs::rename(path, &aside).map_err(failed("set aside"))?;
            past.remarks.push(format!(
                "the journal is a copy from another machine: kept as {}, this is a new worker",
                aside.display()
            ));
            read = Read::default();
        }
        let worker = read.worker.map_or(fresh, |(id, _)| id);
        past.running = read.running.iter().map(|(claim, process)| (*claim, *process)).collect();
        past.running.sort_by_key(|(claim, _)| *claim);
        past.unsettled = read.unsettled.values().cloned().collect();
        let mut journal = Self {
            path: path.to_owned(),
            file: File::open("/dev/null").map_err(failed("open"))?,
            bytes: 0,
            worker,
            machine: machine.to_owned(),
            incarnation: read.incarnation.next(),
            running: read.running,
            unsettled: read.unsettled,
            unshipped: read.unshipped,
            unsynced: false,
        };
        journal.rewrite().map_err(failed("write"))?;
        Ok((journal, past))
    }

    /// Reads what is left, and changes nothing.
    pub fn remains(path: &Path) -> Result<Remains, JournalError> {
        let read =
            read(path, &mut Vec::new()).map_err(|error| JournalError { act: "read", path: path.to_owned(), error })?;
        Ok(Remains {
            incarnation: read.incarnation,
            unsettled: read.unsettled.into_values().collect(),
            unshipped: read.unshipped.into_values().collect(),
        })
    }

    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Outcomes that nobody confirmed yet.
    pub fn unsettled(&self) -> impl Iterator<Item = &Report> {
        self.unsettled.values()
    }

    /// Logs of which the broker does not have everything.
    pub fn unshipped(&self) -> impl Iterator<Item = &Mark> {
        self.unshipped.values()
    }

    /// What the shipper of logs should know in its next life.
    pub fn note(&mut self, note: &Note) -> Result<(), JournalError> {
        match note {
            Note::Log(mark) => {
                self.unshipped.insert(mark.attempt, mark.clone());
                self.append(&Record::Log { mark: mark.clone() })
            }
            Note::Done(attempt) => {
                self.unshipped.remove(attempt);
                self.append(&Record::Shipped { attempt: *attempt })?;
                self.compact_if_long()
            }
        }
    }

    /// Every process of earlier lives is proven gone (W6).
    pub fn earlier_processes_are_gone(&mut self) -> Result<(), JournalError> {
        if self.running.is_empty() {
            return Ok(());
        }
        self.running.clear();
        self.rewrite().map_err(|error| JournalError { act: "write", path: self.path.clone(), error })
    }

    /// A process runs.
    pub fn start(&mut self, claim: Claim, process: ProcessId) -> Result<(), JournalError> {
        self.running.insert(claim, process);
        self.append(&Record::Start { claim, process })
    }

    /// An attempt ended; written before the report leaves.
    pub fn outcome(&mut self, report: &Report) -> Result<(), JournalError> {
        self.running.remove(&report.claim);
        self.unsettled.insert(report.claim, report.clone());
        self.unsynced = true;
        self.append(&Record::Outcome { report: Box::new(report.clone()) })
    }

    /// The report of `claim` was recorded: it needs not be repeated.
    pub fn settled(&mut self, claim: Claim) -> Result<(), JournalError> {
        if self.unsettled.remove(&claim).is_none() {
            return Ok(());
        }
        self.append(&Record::Settled { claim })?;
        self.compact_if_long()
    }

    fn compact_if_long(&mut self) -> Result<(), JournalError> {
        if self.bytes >= COMPACT_AT {
            self.rewrite().map_err(|error| JournalError { act: "compact", path: self.path.clone(), error })?;
        }
        Ok(())
    }

    /// Writes everything that still counts again, after a write failed.
    pub fn mend(&mut self) -> Result<(), JournalError> {
        self.rewrite().map_err(|error| JournalError { act: "write", path: self.path.clone(), error })
    }

    /// A file to call `sync_data` on, on a thread that may wait; `None` when every outcome is settled or on disk.
    pub fn to_sync(&mut self) -> Option<File> {
        if !self.unsynced || self.unsettled.is_empty() {
            return None;
        }
        self.unsynced = false;
        self.file.try_clone().ok()
    }

    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let written = line(record).and_then(|line| {
            // One write per record: a record is either there or torn at its end, which reading tolerates.
            self.file.write_all(&line)?;
            self.bytes += u64::try_from(line.len()).unwrap_or(0);
            Ok(())
        });
        written.map_err(|error| JournalError { act: "write", path: self.path.clone(), error })
    }

    /// Writes a new file with what still counts, durable before it takes the old one's place.
    fn rewrite(&mut self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut bytes = line(&Record::Worker { id: self.worker, machine: self.machine.clone() })?;
        bytes.extend(line(&Record::Incarnation { n: self.incarnation })?);
        for (claim, process) in &self.running {
            bytes.extend(line(&Record::Start { claim: *claim, process: *process })?);
        }
        for report in self.unsettled.values() {
            bytes.extend(line(&Record::Outcome { report: Box::new(report.clone()) })?);
        }
        for mark in self.unshipped.values() {
            bytes.extend(line(&Record::Log { mark: mark.clone() })?);
        }
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&beside)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.file = file;
        self.bytes = u64::try_from(bytes.len()).unwrap_or(0);
        self.unsynced = false;
        Ok(())
    }
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

#[derive(Default)]
struct Read {
    worker: Option<(WorkerId, String)>,
    incarnation: Incarnation,
    running: HashMap<Claim, ProcessId>,
    unsettled: BTreeMap<Claim, Report>,
    unshipped: BTreeMap<AttemptId, Mark>,
}

fn read(path: &Path, remarks: &mut Vec<String>) -> io::Result<Read> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::default()),
        Err(error) => return Err(error),
    };
    let mut read = Read::default();
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(Record::Worker { id, machine }) => read.worker = Some((id, machine)),
            Ok(Record::Incarnation { n }) => read.incarnation = read.incarnation.max(n),
            Ok(Record::Start { claim, process }) => {
                read.running.insert(claim, process);
            }
            Ok(Record::Outcome { report }) => {
                read.running.remove(&report.claim);
                read.unsettled.insert(report.claim, *report);
            }
            Ok(Record::Settled { claim }) => {
                read.unsettled.remove(&claim);
            }
            Ok(Record::Log { mark }) => {
                read.unshipped.insert(mark.attempt, mark);
            }
            Ok(Record::Shipped { attempt }) => {
                read.unshipped.remove(&attempt);
            }
            // The machine stopped in the middle of the last record: it was never acted upon.
            Err(_) if lines.peek().is_none() => {}
            Err(error) => {
                remarks.push(format!("line {} of {} is damaged and left out: {error}", index + 1, path.display()))
            }
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt::Outcome;
    use crate::domain::ids::AttemptId;
    use uuid::Uuid;

    fn open(folder: &Path, machine: &str, fresh: u128) -> (Journal, Past) {
        Journal::open(&folder.join("journal"), machine, WorkerId(Uuid::from_u128(fresh))).expect("a writable folder")
    }

    fn claim(journal: &Journal, n: i64) -> Claim {
        Claim { worker: journal.worker(), incarnation: journal.incarnation(), n }
    }

    fn report(claim: Claim) -> Report {
        Report {
            attempt: AttemptId(Uuid::from_u128(9)),
            claim,
            outcome: Outcome::Success,
            exit_code: Some(0),
            message: None,
            started_at: None,
            ended_at: chrono::DateTime::UNIX_EPOCH,
            pid: None,
            xcoms: vec![("return_value".to_owned(), "a\nb".into())],
            outlet_events: Vec::new(),
            awaited: None,
        }
    }

    const PROCESS: ProcessId = ProcessId { pid: 42, start_time: 7 };

    #[test]
    fn the_next_life_knows_what_ran_and_what_was_not_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, past) = open(folder.path(), "m", 1);
        assert_eq!((journal.incarnation(), past), (Incarnation(1), Past::default()));
        let [settled, unsettled, running] = [1, 2, 3].map(|n| claim(&journal, n));
        for claim in [settled, unsettled, running] {
            journal.start(claim, PROCESS).expect("written");
        }
        for claim in [settled, unsettled] {
            journal.outcome(&report(claim)).expect("written");
        }
        journal.settled(settled).expect("written");

        let (mut next, past) = open(folder.path(), "m", 2);
        assert_eq!((next.worker(), next.incarnation()), (WorkerId(Uuid::from_u128(1)), Incarnation(2)));
        assert_eq!(past.unsettled, [report(unsettled)]);
        assert_eq!(past.running, [(running, PROCESS)]);
        let (_, again) = open(folder.path(), "m", 2);
        assert_eq!(again.running, past.running, "they are remembered until they are proven gone");
        next.earlier_processes_are_gone().expect("written");
        let (_, past) = open(folder.path(), "m", 3);
        assert_eq!(past.unsettled, [report(unsettled)], "it is carried on until it is settled");
        assert_eq!(past.running, []);
    }

    #[test]
    fn a_torn_last_record_is_no_record_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), "m", 1);
        let first = claim(&journal, 1);
        journal.outcome(&report(first)).expect("written");
        let path = folder.path().join("journal");
        let whole = fs::read(&path).expect("readable");
        let mut torn = whole.clone();
        torn.extend(&whole[..20]);
        fs::write(&path, &torn).expect("writable");
        let (_, past) = open(folder.path(), "m", 1);
        assert_eq!((past.unsettled.len(), past.remarks.len()), (1, 0));

        let mut damaged = b"garbage\n".to_vec();
        damaged.extend(&whole);
        fs::write(&path, &damaged).expect("writable");
        let (_, past) = open(folder.path(), "m", 1);
        assert_eq!(past.unsettled.len(), 1);
        assert!(past.remarks[0].starts_with("line 1 of "), "{:?}", past.remarks);
    }

    #[test]
    fn a_journal_copied_to_another_machine_is_another_worker() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), "m", 1);
        let owned = claim(&journal, 1);
        journal.outcome(&report(owned)).expect("written");
        let (copy, past) = open(folder.path(), "other", 2);
        assert_eq!(copy.worker(), WorkerId(Uuid::from_u128(2)));
        assert_eq!((past.unsettled.len(), past.remarks.len()), (0, 1), "the original reports its own outcomes");
        assert!(folder.path().join("journal.of-another-machine").exists());
    }

    #[test]
    fn only_an_outcome_that_nobody_confirmed_is_worth_a_sync() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), "m", 1);
        let first = claim(&journal, 1);
        journal.outcome(&report(first)).expect("written");
        journal.settled(first).expect("written");
        assert!(journal.to_sync().is_none());
        let second = claim(&journal, 2);
        journal.outcome(&report(second)).expect("written");
        assert!(journal.to_sync().is_some());
        assert!(journal.to_sync().is_none(), "once is enough");
    }

    #[test]
    fn a_journal_that_could_not_be_written_is_mended_when_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), "m", 1);
        journal.file = OpenOptions::new().append(true).open("/dev/full").expect("Linux");
        let first = claim(&journal, 1);
        let error = journal.outcome(&report(first)).expect_err("no room").to_string();
        assert!(error.starts_with("cannot write the worker's journal"), "{error}");
        journal.mend().expect("there is room in the folder");
        let (_, past) = open(folder.path(), "m", 1);
        assert_eq!(past.unsettled, [report(first)]);
    }

    #[test]
    fn the_next_life_knows_how_far_each_log_was_shipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), "m", 1);
        let mark = |n: u128, confirmed| Mark {
            attempt: AttemptId(Uuid::from_u128(n)),
            path: format!("{n}.log"),
            base: 5,
            confirmed,
        };
        for note in
            [Note::Log(mark(1, 0)), Note::Log(mark(2, 0)), Note::Log(mark(1, 70)), Note::Done(mark(2, 0).attempt)]
        {
            journal.note(&note).expect("written");
        }
        for _ in 0..2 {
            let (next, _) = open(folder.path(), "m", 1);
            assert_eq!(next.unshipped().collect::<Vec<_>>(), [&mark(1, 70)]);
        }
    }

    #[test]
    fn it_does_not_grow_with_what_is_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), "m", 1);
        journal.bytes = COMPACT_AT;
        let first = claim(&journal, 1);
        journal.outcome(&report(first)).expect("written");
        journal.settled(first).expect("written");
        let length = fs::metadata(folder.path().join("journal")).expect("there").len();
        assert!(length < 300, "{length}");
    }
}
