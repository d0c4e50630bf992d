//! Transactions: own writes, nesting, and what a read inside one shows.
//!
//! A [`Transaction`] belongs to one process at a time. It takes locks through the engine's lock
//! table and gathers writes in an [`Overlay`]; nothing reaches a table before the commit, which
//! the host drives: encode, append, [`apply`](crate::apply), release.
//!
//! Never here: waiting (the host waits), the log, terms of a host.

pub mod overlay;
mod places;

use overlay::merge;
pub use overlay::{Overlay, OwnKey, OwnOp, OwnTable};

use std::sync::Arc;

use magnesia_term::{Row, hash, order};

use crate::error::TableError;
use crate::locks::{Await, Holder, Item, Kind, LockTable, Outcome, OwnerId, Tid, Until};
use crate::table::Table;

/// A process's transaction, outermost and nested levels together.
pub struct Transaction {
    holder: Holder,
    own: Overlay,
    /// The own writes of the enclosing levels, as they were when the next level began.
    outer: Vec<Overlay>,
    /// Whether it is counted among those who wait.
    is_waiting: bool,
}

/// What became of a request for a sticky lock.
#[derive(Debug, Clone, Copy)]
pub struct StickyOutcome {
    /// The answer of the lock table.
    pub outcome: Outcome,
    /// Whether the table was stuck to this node before, and the lock is a new one.
    pub was_stuck: bool,
}

impl From<Outcome> for StickyOutcome {
    /// Of a lock whose answer does not depend on the stick.
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            was_stuck: false,
        }
    }
}

impl StickyOutcome {
    fn of_stuck(outcome: Outcome) -> Self {
        Self {
            outcome,
            was_stuck: true,
        }
    }
}

impl Transaction {
    /// Begins a transaction.
    #[must_use]
    pub fn begin(locks: &LockTable, tid: Tid, owner: OwnerId) -> Self {
        Self {
            holder: locks.begin(tid, owner),
            own: Overlay::default(),
            outer: Vec::new(),
            is_waiting: false,
        }
    }

    /// The transaction's identity.
    #[must_use]
    pub fn tid(&self) -> Tid {
        self.holder.tid()
    }

    /// How many locks it holds.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.holder.held_count()
    }

    /// The own writes.
    #[must_use]
    pub fn own(&self) -> &Overlay {
        &self.own
    }

    /// The own writes, to be added to.
    pub fn own_mut(&mut self) -> &mut Overlay {
        &mut self.own
    }

    /// Opens a nested level.
    pub fn nest(&mut self) {
        self.outer.push(self.own.clone());
    }

    /// Closes a nested level and keeps its writes.
    pub fn merge(&mut self) {
        self.outer.pop();
    }

    /// Closes a nested level and drops its writes.
    pub fn undo(&mut self) {
        if let Some(own) = self.outer.pop() {
            self.own = own;
        }
    }

    /// Asks for a lock, and counts the transaction among those who wait for as long as it does.
    fn ask(&mut self, locks: &LockTable, item: Item<'_>, kind: Kind) -> Outcome {
        let outcome = locks.acquire(&mut self.holder, item, kind);
        if !matches!(outcome, Outcome::Wait { .. }) {
            self.stop_waiting(locks);
        } else if !self.is_waiting {
            self.is_waiting = locks.waiters().enter();
            if !self.is_waiting {
                return Outcome::Busy;
            }
        }
        outcome
    }

    fn stop_waiting(&mut self, locks: &LockTable) {
        if std::mem::take(&mut self.is_waiting) {
            locks.waiters().leave();
        }
    }

    /// Locks a record by packed key.
    pub fn lock_record(
        &mut self,
        locks: &LockTable,
        table: u32,
        key: &[u8],
        kind: Kind,
    ) -> Outcome {
        let item = Item::Record {
            table,
            key: &order::canonical(key),
            hash: hash::hash(key),
        };
        self.ask(locks, item, kind)
    }

    /// Locks a record for writing and makes the table stick to this node.
    ///
    /// The first sticky lock of a table of that name also takes the whole table for reading and
    /// its stick; with a write lock on the record already there is nothing to do.
    pub fn lock_sticky(&mut self, locks: &LockTable, table: &Table, key: &[u8]) -> StickyOutcome {
        let (id, name) = (table.id(), table.definition().name.handle());
        let spelt = order::canonical(key);
        let is_held = || locks.holds(&self.holder, id, &spelt, hash::hash(key), Kind::Write);
        if !self.holder.is_waiting() && is_held() {
            return Outcome::Granted.into();
        }
        if locks.sticky().is_stuck(name) {
            let outcome = self.lock_record(locks, id, key, Kind::Write);
            return StickyOutcome::of_stuck(outcome);
        }
        let mut outcome = self.lock_table(locks, id, Kind::Read);
        if outcome == Outcome::Granted {
            outcome = self.lock_record(locks, id, key, Kind::Write);
        }
        if outcome == Outcome::Granted {
            outcome = self.ask(locks, Item::Stick(id), Kind::Write);
        }
        if outcome == Outcome::Granted {
            locks.sticky().stick(name);
        }
        outcome.into()
    }

    /// Locks a whole table for writing and makes it stick to this node.
    pub fn lock_table_sticky(&mut self, locks: &LockTable, table: &Table) -> StickyOutcome {
        let (id, name) = (table.id(), table.definition().name.handle());
        if self.holder.table_kind(id) == Some(Kind::Write) {
            return Outcome::Granted.into();
        }
        if locks.sticky().is_stuck(name) {
            let outcome = self.lock_table(locks, id, Kind::Write);
            return StickyOutcome::of_stuck(outcome);
        }
        let mut outcome = self.lock_table(locks, id, Kind::Read);
        if outcome == Outcome::Granted {
            outcome = self.lock_table(locks, id, Kind::Write);
        }
        if outcome == Outcome::Granted {
            locks.sticky().stick(name);
        }
        outcome.into()
    }

    /// Locks a whole table.
    pub fn lock_table(&mut self, locks: &LockTable, table: u32, kind: Kind) -> Outcome {
        self.ask(locks, Item::Table(table), kind)
    }

    /// Locks a global item, any packed term.
    pub fn lock_global(&mut self, locks: &LockTable, key: &[u8], kind: Kind) -> Outcome {
        let item = Item::Global {
            key,
            hash: hash::hash(key),
        };
        self.ask(locks, item, kind)
    }

    /// The rows of a packed key as this transaction sees them.
    ///
    /// # Errors
    /// When the rows are on disk and the disk fails.
    pub fn read(&self, table: &Table, key: &[u8]) -> Result<Vec<Row>, TableError> {
        let ops = self.own.ops(table.id(), key);
        let mut stored = Vec::new();
        if !matches!(ops.last(), Some(OwnOp::Delete)) {
            table.body().read(key, |row| stored.push(row.clone()))?;
        }
        Ok(merge(table.definition().kind, ops, stored))
    }

    /// Drops all own writes and locks; says whether to wait for the lock's holder to end.
    pub fn restart(&mut self, locks: &LockTable) -> Await {
        self.own.clear();
        self.outer.clear();
        self.stop_waiting(locks);
        locks.await_end(&mut self.holder)
    }

    /// Ends the transaction: every lock goes.
    pub fn end(&mut self, locks: &LockTable) {
        self.own.clear();
        self.outer.clear();
        self.stop_waiting(locks);
        locks.release_all(&mut self.holder, Until::End);
    }

    /// Notes a write of a row.
    pub fn write(&mut self, table: &Arc<Table>, row: Row) {
        self.own.write(table, row);
    }
}
