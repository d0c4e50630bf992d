//! What short calls cost of their process's time slice.
//!
//! The VM counts one reduction for a call, whatever it did, so a loop of calls that take some
//! microseconds each would hold its scheduler for several slices. Such calls are charged for
//! their work: it adds up in the scheduler's thread and is paid in whole hundredths of a slice.
//! A plain read is not charged, since it costs about what a reduction stands for.
//!
//! Never here: work itself, or clocks; the figures are measured ones.

use std::cell::Cell;

use rustler::Env;
use rustler::schedule::consume_timeslice;

/// One write into the log and the tables.
pub(crate) const LOGGED_NANOS: u32 = 3_000;
/// One operation of a transaction: its lock and its place among the own operations.
pub(crate) const LOCKED_NANOS: u32 = 1_000;
/// One row made into a term, beyond the first of a call.
pub(crate) const ROW_NANOS: u32 = 100;
/// A step of a query that has looked at as many rows as it may.
pub(crate) const STEP_NANOS: u32 = 400_000;

/// A hundredth of a slice, which is about a millisecond.
const PART_NANOS: u32 = 10_000;
const PARTS_MAX: u32 = 100;

thread_local! {
    static OWED: Cell<u32> = const { Cell::new(0) };
}

/// Charges the calling process for some work.
#[inline]
pub(crate) fn charge(env: Env<'_>, nanos: u32) {
    let owed = OWED.get().saturating_add(nanos);
    OWED.set(owed % PART_NANOS);
    let parts = (owed / PART_NANOS).min(PARTS_MAX);
    if parts > 0 {
        // Whether the slice is over is the VM's business: the call is short and ends now.
        consume_timeslice(env, parts.cast_signed());
    }
}

/// Charges for rows that were made into terms.
#[inline(never)]
pub(crate) fn charge_rows(env: Env<'_>, rows: usize) {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    charge(env, rows.saturating_mul(ROW_NANOS));
}
