//! A folder of many files: read in parallel, each once, and again only when it or something that it uses has changed.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use updraft::domain::problem::Severity;

use super::here;
use crate::kit::{Home, Node, wait_for, wait_until};

/// A DAG of three tasks.
fn dag_file(name: &str, word: &str) -> String {
    let mut text = String::from(
        "from datetime import datetime\n\nfrom airflow import DAG\nfrom airflow.operators.bash import BashOperator\n\n",
    );
    writeln!(text, "with DAG({name:?}, schedule=None, start_date=datetime(2024, 1, 1), description={word:?}):")
        .expect("text");
    text.push_str("    first = BashOperator(task_id='first', bash_command='echo 1')\n");
    text.push_str("    first >> [BashOperator(task_id=f'then_{n}', bash_command='echo 2') for n in range(2)]\n");
    text
}

fn description(home: &Home, dag: &str) -> Option<String> {
    home.dag(dag).and_then(|entry| entry.definition.description.clone())
}

/// How often the interpreter was started to read this file: it leaves a line each time.
fn counted(dag: &str, counter: &str, rest: &str) -> String {
    format!("with open({counter:?}, 'a') as file:\n    file.write('{dag}\\n')\n{rest}")
}

#[test]
fn a_file_is_read_again_when_a_module_or_a_configuration_that_it_uses_changes_and_no_other_is() {
    let home = Home::new();
    let counter = home.in_world("reads");
    let reads = |dag: &str| {
        let text = std::fs::read_to_string(home.in_world("reads")).unwrap_or_default();
        text.lines().filter(|line| *line == dag).count()
    };
    let counter = counter.display().to_string();
    home.write("lib/__init__.py", "");
    home.write("lib/deep.py", "WORD = 'one'\n");
    home.write("lib/outer.py", "from lib.deep import WORD\n");
    home.write("table.json", "{\"of\": \"words\"}");
    let uses = "from lib.outer import WORD\nfrom airflow import DAG\nfrom airflow.operators.empty import EmptyOperator\n\
        with DAG('uses', schedule=None, description=WORD):\n    EmptyOperator(task_id='only')\n";
    home.write("uses.py", &counted("uses", &counter, uses));
    let reads_table = "import os\nfrom airflow import DAG\n\
        text = open(os.path.join(os.path.dirname(__file__), 'table.json')).read()\n\
        from airflow.operators.empty import EmptyOperator\n\
        dag = DAG('reads_table', schedule=None, description=text)\nEmptyOperator(task_id='only', dag=dag)\n";
    home.write("reads_table.py", &counted("reads_table", &counter, reads_table));
    home.write("alone.py", &counted("alone", &counter, &dag_file("alone", "same")));
    let _node = home.start();
    for dag in ["uses", "reads_table", "alone"] {
        home.wait_dag(dag);
    }
    assert_eq!(description(&home, "uses").as_deref(), Some("one"));
    assert_eq!(["uses", "reads_table", "alone"].map(reads), [1, 1, 1]);

    home.write("lib/deep.py", "WORD = 'two'\n");
    wait_until("a module of a module counts", || description(&home, "uses").as_deref() == Some("two"));
    assert_eq!(["uses", "reads_table", "alone"].map(reads), [2, 1, 1]);

    home.write("table.json", "{\"and\": \"more\"}");
    let changed = || description(&home, "reads_table").is_some_and(|text| text.contains("more"));
    wait_until("a configuration that was opened counts", changed);
    assert_eq!(["uses", "reads_table", "alone"].map(reads), [2, 2, 1]);

    home.write("lib/deep.py", "WORD = nothing\n");
    let problem = home.wait_import_error("uses.py");
    assert!(problem.contains("deep.py, line 1") && problem.contains("NameError"), "{problem}");
    home.write("lib/deep.py", "WORD = 'three'\n");
    wait_until("the mended module counts", || description(&home, "uses").as_deref() == Some("three"));

    // A module that is not there yet.
    home.write(
        "early.py",
        "import comes_later\nfrom airflow import DAG\n\
        from airflow.operators.empty import EmptyOperator\n\
        with DAG('early', schedule=None):\n    EmptyOperator(task_id='only')\n",
    );
    let problem = home.wait_import_error("early.py");
    assert!(problem.contains("No module named 'comes_later'"), "{problem}");
    home.write("comes_later.py", "\n");
    home.wait_dag("early");
    assert_eq!(reads("alone"), 1, "what uses none of them is read once");
}

/// Bytes that the node's own process holds.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("the node runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn slow_files_delay_no_other() {
    let home = Home::new().with("core.dagbag_import_timeout", "20").with("dag_processor.parsing_processes", "2");
    for n in 0..4 {
        home.write(&format!("a_slow_{n}.py"), "import time\nfrom airflow import DAG\ntime.sleep(1000)\n");
    }
    for n in 0..8 {
        home.write(&format!("b_{n}.py"), &dag_file(&format!("b_{n}"), "x"));
    }
    let _node = home.start();
    for n in 0..8 {
        home.wait_dag(&format!("b_{n}"));
    }
    assert!(home.import_errors().is_empty(), "the slow ones are still being read");
    assert!(home.wait_import_error("a_slow_3.py").contains("loading took longer than 20 s"));
}

