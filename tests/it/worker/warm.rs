//! Python tasks that are forked from the warm interpreter: they are as alone as those that are started.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use updraft::dagfile::python::{Interpreter, install_package};
use updraft::domain::attempt::Outcome;
use updraft::domain::ids::{Claim, DagId, TaskId};
use updraft::domain::operator::{Operator, Python, PythonCode};
use updraft::protocol::work::{Report, TaskMessage, ToWorker};
use updraft::worker::WorkerSettings;

use super::world::{PATIENCE, World, ear, eventually, message, number_in, runs, settings};

const FAILED: Outcome = Outcome::Failed { retryable: true };

/// Where the helper process below finds its folder.
const FOLDER: &str = "UPDRAFT_TEST_WARM_FOLDER";

fn warm(settings: &mut WorkerSettings) {
    let cache = settings.state_dir.with_file_name("cache");
    let package = install_package(&cache).expect("the package is written");
    settings.python.command = Interpreter::new("python3", package).command_line();
    settings.python.warm = true;
}

async fn world() -> World {
    World::with(1, warm).await
}

fn python(code: PythonCode) -> Operator {
    Operator::Python(Python { code, decides: None, args: Vec::new(), kwargs: Map::new() })
}

fn inline(source: &str) -> Operator {
    python(PythonCode::Inline { source: source.to_owned() })
}

/// The task of a DAG file: the DAG is named after the file, the task after its function.
fn of_file(mut task: Box<TaskMessage>, file: &str, name: &str) -> Box<TaskMessage> {
    task.key.dag = DagId::new(file.trim_end_matches(".py")).expect("a name");
    task.key.task = TaskId::new(name).expect("a name");
    task.run.file = file.to_owned();
    task
}

/// A DAG file: this before its DAG, and tasks with these bodies.
fn dag_file(world: &World, file: &str, before: &str, tasks: &[(&str, &str)]) {
    let mut text = format!("from datetime import datetime\nfrom airflow.sdk import DAG, task\n{before}\n");
    for (name, body) in tasks {
        text.push_str(&format!("@task\ndef {name}():\n{}\n", indented(body)));
    }
    let calls: String = tasks.iter().map(|(name, _)| format!("    {name}()\n")).collect();
    let dag = file.trim_end_matches(".py");
    text.push_str(&format!("with DAG({dag:?}, schedule=None, start_date=datetime(2026, 1, 1)):\n{calls}"));
    std::fs::write(world.settings.dags_folder.join(file), text).expect("written");
}

fn indented(body: &str) -> String {
    body.lines().map(|line| format!("    {line}\n")).collect()
}

/// Runs the task of a DAG file to its end.
async fn run_of_file(world: &mut World, file: &str, name: &str) -> Report {
    let (task, claim) = world.task(python(PythonCode::DagFile { file: file.to_owned() }));
    world.send(of_file(task, file, name), claim);
    world.finished().await
}

#[track_caller]
fn result(world: &World, report: &Report) -> Value {
    assert_eq!(report.outcome, Outcome::Success, "{}", world.log());
    report.xcoms.iter().find(|(key, _)| key == "return_value").map_or(Value::Null, |(_, value)| value.clone())
}

async fn result_of_file(world: &mut World, file: &str, name: &str) -> Value {
    let report = run_of_file(world, file, name).await;
    result(world, &report)
}

async fn companion(world: &World) -> u32 {
    number_in(&world.settings.state_dir.join("companion.lock")).await
}

/// The warm interpreter: the only child of the companion that lives on when no task does.
async fn interpreter(world: &World) -> u32 {
    let companion = companion(world).await;
    let children = || children(companion);
    eventually("the warm interpreter is alone", || children().len() == 1).await;
    children()[0]
}

fn children(of: u32) -> Vec<u32> {
    let all = updraft::worker::companion::all_processes();
    let ours = all.into_iter().filter(|p| u32::try_from(p.parent) == Ok(of) && !p.zombie);
    ours.filter_map(|p| u32::try_from(p.pid).ok()).collect()
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill").success());
}

