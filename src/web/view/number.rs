//! Numbers as people read them: grouped counts, durations in two units, sizes.

use std::time::Duration;

/// `10,412`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 run`, `12 runs`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `0.4 s`, `9.0 s`, `42 s`, `4 m 12 s`, `2 h 03 m`, `3 d 04 h`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if seconds < 10 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if minutes < 1 {
        format!("{seconds} s")
    } else if hours < 1 {
        format!("{minutes} m {:02} s", seconds % 60)
    } else if days < 1 {
        format!("{hours} h {:02} m", minutes % 60)
    } else {
        format!("{days} d {:02} h", hours % 24)
    }
}

/// `912 B`, `12.3 kB`, `4.0 MB`.
pub fn bytes(number: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = number as f64;
    if number < 1000 {
        return format!("{number} B");
    }
    for unit in ["kB", "MB", "GB"] {
        size /= 1000.0;
        if size < 999.95 {
            return format!("{size:.1} {unit}");
        }
    }
    format!("{:.1} TB", size / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([0, 999, 1000, 10_412, 1_234_567].map(count), ["0", "999", "1,000", "10,412", "1,234,567"]);
        assert_eq!(counted(1, "run", "runs"), "1 run");
        assert_eq!(counted(1200, "run", "runs"), "1,200 runs");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let spoken = [0.35, 9.0, 42.0, 252.0, 7380.0, 273_600.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(spoken, ["0.3 s", "9.0 s", "42 s", "4 m 12 s", "2 h 03 m", "3 d 04 h"]);
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        assert_eq!([912, 12_345, 4_000_000, 2_500_000_000].map(bytes), ["912 B", "12.3 kB", "4.0 MB", "2.5 GB"]);
    }
}
