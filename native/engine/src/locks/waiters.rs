//! How many transactions wait for locks: counted, so that there is a bound.
//!
//! Never here: who waits, and for what.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Transactions that wait for locks, at the most.
pub const WAITERS_MAX: usize = 64 << 10;

/// The count of those who wait.
#[derive(Debug)]
pub struct Waiters(AtomicUsize);

impl Waiters {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts one more; says no, and counts nothing, when there are too many.
    #[must_use]
    pub fn enter(&self) -> bool {
        let is_in = self.0.fetch_add(1, Ordering::Relaxed) < WAITERS_MAX;
        if !is_in {
            self.leave();
        }
        is_in
    }

    /// Counts one less.
    pub fn leave(&self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "one leaves who was never counted");
    }
}