#[actix::test]
async fn a_forked_task_finds_what_a_started_one_finds() {
    let mut world = world().await;
    let source = "
import os, sys, logging
def open_files():
    return sorted(int(n) for n in os.listdir('/proc/self/fd'))
result = {
    'task': os.environ['AIRFLOW_CTX_TASK_ID'], 'folder': os.getcwd(), 'leads': os.getpgid(0) == os.getpid(),
    'input': sys.stdin.read(), 'argv': len(sys.argv), 'files': len(open_files()), 'sid': os.getsid(0) == os.getpid(),
    'parent': os.getppid(),
}
print('a line of print')
print('a line of stderr', file=sys.stderr)
logging.getLogger('mine').warning('a line of logging')
os.system('echo a line of a child')
";
    let report = world.run(inline(source)).await;
    let mut forked = result(&world, &report);
    assert_eq!(forked["parent"].take(), json!(companion(&world).await), "{forked}");
    let log = world.log();
    for line in [
        "{python} INFO - a line of print",
        "{python} INFO - a line of a child",
        "{stderr} ERROR - a line of stderr",
        "} WARNING - a line of logging",
    ] {
        assert!(log.contains(&format!("{line}\n")), "{log}");
    }
    assert!(!log.contains("warm interpreter"), "{log}");

    let mut fresh = World::with(1, |settings| {
        warm(settings);
        settings.python.warm = false;
    })
    .await;
    let report = fresh.run(inline(source)).await;
    let mut started = result(&fresh, &report);
    started["parent"].take();
    started["folder"] = forked["folder"].clone();
    // What the worker itself was started with is not handed on.
    let files = |seen: &mut Value| seen["files"].take().as_u64().expect("a number");
    let (of_forked, of_started) = (files(&mut forked), files(&mut started));
    assert!(of_forked <= of_started, "{of_forked} open files, and not {of_started}");
    assert_eq!(forked, started, "the same in both");
    assert_eq!(forked["folder"], json!(world.settings.dags_folder), "{forked}");
    assert_eq!(forked["leads"], json!(true));
}

#[actix::test]
async fn whatever_a_task_does_to_itself_the_next_one_is_forked_from_the_same_interpreter() {
    let mut world = world().await;
    let report = world.run(inline("result = 1")).await;
    assert_eq!(result(&world, &report), json!(1));
    let warm = interpreter(&world).await;
    for (what, source, outcome, exit_code) in [
        ("a segfault", "import ctypes; ctypes.string_at(0)", FAILED, Some(-11)),
        ("leaving at once", "import os; os._exit(4)", FAILED, Some(4)),
        ("killing itself", "import os; os.kill(os.getpid(), 9)", FAILED, Some(-9)),
        ("sys.exit", "import sys; sys.exit(3)", FAILED, Some(1)),
        ("an abort", "import os; os.abort()", FAILED, Some(-6)),
        ("closing everything", "import os; os.closerange(0, 4096)", FAILED, None),
        (
            "garbage on its channel",
            "import os\nfor n in range(3, 64):\n    try: os.write(n, b'\\xff' * 64)\n    except OSError: pass",
            FAILED,
            None,
        ),
        (
            "memory without end",
            "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); x = b'x' * (1 << 30)",
            FAILED,
            Some(1),
        ),
        ("an error", "raise ValueError('bad')", FAILED, Some(1)),
        ("killing its group", "import os; os.killpg(0, 15)", FAILED, Some(-15)),
        (
            "forks that stay",
            "import os, time\nfor _ in range(40):\n    if not os.fork(): time.sleep(1000)",
            Outcome::Success,
            Some(0),
        ),
        (
            "a thread that stays",
            "import threading, time; threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
            Outcome::Success,
            Some(0),
        ),
    ] {
        let report = world.run(inline(source)).await;
        assert_eq!(report.outcome, outcome, "{what}: {}", world.log());
        if exit_code.is_some() {
            assert_eq!(report.exit_code, exit_code, "{what}: {}", world.log());
        }
        assert!(!world.log().contains("warm interpreter"), "{what}: {}", world.log());
        let report = world.run(inline("result = 1 + 1")).await;
        assert_eq!(result(&world, &report), json!(2), "after {what}");
        assert_eq!(interpreter(&world).await, warm, "after {what}");
    }
}

