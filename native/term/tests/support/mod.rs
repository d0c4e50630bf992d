//! What the tests of terms share: a seeded generator of terms, and a BEAM on a pipe to ask.
//!
//! `MAGNESIA_SEED` repeats a run; `MAGNESIA_CASES` multiplies the number of cases. A test that
//! fails prints its seed and the line that repeats it.

#![allow(dead_code, unreachable_pub, reason = "each test takes a part of this")]

pub mod beam;
pub mod model;
pub mod random;
pub mod stored;

/// A number of cases, multiplied by `MAGNESIA_CASES`.
pub fn cases(default: usize) -> usize {
    let times: f64 = std::env::var("MAGNESIA_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1.0);
    ((default as f64 * times) as usize).max(1)
}

/// The seed of this run: `MAGNESIA_SEED`, or one from the clock.
pub fn seed() -> u64 {
    std::env::var("MAGNESIA_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(1, |time| time.as_nanos() as u64)
        })
}

/// The line that repeats a run.
pub fn repeat(seed: u64, test: &str) -> String {
    format!("repeat with: MAGNESIA_SEED={seed} cargo test -p magnesia-term --test {test}")
}
