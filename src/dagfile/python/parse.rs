//! Describes one Python DAG file by a child process: specs, problems, and the
//! modules beside it that it needs.
//!
//! Whatever the file does, the answer is a value; nothing of the file's remains
//! running.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::child::{Child, EXIT_PATIENCE, Ended};
use super::{Interpreter, Runner};
use crate::dagfile::spec::DagSpec;
use crate::dagfile::values::{Asked, Values, Wanted, hash_of};
use crate::domain::problem::{Place, Problem, Severity};

/// The child interrupts itself at the limit and says where it was; after this much more it is killed.
const GRACE: Duration = Duration::from_millis(1500);

/// Importing Airflow takes seconds, and much longer where several interpreters do it at once for the first time.
const SDK_START: Duration = Duration::from_secs(30);

/// What one DAG file gave.
#[derive(Debug, Default)]
pub struct Parsed {
    /// In the order of the file.
    pub dags: Vec<DagSpec>,
    pub problems: Vec<Problem>,
    /// Files under the DAGs folder that the file imported: when one changes, so does the file.
    pub local_modules: Vec<PathBuf>,
    /// Variables and connections that the file asked for: when one changes, so does the file.
    pub asked: Vec<Asked>,
}

/// The order to a child.
#[derive(Serialize)]
#[serde(tag = "type", rename = "parse")]
struct Request<'a> {
    file: &'a Path,
    dags_folder: &'a Path,
    seconds: f64,
    memory_mb: Option<u64>,
    /// Whether somebody answers for variables and connections.
    values: bool,
    /// With Airflow's own classes.
    sdk: bool,
}

/// What the file's code wants to know before the description comes.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Question {
    GetVariable { id: u64, key: String },
    GetConnection { id: u64, conn_id: String },
}

/// A question is short; a description need not be read twice to tell them apart.
const LONGEST_QUESTION: usize = 4096;