#[actix::test]
async fn what_a_task_changes_the_next_one_does_not_see() {
    let mut world = world().await;
    let change = "
import os, sys, json, builtins
os.environ['LEFT'] = 'behind'; os.chdir('/'); sys.path.insert(0, '/left'); json.dumps = None; builtins.left = 1
sys.modules['left'] = sys; sys.setrecursionlimit(77); os.umask(0o777)
import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)
mark.append('changed')
";
    let look = "
import os, sys, json, builtins, signal
return [os.environ.get('LEFT'), os.getcwd() != '/', '/left' in sys.path, json.dumps is None, hasattr(builtins, 'left'),
        'left' in sys.modules, sys.getrecursionlimit() == 77, os.umask(0o22) == 0o777,
        signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, list(mark)]
";
    dag_file(&world, "shared.py", "mark = []", &[("change", change), ("look", look), ("kept", KEPT)]);
    until_kept(&mut world, "shared.py").await;
    for _ in 0..2 {
        run_of_file(&mut world, "shared.py", "change").await;
        let seen = result_of_file(&mut world, "shared.py", "look").await;
        assert_eq!(seen, json!([null, true, false, false, false, false, false, false, true, []]));
    }
}

/// Whether the file was imported before the task was forked.
const KEPT: &str = "from updraft_bridge import imports; return bool(imports._kept)";

/// Runs a task of the file until it finds itself imported.
async fn until_kept(world: &mut World, file: &str) {
    let begun = std::time::Instant::now();
    while result_of_file(world, file, "kept").await != json!(true) {
        assert!(begun.elapsed() < PATIENCE, "{file} is never kept imported");
    }
}

#[actix::test]
async fn a_file_is_imported_once_and_again_when_it_or_what_it_read_has_changed() {
    let mut world = world().await;
    let dags = world.settings.dags_folder.clone();
    let write = |name: &str, text: &str| std::fs::write(dags.join(name), text).expect("written");
    write("beside.py", "VALUE = 1");
    write("data.txt", "one");
    let before = |n: u32| {
        format!(
            "import os, beside\nTEXT = open(os.path.join(os.path.dirname(__file__), 'data.txt')).read()\nN = {n}\nprint('imported', N)"
        )
    };
    let tasks = [("values", "return [N, beside.VALUE, TEXT]"), ("kept", KEPT)];
    dag_file(&world, "kept.py", &before(1), &tasks);
    until_kept(&mut world, "kept.py").await;
    assert_eq!(result_of_file(&mut world, "kept.py", "values").await, json!([1, 1, "one"]));
    assert!(world.log().contains("{python} INFO - imported 1\n"), "{}", world.log());

    // Each of the same length, and within the same second.
    dag_file(&world, "kept.py", &before(2), &tasks);
    assert_eq!(result_of_file(&mut world, "kept.py", "values").await, json!([2, 1, "one"]));
    until_kept(&mut world, "kept.py").await;
    write("beside.py", "VALUE = 2");
    assert_eq!(result_of_file(&mut world, "kept.py", "values").await, json!([2, 2, "one"]));
    until_kept(&mut world, "kept.py").await;
    write("data.txt", "two");
    assert_eq!(result_of_file(&mut world, "kept.py", "values").await, json!([2, 2, "two"]));
    until_kept(&mut world, "kept.py").await;
}

