//! The tables of a database by name, and what all of them share.
//!
//! Looking a table up takes no lock. Changing the set of tables, or a table's definition,
//! publishes a new map; operations that are under way finish on the table they looked up.
//!
//! Never here: files, processes; hosts open the engine and feed it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};
use magnesia_term::Atom;
use parking_lot::Mutex;

use crate::locks::{LockTable, Wake};
use crate::table::Table;

/// Tables by name.
pub type Tables = HashMap<Atom, Arc<Table>, foldhash::fast::FixedState>;

/// Called with every new map of tables, while changes are held out.
pub type Published = Box<dyn Fn(&Arc<Tables>) + Send + Sync>;

/// A database's tables, locks and counters.
pub struct Engine {
    tables: ArcSwap<Tables>,
    published: Published,
    /// Held by whoever changes the set of tables.
    changing: Mutex<()>,
    locks: LockTable,
    next_tid: AtomicU64,
    counters: Counters,
}

/// What happened since the database was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Transactions that committed.
    pub commits: AtomicU64,
    /// Transactions that were given up.
    pub failures: AtomicU64,
    /// Times that a transaction was run again.
    pub restarts: AtomicU64,
    /// Records appended to the log.
    pub log_writes: AtomicU64,
}

impl Engine {
    /// No tables; `wake` tells the processes that wait for locks, `published` gets every map of
    /// tables from the first one on.
    #[must_use]
    pub fn new(wake: Arc<dyn Wake>, published: Published) -> Self {
        Self {
            tables: ArcSwap::default(),
            published,
            changing: Mutex::new(()),
            locks: LockTable::new(wake),
            next_tid: AtomicU64::new(1),
            counters: Counters::default(),
        }
    }

    /// The tables as they are now.
    #[must_use]
    #[inline]
    pub fn tables(&self) -> Guard<Arc<Tables>> {
        self.tables.load()
    }

    /// A table by name.
    #[must_use]
    pub fn table(&self, name: Atom) -> Option<Arc<Table>> {
        self.tables.load().get(&name).cloned()
    }

    /// Adds a table, or puts it in the place of the one with its name.
    pub fn put_table(&self, table: Arc<Table>) {
        let changing = self.changing.lock();
        let mut tables = Tables::clone(&self.tables.load());
        let id = table.id();
        let old = tables.insert(table.definition().name, table);
        self.publish(tables);
        if let Some(old) = old.filter(|old| old.id() != id) {
            old.retire();
        }
        drop(changing);
    }

    fn publish(&self, tables: Tables) {
        let tables = Arc::new(tables);
        (self.published)(&tables);
        self.tables.store(tables);
    }

    /// Removes a table; returns it if there was one.
    pub fn remove_table(&self, name: Atom) -> Option<Arc<Table>> {
        let changing = self.changing.lock();
        let mut tables = Tables::clone(&self.tables.load());
        let removed = tables.remove(&name);
        self.publish(tables);
        drop(changing);
        if let Some(table) = &removed {
            table.retire();
            self.locks.forget_table(table.id());
        }
        removed
    }

    /// The locks.
    #[must_use]
    pub fn locks(&self) -> &LockTable {
        &self.locks
    }

    /// The counter of a new transaction: greater than all before.
    #[must_use]
    #[inline]
    pub fn next_tid(&self) -> u64 {
        self.next_tid.fetch_add(1, Ordering::Relaxed)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
