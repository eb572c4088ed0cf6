//! Cron as Airflow's users write it (croniter's dialect), turned into the dialect of the `croner` crate.
//!
//! This file reads words and refuses them with a sentence. It knows no time.
//!
//! The differences: croniter has the optional seconds last, writes the last
//! Friday `L5`, lets ranges wrap (`FRI-MON`, `22-2`), lets a step start anywhere
//! (`5/15`), and takes a field that names every value for a `*`, which decides
//! whether days of month and days of week are joined by OR.

use super::InvalidSchedule;

/// The words for schedules and what they stand for (SCHEDULING §4).
pub(super) const PRESETS: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@quarterly", "0 0 1 */3 *"),
    ("@yearly", "0 0 1 1 *"),
];

/// What people know from crontab, and Airflow does not.
const FOREIGN_PRESETS: [(&str, &str); 2] = [("@midnight", "@daily"), ("@annually", "@yearly")];

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// Words for the values from `low` on.
    words: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    DayOfMonth,
    DayOfWeek,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// In the order in which croniter has them.
const FIELDS: [Field; 6] = [
    Field { name: "minute", low: 0, high: 59, words: &[], kind: Kind::Plain },
    Field { name: "hour", low: 0, high: 23, words: &[], kind: Kind::Plain },
    Field { name: "day of the month", low: 1, high: 31, words: &[], kind: Kind::DayOfMonth },
    Field { name: "month", low: 1, high: 12, words: &MONTHS, kind: Kind::Plain },
    Field { name: "day of the week", low: 0, high: 6, words: &WEEKDAYS, kind: Kind::DayOfWeek },
    Field { name: "second", low: 0, high: 59, words: &[], kind: Kind::Plain },
];

/// `expression` in croner's dialect: five fields, or six with the seconds first.
pub(super) fn translate(expression: &str) -> Result<String, InvalidSchedule> {
    let fields = expand_preset(expression)?;
    let parts: Vec<&str> = fields.split_whitespace().collect();
    if !(5..=6).contains(&parts.len()) {
        return Err(InvalidSchedule::FieldCount { expression: expression.to_owned(), got: parts.len() });
    }
    let mut translated = Vec::with_capacity(parts.len());
    for (field, part) in FIELDS.iter().zip(&parts) {
        translated.push(field.translate(part).map_err(|got| InvalidSchedule::Field {
            expression: expression.to_owned(),
            field: field.name,
            expected: field.expectation(),
            got,
        })?);
    }
    if let Some(seconds) = translated.get(5).cloned() {
        translated.rotate_right(1);
        translated[0] = seconds;
    }
    Ok(translated.join(" "))
}

fn expand_preset(expression: &str) -> Result<&str, InvalidSchedule> {
    let word = expression.trim();
    if !word.starts_with('@') {
        return Ok(word);
    }
    let known =
        |table: &[(&'static str, &'static str)]| table.iter().find(|(name, _)| *name == word).map(|(_, to)| *to);
    known(&PRESETS).ok_or_else(|| InvalidSchedule::unknown_preset(word, known(&FOREIGN_PRESETS)))
}

impl Field {
    /// The field in croner's words, or the part of it that makes no sense.
    fn translate(&self, text: &str) -> Result<String, String> {
        let mut translated = Vec::new();
        let mut values: Vec<u32> = Vec::new();
        let mut only_values = true;
        for part in text.split(',') {
            let one = self.translate_part(part).ok_or_else(|| part.to_owned())?;
            match one {
                Part::Everything => return Ok("*".to_owned()),
                Part::Values { text, of } => {
                    values.extend(of);
                    translated.push(text);
                }
                Part::Special(text) => {
                    only_values = false;
                    translated.push(text);
                }
            }
        }
        values.sort_unstable();
        values.dedup();
        let every_value = values.len() == (self.high - self.low + 1) as usize;
        Ok(if only_values && every_value { "*".to_owned() } else { translated.join(",") })
    }

