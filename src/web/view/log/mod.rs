//! A window of a log: numbered lines with their levels and colours, groups that fold.

mod ansi;
mod line;

use maud::{Markup, html};

pub use ansi::{Paint, painted};
pub use line::{Level, Line, Mark, is_error};

/// Lines of a file in their order; the first has this number, counted from 1.
pub struct Window<'a> {
    pub first: u64,
    pub text: &'a str,
    /// Where the place in the file is that a line is linked to; the number is added.
    pub link: &'a str,
    /// Only lines of these levels; empty: all.
    pub levels: &'a [Level],
    /// Lines that hold this are marked.
    pub wanted: Option<&'a str>,
}

/// The lines alone, so that more of them can be added where these stand.
pub fn lines(window: &Window<'_>) -> Markup {
    let mut level = Level::Info;
    let mut paint = Paint::default();
    let mut depth = 0_usize;
    let wanted = window.wanted.map(str::to_lowercase);
    let mut rows = Vec::new();
    for (number, text) in (window.first..).zip(window.text.lines()) {
        let line = Line::parse(text, level);
        // What follows without a level of its own belongs to it: the lines of a traceback do.
        level = line.level;
        let said = painted(&mut paint, line.text);
        if !window.levels.is_empty() && !window.levels.contains(&line.level) {
            continue;
        }
        let is_wanted = wanted.as_ref().is_some_and(|wanted| line.text.to_lowercase().contains(wanted.as_str()));
        if line.mark == Mark::GroupEnd {
            depth = depth.saturating_sub(1);
            continue;
        }
        rows.push(row(window, number, &line, &said, depth, is_wanted));
        if line.mark == Mark::GroupStart {
            depth += 1;
        }
    }
    html! { @for row in rows { (row) } }
}

fn row(window: &Window<'_>, number: u64, line: &Line<'_>, said: &Markup, depth: usize, is_wanted: bool) -> Markup {
    let mut class = format!("line l-{}", line.level.word());
    for (holds, more) in [(is_error(line), " error"), (is_wanted, " wanted"), (line.mark == Mark::GroupStart, " opens")]
    {
        class.push_str(if holds { more } else { "" });
    }
    html! {
        div id=(format!("L{number}")) class=(class) data-deep=[(depth > 0).then_some(depth)] {
            a.number href=(format!("{}#L{number}", window.link)) { (number) }
            @if let Some(time) = line.time { time datetime=(time) { (line::clock(time)) } }
            @if line.time.is_some() { span.level { (line.level.short()) } }
            span.text { (said) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "[2026-11-21T12:00:00.123+0000] {bash} INFO - ::group::Build\n\
        [2026-11-21T12:00:00.124+0000] {bash} INFO - \u{1b}[1;31mred\u{1b}[0m and <plain>\n\
        [2026-11-21T12:00:00.125+0000] {bash} INFO - ::endgroup::\n\
        [2026-11-21T12:00:00.126+0000] {task} ERROR - exit code 1\n\
        without a head\n";

    fn drawn(levels: &[Level], wanted: Option<&str>) -> String {
        let window = Window { first: 41, text: LOG, link: "/log", levels, wanted };
        lines(&window).into_string().replace("</div>", "</div>\n")
    }

    #[test]
    fn lines_are_numbered_coloured_and_grouped() {
        insta::assert_snapshot!(drawn(&[], Some("EXIT")));
    }

    #[test]
    fn levels_can_be_chosen_and_a_line_without_one_belongs_to_the_line_before() {
        let drawn = drawn(&[Level::Error], None);
        assert!(
            drawn.contains("exit code 1") && drawn.contains("without a head") && !drawn.contains("plain"),
            "{drawn}"
        );
    }
}
