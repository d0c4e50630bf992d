//! Memory that reading an input takes, measured over the whole process.
//!
//! A decoder that believes a length before it has seen the bytes is caught by the peak.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One test at a time measures the memory of the process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that `read` takes at its peak. It runs twice, so that names new to the atom table are
/// not counted.
pub(crate) fn taken(read: &mut dyn FnMut()) -> usize {
    read();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    read();
    MEMORY.peak_usage().saturating_sub(before)
}

/// Runs `read`, which must take no more than `allowed` bytes.
pub(crate) fn within(allowed: usize, read: &mut dyn FnMut()) {
    let taken = taken(read);
    assert!(
        taken <= allowed,
        "{taken} bytes of memory, {allowed} are allowed"
    );
}
