//! Paths with `*`, `?` and `[...]`, as Python's `glob` reads them: a name that begins with a dot is matched only by a dot.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The paths that match; `**` means folders at any depth only if `recursive`.
pub(super) fn find(pattern: &Path, recursive: bool) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        found = match part.as_ref() {
            "**" if recursive => found.into_iter().flat_map(|folder| below(&folder)).collect(),
            part if part.contains(['*', '?', '[']) => {
                found.into_iter().flat_map(|folder| matching(&folder, part)).collect()
            }
            part => found
                .into_iter()
                .map(|folder| folder.join(part))
                .filter(|path| path.symlink_metadata().is_ok())
                .collect(),
        };
    }
    found
}

/// The folder and every folder in it.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(folder) = folders.get(next) {
        let inside = entries(folder).into_iter().filter(|path| path.is_dir() && !path.is_symlink());
        folders.extend(inside.filter(|path| !is_hidden(path)).collect::<Vec<_>>());
        next += 1;
    }
    folders
}

fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(regex) = Regex::new(&regex_of(pattern)) else { return Vec::new() };
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let paths = entries(folder).into_iter();
    paths.filter(|path| regex.is_match(&name(path)) && (pattern.starts_with('.') || !is_hidden(path))).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// What cannot be read holds nothing.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

fn regex_of(pattern: &str) -> String {
    let mut regex = String::from("^(?s:");
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => {
                let class: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                let (not, class) = class.strip_prefix('!').map_or(("", class.as_str()), |rest| ("^", rest));
                regex.push_str(&format!(
                    "[{not}{}]",
                    class.replace('\\', "\\\\").replace('[', "\\[").replace('&', "\\&")
                ));
            }
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push_str(")$");
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a1.csv", "a2.csv", "b.txt", ".hidden.csv", "deep/er/c.csv"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, "").expect("a file");
        }
        let count = |pattern: &str, recursive| find(&folder.path().join(pattern), recursive).len();
        assert_eq!(count("*.csv", false), 2);
        assert_eq!(count("a[!1].csv", false), 1);
        assert_eq!(count("a[12].c?v", false), 2);
        assert_eq!(count("b.txt", false), 1);
        assert_eq!(count("nothing", false), 0);
        assert_eq!(count("**/*.csv", true), 3);
        assert_eq!(count("*/*/c.csv", false), 1);
        assert_eq!(count(".*.csv", false), 1);
    }
}
