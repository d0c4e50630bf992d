//! Which tables have a sticky writer on this node.
//!
//! A sticky write is a write lock; what is special is that the first one on a table also takes the
//! whole table for reading and the table's stick, and that later ones know from here that they need
//! not. A table is known by a number of its name, not of its rows: a table that is deleted and made
//! again is still stuck, until the database closes. Never: locks; the caller takes those first and
//! marks the table afterwards.
//!
//! Source: OTP 25 `mnesia_locker:do_sticky_lock/4`, `not_stuck/7`.

use hashbrown::HashTable;

use super::item::mix_table;
use super::sync::Mutex;

/// The set of tables which are stuck to this node, by the numbers of their names.
pub struct StuckTables {
    tables: Mutex<HashTable<u32>>,
}

impl StuckTables {
    pub(super) fn new() -> Self {
        Self {
            tables: Mutex::new(HashTable::new()),
        }
    }

    /// Says whether a sticky write to the table of this name needs only its record lock.
    #[must_use]
    pub fn is_stuck(&self, name: u32) -> bool {
        self.tables
            .lock()
            .find(mix_table(name), |&n| n == name)
            .is_some()
    }

    /// Marks a table, once its first sticky writer holds all three locks.
    pub fn stick(&self, name: u32) {
        let mut tables = self.tables.lock();
        if tables.find(mix_table(name), |&n| n == name).is_none() {
            tables.insert_unique(mix_table(name), name, |&n| mix_table(n));
        }
    }
}