    fn translate_part(&self, part: &str) -> Option<Part> {
        if part == "*" || (part == "?" && self.kind != Kind::Plain) {
            return Some(Part::Everything);
        }
        if let Some(special) = self.special(part) {
            return Some(Part::Special(special));
        }
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (self.low, self.high),
            (_, Some((from, to))) => (self.value(from)?, self.range_end(to)?),
            // A step without an end runs to the end of the field.
            (_, None) if step.is_some() => (self.value(range)?, self.high),
            (_, None) => (self.value(range)?, self.value(range)?),
        };
        let of = self.stepped(from, to, step.unwrap_or(1));
        let text = match (range, step) {
            // Kept as it is, because people read the description of it.
            ("*", Some(step)) if step <= self.high - self.low => format!("*/{step}"),
            _ => of.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        };
        Some(Part::Values { text, of })
    }

    /// The last day (`L`, `L5`, `5L`), the nearest working day (`15W`) and the nth weekday (`5#2`).
    fn special(&self, part: &str) -> Option<String> {
        let upper = part.to_ascii_uppercase();
        match self.kind {
            Kind::Plain => None,
            Kind::DayOfMonth if upper == "L" || upper == "LW" => Some(upper),
            Kind::DayOfMonth => {
                let day = self.value(upper.strip_suffix('W')?)?;
                Some(format!("{day}W"))
            }
            Kind::DayOfWeek => {
                if let Some((day, nth)) = upper.split_once('#') {
                    let nth = nth.parse::<u32>().ok().filter(|nth| (1..=5).contains(nth))?;
                    return Some(format!("{}#{nth}", self.value(day)?));
                }
                let day = upper.strip_prefix('L').or_else(|| upper.strip_suffix('L'))?;
                Some(format!("{}L", self.value(day)?))
            }
        }
    }

    fn value(&self, word: &str) -> Option<u32> {
        let named = self.words.iter().position(|known| known.eq_ignore_ascii_case(word));
        let value = match named {
            Some(index) => self.low + u32::try_from(index).ok()?,
            None if word.bytes().all(|b| b.is_ascii_digit()) => word.parse().ok()?,
            None => return None,
        };
        let value = if self.kind == Kind::DayOfWeek && value == 7 { 0 } else { value };
        (self.low..=self.high).contains(&value).then_some(value)
    }

    /// In `5-7` and `0-7` the 7 is the Sunday that ends the week.
    fn range_end(&self, word: &str) -> Option<u32> {
        if self.kind == Kind::DayOfWeek && word == "7" { Some(7) } else { self.value(word) }
    }

    /// From `from` to `to` by `step`, through the end of the field where `to` is lower.
    fn stepped(&self, from: u32, to: u32, step: u32) -> Vec<u32> {
        let span = self.high - self.low + 1;
        let last = if to < from { to + span } else { to };
        let mut values: Vec<u32> =
            (from..=last).step_by(step as usize).map(|value| self.low + (value - self.low) % span).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn expectation(&self) -> String {
        let words = match self.words {
            [] => String::new(),
            [first, .., last] | [first @ last] => format!(" or {first} to {last}"),
        };
        let special = match self.kind {
            Kind::Plain => "",
            Kind::DayOfMonth => ", `L` for the last day",
            Kind::DayOfWeek => ", `5#2` for the 2nd Friday, `L5` for the last Friday",
        };
        format!("{} to {}{words}, `*`, a range `a-b`, a step `*/n`{special}, or a list of these", self.low, self.high)
    }
}

enum Part {
    Everything,
    Values { text: String, of: Vec<u32> },
    Special(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn croniters_words_become_croners() {
        let table = [
            ("@weekly", "0 0 * * 0"),
            ("0 12 * * MON-fri", "0 12 * * 1,2,3,4,5"),
            ("0 0 * JAN,DEC *", "0 0 * 1,12 *"),
            ("0 0 L * *", "0 0 L * *"),
            ("0 0 * * L5", "0 0 * * 5L"),
            ("0 0 * * LFRI", "0 0 * * 5L"),
            ("0 0 * * fri#2", "0 0 * * 5#2"),
            ("0 22-2 * * *", "0 0,1,2,22,23 * * *"),
            ("0 0 * * FRI-MON", "0 0 * * 0,1,5,6"),
            ("0 0 * * 6-7", "0 0 * * 0,6"),
            ("5/15 * * * *", "5,20,35,50 * * * *"),
            ("*/60 * * * *", "0 * * * *"),
            ("0 0 1-31 * 5", "0 0 * * 5"),
            ("0 0-23 13 * 0-7", "0 * 13 * *"),
            ("*/15 */1 ? * ?", "*/15 * * * *"),
            ("0 0 * * * 30", "30 0 0 * * *"),
        ];
        for (croniter, croner) in table {
            assert_eq!(translate(croniter).as_deref(), Ok(croner), "{croniter}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        let table = [
            ("@dayly", "unknown schedule `@dayly`; did you mean `@daily`?"),
            ("@midnight", "unknown schedule `@midnight`; did you mean `@daily`?"),
            ("@annually", "unknown schedule `@annually`; did you mean `@yearly`?"),
            (
                "0 0 * *",
                "expected the cron expression `0 0 * *` to have 5 fields (minute, hour, day of the month, month, \
                 day of the week) or 6 (seconds last), got: 4",
            ),
            (
                "0 25 * * *",
                "expected the hour in the cron expression `0 25 * * *` to be 0 to 23, `*`, a range `a-b`, a step \
                 `*/n`, or a list of these, got: `25`",
            ),
        ];
        for (expression, sentence) in table {
            assert_eq!(translate(expression).expect_err(expression).to_string(), sentence);
        }
        for expression in ["", "@", "a b c d e", "*/0 * * * *", "0 0 * * 5#6", "0 0 * MAI *", "-1 * * * *", "0 0 0 * *"]
        {
            translate(expression).expect_err(expression);
        }
    }
}
