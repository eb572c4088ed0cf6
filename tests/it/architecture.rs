//! Who may name whom, and the other rules of the house that a text can break.
//!
//! It reads the sources as text: good enough, because nobody here wants to fool it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Names point down only. A folder may always name itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("telemetry", &[]),
    ("protocol", &["domain"]),
    ("config", &["domain"]),
    ("dagfile", &["domain"]),
    ("actor", &["telemetry"]),
    ("broker", &["domain", "protocol", "telemetry"]),
    ("store", &["domain", "protocol", "telemetry"]),
    ("scheduler", &["domain", "protocol", "store", "actor", "telemetry"]),
    ("executor", &["domain", "protocol", "broker", "actor", "telemetry"]),
    ("worker", &["domain", "protocol", "broker", "actor", "telemetry"]),
    ("operator", &["domain", "protocol", "telemetry"]),
    ("auth", &["domain", "store"]),
    ("web", &["domain", "protocol", "store", "auth", "actor", "telemetry"]),
    (
        "node",
        &[
            "domain",
            "telemetry",
            "protocol",
            "config",
            "dagfile",
            "actor",
            "broker",
            "store",
            "scheduler",
            "executor",
            "worker",
            "auth",
            "web",
        ],
    ),
    ("cli", &["domain", "protocol", "config", "dagfile", "store", "auth", "node", "telemetry"]),
];

/// Foreign things that one folder alone may name.
const ONE_FOLDER: &[(&str, &str)] = &[
    (r"\b(ureq|lettre)::", "operator"),
    (r"\bsea_orm(_migration)?::", "store"),
    (r"\blapin::", "broker"),
    (r"\bredis::", "broker"),
    (r"\bactix_web::", "web"),
    (r"\bstd::env\b", "config"),
];

/// More lines than this are a file that nobody reads from the top.
const LONGEST_FILE: usize = 600;

/// A source file of the product, without its tests.
struct Source {
    /// From `src/` on.
    path: PathBuf,
    /// The first folder, or the stem of a file that stands above all folders.
    folder: String,
    /// How many modules it is below its folder: 0 for `folder/mod.rs`.
    depth: usize,
    text: String,
    /// Without tests and comments; each line keeps its number.
    code: Vec<(usize, String)>,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a source file is text");
        let path = path.strip_prefix(root).expect("it is below src").to_path_buf();
        let parts: Vec<String> =
            path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let depth = parts.len() - 1 - usize::from(parts.len() > 1 && parts.last().is_some_and(|last| last == "mod"));
        let code = code(&text);
        Self { path, folder: parts[0].clone(), depth, text, code }
    }

    fn is_named(&self, name: &str) -> bool {
        self.path.file_name().is_some_and(|file| file == name)
    }
}

/// Lines of code: no comments, and nothing that is compiled for tests alone.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = text.lines().zip(1..).peekable();
    let mut kept = Vec::new();
    while let Some((line, number)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            // `://` is no comment but a URL.
            let code = line.split("// ").next().unwrap_or_default();
            if !line.trim_start().starts_with("//") {
                kept.push((number, code.to_owned()));
            }
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let Some((item, _)) = lines.next() else { break };
        if item.trim_end().ends_with('{') {
            let end = format!("{}}}", " ".repeat(indent));
            for (line, _) in lines.by_ref() {
                if line == end {
                    break;
                }
            }
        }
    }
    kept
}

/// All files of the product that are not compiled for tests alone.
fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    &SOURCES
}

