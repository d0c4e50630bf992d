//! The only door to mutexes and atomics for the lock table.
//!
//! The schedule explorer compiles the same rooms with another `sync` in this one's place, whose
//! every operation is a point where threads may switch.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use parking_lot::{Mutex, MutexGuard};
