//! The real interpreter over the files of `tests/dags`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use super::*;
use crate::dagfile::lower::{Defaults, lower};
use crate::domain::dag::DagDefinition;
use crate::domain::deadline::Reference;
use crate::domain::notification::Notification;
use crate::domain::operator::{Operator, PythonCode};
use crate::domain::problem::{Problem, Severity};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dags").join(name)
}

fn interpreter() -> Interpreter {
    static PACKAGE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, package) = PACKAGE.get_or_init(|| {
        let cache = tempfile::tempdir().expect("a cache folder");
        let package = install_package(cache.path()).expect("the package is written");
        (cache, package)
    });
    Interpreter::new("python3", package)
}

async fn parsed(path: &str) -> Parsed {
    parsed_within(path, Limits::default()).await
}

async fn parsed_within(path: &str, limits: Limits) -> Parsed {
    let (group, file) = path.split_once('/').expect("group/file");
    let interpreter = Interpreter { limits, ..interpreter() };
    parse(&interpreter, &folder(group), &folder(group).join(file), None).await
}

/// Every DAG of the file, as the domain sees it; the file must have no error.
async fn definitions(path: &str) -> Vec<DagDefinition> {
    let parsed = parsed(path).await;
    assert_eq!(errors(&parsed), Vec::<String>::new(), "{path}");
    let file = path.split_once('/').expect("group/file").1;
    let lowered = parsed.dags.into_iter().map(|spec| lower(spec, file, &Defaults::default()));
    lowered.map(|lowered| lowered.dag.unwrap_or_else(|| panic!("{path}: {:?}", lowered.problems))).collect()
}

fn errors(parsed: &Parsed) -> Vec<String> {
    said(parsed, Severity::Error)
}

fn said(parsed: &Parsed, severity: Severity) -> Vec<String> {
    parsed.problems.iter().filter(|p| p.severity == severity).map(Problem::to_string).collect()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON")
}

/// `a -> b` for every edge, in the order of the file.
fn edges(dag: &DagDefinition) -> Vec<String> {
    let of_task = |task: &crate::domain::dag::TaskDefinition| {
        let id = task.task_id.clone();
        task.upstream.clone().into_iter().map(move |up| format!("{up} -> {id}")).collect::<Vec<_>>()
    };
    dag.tasks.iter().flat_map(of_task).collect()
}

#[tokio::test]
async fn the_tutorial_loads_as_it_stands() {
    let dags = definitions("good/parallel_dag.py").await;
    let [dag] = &dags[..] else { panic!("one DAG, got {}", dags.len()) };
    assert_eq!(dag.dag_id.as_str(), "parallel_dag");
    assert!(!dag.catchup);
    assert_eq!(edges(dag), ["task_1 -> task_2", "task_1 -> task_3", "task_2 -> task_4", "task_3 -> task_4"]);
    for task in &dag.tasks {
        assert!(matches!(&task.operator, Operator::Bash(bash) if bash.command == "sleep 3"), "{task:?}");
        assert_eq!(task.operator_name, "BashOperator");
    }
}

#[tokio::test]
async fn the_tutorial_as_printed_says_what_was_meant() {
    let parsed = parsed("broken/parallel_dag_as_printed.py").await;
    assert!(parsed.dags.is_empty());
    let problem = parsed.problems.iter().find(|p| p.severity == Severity::Error).expect("an error");
    assert_eq!(problem.place.file, "parallel_dag_as_printed.py");
    assert_eq!(problem.place.line, Some(31));
    assert_eq!(problem.message, "NameError: name 'task1' is not defined");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `task_1`?"));
    let detail = problem.detail.as_deref().expect("the traceback");
    assert!(detail.starts_with("Traceback (most recent call last):"), "{detail}");
    assert!(!detail.contains("updraft_bridge"), "our own frames are no help: {detail}");
}

#[tokio::test]
async fn a_file_of_airflow_1_10_loads() {
    let dags = definitions("good/era_1_10.py").await;
    let dag = &dags[0];
    assert_eq!(edges(dag), ["start -> greet", "start -> list", "greet -> end", "list -> end"]);
    assert_eq!(u32::from(dag.max_active_tasks), 3, "`concurrency`");
    assert_eq!(dag.max_active_tasks_scope, crate::domain::dag::TaskLimitScope::AllRuns);
    assert_eq!(dag.tasks.iter().map(|t| t.retries).collect::<Vec<_>>(), [2, 2, 0, 2]);
    let Operator::Python(python) = &dag.tasks[1].operator else { panic!("{:?}", dag.tasks[1].operator) };
    assert_eq!(python.code, PythonCode::DagFile { file: "era_1_10.py".into() });
    assert_eq!(python.kwargs["name"], "{{ ds }}");
}

