//! Colours of terminals as classes: a program that colours its output is read in colours here too.

use maud::{Markup, html};

/// What is switched on; goes on over the end of a line, as in a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// 0 to 15: the eight colours and their bright ones.
    colour: Option<u8>,
    ground: Option<u8>,
    bold: bool,
    faint: bool,
    italic: bool,
    underlined: bool,
}

impl Paint {
    fn class(self) -> String {
        let mut classes = Vec::new();
        classes.extend(self.colour.map(|n| format!("a{n}")));
        classes.extend(self.ground.map(|n| format!("g{n}")));
        for (holds, class) in
            [(self.bold, "bold"), (self.faint, "faint"), (self.italic, "italic"), (self.underlined, "under")]
        {
            classes.extend(holds.then(|| class.to_owned()));
        }
        classes.join(" ")
    }

    fn apply(&mut self, codes: &str) {
        let mut codes = codes.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                22 => (self.bold, self.faint) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                30..=37 => self.colour = u8::try_from(code - 30).ok(),
                38 => self.colour = extended(&mut codes),
                39 => self.colour = None,
                40..=47 => self.ground = u8::try_from(code - 40).ok(),
                48 => self.ground = extended(&mut codes),
                49 => self.ground = None,
                90..=97 => self.colour = u8::try_from(code - 82).ok(),
                100..=107 => self.ground = u8::try_from(code - 92).ok(),
                _ => {}
            }
        }
    }
}

/// Of 256 colours, or of all, the nearest of the sixteen.
fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<u8> {
    match codes.next()? {
        5 => match codes.next()? {
            n @ 0..=15 => u8::try_from(n).ok(),
            n @ 16..=231 => {
                let n = n - 16;
                Some(nearest([n / 36, n / 6 % 6, n % 6].map(|part| part * 51)))
            }
            grey @ 232..=243 => Some(if grey < 238 { 0 } else { 8 }),
            _ => Some(7),
        },
        2 => Some(nearest([codes.next()?, codes.next()?, codes.next()?])),
        _ => None,
    }
}

fn nearest([red, green, blue]: [u16; 3]) -> u8 {
    let most = red.max(green).max(blue);
    let bit = |part: u16, value: u8| if most > 0 && part * 2 > most { value } else { 0 };
    let colour = bit(red, 1) | bit(green, 2) | bit(blue, 4);
    if most > 200 { colour + 8 } else { colour }
}

/// The text of a line in its colours; other sequences of terminals are left out.
pub fn painted(paint: &mut Paint, text: &str) -> Markup {
    if *paint == Paint::default() && !text.contains('\u{1b}') {
        return html! { (text) };
    }
    let mut parts: Vec<(String, &str)> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        parts.push((paint.class(), &rest[..at]));
        rest = &rest[at + 1..];
        let Some(sequence) = rest.strip_prefix('[') else { continue };
        let end = sequence.find(|c: char| ('@'..='~').contains(&c)).unwrap_or(sequence.len());
        let (codes, after) = sequence.split_at(end);
        if after.starts_with('m') {
            paint.apply(codes);
        }
        rest = after.get(1..).unwrap_or_default();
    }
    parts.push((paint.class(), rest));
    html! {
        @for (class, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
            @if class.is_empty() { (text) } @else { span class=(class) { (text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        painted(&mut Paint::default(), text).into_string()
    }

    #[test]
    fn colours_become_classes_and_all_else_of_a_terminal_goes() {
        assert_eq!(html("a\u{1b}[1;31mb\u{1b}[0mc"), r#"a<span class="a1 bold">b</span>c"#);
        assert_eq!(html("\u{1b}[38;5;196mx\u{1b}[K\u{1b}[39my"), r#"<span class="a9">x</span>y"#);
        assert_eq!(html("\u{1b}[38;2;0;120;0;4mx"), r#"<span class="a2 under">x</span>"#);
        assert_eq!(html("\u{1b}[2Aup\u{1b}"), "up");
        assert_eq!(html("a < b"), "a &lt; b");
    }

    #[test]
    fn a_colour_goes_on_over_the_end_of_a_line() {
        let mut paint = Paint::default();
        painted(&mut paint, "\u{1b}[32mgreen");
        assert_eq!(painted(&mut paint, "still").into_string(), r#"<span class="a2">still</span>"#);
    }
}
