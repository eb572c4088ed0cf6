//! How the machine and this process fare, read when somebody asks.

use rustix::param::clock_ticks_per_second;

/// Numbers for viewers; nothing is decided by them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vitals {
    /// Over 1, 5 and 15 minutes.
    pub(super) load: [f64; 3],
    /// Seconds of processor time of this process.
    pub(super) user_time: f64,
    pub(super) system_time: f64,
    /// The most memory that it ever had, in KiB.
    pub(super) max_rss: u64,
}

impl Vitals {
    /// What cannot be read is zero.
    pub(super) fn read() -> Self {
        /// The kernel counts load in these parts.
        const PARTS: f64 = 65536.0;
        let load = rustix::system::sysinfo().loads.map(|load| (load as f64 / PARTS * 100.0).round() / 100.0);
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (user_time, system_time) = times(&text("/proc/self/stat"), clock_ticks_per_second() as f64);
        Self { load, user_time, system_time, max_rss: peak(&text("/proc/self/status")) }
    }
}

/// Behind the program's name, which is in parentheses and may hold anything, the 12th and 13th word.
fn times(stat: &str, ticks: f64) -> (f64, f64) {
    let mut words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11);
    let mut next = || words.next().and_then(|word| word.parse::<f64>().ok()).unwrap_or_default() / ticks;
    (next(), next())
}

fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_kernel_are_read_past_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 1 0 100 1 1";
        assert_eq!(times(stat, 100.0), (2.5, 0.75));
        assert_eq!(times("", 100.0), (0.0, 0.0));
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t  5124 kB\n"), 5124);
        let own = Vitals::read();
        assert!(own.max_rss > 0 && own.load.iter().all(|load| *load >= 0.0), "{own:?}");
    }
}
