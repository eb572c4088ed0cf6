//! Reads `updraft.toml` so that every value keeps its line and column. Nothing here knows a key.

use toml::de::{DeTable, DeValue};

/// One `[section] key = value` as it stands in the file; line and column count from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TomlSetting {
    pub section: String,
    pub key: String,
    /// Text, whatever TOML type it was written in; lists are joined by commas.
    pub value: String,
    pub line: u32,
    pub column: u32,
}

/// Why the file, or one value in it, cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TomlError {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// Every setting in the order of the file, and what could not be read.
pub(super) fn read(text: &str) -> (Vec<TomlSetting>, Vec<TomlError>) {
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            return (Vec::new(), vec![TomlError { line, column, message: error.message().to_owned() }]);
        }
    };
    let mut settings = Vec::new();
    let mut errors = Vec::new();
    for (section, table) in root.get_ref() {
        let at = position(text, section.span().start);
        let DeValue::Table(table) = table.get_ref() else {
            let message = format!("expected `{}` under a [section], got it before the first one", section.get_ref());
            errors.push(TomlError { line: at.0, column: at.1, message });
            continue;
        };
        for (key, value) in table {
            let (line, column) = position(text, key.span().start);
            match text_of(value.get_ref()) {
                Some(value) => settings.push(TomlSetting {
                    section: section.get_ref().to_string(),
                    key: key.get_ref().to_string(),
                    value,
                    line,
                    column,
                }),
                None => {
                    let message = format!(
                        "expected [{}] {} to be a text, a number, True or False, or a list of these; got a table",
                        section.get_ref(),
                        key.get_ref()
                    );
                    errors.push(TomlError { line, column, message });
                }
            }
        }
    }
    settings.sort_by_key(|setting| (setting.line, setting.column));
    (settings, errors)
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.as_str().to_owned(),
        }),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(if *flag { "True" } else { "False" }.to_owned()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| text_of(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        DeValue::Table(_) => None,
    }
}

/// Line and column of a byte, both from 1; the column counts characters.
fn position(text: &str, byte: usize) -> (u32, u32) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_keeps_its_line_and_column() {
        let (settings, errors) = read(
            "[core]\nparallelism = 0x10\n  load_examples = false\n\n[api]\nport = \"80\"\nauth = [\"a\", \"b\"]\n",
        );
        assert_eq!(errors, []);
        let seen: Vec<_> =
            settings.iter().map(|s| (s.section.as_str(), s.key.as_str(), s.value.as_str(), s.line, s.column)).collect();
        assert_eq!(
            seen,
            [
                ("core", "parallelism", "16", 2, 1),
                ("core", "load_examples", "False", 3, 3),
                ("api", "port", "80", 6, 1),
                ("api", "auth", "a,b", 7, 1),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, line, column, part) in [
            ("[core]\nexecutor = Local\n", 2, 12, ""),
            ("executor = 'x'\n", 1, 1, "under a [section]"),
            ("[core]\n[core.executor]\nx = 1\n", 2, 7, "got a table"),
        ] {
            let (_, errors) = read(text);
            assert_eq!((errors[0].line, errors[0].column), (line, column), "{text}: {}", errors[0].message);
            assert!(errors[0].message.contains(part), "{}", errors[0].message);
        }
    }
}
