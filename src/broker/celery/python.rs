//! Texts as Python's `repr` writes them: Celery's tools show such texts as they come.

/// `'text'`, with what would end it or be unseen escaped.
pub(super) fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() && u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `('a', 'b', 3)`; the parts are written already.
pub(super) fn tuple(parts: &[String]) -> String {
    match parts {
        [one] => format!("({one},)"),
        parts => format!("({})", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_python_writes_them() {
        for (text, written) in [
            ("plain", "'plain'"),
            ("it's", "\"it's\""),
            ("it's \"so\"", "'it\\'s \"so\"'"),
            ("a\\b\nc\u{7}", "'a\\\\b\\nc\\x07'"),
            ("grün", "'grün'"),
            ("", "''"),
        ] {
            assert_eq!(repr(text), written);
        }
        assert_eq!(tuple(&[]), "()");
        assert_eq!(tuple(&["1".into()]), "(1,)");
        assert_eq!(tuple(&["'a'".into(), "2".into()]), "('a', 2)");
    }
}
