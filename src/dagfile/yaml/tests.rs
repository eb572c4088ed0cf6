//! Reads the files in `good/` and `bad/`. The comments that begin with `#=` at the end
//! of each are all that is expected: the DAGs of a good one, the problems of a bad one.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::dagfile::lower::{Defaults, lower};
use crate::domain::dag::DagDefinition;

/// The files of a folder with their names and texts, in order.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dagfile/yaml").join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).expect("a text"))).collect()
}

fn expected(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("#= ")).collect()
}

fn load(file: &str, text: &str) -> (Vec<DagDefinition>, Vec<Problem>) {
    let (specs, mut problems) = parse(file, text);
    let mut dags = Vec::new();
    for spec in specs {
        let lowered = lower(spec, file, &Defaults::default());
        dags.extend(lowered.dag);
        problems.extend(lowered.problems);
    }
    (dags, problems)
}

/// `dag_id (schedule): a, b < a, c < a b`
fn summary(dag: &DagDefinition) -> String {
    let tasks = dag.tasks.iter().map(|task| {
        let upstream: Vec<&str> = task.upstream.iter().map(|id| id.as_str()).collect();
        let kind = &task.operator_name;
        match upstream.as_slice() {
            [] => format!("{} {kind}", task.task_id),
            upstream => format!("{} {kind} < {}", task.task_id, upstream.join(" ")),
        }
    });
    let schedule = serde_json::to_string(&dag.schedule).expect("json");
    format!("{} {schedule}: {}", dag.dag_id, tasks.collect::<Vec<_>>().join(", "))
}

#[test]
fn good_files_give_their_dags_and_no_problem() {
    for (file, text) in files("good") {
        let (dags, problems) = load(&file, &text);
        assert_eq!(problems, [], "{file}");
        assert_eq!(dags.iter().map(summary).collect::<Vec<_>>(), expected(&text), "{file}");
    }
}

#[test]
fn bad_files_are_told_with_place_and_hint() {
    for (file, text) in files("bad") {
        let (_, problems) = load(&file, &text);
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected(&text), "{file}");
    }
}

#[test]
fn an_error_shows_the_lines_around_it() {
    let (_, problems) = parse("a.yaml", "dag_id: etl\ntasks:\n  extract:\n    bash: echo\n    retrys: 3\n");
    let expected = "    4 |     bash: echo\n    5 |     retrys: 3\n      |     ^";
    assert_eq!(problems[0].detail.as_deref(), Some(expected));
}

#[test]
fn a_long_line_is_shown_around_the_mark() {
    let text = format!("tasks:\n  a: {{bash: \"{}\", retrys: 1}}\n", "x".repeat(1000));
    let (_, problems) = parse("a.yaml", &text);
    let detail = problems[0].detail.as_deref().expect("a snippet");
    assert!(detail.lines().all(|line| line.len() < 140), "{detail}");
    let column = |line: &str, c: char| line.chars().position(|found| found == c);
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!(column(lines[1], 'r'), column(lines[2], '^'), "{detail}");
}

#[test]
fn a_file_beyond_all_bounds_is_refused_unread() {
    let (dags, problems) = parse("a.yaml", &"#".repeat(MOST_BYTES + 1));
    assert!(dags.is_empty());
    assert_eq!(problems[0].message, "the file has 8388609 bytes; a DAG file may have at most 8388608");
}

#[test]
fn ten_thousand_tasks_are_within_the_bounds() {
    let mut text = String::from("dag_id: large\ntasks:\n");
    for n in 0..10_000 {
        let _ = writeln!(
            text,
            "  t{n}: {{bash: echo {n}, depends_on: [{}]}}",
            if n > 0 { format!("t{}", n - 1) } else { String::new() }
        );
    }
    let (dags, problems) = load("a.yaml", &text);
    assert_eq!(problems, []);
    assert_eq!(dags[0].tasks.len(), 10_000);
}
#[test]
fn missing_quotes_are_the_usual_suspect() {
    let table = [
        ("schedule: @daily", "a value that begins with `@` needs quotes: \"@daily\""),
        ("schedule: */5 * * * *", "a value that begins with `*` needs quotes: \"*/5 * * * *\""),
        ("schedule: * * * * *", "a value that begins with `*` needs quotes: \"* * * * *\""),
        ("description: {{ ds }}", "a value that begins with `{{` needs quotes: \"{{ ... }}\""),
        ("description: a: b", "a value that holds `: ` needs quotes, or stands on lines of its own after `|`"),
    ];
    for (line, hint) in table {
        let (_, problems) = parse("a.yaml", &format!("dag_id: a\n{line}\n"));
        assert_eq!(problems[0].hint.as_deref(), Some(hint), "{line}: {}", problems[0]);
        assert_eq!(problems[0].place.line, Some(2), "{line}");
    }
}

#[test]
fn no_broken_file_breaks_the_reader() {
    // The bomb is met whole above; a thousand pieces of it take a minute.
    let whole = files("good").into_iter().chain(files("bad")).filter(|(file, _)| file != "bomb.yaml");
    for (file, text) in whole {
        for (end, _) in text.char_indices().step_by(7) {
            let cut = &text[..end];
            for mutant in [cut.to_owned(), format!("{cut}\u{0}: [{{"), format!("{}{}", &text[end..], cut)] {
                let (specs, problems) = parse(&file, &mutant);
                assert!(problems.iter().all(|problem| !problem.message.is_empty()));
                specs.into_iter().for_each(|spec| drop(lower(spec, &file, &Defaults::default())));
            }
        }
    }
}
