//! Medians and percentiles of what was measured.

/// The value below which `percent` of the sample lies (nearest rank).
///
/// # Panics
/// When nothing was measured: a question without a sample has no answer.
pub fn percentile(sample: &[f64], percent: usize) -> f64 {
    assert!(!sample.is_empty(), "nothing was measured");
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

pub fn median(sample: &[f64]) -> f64 {
    percentile(sample, 50)
}

/// A count as a number to divide by.
pub fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("the benchmarks count less than four billion things"))
}