/// ASCII is enough here, and much quicker where nothing is optimised.
fn rule(pattern: &str) -> Regex {
    Regex::new(&format!("(?-u){pattern}")).expect("a regex")
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let declared = rule(r"(?m)^\s*#\[cfg\(test\)\]\n\s*(?:pub(?:\([a-z]+\))? )?mod (\w+);");
    let tests: BTreeSet<PathBuf> = files.iter().flat_map(|file| test_modules(file, &declared)).collect();
    let is_test = |file: &Path| {
        let path = file.with_extension("");
        tests.iter().any(|test| path.starts_with(test))
    };
    let sources: Vec<Source> =
        files.iter().filter(|file| !is_test(file)).map(|file| Source::read(&root, file)).collect();
    assert!(sources.len() > 100, "the sources were found");
    sources
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// The modules that a file declares for tests alone, as paths without ending.
fn test_modules(file: &Path, declared: &Regex) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).expect("a source file is text");
    let stem = file.file_stem().expect("a file has a name");
    let folder = file.parent().expect("a file is in a folder");
    let below = if stem == "mod" || stem == "lib" { folder.to_path_buf() } else { folder.join(stem) };
    declared.captures_iter(&text).map(|found| below.join(&found[1])).collect()
}

/// Every match of `pattern`, as `path:line: match`.
fn found<'a>(source: &'a Source, pattern: &'a Regex) -> impl Iterator<Item = String> + 'a {
    source.code.iter().filter_map(move |(number, line)| {
        let found = pattern.find(line)?;
        Some(format!("src/{}:{number}: {}", source.path.display(), found.as_str()))
    })
}

#[track_caller]
fn assert_none(what: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{what}:\n  {}", violations.join("\n  "));
}

/// `crate::{a, b::c}` names a and b.
fn named_in_braces(line: &str) -> Vec<String> {
    let Some((_, list)) = line.split_once("crate::{") else { return Vec::new() };
    let (mut depth, mut words, mut word) = (0, Vec::new(), String::new());
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(std::mem::take(&mut word)),
            _ if depth == 0 => word.push(letter),
            _ => {}
        }
    }
    words.push(word);
    words
        .iter()
        .filter_map(|word| word.trim().split("::").next().map(ToOwned::to_owned))
        .filter(|w| !w.is_empty())
        .collect()
}

#[test]
fn names_point_down() {
    let direct = rule(r"\bcrate::(\w+)");
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.folder != "lib" && source.folder != "main") {
        let Some((_, allowed)) = MAY_NAME.iter().find(|(folder, _)| *folder == source.folder) else {
            violations.push(format!(
                "src/{}: the folder `{}` is not in the table",
                source.path.display(),
                source.folder
            ));
            continue;
        };
        for (number, line) in &source.code {
            let direct = direct.captures_iter(line).map(|found| found[1].to_owned());
            for named in direct.chain(named_in_braces(line)) {
                if named != source.folder && !allowed.contains(&named.as_str()) {
                    let path = source.path.display();
                    violations.push(format!("src/{path}:{number}: {} names {named}", source.folder));
                }
            }
        }
    }
    assert_none("only these folders may be named, see MAY_NAME", &violations);
}

#[test]
fn nobody_climbs_out_of_a_folder() {
    let climb = rule(r"(?:super::)+");
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.folder != "lib" && source.folder != "main") {
        for (number, line) in &source.code {
            for found in climb.find_iter(line) {
                if found.as_str().len() / "super::".len() > source.depth {
                    violations.push(format!("src/{}:{number}: {}", source.path.display(), line.trim()));
                }
            }
        }
    }
    assert_none("write `crate::` to name another folder", &violations);
}

#[test]
fn the_program_only_starts_the_command_line_and_the_companion() {
    let main = sources().iter().find(|source| source.folder == "main").expect("src/main.rs");
    let named = rule(r"\bupdraft::\w+(::\w+)?");
    let allowed = [
        "updraft::cli::main",
        "updraft::config::arguments",
        "updraft::worker::companion",
        "updraft::worker::NATIVE_WORD",
        "updraft::operator::main",
    ];
    let violations: Vec<String> =
        found(main, &named).filter(|found| !allowed.iter().any(|allowed| found.ends_with(allowed))).collect();
    assert_none("src/main.rs parses, runs and exits; the rest belongs to cli", &violations);
}

