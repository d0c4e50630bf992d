//! What the keys of a bag had when a dump drew its line in the log.
//!
//! Replaying the records after the line over rows that have seen some of them already gives the
//! same rows, but for one thing: the order of one key's rows in a bag, where a row that is
//! written again keeps its place. So the first change of a key after the line keeps the rows
//! that the line saw, and the dump writes those. A key that the dump does not find is in no need
//! of it: replaying from nothing leads to the same order from there on.
//!
//! Never here: tables of other kinds; tables on disk, where such a row moves to the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use magnesia_term::Row;
use magnesia_term::key::{self, Flavour};
use parking_lot::Mutex;

use super::body::Body;

/// Rows of keys that were changed since a line was drawn.
#[derive(Default)]
pub(crate) struct Before {
    is_kept: AtomicBool,
    keys: Mutex<BTreeMap<Vec<u8>, Vec<Row>>>,
}

impl Before {
    /// To be called before a key's rows change, under the lock that keeps readers away.
    #[inline]
    pub(crate) fn note(&self, key: &[u8], rows: &[Row]) {
        if self.is_kept.load(Ordering::Relaxed) {
            let mut keys = self.keys.lock();
            keys.entry(exact(key)).or_insert_with(|| rows.to_vec());
        }
    }
}

fn exact(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len());
    key::encode(key, Flavour::Exact, &mut bytes);
    bytes
}

impl Body {
    /// From now on a bag keeps what the keys that are changed had. No write may be under way.
    pub fn draw_line(&self) {
        self.before.is_kept.store(true, Ordering::Relaxed);
    }

    /// The rows that a key had at the line; none when it was not changed since.
    #[must_use]
    pub fn at_line(&self, key: &[u8]) -> Option<Vec<Row>> {
        self.before.keys.lock().get(&exact(key)).cloned()
    }

    /// Forgets the line.
    pub fn forget_line(&self) {
        self.before.is_kept.store(false, Ordering::Relaxed);
        let kept = std::mem::take(&mut *self.before.keys.lock());
        drop(kept);
    }
}
