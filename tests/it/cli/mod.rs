//! The command line as people and scripts meet it: the real program, each test in a home of its own.

mod assets;
mod backfill;
mod configuration;
mod connections;
mod dags;
mod database;
mod node;
mod pools;
mod program;
mod runs;
mod tasks;
mod upkeep;
mod values;
mod variables;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A home folder with a few DAG files.
pub struct Home {
    folder: TempDir,
}

/// What a command said.
pub struct Said {
    pub out: String,
    pub talk: String,
    pub code: Option<i32>,
}

/// Thirty-one days, of which every one is due.
const JANUARY: &str = "\
dag_id: january
description: One month.
tags: [past, small]
schedule: '@daily'
start_date: 2020-01-01
end_date: 2020-01-31
catchup: true
default_args: {owner: ann}
tasks:
  a: {bash: 'echo a'}
  b: {bash: 'echo b', depends_on: a}
";

/// A leap year of days, too many to be created by mistake.
const LEAP_YEAR: &str = "\
dag_id: leap_year
schedule: '@daily'
start_date: 2020-01-01
end_date: 2020-12-31
catchup: true
tasks:
  a: {bash: 'echo a'}
  b: {bash: 'echo b', depends_on: a}
  c: {bash: 'echo c', depends_on: a}
  d: {bash: 'echo d', depends_on: [b, c]}
";

/// Runs when it is asked to.
const ON_DEMAND: &str = "\
dag_id: on_demand
schedule: null
params: {word: hello}
tasks:
  say: {bash: 'echo \"the word is {{ params.word }}\"'}
  fail_if_asked: {bash: 'test {{ params.word }} != bad', depends_on: say, retries: 0}
";

impl Home {
    pub fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        for (name, text) in [("january.yaml", JANUARY), ("leap_year.yaml", LEAP_YEAR), ("on_demand.yaml", ON_DEMAND)] {
            home.write(name, text);
        }
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a DAG file.
    pub fn write(&self, name: &str, text: &str) {
        let dags = self.path().join("dags");
        std::fs::create_dir_all(&dags).expect("a folder");
        std::fs::write(dags.join(name), text).expect("a file");
    }

    /// The program with a clean environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
        for (name, _) in std::env::vars_os() {
            let foreign = name.to_string_lossy();
            if ["AIRFLOW", "UPDRAFT"].iter().any(|prefix| foreign.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("UPDRAFT_HOME", self.path()).env("USER", "ann").env_remove("NO_COLOR").current_dir(self.path());
        command.timeout(std::time::Duration::from_secs(60));
        command
    }

    pub fn run(&self, words: &[&str]) -> Said {
        Said::from(self.command().args(words).output().expect("the program runs"))
    }

    /// What a command that has to succeed wrote to stdout.
    #[track_caller]
    pub fn out(&self, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words:?}: {}", said.talk);
        said.out
    }

    /// The rows of a command that has to succeed.
    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        let out = self.out(&[words, &["-o", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{words:?}: {error}: {out}"))
    }

    /// What a command that has to fail said; it must not have written data.
    #[track_caller]
    pub fn failure(&self, code: i32, words: &[&str]) -> String {
        let said = self.run(words);
        assert_eq!(said.code, Some(code), "{words:?}: {}{}", said.out, said.talk);
        assert_eq!(said.out, "", "{words:?}");
        assert!(said.talk.starts_with("error: "), "{words:?}: {}", said.talk);
        said.talk
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { out: text(output.stdout), talk: text(output.stderr), code: output.status.code() }
    }
}
