//! Kernels of locks and transactions in memory.

use std::hint::black_box;
use std::sync::Arc;

use magnesia_engine::apply::apply;
use magnesia_engine::locks::{Kind as Lock, LockTable, OwnerId, Tid};
use magnesia_engine::schema::Kind;
use magnesia_engine::txn::Transaction;

use crate::values::{Nobody, filled, keys, rows, table};
use crate::{Kernel, repeat};

pub const KERNELS: &[Kernel] = &[
    ("lock_record", || lock(Lock::Write)),
    ("lock_read", || lock(Lock::Read)),
    ("lock_table", lock_table),
    ("transaction", transaction),
    ("transaction_many", transaction_many),
];

fn begin(locks: &LockTable, counter: u64) -> Transaction {
    Transaction::begin(locks, Tid { counter, node: 0 }, OwnerId(1))
}

/// A lock taken and released, one at a time.
fn lock(kind: Lock) -> usize {
    let locks = LockTable::new(Arc::new(Nobody));
    let mut transaction = begin(&locks, 1);
    repeat(&keys(), |key| {
        black_box(transaction.lock_record(&locks, 7, key, kind));
        transaction.end(&locks);
    })
}

fn lock_table() -> usize {
    let locks = LockTable::new(Arc::new(Nobody));
    let mut transaction = begin(&locks, 1);
    repeat(&keys(), |_| {
        black_box(transaction.lock_table(&locks, 7, Lock::Write));
        transaction.end(&locks);
    })
}

/// Begin, lock, read, write, read, apply, release.
fn transaction() -> usize {
    let locks = LockTable::new(Arc::new(Nobody));
    let table = table(filled(Kind::Set), Kind::Set);
    let mut counter = 0;
    repeat(&rows(table.body(), "as it is now"), |row| {
        counter += 1;
        let mut transaction = begin(&locks, counter);
        black_box(transaction.lock_record(&locks, table.id(), row.key(), Lock::Write));
        black_box(transaction.read(&table, row.key())).expect("memory does not fail");
        transaction.write(&table, row.clone());
        black_box(transaction.read(&table, row.key())).expect("memory does not fail");
        apply(transaction.own()).expect("memory does not fail");
        transaction.end(&locks);
    })
}

/// The writes of one transaction that locks and writes every row.
fn transaction_many() -> usize {
    let locks = LockTable::new(Arc::new(Nobody));
    let table = table(filled(Kind::OrderedSet), Kind::OrderedSet);
    let rows = rows(table.body(), "as it is now");
    let mut counter = 0;
    repeat(&[()], |()| {
        counter += 1;
        let mut transaction = begin(&locks, counter);
        for row in &rows {
            black_box(transaction.lock_record(&locks, table.id(), row.key(), Lock::Write));
            transaction.write(&table, row.clone());
        }
        apply(transaction.own()).expect("memory does not fail");
        transaction.end(&locks);
    });
    rows.len()
}
