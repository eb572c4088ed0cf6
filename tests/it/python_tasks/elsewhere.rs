//! Functions that another interpreter calls: what it gets, what comes back, and what is said when nothing does.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use updraft::domain::operator::PythonCode;
use updraft::protocol::task_channel::{FinishState, Start};

use super::{Attempt, run, run_with, start};

fn elsewhere(task: &str) -> Start {
    let start = start(task, PythonCode::DagFile { file: "elsewhere.py".into() });
    Start { dag_id: "elsewhere".into(), ..start }
}

fn message(attempt: &Attempt) -> String {
    attempt.finish().message.clone().unwrap_or_default()
}

#[test]
fn a_function_runs_in_the_interpreter_that_is_named() {
    let attempt = run(elsewhere("plain"), &[]);
    assert_eq!(
        attempt.result(),
        &json!([1, 2, "2024-05-01", false, false]),
        "neither the file nor the bridge is there"
    );
    assert!(attempt.log.contains("a line from elsewhere\n"), "{}", attempt.log);
    assert_eq!(run(elsewhere("day"), &[]).result(), &json!("2024-02-29"), "what is no JSON goes pickled");
    assert_eq!(run(elsewhere("operator"), &[]).result(), &json!(42));
    let branch = run(elsewhere("branch"), &[]);
    let decided = branch.xcoms.iter().find(|(key, _)| key == "skipmixin_key").expect("a decision");
    assert_eq!(decided.1, json!({ "branch": ["plain"] }));
}

#[test]
fn a_traceback_of_another_interpreter_shows_the_lines_of_the_dag_file() {
    let attempt = run(elsewhere("fails"), &[]);
    assert!(message(&attempt).starts_with("AirflowException: KeyError in "), "{}", message(&attempt));
    for part in
        ["Traceback (most recent call last):", "elsewhere.py\", line", "in inner", "return {}[\"b\"]", "KeyError: 'b'"]
    {
        assert!(attempt.log.contains(part), "{part}: {}", attempt.log);
    }
    assert!(!attempt.log.contains("other_python.py"), "our own frames are no help: {}", attempt.log);
}

#[test]
fn every_way_to_end_elsewhere_is_told_apart() {
    for (task, state, said) in [
        ("skips", FinishState::Skipped, "nothing to do"),
        ("leaves", FinishState::Skipped, "Process exited with code 7. Skipping."),
        ("leaves_otherwise", FinishState::Failed, "`leaves` ended with exit code 3 in"),
        ("no_json", FinishState::Failed, "to be JSON, got: set"),
        ("wants_ti", FinishState::Failed, "`wants_ti` asks for `ti` of the context"),
        ("nowhere", FinishState::Failed, "there is no Python interpreter `/nowhere/python`"),
        ("too_old", FinishState::Failed, "there is no Python 2.1 on this machine"),
    ] {
        let attempt = run(elsewhere(task), &[]);
        assert_eq!(attempt.finish().state, state, "{task}: {}", attempt.log);
        assert!(message(&attempt).contains(said), "{task}: {}", message(&attempt));
    }
}

/// A package that can be installed without a network.
const MAKE_WHEEL: &str = "
import sys, zipfile
name, info = 'updraft_test_wheel', 'updraft_test_wheel-1.0.dist-info/'
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr(name + '.py', 'def shout(word):\\n    return word.upper()\\n')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: updraft-test-wheel\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
";

fn make_wheel(folder: &Path) -> String {
    let wheel = folder.join("updraft_test_wheel-1.0-py3-none-any.whl");
    let made = Command::new("python3").args(["-c", MAKE_WHEEL]).arg(&wheel).status().expect("python3");
    assert!(made.success());
    wheel.display().to_string()
}

#[test]
fn a_virtual_environment_is_made_once_and_has_what_is_required() {
    let folder = tempfile::tempdir().expect("a folder");
    let wheel = make_wheel(folder.path());
    let run = |task: &str| run_with(elsewhere(task), &[], &[("UPDRAFT_TEST_WHEEL", &wheel)]);
    let first = run("in_venv");
    assert_eq!(first.result(), &json!(["HELLO", true]), "{}", first.log);
    assert!(first.log.contains("Making a virtual environment of Python"), "{}", first.log);
    assert!(first.log.contains(&format!("Installing {wheel}")), "{}", first.log);
    let second = run("in_venv");
    assert_eq!(second.result(), &json!(["HELLO", true]));
    assert!(!second.log.contains("Making a virtual environment"), "{}", second.log);

    assert_eq!(run("in_venv_operator").result(), &json!(2));
    let branch = run("branch_in_venv");
    assert_eq!(branch.xcoms[0], ("skipmixin_key".to_owned(), json!({ "branch": ["plain", "day"] })));
}

#[test]
fn a_requirement_that_is_not_to_be_had_is_named() {
    let attempt = run(elsewhere("not_there"), &[]);
    assert_eq!(attempt.finish().state, FinishState::Failed);
    let said = message(&attempt);
    for part in
        ["cannot install the requirement `updraft-no-such-thing==1`", "No matching distribution", "package index"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
