//! Secondary indexes: rows by the value of one element, in the order of values.
//!
//! An entry's key is the value followed by the row's key, both as order-preserving bytes, so
//! rows of one value are in key order and a range of values is a range of entries. Entries
//! hold the row itself, so a read by index is one walk; where the rows are on disk they hold
//! the key alone and the caller reads the row and checks its value.
//!
//! Never here: choosing an index for a query (see `select`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use magnesia_term::Row;
use magnesia_term::key::{self, Flavour, LongKey};

use crate::table::bag::BagRows;
use crate::table::hashed::Alter;
use crate::table::tree::{Tree, TreePosition};

/// What an index's entries hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The only row of a key.
    Row,
    /// Rows of a bag.
    Rows,
    /// Keys alone.
    Keys,
}

/// An index on one position of a table's records.
pub struct Index {
    position: usize,
    holds: Holds,
    tree: Tree<BagRows, LongKey>,
    entries: AtomicUsize,
}

/// All entries that an index had, out of it.
pub(crate) struct DetachedIndex {
    _entries: Vec<BTreeMap<LongKey, BagRows>>,
}

impl Index {
    /// An empty index on a position (3 or more) of the record.
    #[must_use]
    pub fn new(position: usize, holds: Holds) -> Self {
        Self {
            position,
            holds,
            tree: Tree::new(),
            entries: 0.into(),
        }
    }

    /// The position, as in Mnesia: the key is at 2.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What the entries hold.
    #[must_use]
    pub fn holds(&self) -> Holds {
        self.holds
    }

    /// The key of a row's entry; none when the row has no such element.
    pub(crate) fn entry(&self, row: &Row) -> Option<LongKey> {
        let value = row.at(self.position)?;
        Some(LongKey::of_each([value, row.key()], Flavour::Exact))
    }

    /// Follows one row's change: what was there, what is there now.
    pub(crate) fn replace(&self, old: Option<&Row>, new: Option<&Row>) {
        let old = old.and_then(|row| Some((self.entry(row)?, row)));
        let new = new.and_then(|row| Some((self.entry(row)?, row)));
        match (old, new) {
            (Some((was, _)), Some((is, row))) if was == is => self.insert(is, row, true),
            (old, new) => {
                if let Some((is, row)) = new {
                    self.insert(is, row, false);
                }
                if let Some((was, row)) = old {
                    self.remove(was, row);
                }
            }
        }
    }

    /// Adds a row's entry; a second call with the same row changes nothing.
    pub(crate) fn add(&self, row: &Row) {
        if let Some(entry) = self.entry(row) {
            self.insert(entry, row, self.holds != Holds::Rows);
        }
    }

    fn insert(&self, entry: LongKey, row: &Row, is_replacing: bool) {
        let held = match self.holds {
            Holds::Keys => Row::new(0, 1, row.key()),
            Holds::Row | Holds::Rows => row.clone(),
        };
        self.tree.alter(entry, |slot| match slot {
            Some(slot) if is_replacing && self.holds != Holds::Rows => {
                *slot = BagRows::One(held);
                (Alter::Keep, ())
            }
            Some(slot) => {
                slot.push(held);
                (Alter::Keep, ())
            }
            None => {
                self.entries.fetch_add(1, Ordering::Relaxed);
                (Alter::Insert(BagRows::One(held)), ())
            }
        });
    }

    fn remove(&self, entry: LongKey, row: &Row) {
        self.tree.alter(entry, |slot| match slot {
            Some(slot @ BagRows::Many(_)) => {
                slot.remove(row);
                (Alter::Keep, ())
            }
            Some(BagRows::One(_)) => {
                self.entries.fetch_sub(1, Ordering::Relaxed);
                (Alter::Remove, ())
            }
            None => (Alter::Keep, ()),
        });
    }

    /// Removes all entries at once and returns them to be dropped at leisure.
    pub(crate) fn detach(&self) -> DetachedIndex {
        self.entries.store(0, Ordering::Relaxed);
        DetachedIndex {
            _entries: self.tree.detach(|| ()).0,
        }
    }

    /// Calls `f` on each row whose value is `=:=` to a packed value, in key order.
    pub fn read(&self, value: &[u8], mut f: impl FnMut(&Row)) {
        let mut prefix = Vec::with_capacity(64);
        key::encode(value, Flavour::Exact, &mut prefix);
        let mut position = TreePosition::From(LongKey::from_bytes(&prefix));
        loop {
            let mut is_past = false;
            let next = self.tree.scan_up(&position, |entry, slot| {
                is_past = !entry.as_bytes().starts_with(&prefix);
                if !is_past {
                    slot.rows().iter().for_each(&mut f);
                }
                !is_past
            });
            match next {
                Some(next) if !is_past => position = next,
                _ => return,
            }
        }
    }

    /// Visits rows of one part of the index from a position; returns where the next part is.
    /// When `f` says stop, the rows of its entry are still all shown.
    pub(crate) fn scan(
        &self,
        position: &TreePosition<LongKey>,
        mut f: impl FnMut(&LongKey, &Row) -> bool,
    ) -> Option<TreePosition<LongKey>> {
        self.tree.scan_up(position, |entry, slot| {
            let mut is_on = true;
            for row in slot.rows() {
                is_on &= f(entry, row);
            }
            is_on
        })
    }

    /// Bytes of the entries, without the rows.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.tree.heap_bytes(self.entries.load(Ordering::Relaxed))
    }
}
