//! Reads `airflow.cfg` as Python's `configparser` does, and remembers the line of every option.
//!
//! The rules are those of the parser that people's files were written for: `=` or `:` after the option, option
//! names in any case, full-line comments with `#` or `;` (never behind a value), a deeper indented line continues
//! the value, `%%` is a percent sign and `%(other)s` another option of the section. Nothing here knows a key.

use std::collections::HashMap;

/// One option as it stands in the file; `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IniOption {
    pub section: String,
    pub key: String,
    pub value: String,
    pub line: u32,
}

/// Why the file cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IniError {
    pub line: u32,
    pub message: String,
}

/// Every option in the order of the file.
pub(super) fn read(text: &str) -> Result<Vec<IniOption>, IniError> {
    let mut options: Vec<IniOption> = Vec::new();
    let mut seen: HashMap<(String, String), u32> = HashMap::new();
    let mut section: Option<String> = None;
    // The indentation of the option that a deeper line would continue.
    let mut open: Option<usize> = None;
    for (number, raw) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let content = raw.trim();
        if content.starts_with(['#', ';']) {
            continue;
        }
        if content.is_empty() {
            if let (Some(_), Some(last)) = (open, options.last_mut()) {
                last.value.push('\n');
            }
            continue;
        }
        let indent = raw.len() - raw.trim_start().len();
        if let (Some(level), Some(last)) = (open, options.last_mut())
            && indent > level
        {
            last.value.push('\n');
            last.value.push_str(content);
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name) {
            section = Some(name.trim().to_owned());
            open = None;
            continue;
        }
        let Some(section) = &section else {
            return Err(IniError { line: number, message: format!("`{content}` stands before the first [section]") });
        };
        let Some((key, value)) = content.split_once(['=', ':']) else {
            let message = format!("expected `key = value` or `[section]`, got `{content}`");
            return Err(IniError { line: number, message });
        };
        let key = key.trim().to_lowercase();
        if let Some(first) = seen.insert((section.clone(), key.clone()), number) {
            let message = format!("[{section}] {key} is set twice, first in line {first}");
            return Err(IniError { line: number, message });
        }
        options.push(IniOption { section: section.clone(), key, value: value.trim().to_owned(), line: number });
        open = Some(indent);
    }
    for option in &mut options {
        option.value.truncate(option.value.trim_end().len());
    }
    interpolate(&mut options)?;
    Ok(options)
}

fn interpolate(options: &mut [IniOption]) -> Result<(), IniError> {
    let raw: HashMap<(String, String), String> =
        options.iter().map(|o| ((o.section.clone(), o.key.clone()), o.value.clone())).collect();
    for option in options {
        option.value = resolve(&option.section, &option.value, &raw, 0)
            .map_err(|message| IniError { line: option.line, message })?;
    }
    Ok(())
}

/// `configparser` allows this many nested references too.
const DEEPEST: usize = 10;

fn resolve(
    section: &str,
    value: &str,
    raw: &HashMap<(String, String), String>,
    depth: usize,
) -> Result<String, String> {
    if depth > DEEPEST {
        return Err("the `%(name)s` references in this value go in a circle".to_owned());
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('%') {
            out.push('%');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(")s")) {
            let known = |section: &str| raw.get(&(section.to_owned(), name.to_lowercase()));
            let Some(found) = known(section).or_else(|| known("DEFAULT")) else {
                return Err(format!("`%({name})s` refers to an option that is not in [{section}]; write `%%` for `%`"));
            };
            out.push_str(&resolve(section, found, raw, depth + 1)?);
            rest = tail;
        } else {
            // configparser refuses a lone `%`; what was meant is clear, for instance in a password like `a%40b`.
            out.push('%');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn values(text: &str) -> Vec<(String, String, u32)> {
        read(text).unwrap().into_iter().map(|o| (format!("{}.{}", o.section, o.key), o.value, o.line)).collect()
    }

    #[test]
    fn a_file_is_read_as_pythons_configparser_reads_it() {
        let text = "# top\n[core]\nDags_Folder = /a # not a comment\n; note\nexecutor: LocalExecutor\n\n[logging]\n\
                    log_format = [%%(asctime)s] %%\nsimple = x%40y\nmany =\n  a,\n  b\n\n  c\nempty =\nroot = /r\nsub = %(root)s/s\n";
        assert_eq!(
            values(text),
            [
                ("core.dags_folder", "/a # not a comment", 3),
                ("core.executor", "LocalExecutor", 5),
                ("logging.log_format", "[%(asctime)s] %", 8),
                ("logging.simple", "x%40y", 9),
                ("logging.many", "\na,\nb\n\nc", 10),
                ("logging.empty", "", 15),
                ("logging.root", "/r", 16),
                ("logging.sub", "/r/s", 17),
            ]
            .map(|(name, value, line)| (name.to_owned(), value.to_owned(), line))
        );
    }

    /// Asks Python's own parser.
    fn as_python_reads_it(text: &str) -> Vec<(String, String)> {
        let program = "import configparser, json, sys\n\
                       parser = configparser.ConfigParser()\n\
                       parser.read_string(sys.stdin.read())\n\
                       print(json.dumps([(s + '.' + k, v) for s in parser.sections() for k, v in parser[s].items()]))";
        let mut python = Command::new("python3")
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need python3");
        python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "python3 does not read this text");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn python_itself_reads_the_same() {
        let odd = "# top\n[a b]\nKey : one = two\n\tx\n\ty\n\n# in between\n\tz\n  deeper = 1\n  same=2\n\n[c]\n\
                   e=\nf = %(g)s/%%d\ng = ; kept # kept\n[a b]x\n";
        for text in [include_str!("tests/airflow2.cfg"), odd.trim_end_matches("[a b]x\n")] {
            let ours: Vec<_> = values(text).into_iter().map(|(name, value, _)| (name, value)).collect();
            assert_eq!(ours, as_python_reads_it(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\[?[a-c%()=: \t\n#;é]{0,6}\\]?\n?){0,20}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        for (text, line, part) in [
            ("executor = x\n", 1, "before the first [section]"),
            ("[core]\n\nexecutor\n", 3, "expected `key = value`"),
            ("[core]\na = 1\nb = 2\nA = 3\n", 4, "first in line 2"),
            ("[core]\na = %(b)s\nb = %(a)s\n", 2, "circle"),
            ("[core]\na = 1\nb = %(nope)s\n", 3, "`%(nope)s`"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.message.contains(part), "{}", error.message);
        }
    }
}
