//! Which tables have a sticky writer on this node.
//!
//! A sticky write is a write lock; what is special is that the first one on a table also takes the
//! whole table for reading and the table's stick, and that later ones know from here that they need
//! not. Never: locks; the caller takes those first and marks the table afterwards.
//!
//! Source: OTP 25 `mnesia_locker:sticky_rwlock/4`, `not_stuck/7`.

use hashbrown::HashTable;

use super::item::mix_table;
use super::sync::Mutex;

/// The set of tables which are stuck to this node.
pub struct StuckTables {
    tables: Mutex<HashTable<u32>>,
}

impl StuckTables {
    pub(super) fn new() -> Self {
        Self {
            tables: Mutex::new(HashTable::new()),
        }
    }

    /// Says whether a sticky write to `table` needs only its record lock.
    #[must_use]
    pub fn is_stuck(&self, table: u32) -> bool {
        self.tables
            .lock()
            .find(mix_table(table), |&t| t == table)
            .is_some()
    }

    /// Marks `table`, once its first sticky writer holds all three locks.
    pub fn stick(&self, table: u32) {
        let mut tables = self.tables.lock();
        if tables.find(mix_table(table), |&t| t == table).is_none() {
            tables.insert_unique(mix_table(table), table, |&t| mix_table(t));
        }
    }

    /// Takes the mark away: the table was deleted, or another node writes to it.
    pub fn unstick(&self, table: u32) {
        let mut tables = self.tables.lock();
        if let Ok(entry) = tables.find_entry(mix_table(table), |&t| t == table) {
            entry.remove();
        }
    }
}