#[actix::test]
async fn a_module_outside_the_folder_is_loaded_again_when_it_changes() {
    let mut world = world().await;
    let project = world.folder.path().join("project");
    std::fs::create_dir(&project).expect("made");
    let write = |text: &str| {
        std::fs::write(project.join("ours.py"), text).expect("written");
        // Long ago, as such files are.
        let touched = Command::new("touch").args(["-d", "-1 hour"]).arg(project.join("ours.py")).status();
        assert!(touched.expect("touch").success());
    };
    write("VALUE = 1");
    let before = format!("import sys\nsys.path.append({project:?})\nimport ours");
    dag_file(&world, "outside.py", &before, &[("value", "return ours.VALUE"), ("kept", KEPT)]);
    until_kept(&mut world, "outside.py").await;
    assert_eq!(result_of_file(&mut world, "outside.py", "value").await, json!(1));
    write("VALUE = 2222");
    assert_eq!(result_of_file(&mut world, "outside.py", "value").await, json!(2222));
    until_kept(&mut world, "outside.py").await;

    write("import time\nVALUE = time.time()");
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        seen.insert(result_of_file(&mut world, "outside.py", "value").await.to_string());
    }
    assert_eq!(seen.len(), 6, "its clock is the author's, too: {seen:?}");
}

#[actix::test]
async fn a_file_that_would_not_be_the_same_twice_is_imported_by_each_task() {
    let mut world = world().await;
    for (n, before) in [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        "NOW = datetime.now()",
        "import random\nN = random.randint(1, 1000)",
        "import socket\nS = socket.socket()",
        "import os\nF = open('/etc/hostname') if os.path.exists('/etc/hostname') else open('/etc/passwd')",
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nWHO = os.environ.get('AIRFLOW_CTX_TASK_ID')",
        "import os\nopen('written', 'a').close()",
        "from airflow.sdk import Variable\ntry:\n    V = Variable.get('v', 'none')\nexcept Exception:\n    V = 'none'",
        "import os, sys\nif not os.environ.get('AIRFLOW_CTX_TASK_ID'): sys.exit(1)",
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("alone{n}.py");
        dag_file(&world, &file, before, &[("kept", KEPT)]);
        let mut asked = 0;
        for _ in 0..6 {
            let (task, claim) = world.task(python(PythonCode::DagFile { file: file.clone() }));
            world.send(of_file(task, &file, "kept"), claim);
            let report = loop {
                match world.hear().await {
                    updraft::protocol::work::FromWorker::Asked { seq, .. } => {
                        asked += 1;
                        let answer = updraft::protocol::work::Answer::Refused { why: "no".to_owned() };
                        world.worker.told.say(ToWorker::Values { claim, seq, answer });
                    }
                    updraft::protocol::work::FromWorker::Finish(report) => break report,
                    _ => {}
                }
            };
            world.settle(claim);
            assert_eq!(result(&world, &report), json!(false), "{before}");
        }
        assert_eq!(asked, if before.contains("Variable") { 6 } else { 0 }, "{before}");
    }
}

#[actix::test]
async fn no_two_tasks_draw_the_same_numbers() {
    let mut world = world().await;
    let draw = "return [random.random(), str(uuid.uuid4())]";
    dag_file(&world, "chance.py", "import random, uuid", &[("draw", draw), ("kept", KEPT)]);
    until_kept(&mut world, "chance.py").await;
    let mut drawn = BTreeSet::new();
    for _ in 0..5 {
        drawn.insert(result_of_file(&mut world, "chance.py", "draw").await.to_string());
    }
    assert_eq!(drawn.len(), 5, "{drawn:?}");
}