#[test]
fn foreign_libraries_stay_in_their_folder() {
    let mut violations = Vec::new();
    for (pattern, folder) in ONE_FOLDER {
        let pattern = rule(pattern);
        for source in sources().iter().filter(|source| source.folder != *folder) {
            violations.extend(found(source, &pattern).map(|found| format!("{found} belongs to src/{folder}")));
        }
    }
    assert_none("these names belong to one folder", &violations);
}

#[test]
fn a_core_never_waits() {
    let pattern = rule(r"\.await\b|\basync\b");
    let sources = sources();
    let cores: Vec<&Source> = sources.iter().filter(|source| source.is_named("core.rs")).collect();
    assert!(cores.len() >= 2, "the scheduler and the executor have a core");
    let violations: Vec<String> = cores.into_iter().flat_map(|source| found(source, &pattern)).collect();
    assert_none("a file named core.rs is pure", &violations);
}

#[test]
fn nothing_is_unsafe_and_mailbox_limits_are_not_ignored() {
    let unsafe_code = rule(r"\bunsafe\s+(\{|fn|impl|trait|extern)");
    let past_the_limit = rule(r"\bdo_send\(");
    let sources = sources();
    let mut violations: Vec<String> = sources.iter().flat_map(|source| found(source, &unsafe_code)).collect();
    let others = sources.iter().filter(|source| source.path != Path::new("actor/told.rs"));
    violations.extend(others.flat_map(|source| found(source, &past_the_limit)));
    assert_none("no `unsafe`, and `do_send` only in src/actor/told.rs", &violations);
    let library = sources.iter().find(|source| source.folder == "lib").expect("src/lib.rs");
    assert!(library.text.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn every_module_begins_with_its_duty() {
    let mut files = Vec::new();
    for folder in ["src", "tests/it"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let silent: Vec<String> = files
        .iter()
        .filter(|file| !fs::read_to_string(file).expect("a source file is text").starts_with("//! "))
        .map(|file| file.display().to_string())
        .collect();
    assert_none("the first line says what the file is for (`//! ...`)", &silent);
}

#[test]
fn a_file_is_short_enough_to_be_read_from_the_top() {
    let sources = sources();
    let mut lengths: Vec<(usize, &Source)> =
        sources.iter().map(|source| (source.text.lines().count(), source)).collect();
    lengths.sort_by_key(|(length, _)| *length);
    let middle = lengths[lengths.len() / 2].0;
    println!("{} files, {middle} lines in the middle; the longest:", lengths.len());
    for (length, source) in lengths.iter().rev().take(10) {
        println!("{length:5} src/{}", source.path.display());
    }
    let long = lengths.iter().filter(|(length, _)| *length > LONGEST_FILE);
    let long: Vec<String> =
        long.map(|(length, source)| format!("src/{}: {length} lines", source.path.display())).collect();
    assert_none("too long to be one noun; divide it", &long);
}

#[test]
fn the_broker_comes_back_as_soon_as_the_times_of_the_protocol_count_on() {
    assert_eq!(updraft::broker::LONGEST_BACKOFF, updraft::config::RECONNECT_BACKOFF);
}

/// The rules themselves: what they find and what they let pass.
mod the_reader {
    use super::{code, named_in_braces};

    #[test]
    fn leaves_out_comments_and_tests() {
        let text = "use a; // crate::x\n//! crate::x\n#[cfg(test)]\nmod tests {\n    use crate::x;\n}\nuse b;";
        let lines: Vec<String> =
            code(text).into_iter().map(|(number, line)| format!("{number}{}", line.trim())).collect();
        assert_eq!(lines, ["1use a;", "7use b;"]);
    }

    #[test]
    fn understands_names_in_braces() {
        assert_eq!(named_in_braces("use crate::{a::{b, c}, d, e::f};"), ["a", "d", "e"]);
        assert!(named_in_braces("use crate::a::{b, c};").is_empty());
    }
}
