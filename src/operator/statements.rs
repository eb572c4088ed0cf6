//! Cuts a text into its SQL statements: at semicolons that stand in no string, comment or quoted body.

/// The statements, without their semicolons; empty ones are left out.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let step = match rest.as_bytes()[0] {
            quote @ (b'\'' | b'"' | b'`') => quoted(rest, quote),
            b'-' if rest.starts_with("--") => line(rest),
            b'/' if rest.starts_with("/*") => comment(rest),
            b'$' => dollar_quoted(rest).unwrap_or(1),
            b';' => {
                statements.push(&text[start..at]);
                start = at + 1;
                1
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += step;
    }
    statements.push(&text[start..]);
    statements.into_iter().map(str::trim).filter(|statement| says_something(statement)).map(str::to_owned).collect()
}

/// More than comments and blanks.
fn says_something(statement: &str) -> bool {
    let mut rest = statement.trim_start();
    loop {
        let step = match rest {
            "" => return false,
            _ if rest.starts_with("--") => line(rest),
            _ if rest.starts_with("/*") => comment(rest),
            _ => return true,
        };
        rest = rest[step..].trim_start();
    }
}

/// A quote that is doubled, or in MySQL has a backslash before it, does not end the string.
fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote != b'`' && bytes.get(at + 1) == Some(&quote) && bytes.get(at + 2) != Some(&b';') => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn line(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |end| end + 1)
}

fn comment(text: &str) -> usize {
    text.find("*/").map_or(text.len(), |end| end + 2)
}

/// Postgres: `$tag$ ... $tag$`.
fn dollar_quoted(text: &str) -> Option<usize> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[..end];
    let is_name = tag[1..end - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name || tag[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text[end..].find(tag).map(|body| end + body + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_in_a_string_a_comment_or_a_body_ends_nothing() {
        let text = "insert into t values ('a;b''c;'); -- no; end\nselect \"x;y\" /* ; */; ;\n\
                    create function f() returns int as $body$ begin; return 1; end $body$ language plpgsql;\n-- last";
        let statements = split(text);
        assert_eq!(statements.len(), 3, "{statements:#?}");
        assert_eq!(statements[0], "insert into t values ('a;b''c;')");
        assert!(statements[1].starts_with("-- no; end\nselect"));
        assert!(statements[2].ends_with("language plpgsql"));
    }

    #[test]
    fn what_is_never_closed_is_one_statement() {
        assert_eq!(split("select 'a; b"), ["select 'a; b"]);
        assert_eq!(split("select $1; select 2"), ["select $1", "select 2"]);
        assert!(split(" ; -- nothing").is_empty());
    }
}