#[actix::test]
async fn what_a_task_leaves_unwritten_is_written_and_its_exit_handlers_run() {
    let mut world = world().await;
    let source = "
import atexit, threading, time
f = open('unwritten', 'w')
f.write('text')
atexit.register(print, 'at exit')
threading.Thread(target=lambda: (time.sleep(0.05), print('a thread that is waited for'))).start()
class Last:
    def __del__(self):
        print('let go')
last = Last()
";
    dag_file(&world, "last.py", source, &[("kept", KEPT)]);
    let report = world.run(inline(source)).await;
    assert_eq!(report.outcome, Outcome::Success, "{}", world.log());
    let text = std::fs::read_to_string(world.settings.dags_folder.join("unwritten")).expect("there");
    assert_eq!(text, "text");
    for line in ["at exit", "a thread that is waited for", "let go"] {
        assert!(world.log().contains(line), "{line}: {}", world.log());
    }
    run_of_file(&mut world, "last.py", "kept").await;
    for line in ["at exit", "a thread that is waited for", "let go"] {
        assert!(world.log().contains(line), "{line} of a file: {}", world.log());
    }
}

#[actix::test]
async fn an_interpreter_that_dies_or_hangs_is_replaced_and_its_tasks_go_on() {
    let mut world = world().await;
    world.run(inline("pass")).await;
    let first = interpreter(&world).await;
    kill("-9", first);
    let report = world.run(inline("result = 2")).await;
    assert_eq!(result(&world, &report), json!(2));
    let second = interpreter(&world).await;
    assert_ne!(first, second);

    let go = world.folder.path().join("go");
    let begun = world.folder.path().join("begun");
    let waits = format!(
        "import os, time\nopen({begun:?}, 'w').close()\nwhile not os.path.exists({go:?}): time.sleep(0.01)\nresult = 3",
    );
    let (task, claim) = world.task(inline(&waits));
    world.send(task, claim);
    eventually("the task runs", || begun.exists()).await;
    kill("-STOP", second);
    std::fs::write(&go, "").expect("written");
    let report = world.finished().await;
    assert_eq!(result(&world, &report), json!(3), "its task lives without it");
    let report = world.run(inline("result = 4")).await;
    assert_eq!(result(&world, &report), json!(4));
    eventually("what hung was ended", || !runs(second)).await;
    assert!(!world.log().contains("warm interpreter"), "{}", world.log());
}

#[actix::test]
async fn where_no_interpreter_can_be_warm_a_fresh_one_runs_the_task_and_the_log_says_so() {
    let mut world = World::with(1, |settings| {
        warm(settings);
        // It cannot do what the last word asks for.
        settings.python.command[2] =
            format!("import sys\nassert 'warm' not in sys.argv\n{}", settings.python.command[2].display()).into();
    })
    .await;
    for _ in 0..5 {
        let report = world.run(inline("result = 5")).await;
        assert_eq!(result(&world, &report), json!(5));
        let log = world.log();
        assert!(log.contains("{worker} WARNING - The warm interpreter could not start it ("), "{log}");
        assert!(log.contains("a fresh one does\n"), "{log}");
    }
    assert!(world.log().contains("it failed 3 times and rests"), "{}", world.log());
}

#[actix::test]
async fn a_task_that_does_not_end_is_told_and_killed_with_what_it_began() {
    let mut world = World::with(1, |settings| {
        warm(settings);
        settings.kill_grace = Duration::from_millis(300);
    })
    .await;
    let child = world.folder.path().join("child");
    let hangs = format!(
        "import atexit, os, signal, subprocess, time\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n\
         p = subprocess.Popen(['sleep', '1000'])\nopen({child:?}, 'w').write('%d\\n' % p.pid)\nwhile True: time.sleep(0.01)",
    );
    let (mut task, claim) = world.task(inline(&hangs));
    task.execution_timeout = Some(Duration::from_secs(2));
    world.send(task, claim);
    let pid = world.started().await;
    let sleeper = number_in(&child).await;
    let report = world.finished().await;
    assert_eq!((report.outcome, report.exit_code), (Outcome::TimedOut, Some(-9)), "{}", world.log());
    assert!(world.log().contains("asked"), "{}", world.log());
    assert!(!runs(pid) && !runs(sleeper));

    let hangs = "import atexit, time; atexit.register(time.sleep, 1000)";
    let (mut task, claim) = world.task(inline(hangs));
    task.execution_timeout = Some(Duration::from_secs(1));
    world.send(task, claim);
    assert_eq!(world.finished().await.outcome, Outcome::TimedOut, "{}", world.log());

    let leaves = format!(
        "import subprocess\np = subprocess.Popen(['sleep', '1000'])\nopen({child:?}, 'w').write('%d\\n' % p.pid)",
    );
    assert_eq!(world.run(inline(&leaves)).await.outcome, Outcome::Success, "{}", world.log());
    assert!(!runs(number_in(&child).await), "as of Bash, what a task leaves is ended");
}

