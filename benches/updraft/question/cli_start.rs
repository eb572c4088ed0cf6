//! Start of the command line: `updraft version`, 30 times, against `/bin/true` between them.

use std::process::Stdio;
use std::time::Instant;

use crate::bare;
use crate::figure::{Figure, Target, Unit};
use crate::home::Home;
use crate::sample::{median, percentile};
use crate::{Bench, Result};

const TIMES: usize = 30;

pub fn ask(_: &Bench) -> Result<Vec<Figure>> {
    let home = Home::new()?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let begun = Instant::now();
        bare::run("/bin/true", &[]);
        bare.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        let status = home.command().arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(format!("`updraft version` ended with {status}").into());
        }
    }
    Ok(vec![
        Figure::new("`updraft version`, p50", median(&ours), Unit::Milliseconds)
            .against("/bin/true", median(&bare))
            .target(Target::AtMost(15.0)),
        Figure::new("the same, p99", percentile(&ours, 99), Unit::Milliseconds),
    ])
}
