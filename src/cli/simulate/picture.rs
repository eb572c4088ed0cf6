//! The slots as a picture for a terminal: a line per day or month, a character
//! per half hour or day, higher where more tasks run.

use std::io::{self, Write};

use crate::domain::limit::Limit;
use crate::domain::time::after;
use crate::node::simulate::Simulated;

/// From none to all slots.
const LEVELS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn write(simulated: &Simulated, out: &mut dyn Write) -> io::Result<()> {
    let used = &simulated.utilisation;
    let whole = capacity(simulated);
    let of = match bound(simulated) {
        Limit::Unlimited => format!("without limit; {} at most", used.most),
        Limit::AtMost(n) => format!("of {n}; {} at most", used.most),
    };
    let is_fine = used.bucket_seconds < 86_400.0;
    let (per_line, unit) = if is_fine { (48, "half an hour") } else { (28, "a day") };
    writeln!(out, "Tasks that run ({of}), {unit} for each character; behind it the share of slots and who waits most")?;
    for (line, busy) in used.busy.chunks(per_line).enumerate() {
        let first = line * per_line;
        let begins = after(simulated.from, std::time::Duration::from_secs_f64(used.bucket_seconds * first as f64));
        let bar: String = busy.iter().map(|busy| level(*busy, whole)).collect();
        let share = busy.iter().sum::<f64>() / busy.len() as f64 / whole * 100.0;
        let waiting = used.waiting.iter().skip(first).take(per_line).fold(0.0_f64, |most, waiting| most.max(*waiting));
        let waiting = if waiting >= 0.5 { format!("  {waiting:.0} waiting") } else { String::new() };
        let date = begins.format(if is_fine { "%a %Y-%m-%d %H:%M" } else { "%Y-%m-%d" });
        writeln!(out, "{date} {bar:<per_line$} {share:>3.0} %{waiting}")?;
    }
    Ok(())
}

fn level(busy: f64, whole: f64) -> char {
    let share = (busy / whole).clamp(0.0, 1.0);
    // Anything at all is more than nothing.
    let step = if share > 0.0 { (share * 8.0).round().max(1.0) } else { 0.0 };
    LEVELS[step as usize]
}

/// What bounds how many tasks run: the slots or `parallelism`, whichever is less.
pub(super) fn bound(simulated: &Simulated) -> Limit {
    match (simulated.slots, simulated.parallelism) {
        (Limit::AtMost(a), Limit::AtMost(b)) => Limit::AtMost(a.min(b)),
        (Limit::AtMost(a), Limit::Unlimited) | (Limit::Unlimited, Limit::AtMost(a)) => Limit::AtMost(a),
        (Limit::Unlimited, Limit::Unlimited) => Limit::Unlimited,
    }
}

/// What a full picture stands for: all slots, or without limit the most that ran.
pub(super) fn capacity(simulated: &Simulated) -> f64 {
    match bound(simulated) {
        Limit::AtMost(n) => f64::from(n.get()),
        Limit::Unlimited => f64::from(simulated.utilisation.most.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_more_than_nothing_and_all_is_a_whole_block() {
        let shown: String = [0.0, 0.01, 2.0, 4.0, 9.0].map(|busy| level(busy, 4.0)).into_iter().collect();
        assert_eq!(shown, "·▁▄██");
    }
}