#[tokio::test]
async fn a_file_of_airflow_2_loads_with_groups_and_taskflow() {
    let dags = definitions("good/era_2.py").await;
    let ids: Vec<_> = dags.iter().map(|dag| dag.dag_id.as_str()).collect();
    assert_eq!(ids, ["era_2", "era_2_taskflow"]);
    assert_eq!(
        edges(&dags[0]),
        [
            "first -> load.left",
            "load.left -> load.inner.right",
            "load.inner.right -> last",
            "first -> extra_0",
            "load.left -> extra_0",
            "before_extras -> extra_0",
            "first -> extra_1",
            "load.left -> extra_1",
            "before_extras -> extra_1",
        ]
    );
    assert_eq!(dags[0].timezone, chrono_tz::Europe::Zurich);
    assert_eq!(dags[0].tags, ["a", "b"]);
    assert_eq!(dags[0].params["rows"], 10);
    assert_eq!(edges(&dags[1]), ["extract -> transform", "transform -> twice.load", "transform -> twice.again"]);
}

#[tokio::test]
async fn a_file_of_airflow_3_loads_with_its_own_operator() {
    let line = parsed("good/era_3.py").await.dags[0].tasks.0[0].value.line;
    assert_eq!(line, Some(28), "where the task is made, not where its class is written");
    let dags = definitions("good/era_3.py").await;
    let dag = &dags[0];
    assert_eq!(edges(dag), ["a -> c", "b -> d", "c -> d"]);
    assert_eq!(dag.tasks[0].operator_name, "Hello");
    assert_eq!(dag.tasks[1].retry_exponential_backoff, Some(2.0));
    let Operator::Python(python) = &dag.tasks[2].operator else { panic!("{:?}", dag.tasks[2].operator) };
    assert_eq!(python.args[2], "{{ ds }}", "templates travel, what only Python can hold stays");
    assert_eq!(python.args[1], serde_json::json!({ "__updraft__": "as_written" }));
}