/// Ten times the same file: what the node remembers of it does not add up.
#[test]
fn memory_does_not_grow_with_every_time_that_files_are_read() {
    let home = Home::new();
    let files = 20;
    let write_all = |word: &str| {
        for n in 0..files {
            home.write(&format!("many_{n:03}.py"), &dag_file(&format!("many_{n:03}"), word));
        }
    };
    let all_are = |word: &str| (0..files).all(|n| description(&home, &format!("many_{n:03}")).as_deref() == Some(word));
    write_all("0");
    let node = home.start();
    wait_until("all are read", || all_are("0"));
    let mut sizes = Vec::new();
    for round in 1..=12 {
        let word = round.to_string();
        write_all(&word);
        wait_until("all are read again", || all_are(&word));
        sizes.push(resident(&node) >> 10);
    }
    let (early, late) = (sizes[3], sizes[11]);
    assert!(late < early + 4096, "the node grew from {early} to {late} KiB over 160 more readings: {sizes:?}");
    drop(node);
}

/// A measurement, not a test: `cargo test --test it a_thousand_files -- --ignored --nocapture`. A `python3` that is a
/// shell script (as pyenv has it) costs more than the reading: `UPDRAFT_TEST_INTERPRETER` names another one.
#[test]
#[ignore = "a measurement of some minutes"]
fn a_thousand_files_are_read_once_and_one_change_is_seen_soon() {
    let interpreter = std::env::var("UPDRAFT_TEST_INTERPRETER").unwrap_or_else(|_| "python3".to_owned());
    let home = Home::new().with("python.interpreter", &interpreter);
    let count: u32 = std::env::var("UPDRAFT_TEST_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    for n in 0..count {
        home.write(&format!("team_{}/dag_{n:04}.py", n % 10), &dag_file(&format!("dag_{n:04}"), "first"));
    }
    let begun = Instant::now();
    let mut node = home.spawn();
    node.wait_ready();
    let known = || home.json(&["dags", "list", "-o", "json"]).as_array().map_or(0, Vec::len);
    let last = format!("dag_{:04}", count - 1);
    let patient = |what: &str, mut is_so: Box<dyn FnMut() -> bool + '_>| {
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(900), "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    patient("the last one", Box::new(|| home.dag(&last).is_some()));
    println!("first reading of {count} files: {:.1} s", begun.elapsed().as_secs_f64());
    wait_until("all are known", || known() == count as usize);
    println!("resident after it: {} MiB", resident(&node) >> 20);
    for round in 0..5 {
        let word = format!("changed {round}");
        let changed = Instant::now();
        home.write(&format!("team_0/dag_{:04}.py", 0), &dag_file("dag_0000", &word));
        wait_for("the change", || (description(&home, "dag_0000").as_deref() == Some(&word)).then_some(()));
        println!("one changed file: {:.0} ms", changed.elapsed().as_secs_f64() * 1e3);
    }
    println!("resident after five changes: {} MiB", resident(&node) >> 20);
    let errors = home.import_errors().into_iter().filter(|error| error.problem.severity == Severity::Error).count();
    assert_eq!((errors, here("corpus").is_dir()), (0, true));
}

const ASKS: &str = "\
from airflow import DAG
from airflow.hooks.base import BaseHook
from airflow.models import Variable
from airflow.operators.empty import EmptyOperator

WORDS = [Variable.get('word'), Variable.get('absent', default_var='-'), Variable.get('table', deserialize_json=True)['a']]
DESCRIPTION = ' '.join([*WORDS, BaseHook.get_connection('warehouse').host])
with DAG('asks', schedule=None, description=DESCRIPTION):
    EmptyOperator(task_id='only')
";

#[test]
fn a_file_may_ask_for_kept_variables_and_connections_while_it_is_loaded_and_follows_their_changes() {
    let home = Home::new().with("dag_processor.min_file_process_interval", "0");
    let done = |words: &[&str]| {
        let said = home.finished(words);
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
    };
    done(&["variables", "set", "word", "one"]);
    done(&["variables", "set", "table", "{\"a\": \"b\"}"]);
    home.write("asks.py", ASKS);
    let node = home.start();
    let problem = home.wait_import_error("asks.py");
    assert!(problem.contains("updraft connections add warehouse"), "{problem}");
    done(&["connections", "add", "warehouse", "--conn-uri", "postgres://me:secret@db.example.com/x"]);
    wait_until("the connection is seen", || description(&home, "asks").as_deref() == Some("one - b db.example.com"));
    done(&["variables", "set", "word", "two"]);
    wait_until("the variable is seen", || description(&home, "asks").as_deref() == Some("two - b db.example.com"));
    done(&["variables", "set", "absent", "there"]);
    wait_until("a new variable is seen", || {
        description(&home, "asks").as_deref() == Some("two there b db.example.com")
    });
    // A command without a node asks, too.
    drop(node);
    done(&["variables", "set", "word", "three"]);
    let report = home.json(&["dags", "report", "-o", "json"]);
    assert_eq!(report[0]["errors"], "0", "{report}");
}
