//! Lets commits pass side by side, and one caller keep them all out for a moment.
//!
//! Each thread passes in a lane of its own, so that passing costs no cache line that others
//! write. Whoever shuts the gate takes all lanes or lets go of all, again and again: while a long
//! commit goes on, the short ones wait for a moment at most.
//!
//! Never here: what is done inside.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::{RwLock, RwLockWriteGuard};

const LANES: usize = 32;
/// Tries to get all lanes, a moment each, before they are waited for as long as it takes.
const TRIES: usize = 4_000;
/// What one lane is waited for, and keeps its own commits waiting meanwhile; longer than most
/// commits take.
const MOMENT: Duration = Duration::from_micros(50);

static NEXT_LANE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LANE: usize = NEXT_LANE.fetch_add(1, Ordering::Relaxed) % LANES;
}

pub(crate) struct Gate(Vec<CachePadded<RwLock<()>>>);

impl Default for Gate {
    fn default() -> Self {
        let lanes = (0..LANES).map(|_| CachePadded::new(RwLock::new(())));
        Self(lanes.collect())
    }
}

impl Gate {
    /// Runs `f` while the gate is not shut.
    #[inline]
    pub(crate) fn pass<R>(&self, f: impl FnOnce() -> R) -> R {
        let held = LANE.with(|&lane| self.0[lane].read());
        let result = f();
        drop(held);
        result
    }

    /// Runs `f` while nobody passes. It must be short.
    pub(crate) fn shut<R>(&self, f: impl FnOnce() -> R) -> R {
        let held = self.all();
        let result = f();
        drop(held);
        result
    }

    fn all(&self) -> Vec<RwLockWriteGuard<'_, ()>> {
        for _ in 0..TRIES {
            let mut held = Vec::with_capacity(LANES);
            held.extend(self.0.iter().map_while(|lane| lane.try_write_for(MOMENT)));
            if held.len() == LANES {
                return held;
            }
        }
        self.0.iter().map(|lane| lane.write()).collect()
    }
}