#[tokio::test]
async fn assets_and_parameters_load_in_every_spelling() {
    let dags = definitions("good/assets.py").await;
    let names: Vec<&str> = dags.iter().map(|dag| dag.dag_id.as_str()).collect();
    assert_eq!(names, ["producer", "either", "both", "times", "report"]);
    let condition = |at: usize| dags[at].schedule.assets().map(ToString::to_string);
    assert_eq!(condition(0), None);
    assert_eq!(condition(1).as_deref(), Some("(orders and s3://bucket/returns) or alias daily"));
    assert_eq!(condition(2).as_deref(), Some("orders and s3://bucket/returns"));
    assert_eq!(condition(3).as_deref(), Some("orders or s3://bucket/returns"));
    assert!(matches!(&dags[3].schedule, crate::domain::schedule::Schedule::Assets { time: Some(_), .. }));
    let [producer, .., report] = &dags[..] else { panic!("five DAGs") };
    assert_eq!(json(&producer.tasks[0].outlets), r#"[{"asset":"orders"},{"alias":"daily"}]"#);
    assert_eq!(json(&producer.tasks[0].inlets), r#"[{"asset":"s3://bucket/returns"}]"#);
    assert_eq!(json(&producer.params), r#"{"rows":3,"odd":{"default":1}}"#);
    let schemas = r#"{"rows":{"type":"integer","minimum":1},"table":{"type":"string"},"odd":{}}"#;
    assert_eq!(json(&producer.param_schemas), schemas);
    let [made, read] = ["report", "orders"].map(|name| report.assets.iter().find(|asset| asset.name.as_str() == name));
    assert_eq!(made.map(|asset| (asset.uri.as_str(), asset.group.as_str())), Some(("s3://bucket/report", "report")));
    assert!(read.is_some_and(|asset| asset.is_bare()), "{read:?}");
}

#[tokio::test]
async fn dags_of_a_factory_beside_the_file_are_found_and_the_module_is_named() {
    let parsed = parsed("good/factory.py").await;
    assert_eq!(errors(&parsed), Vec::<String>::new());
    let lines: Vec<_> = parsed.dags.iter().map(|dag| dag.line).collect();
    assert_eq!(lines, [Some(7), Some(7)], "the line of the file that asked for them");
    let parts = folder("good").join("parts");
    assert_eq!(parsed.local_modules, [parts.join("__init__.py"), parts.join("factory.py")]);
    assert!(!parts.join("__pycache__").exists(), "nothing is written into the DAGs folder");
}

#[tokio::test]
async fn operators_of_absent_providers_keep_their_place_in_the_graph() {
    let dags = definitions("good/providers.py").await;
    assert_eq!(edges(&dags[0]), ["wait -> pod", "pod -> choose", "choose -> ssh"]);
    let warnings = said(&parsed("good/providers.py").await, Severity::Warning).join("\n");
    assert!(warnings.contains("task `pod` loads but cannot run"), "{warnings}");
    assert!(warnings.contains("apache-airflow-providers-cncf-kubernetes"), "{warnings}");
}

#[tokio::test]
async fn what_has_no_effect_is_said_with_what_was_meant() {
    let said_of = async |file: &str| said(&parsed(file).await, Severity::Warning).join("\n");
    let typo = said_of("warned/typo.py").await;
    for expected in
        ["`shedule_interval`; it has no effect (did you mean `schedule_interval`?)", "`retires`", "`trigger_rul`"]
    {
        assert!(typo.contains(expected), "{expected} in {typo}");
    }
    let lost = said_of("warned/lost.py").await;
    assert!(lost.contains("lost.py, line 7: DAG `lost` is not used"), "{lost}");
    assert!(lost.contains("`never_called` is never called"), "{lost}");
    let talks = parsed("warned/talks.py").await;
    assert_eq!(talks.dags.len(), 1);
    let detail = talks.problems[0].detail.as_deref().expect("what was printed");
    assert!(detail.contains("hello from the top level") && detail.contains("straight to the descriptor"), "{detail}");
}

#[tokio::test]
async fn each_mistake_names_its_line_and_what_to_do() {
    for (file, expected) in [
        ("syntax.py", "syntax.py, line 3"),
        ("missing_module.py", "line 2"),
        ("missing_module.py", "-m pip install pandsa_of_nobody"),
        ("wrong_name.py", "(did you mean `BashOperator`?)"),
        ("wrong_path.py", "(did you mean `airflow.operators.bash_operator`?)"),
        ("circular.py", "circular_b.py, line 1"),
        ("circular.py", "(two modules import each other"),
        ("cycle.py", "cycle.py, line 6: DAG `cycle` has a cycle: a -> b -> a"),
        ("duplicate_task.py", "first in line 5, again in line 7"),
        ("duplicate_dag.py", "line 4: DAG `same` is defined twice"),
        ("no_import.py", "(add `from airflow.operators.bash import BashOperator`)"),
        ("bad_value.py", "expected retries to be of type int, got: 'two'"),
        ("between_lists.py", "use chain() or cross_downstream()"),
        ("in_a_helper.py", "helper.py, line 2"),
    ] {
        let problems = errors(&parsed(&format!("broken/{file}")).await);
        assert_eq!(problems.len(), 1, "{file}: {problems:?}");
        assert!(problems[0].contains(expected), "{file}: expected {expected:?} in {:?}", problems[0]);
    }
    assert_eq!(parsed("broken/cycle.py").await.dags.len(), 1, "the other DAG of the file lives");
}

#[tokio::test]
async fn a_hostile_file_is_a_problem_and_nothing_of_it_remains() {
    let limits = Limits { time: Duration::from_secs(2), memory_mib: Some(512) };
    for (file, expected) in [
        ("exits.py", "line 4, column 1: the file ended the interpreter while it was loaded (sys.exit('bye'))"),
        ("exits_hard.py", "exit code 3"),
        ("loops.py", "line 3"),
        ("loops.py", "loading took longer than 2 s"),
        ("loops_and_catches.py", "loading took longer than 2 s and could not be interrupted"),
        ("sleeps.py", "line 2, column 1: loading took longer than 2 s"),
        ("hoards.py", "MemoryError (do the work in a task"),
        ("forks.py", "at most 64 processes"),
        ("recurses.py", "RecursionError"),
        ("closes_everything.py", "the interpreter ended while it loaded the file"),
        ("writes_garbage.py", "no description of the file"),
        ("crashes.py", "a segmentation fault"),
        ("nul.py", "null bytes"),
        ("not_utf8.py", "line 1"),
    ] {
        let begun = Instant::now();
        let parsed = parsed_within(&format!("hostile/{file}"), limits).await;
        let problems = errors(&parsed);
        assert!(parsed.dags.is_empty(), "{file}");
        assert_eq!(problems.len(), 1, "{file}: {problems:?}");
        assert!(problems[0].contains(expected), "{file}: expected {expected:?} in {:?}", problems[0]);
        assert!(begun.elapsed() < Duration::from_secs(10), "{file} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_file_that_only_misbehaves_still_gives_its_dags() {
    let threads = parsed("hostile/threads.py").await;
    assert_eq!(threads.dags.len(), 1, "{:?}", threads.problems);
    let prints = parsed("hostile/prints_much.py").await;
    let printed = prints.problems[0].detail.as_deref().expect("what was printed");
    assert!(printed.len() <= 64 << 10, "{} bytes kept", printed.len());

    let leaves = parsed("hostile/leaves_children.py").await;
    let pid = leaves.dags[0].description.as_deref().expect("the child's pid");
    // A killed process may stand there as a zombie until its new parent looks.
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z ") || state.contains(") X "), "still running: {state}");
}

#[tokio::test]
async fn a_machine_without_python_is_told_what_to_install() {
    let interpreter = Interpreter { program: "/nowhere/python3".into(), ..interpreter() };
    let parsed = parse(&interpreter, &folder("good"), &folder("good").join("parallel_dag.py"), None).await;
    let problem = errors(&parsed).join("");
    assert!(problem.contains("there is no `/nowhere/python3`") && problem.contains("apt install python3"), "{problem}");
}

#[tokio::test]
async fn a_file_that_went_away_is_a_problem() {
    let parsed = parsed("good/never_there.py").await;
    let problem = errors(&parsed).join("");
    assert!(problem.contains("never_there.py") && problem.contains("No such file"), "{problem}");
}

#[tokio::test]
async fn a_program_that_is_no_python_is_said_to_have_ended() {
    let interpreter = Interpreter { program: "/bin/false".into(), ..interpreter() };
    let parsed = parse(&interpreter, &folder("good"), &folder("good").join("parallel_dag.py"), None).await;
    let problem = errors(&parsed).join("");
    assert!(problem.contains("the interpreter ended while it loaded the file: exit code 1"), "{problem}");
}

#[tokio::test]
async fn callbacks_are_found_again_by_their_places() {
    let dags = definitions("good/callbacks.py").await;
    let [dag] = &dags[..] else { panic!("one DAG, got {}", dags.len()) };
    let told = |list: &[Notification]| -> Vec<(String, Option<u32>)> {
        let callback = |notification: &Notification| match notification {
            Notification::Python(callback) => (callback.name.clone(), callback.place),
            other => panic!("{other:?}"),
        };
        list.iter().map(callback).collect()
    };
    let one = |name: &str, place| vec![(name.to_owned(), Some(place))];
    let [fails, works, mails, begins] = &dag.tasks[..] else { panic!("four tasks") };
    let failure = told(&fails.callbacks.on_failure);
    assert_eq!(failure, [("tell".to_owned(), Some(0)), ("Chat".to_owned(), Some(3))], "Slack is not here");
    let Notification::Python(chat) = &fails.callbacks.on_failure[1] else { panic!("a notifier") };
    assert_eq!(chat.kwargs["text"], "{{ ti.task_id }}");
    assert_eq!(told(&fails.callbacks.on_retry), one("tell", 0), "of default_args");
    assert_eq!(fails.callbacks.on_execute, [], "a task of Python calls it itself");
    assert_eq!(told(&works.callbacks.on_execute), one("tell", 0));
    assert_eq!(told(&dag.callbacks.on_failure), one("tell", 0));
    let shown = |list: &[Notification]| list.iter().map(Notification::summary).collect::<Vec<_>>();
    let failure = ["python tell", "email ops@example.org", "python tell", "email a@example.org"];
    assert_eq!(shown(&mails.callbacks.on_failure), failure);
    let Notification::Email(mail) = &mails.callbacks.on_failure[1] else { panic!("a mail") };
    assert_eq!((mail.subject.as_str(), mail.conn_id.as_deref()), ("{{ ti.task_id }}", None));
    let Notification::Python(last) = &mails.callbacks.on_failure[2] else { panic!("a function") };
    assert_eq!(last.place, Some(2), "a mail keeps its place in the list of the file");
    assert_eq!(mails.callbacks.on_retry, []);
    assert_eq!(
        shown(&begins.callbacks.on_execute),
        ["email ops@example.org"],
        "its functions are called inside the task"
    );
    assert_eq!(
        (begins.callbacks.on_failure.len(), shown(&begins.callbacks.on_retry)),
        (0, vec!["email a@example.org".to_owned()])
    );
    let deadlines: Vec<_> = dag.deadlines.iter().map(|d| (d.reference, d.interval, told(&d.callback))).collect();
    let new_year = chrono::DateTime::from_timestamp(1_767_225_600, 0).expect("a date");
    let expected = [
        (Reference::DagrunQueuedAt, 300.0, one("late", 0)),
        (Reference::FixedDatetime(new_year), -3600.0, one("told_path.fn", 2)),
    ];
    assert_eq!(deadlines, expected);
    let warnings = said(&parsed("good/callbacks.py").await, Severity::Warning).join("\n");
    for said in ["`sla` has no effect", "average of earlier runs", "apache-airflow-providers-slack"] {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
}