#[derive(Serialize)]
struct Reply {
    id: u64,
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A child's description of a file; `spec.rs` reads the DAGs.
#[derive(Deserialize)]
struct Answer {
    dags: Vec<Value>,
    problems: Vec<AnswerProblem>,
    local_modules: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct AnswerProblem {
    severity: Severity,
    file: String,
    line: Option<u32>,
    column: Option<u32>,
    message: String,
    hint: Option<String>,
    detail: Option<String>,
}

/// Why there is no answer.
enum Silence {
    /// The interpreter could not be started.
    NotStarted(io::Error),
    /// It did not answer in time, nor stop when it was asked to.
    Stuck(Ended),
    /// It ended without an answer.
    Died(Ended),
    /// It answered something that is no description of a file.
    Garbled(String, Ended),
}

/// Loads `file` (under `dags_folder`, both absolute) in a child and describes its DAGs. Never fails as a whole.
/// Its code may ask `values` for variables and connections; without them it knows only its environment's.
pub async fn parse(interpreter: &Interpreter, dags_folder: &Path, file: &Path, values: Option<&Values>) -> Parsed {
    let place = Place::file(relative(dags_folder, file));
    let mut asked = Vec::new();
    let mut parsed = match ask(interpreter, dags_folder, file, values, &mut asked).await {
        Ok((answer, talk)) => {
            let mut parsed = read(answer, &place);
            parsed.problems.extend(talk_problem(&talk, &place));
            parsed
        }
        Err(silence) => Parsed { problems: vec![silence_problem(silence, interpreter, &place)], ..Parsed::default() },
    };
    parsed.asked = asked;
    parsed
}

async fn ask(
    interpreter: &Interpreter,
    dags_folder: &Path,
    file: &Path,
    values: Option<&Values>,
    asked: &mut Vec<Asked>,
) -> Result<(Answer, Ended), Silence> {
    let mut child = Child::start(interpreter).map_err(Silence::NotStarted)?;
    let limits = interpreter.limits;
    let (sdk, time) = match interpreter.runner {
        Runner::Builtin => (false, limits.time),
        Runner::Sdk(_) => (true, limits.time + SDK_START),
    };
    let seconds = limits.time.as_secs_f64();
    let request = Request { file, dags_folder, seconds, memory_mb: limits.memory_mib, values: values.is_some(), sdk };
    let conversation = async {
        child.send(&request).await?;
        loop {
            let body = child.receive().await?;
            let question = if body.len() > LONGEST_QUESTION { None } else { serde_json::from_slice(&body).ok() };
            match (question, values) {
                (Some(question), Some(values)) => child.send(&answer(question, values, asked).await).await?,
                (Some(_) | None, _) => return Ok::<_, io::Error>(body),
            }
        }
    };
    let received = tokio::time::timeout(time + GRACE, conversation).await;
    match received {
        Err(_) => Err(Silence::Stuck(child.end(Duration::ZERO).await)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Silence::Garbled(error.to_string(), child.end(Duration::ZERO).await))
        }
        Ok(Err(_)) => Err(Silence::Died(child.end(EXIT_PATIENCE).await)),
        Ok(Ok(body)) => {
            let ended = child.end(Duration::ZERO).await;
            match serde_json::from_slice(&body) {
                Ok(answer) => Ok((answer, ended)),
                Err(error) => Err(Silence::Garbled(error.to_string(), ended)),
            }
        }
    }
}

async fn answer(question: Question, values: &Values, asked: &mut Vec<Asked>) -> Reply {
    let (id, wanted) = match question {
        Question::GetVariable { id, key } => (id, Wanted::Variable(key)),
        Question::GetConnection { id, conn_id } => (id, Wanted::Connection(conn_id)),
    };
    let found = values.find(wanted.clone()).await;
    asked.retain(|known| known.wanted != wanted);
    asked.push(Asked { wanted, answer: hash_of(&found) });
    match found {
        Ok(value) => Reply { id, value, error: None },
        Err(why) => Reply { id, value: Value::Null, error: Some(why) },
    }
}

fn read(answer: Answer, place: &Place) -> Parsed {
    let mut parsed = Parsed { local_modules: answer.local_modules, ..Parsed::default() };
    parsed.problems.extend(answer.problems.into_iter().map(|said| Problem {
        severity: said.severity,
        place: Place { file: said.file, line: said.line, column: said.column },
        message: said.message,
        hint: said.hint,
        detail: said.detail,
    }));
    for dag in answer.dags {
        let id = dag.get("dag_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let line = dag.get("line").and_then(Value::as_u64).and_then(|line| u32::try_from(line).ok());
        match serde_json::from_value(dag) {
            Ok(spec) => parsed.dags.push(spec),
            Err(error) => {
                let place = Place { line, ..place.clone() };
                parsed.problems.push(Problem::error(place, format!("DAG `{id}`: {error}")));
            }
        }
    }
    parsed
}

/// What the file printed while it loaded; it does so every time it is loaded, which is seldom meant.
fn talk_problem(ended: &Ended, place: &Place) -> Option<Problem> {
    let text = [ended.stdout.trim_end(), ended.stderr.trim_end()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let first = text.lines().next()?.chars().take(120).collect::<String>();
    Some(
        Problem::warning(place.clone(), format!("the file printed something while it was loaded: {first}"))
            .hint("print in tasks; what is at the top level runs each time the file is loaded")
            .detail(text),
    )
}

fn silence_problem(silence: Silence, interpreter: &Interpreter, place: &Place) -> Problem {
    let program = interpreter.program.display();
    let (problem, ended) = match silence {
        Silence::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
            return Problem::error(place.clone(), format!("cannot read a Python DAG file: there is no `{program}`"))
                .hint("install Python 3.9 or newer (Debian: apt install python3), or set [python] interpreter");
        }
        Silence::NotStarted(error) => {
            return Problem::error(place.clone(), format!("cannot start the Python interpreter `{program}`: {error}"))
                .hint("set [python] interpreter to a Python of 3.9 or newer that can be executed");
        }
        Silence::Stuck(ended) => {
            let seconds = interpreter.limits.time.as_secs_f64();
            let message = format!("loading took longer than {seconds} s and could not be interrupted");
            let hint = "move slow work into tasks; [core] dagbag_import_timeout sets the limit";
            (Problem::error(place.clone(), message).hint(hint), ended)
        }
        Silence::Garbled(why, ended) => {
            let message = format!("the interpreter gave no description of the file: {why}");
            (Problem::error(place.clone(), message), ended)
        }
        Silence::Died(ended) => (death_problem(&ended, place, &program.to_string()), ended),
    };
    match [ended.stdout, ended.stderr].concat().trim_end() {
        "" => problem,
        text => problem.detail(text),
    }
}

fn death_problem(ended: &Ended, place: &Place, program: &str) -> Problem {
    if let Some(version) = ended.stderr.lines().find_map(|line| line.strip_prefix("updraft: this is ")) {
        return Problem::error(
            place.clone(),
            format!("expected `{program}` to be Python 3.9 or newer, got: {version}"),
        )
        .hint("install a newer Python, or set [python] interpreter");
    }
    let how = match &ended.status {
        Ok(status) => manner(*status),
        Err(error) => format!("its end could not be seen: {error}"),
    };
    Problem::error(place.clone(), format!("the interpreter ended while it loaded the file: {how}"))
        .hint("look for os._exit, a native library that crashes, or too little memory")
}

fn manner(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match rustix::process::Signal::from_named_raw(signal) {
            Some(rustix::process::Signal::KILL) => "it was killed (signal 9), perhaps for lack of memory".into(),
            Some(rustix::process::Signal::SEGV) => "it crashed (signal 11, a segmentation fault)".into(),
            Some(rustix::process::Signal::XCPU) => "it used too much processor time (signal 24)".into(),
            Some(_) | None => format!("signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

fn relative(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned()
}
