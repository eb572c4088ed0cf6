//! `.airflowignore`: which files of the DAGs folder are not DAG files.
//!
//! Two syntaxes, as in Airflow (`[core] dag_ignore_file_syntax`): `glob` is that
//! of `.gitignore` and counts from the folder of the ignore file; `regexp` finds
//! a pattern anywhere in the path that counts from the DAGs folder. Either way a
//! file rules its own folder and everything below.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use regex::Regex;

use crate::domain::problem::{Place, Problem, suggestion};

/// The name of an ignore file.
pub const FILE_NAME: &str = ".airflowignore";

/// How ignore files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// As in `.gitignore`; the default of Airflow 3.
    #[default]
    Glob,
    /// Regular expressions; the default of Airflow 2.
    Regexp,
}

impl Syntax {
    /// Reads the word of `[core] dag_ignore_file_syntax`; the error is a sentence.
    pub fn from_word(word: &str) -> Result<Self, String> {
        match word {
            "glob" => Ok(Self::Glob),
            "regexp" => Ok(Self::Regexp),
            _ => {
                let hint = suggestion(word, ["glob", "regexp"]).map(|hint| format!("; {hint}")).unwrap_or_default();
                Err(format!("unknown syntax of ignore files `{word}` (known: glob, regexp){hint}"))
            }
        }
    }
}

/// The rules of the ignore files below one DAGs folder, each file read once.
pub struct Ignore {
    root: PathBuf,
    syntax: Syntax,
    rules: Mutex<HashMap<PathBuf, Arc<Rules>>>,
    problems: Mutex<Vec<Problem>>,
}

/// One ignore file.
enum Rules {
    Absent,
    Glob(Gitignore),
    Regexp(Vec<Regex>),
}

impl Ignore {
    pub fn new(root: &Path, syntax: Syntax) -> Self {
        Self { root: root.to_owned(), syntax, rules: Mutex::default(), problems: Mutex::default() }
    }

    /// Whether the rules of the folders above say that `path` is no DAG file or, for a folder, holds none.
    ///
    /// The walk asks from the top down, so a folder above that is ignored is never entered.
    pub fn is_ignored(&self, path: &Path, is_folder: bool) -> bool {
        let inside = |folder: &&Path| folder.starts_with(&self.root);
        // The nearest file has the last word, as in git: a `!pattern` there brings a file back.
        for folder in path.ancestors().skip(1).take_while(inside) {
            match self.of_folder(folder).verdict(path, is_folder, &self.root) {
                Verdict::Ignored => return true,
                Verdict::Wanted => return false,
                Verdict::NoRule => {}
            }
        }
        false
    }

    /// What is wrong in the ignore files that were read.
    pub fn take_problems(&self) -> Vec<Problem> {
        std::mem::take(&mut self.problems.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of_folder(&self, folder: &Path) -> Arc<Rules> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || Arc::new(self.read(folder));
        Arc::clone(rules.entry(folder.to_owned()).or_insert_with(read))
    }

    fn read(&self, folder: &Path) -> Rules {
        let path = folder.join(FILE_NAME);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Rules::Absent,
            Err(error) => {
                self.note(Problem::warning(self.place(&path, None), format!("the file cannot be read: {error}")));
                return Rules::Absent;
            }
        };
        match self.syntax {
            Syntax::Glob => self.glob(folder, &path, &text),
            Syntax::Regexp => self.regexp(&path, &text),
        }
    }

    fn glob(&self, folder: &Path, path: &Path, text: &str) -> Rules {
        let mut builder = GitignoreBuilder::new(folder);
        for (number, line) in (1_u32..).zip(text.lines()) {
            if let Err(error) = builder.add_line(None, line) {
                let message = format!("`{line}` is no glob pattern and is passed over: {error}");
                self.note(Problem::warning(self.place(path, Some(number)), message));
            }
        }
        builder.build().map_or(Rules::Absent, Rules::Glob)
    }

    fn regexp(&self, path: &Path, text: &str) -> Rules {
        let mut patterns = Vec::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            let pattern = line.split('#').next().unwrap_or_default().trim();
            if pattern.is_empty() {
                continue;
            }
            match Regex::new(pattern) {
                Ok(pattern) => patterns.push(pattern),
                Err(_) => {
                    let message = format!("`{pattern}` is no regular expression and is passed over");
                    let hint = "glob patterns need `[core] dag_ignore_file_syntax = glob`";
                    self.note(Problem::warning(self.place(path, Some(number)), message).hint(hint));
                }
            }
        }
        Rules::Regexp(patterns)
    }

    fn place(&self, path: &Path, line: Option<u32>) -> Place {
        let file = path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        Place { file, line, column: None }
    }

    fn note(&self, problem: Problem) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }
}

/// What one ignore file says about a path.
enum Verdict {
    Ignored,
    Wanted,
    NoRule,
}

impl Rules {
    fn verdict(&self, path: &Path, is_folder: bool, root: &Path) -> Verdict {
        match self {
            Self::Absent => Verdict::NoRule,
            Self::Glob(rules) => match rules.matched(path, is_folder) {
                Match::Ignore(_) => Verdict::Ignored,
                Match::Whitelist(_) => Verdict::Wanted,
                Match::None => Verdict::NoRule,
            },
            Self::Regexp(patterns) => {
                let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
                match patterns.iter().any(|pattern| pattern.is_match(&relative)) {
                    true => Verdict::Ignored,
                    false => Verdict::NoRule,
                }
            }
        }
    }
}
