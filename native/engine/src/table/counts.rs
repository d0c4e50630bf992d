//! Rows and bytes of a table, counted in stripes so that writers on several cores don't meet.

use std::sync::atomic::{AtomicI64, Ordering};

use crossbeam_utils::CachePadded;
use magnesia_term::Row;

const STRIPES: usize = 16;

#[derive(Debug, Default)]
struct Stripe {
    rows: AtomicI64,
    bytes: AtomicI64,
}

/// How many rows a table has and the memory they take.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    stripes: [CachePadded<Stripe>; STRIPES],
}

/// Memory of one row, as allocators round it: to 16 bytes, and beyond 128 to a quarter of the
/// power of two below.
fn bytes_of(row: &Row) -> i64 {
    let bytes = Row::OVERHEAD_BYTES + row.body().len();
    let step = (1 << (bytes - 1).ilog2()) / 4;
    i64::try_from(bytes.next_multiple_of(step.max(16))).unwrap_or(i64::MAX)
}

impl Counts {
    /// Any stripe will do, since only sums are read: rows are spread by their addresses.
    #[inline]
    fn stripe(&self, row: &Row) -> &Stripe {
        &self.stripes[(row.body().as_ptr() as usize >> 6) % STRIPES]
    }

    pub(crate) fn add(&self, row: &Row) {
        let stripe = self.stripe(row);
        stripe.rows.fetch_add(1, Ordering::Relaxed);
        stripe.bytes.fetch_add(bytes_of(row), Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, row: &Row) {
        let stripe = self.stripe(row);
        stripe.rows.fetch_sub(1, Ordering::Relaxed);
        stripe.bytes.fetch_sub(bytes_of(row), Ordering::Relaxed);
    }

    /// Counts a row that took another's place.
    #[inline]
    pub(crate) fn replace(&self, old: &Row, new: &Row) {
        let (was, is) = (bytes_of(old), bytes_of(new));
        if was != is {
            self.stripe(new)
                .bytes
                .fetch_add(is - was, Ordering::Relaxed);
        }
    }

    pub(crate) fn rows(&self) -> usize {
        let sum: i64 = self
            .stripes
            .iter()
            .map(|s| s.rows.load(Ordering::Relaxed))
            .sum();
        usize::try_from(sum).unwrap_or(0)
    }

    pub(crate) fn bytes(&self) -> usize {
        let sum: i64 = self
            .stripes
            .iter()
            .map(|s| s.bytes.load(Ordering::Relaxed))
            .sum();
        usize::try_from(sum).unwrap_or(0)
    }
}