/// Not a test: a worker in a process of its own, for the tests that kill one.
#[actix::test]
#[ignore = "a process for other tests"]
async fn helper_worker_with_a_warm_interpreter() {
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).expect("started by a test"));
    let (said, _heard) = ear();
    let mut settings = settings(&folder, 4);
    warm(&mut settings);
    let worker = updraft::worker::start(settings, said).await.expect("a worker");
    let source = |name: &str, rest: &str| {
        format!(
            "import os, signal, time\n{rest}\nopen({:?}, 'w').write('%d\\n' % os.getpid())\nwhile True: time.sleep(1)",
            folder.join(name)
        )
    };
    for (n, source) in (1..).zip([
        source("plain", ""),
        source("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
        source("escaped", "if os.fork(): time.sleep(1000)\nos.setsid()"),
    ]) {
        let claim = Claim { worker: worker.worker, incarnation: worker.incarnation, n };
        let task = Box::new(message(n, inline(&source)));
        worker.entrance.try_send(ToWorker::Task { task, granted: Some(claim) }).expect("four places");
    }
    std::future::pending::<()>().await;
}

const TASKS: [&str; 3] = ["plain", "deaf", "escaped"];

async fn worker_process(folder: &Path) -> (std::process::Child, Vec<u32>) {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command.args(["--exact", "worker::warm::helper_worker_with_a_warm_interpreter", "--ignored", "--nocapture"]);
    let worker = command.env(FOLDER, folder).stdout(Stdio::null()).spawn().expect("itself");
    let mut pids = Vec::new();
    for name in TASKS {
        pids.push(number_in(&folder.join(name)).await);
    }
    let companion = number_in(&folder.join("state/companion.lock")).await;
    pids.extend(children(companion));
    (worker, pids)
}

#[actix::test]
async fn a_worker_that_is_killed_takes_its_forked_tasks_and_its_interpreter_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut worker, pids) = worker_process(folder.path()).await;
    worker.kill().expect("ours");
    worker.wait().expect("reaped");
    let (said, _heard) = ear();
    let next = updraft::worker::start(settings(folder.path(), 1), said).await.expect("a worker");
    assert_eq!(pids.iter().filter(|pid| runs(**pid)).count(), 0, "before the next worker was online");
    next.told.say(ToWorker::Drain { deadline: Duration::ZERO });
    next.ended.await.expect("it leaves").expect("in order");
}

#[actix::test]
async fn worker_and_companion_killed_together_leave_no_forked_task_to_the_next_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut worker, pids) = worker_process(folder.path()).await;
    let companion = number_in(&folder.path().join("state/companion.lock")).await;
    // Stopped first, so that neither sees the other die.
    kill("-STOP", companion);
    kill("-9", worker.id());
    kill("-9", companion);
    worker.wait().expect("reaped");
    let (said, _heard) = ear();
    let mut settings = settings(folder.path(), 1);
    settings.kill_grace = Duration::from_millis(200);
    let next = updraft::worker::start(settings, said).await.expect("a worker");
    let left: Vec<_> = pids.iter().filter(|pid| runs(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
    next.told.say(ToWorker::Drain { deadline: Duration::ZERO });
    next.ended.await.expect("it leaves").expect("in order");
}
