//! Loads real files.

use std::fs;

use tempfile::TempDir;

use super::*;

struct Dags {
    folder: TempDir,
    loader: Loader,
}

impl Dags {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().to_owned();
        let loader = Loader::new(LoaderOptions {
            root,
            defaults: Defaults::default(),
            parsing_processes: 2,
            python: Err("no Python here".to_owned()),
            values: None,
        });
        Self { folder, loader }
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.folder.path().join(path), content).expect("a file");
        self
    }

    async fn load(&mut self, paths: &[&str]) -> Vec<FileResult> {
        self.loader.load(paths.iter().map(|path| SourceFile::new(*path).expect("a DAG file")).collect()).await
    }
}

/// `file: dags; problems` of every result.
fn summary(results: &[FileResult]) -> Vec<String> {
    results
        .iter()
        .map(|result| {
            let dags: Vec<String> = result.dags.iter().map(|dag| dag.dag_id.to_string()).collect();
            let problems: Vec<String> = result.problems.iter().map(ToString::to_string).collect();
            format!("{}: {}; {}", result.file.path, dags.join(" "), problems.join(" | "))
        })
        .collect()
}

const ONE: &str = "dag_id: same\ntasks:\n  a: {bash: echo}\n";

#[tokio::test]
async fn one_bad_file_never_hides_the_others() {
    let mut dags = Dags::new();
    dags.write("good.yaml", "tasks:\n  a: {bash: echo}\n")
        .write("bad.yaml", "tasks:\n  a: {bsh: echo}\n")
        .write("latin.yaml", b"tasks:\n  a: {bash: \"\xe9\"}\n");
    let results = dags.load(&["latin.yaml", "good.yaml", "bad.yaml", "gone.yaml"]).await;
    assert_eq!(
        summary(&results),
        [
            "bad.yaml: ; bad.yaml, line 2, column 7: task `a`: unknown key `bsh` (did you mean `bash`?)",
            "gone.yaml: ; gone.yaml: the file cannot be read: No such file or directory (os error 2)",
            "good.yaml: good; ",
            "latin.yaml: ; latin.yaml, line 2: the file is not UTF-8 text",
        ]
    );
    assert_eq!(
        results[0].problems[0].detail.as_deref(),
        Some("    1 | tasks:\n    2 |   a: {bsh: echo}\n      |       ^")
    );
    assert_eq!(results[2].hash, Some(ContentHash::of(b"tasks:\n  a: {bash: echo}\n")));
    assert_eq!(results[1].hash, None);
}

#[tokio::test]
async fn of_two_new_files_the_first_in_path_order_gets_the_name() {
    let mut dags = Dags::new();
    dags.write("b.yaml", ONE).write("a.yaml", ONE);
    assert_eq!(
        summary(&dags.load(&["b.yaml", "a.yaml"]).await),
        [
            "a.yaml: same; ",
            "b.yaml: ; b.yaml: DAG `same` is defined in a.yaml already, and that one is used (give one of them another `dag_id`)",
        ]
    );
}

#[tokio::test]
async fn the_file_that_was_known_first_keeps_the_name() {
    let mut dags = Dags::new();
    dags.write("b.yaml", ONE).write("a.yaml", ONE);
    dags.loader.remember("b.yaml", [DagId::new("same").expect("valid")]);
    let results = dags.load(&["a.yaml", "b.yaml"]).await;
    assert_eq!(results[0].dags.len(), 0);
    assert_eq!(results[1].dags.len(), 1);

    // Broken for a while, it still keeps it.
    dags.write("b.yaml", "dag_id: same\ntasks: 7\n");
    assert_eq!(dags.load(&["b.yaml"]).await[0].dags.len(), 0);
    assert_eq!(dags.load(&["a.yaml"]).await[0].dags.len(), 0);

    // Renamed or removed, it frees it, and the file that waited gets it at once.
    dags.write("b.yaml", ONE.replace("same", "other"));
    assert_eq!(summary(&dags.load(&["b.yaml"]).await), ["a.yaml: same; ", "b.yaml: other; "]);
    dags.write("c.yaml", ONE);
    assert_eq!(dags.load(&["c.yaml"]).await[0].dags.len(), 0);
    dags.loader.forget("a.yaml");
    assert_eq!(summary(&dags.load(&[]).await), ["c.yaml: same; "]);
}

#[tokio::test]
async fn a_name_twice_in_one_file_is_a_problem_of_the_second() {
    let mut dags = Dags::new();
    dags.write("two.yaml", format!("{ONE}---\n{ONE}"));
    assert_eq!(
        summary(&dags.load(&["two.yaml"]).await),
        ["two.yaml: same; two.yaml, line 5: DAG `same` is defined twice in this file; the first one is used"]
    );
}

#[tokio::test]
async fn hundreds_of_files_are_loaded_in_path_order() {
    let mut dags = Dags::new();
    let paths: Vec<String> = (0..300).map(|n| format!("dag_{n:03}.yaml")).collect();
    for path in &paths {
        dags.write(path, "tasks:\n  a: {bash: echo}\n  b: {bash: echo, depends_on: a}\n");
    }
    let backwards: Vec<&str> = paths.iter().rev().map(String::as_str).collect();
    let results = dags.load(&backwards).await;
    assert_eq!(results.iter().map(|result| &result.file.path).collect::<Vec<_>>(), paths.iter().collect::<Vec<_>>());
    assert!(results.iter().all(|result| result.dags.len() == 1 && result.problems.is_empty()));
}

#[tokio::test]
async fn the_example_dags_are_free_of_problems() {
    let folder = super::super::folder::Folder::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("dags"));
    let scan = folder.scan();
    assert_eq!(scan.problems, []);
    let examples = scan.files.into_keys().filter_map(SourceFile::new);
    let yaml: Vec<SourceFile> = examples.filter(|file| file.language == Language::Yaml).collect();
    assert!(yaml.len() >= 4, "{yaml:?}");
    let options = LoaderOptions {
        root: folder.root,
        defaults: Defaults::default(),
        parsing_processes: 2,
        python: Err("no Python here".to_owned()),
        values: None,
    };
    for result in Loader::new(options).load(yaml).await {
        assert_eq!(result.problems, [], "{}", result.file.path);
        assert!(!result.dags.is_empty(), "{}", result.file.path);
    }
}

#[tokio::test]
async fn what_was_read_of_a_file_that_is_gone_meanwhile_counts_no_more() {
    let mut dags = Dags::new();
    dags.write("brief.yaml", ONE);
    dags.loader.begin(SourceFile::new("brief.yaml").expect("a DAG file"));
    while !dags.loader.by_file.values().all(|(_, reading)| reading.is_finished()) {
        tokio::task::yield_now().await;
    }
    dags.loader.forget("brief.yaml");
    dags.write("other.yaml", "dag_id: other\ntasks:\n  a: {bash: echo}\n");
    assert_eq!(summary(&dags.load(&["other.yaml"]).await), ["other.yaml: other; "]);
}
