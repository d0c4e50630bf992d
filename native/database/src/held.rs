//! Writes to a table on disk that its storage must not see yet.
//!
//! The storage may put what it is given on disk at any time. A row must not be there before
//! the log's record of it is, or a power cut would leave rows of transactions that the log has
//! lost. So writes are held here, in memory, in two layers: the young one takes writes; the old
//! one is on its way into the storage, its records being on disk. Reading looks at the young
//! layer, the old one and the storage, in this order.
//!
//! Never here: the storage itself, the log; see `rows_sled`, which moves the layers on.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};

/// What an entry takes besides its bytes, roughly.
const ENTRY_BYTES: usize = 96;

/// A value, or that there is none.
pub(crate) type Value = Option<Vec<u8>>;

/// Writes in order of their keys.
#[derive(Default)]
pub(crate) struct Layer {
    /// All that lies below was removed before these writes.
    pub(crate) is_cleared: bool,
    pub(crate) entries: BTreeMap<Vec<u8>, Value>,
    bytes: usize,
}

impl Layer {
    fn is_empty(&self) -> bool {
        !self.is_cleared && self.entries.is_empty()
    }

    fn get(&self, key: &[u8]) -> Option<Value> {
        let none = self.is_cleared.then_some(None);
        self.entries.get(key).cloned().or(none)
    }

    fn next(&self, from: Bound<&[u8]>, is_up: bool) -> Option<(&Vec<u8>, &Value)> {
        if is_up {
            let mut range = self.entries.range::<[u8], _>((from, Bound::Unbounded));
            range.next()
        } else {
            let mut range = self.entries.range::<[u8], _>((Bound::Unbounded, from));
            range.next_back()
        }
    }
}

#[derive(Default)]
struct Layers {
    is_holding: bool,
    young: Layer,
    old: Arc<Layer>,
}

/// The next held entry of a range, and whether the storage's own are hidden.
pub(crate) struct Next {
    pub(crate) entry: Option<(Vec<u8>, Value)>,
    pub(crate) hides_below: bool,
}

/// The writes of one table that are held.
pub(crate) struct Held {
    layers: RwLock<Layers>,
    /// Held for reading while a range is gone over: the old layer stays until it is done, so
    /// no entry can slip from it into the part of the storage that was passed already.
    steady: RwLock<()>,
    /// Bytes of all tables together.
    total: Arc<AtomicUsize>,
}

impl Held {
    pub(crate) fn new(total: Arc<AtomicUsize>) -> Self {
        Self {
            layers: RwLock::default(),
            steady: RwLock::default(),
            total,
        }
    }

    /// From now on writes are held.
    pub(crate) fn begin(&self) {
        self.layers.write().is_holding = true;
    }

    /// Takes a write; says no when writes go to the storage at once.
    pub(crate) fn put(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        let mut layers = self.layers.write();
        if !layers.is_holding {
            return false;
        }
        let added = ENTRY_BYTES + key.len() + value.map_or(0, <[u8]>::len);
        let young = &mut layers.young;
        let old = young.entries.insert(key.to_vec(), value.map(Vec::from));
        let removed = old.map_or(0, |old| {
            ENTRY_BYTES + key.len() + old.map_or(0, |old| old.len())
        });
        young.bytes = young.bytes + added - removed;
        self.total.fetch_add(added, Ordering::Relaxed);
        self.total.fetch_sub(removed, Ordering::Relaxed);
        true
    }

    /// Takes the removal of everything; says no as [`Held::put`] does.
    pub(crate) fn clear(&self) -> bool {
        let mut layers = self.layers.write();
        if !layers.is_holding {
            return false;
        }
        let gone = std::mem::replace(
            &mut layers.young,
            Layer {
                is_cleared: true,
                ..Layer::default()
            },
        );
        self.total.fetch_sub(gone.bytes, Ordering::Relaxed);
        drop(layers);
        true
    }

    /// What is held of a key; none when the storage has to say.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Value> {
        let layers = self.layers.read();
        layers.young.get(key).or_else(|| layers.old.get(key))
    }

    /// To be kept while a range is gone over.
    pub(crate) fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.steady.read()
    }

    /// The next held entry from a bound on.
    pub(crate) fn next(&self, from: Bound<&[u8]>, is_up: bool) -> Next {
        let layers = self.layers.read();
        let owned = |(key, value): (&Vec<u8>, &Value)| (key.clone(), value.clone());
        let young = layers.young.next(from, is_up);
        let old = if layers.young.is_cleared {
            None
        } else {
            layers.old.next(from, is_up)
        };
        let entry = match (young, old) {
            (Some(young), Some(old)) => {
                let is_old_first = if is_up {
                    old.0 < young.0
                } else {
                    old.0 > young.0
                };
                Some(if is_old_first { old } else { young })
            }
            (young, old) => young.or(old),
        };
        Next {
            entry: entry.map(owned),
            hides_below: layers.young.is_cleared || layers.old.is_cleared,
        }
    }

    /// Makes the young layer the old one, unless there is an old one still; says whether there
    /// is one now.
    pub(crate) fn freeze(&self) -> bool {
        let mut layers = self.layers.write();
        if layers.old.is_empty() {
            layers.old = Arc::new(std::mem::take(&mut layers.young));
        }
        !layers.old.is_empty()
    }

    /// The old layer.
    pub(crate) fn old(&self) -> Arc<Layer> {
        Arc::clone(&self.layers.read().old)
    }

    /// Lets the old layer go; the storage has it.
    pub(crate) fn release(&self) {
        let steady = self.steady.write();
        let old = std::mem::take(&mut self.layers.write().old);
        drop(steady);
        self.total.fetch_sub(old.bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let layers = self.layers.get_mut();
        let bytes = layers.young.bytes + layers.old.bytes;
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}
