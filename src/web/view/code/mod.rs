//! The text of a DAG file, as its author would read it: coloured, numbered, and what changed since the version before.

mod token;

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use token::{Language, Token, tokens};

/// Unchanged lines around a change.
const AROUND: usize = 4;

/// The whole text; each line is a link to itself.
pub fn draw(file: &str, source: &str) -> Markup {
    let lines = painted(file, source);
    html! {
        div.code {
            @for (number, line) in (1..).zip(&lines) {
                div.line id=(format!("L{number}")) { a.number href=(format!("#L{number}")) { (number) } code { (line) } }
            }
        }
    }
}

/// What changed from one text to the next, with a few lines around it.
pub fn difference(file: &str, before: &str, after: &str) -> Markup {
    let (old, new) = (painted(file, before), painted(file, after));
    let diff = TextDiff::from_lines(before, after);
    let groups = diff.grouped_ops(AROUND);
    html! {
        @if groups.is_empty() { p.quiet { "The two versions have the same text; what they differ in comes from elsewhere, such as the configuration." } }
        div.code.diff {
            @for (at, group) in groups.iter().enumerate() {
                @if at > 0 { div.gap { "⋯" } }
                @for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                    @let (class, sign, line) = match change.tag() {
                        ChangeTag::Equal => ("line", " ", change.new_index().and_then(|at| new.get(at))),
                        ChangeTag::Delete => ("line gone", "−", change.old_index().and_then(|at| old.get(at))),
                        ChangeTag::Insert => ("line new", "+", change.new_index().and_then(|at| new.get(at))),
                    };
                    div class=(class) {
                        span.number { (change.old_index().map(|at| (at + 1).to_string()).unwrap_or_default()) }
                        span.number { (change.new_index().map(|at| (at + 1).to_string()).unwrap_or_default()) }
                        span.sign { (sign) }
                        code { @if let Some(line) = line { (line) } }
                    }
                }
            }
        }
    }
}

/// Line by line; a text in quotes that goes over several lines is coloured in each.
fn painted(file: &str, source: &str) -> Vec<Markup> {
    let language = Language::of(file);
    let mut lines: Vec<Vec<(Token, &str)>> = vec![Vec::new()];
    for (token, text) in tokens(language, source) {
        for (at, part) in text.split('\n').enumerate() {
            if at > 0 {
                lines.push(Vec::new());
            }
            if let Some(line) = lines.last_mut().filter(|_| !part.is_empty()) {
                line.push((token, part));
            }
        }
    }
    if source.ends_with('\n') {
        lines.pop();
    }
    let paint = |line: Vec<(Token, &str)>| {
        html! {
            @for (token, text) in line {
                @match token.class() {
                    Some(class) => { span class=(class) { (text) } }
                    None => { (text) }
                }
            }
        }
    };
    lines.into_iter().map(paint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_is_coloured_line_by_line() {
        let source = "from airflow import DAG  # new\nwith DAG('a', x=1.5):\n    \"\"\"doc\n    more\"\"\"\n    @task\n    def f(): return None\n";
        insta::assert_snapshot!(draw("a.py", source).into_string().replace("</div>", "</div>\n"));
    }

    #[test]
    fn a_difference_shows_what_went_and_what_came() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\n";
        let after = before.replace("b: 2", "b: two");
        let drawn = difference("a.yaml", before, &after).into_string();
        assert!(drawn.contains("line gone") && drawn.contains("line new"), "{drawn}");
        assert!(!drawn.contains("7</code>"), "far away: {drawn}");
        assert!(difference("a.yaml", before, before).into_string().contains("same text"));
    }

    #[test]
    fn nothing_of_the_text_is_lost_whatever_it_is() {
        for (file, source) in [
            ("a.py", "'\\'\" ''' x\n\"\"\""),
            ("a.yaml", "a: \"b\n  c\" # d\n- 'e"),
            ("b.py", "é = f\"{x!r}\" \u{1f600}"),
        ] {
            let text: String = tokens(Language::of(file), source).map(|(_, text)| text).collect();
            assert_eq!(text, source);
        }
    }
}
