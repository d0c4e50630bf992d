//! Values that at most one key of a table may have.
//!
//! A table with such a position lets one writer at a time through: the writer holds the table's
//! gate from the look into the position's index until its rows are in the table, so what it saw
//! is still so when it writes, whether it is a transaction's commit or a single write. Tables
//! without one never meet the gate. Uniqueness is the index's: without it nothing is unique.
//!
//! Never here: which positions are to be unique (hosts say so each time they open a table), the
//! log, locks on records.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use magnesia_term::key::{self, Flavour};
use magnesia_term::{Row, order};
use parking_lot::{Mutex, MutexGuard};

use crate::apply::Op;
use crate::error::TableError;
use crate::table::Table;
use crate::txn::{Overlay, OwnOp, OwnTable};

/// Which positions are unique, and packed values that any number of keys may have all the same.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Positions, 3 or more each.
    pub positions: Vec<usize>,
    /// Values that stand for none.
    pub exempt: Vec<Box<[u8]>>,
}

/// A table's rules and its gate.
#[derive(Default)]
pub struct Unique {
    rules: ArcSwap<Rules>,
    is_on: AtomicBool,
    gate: Mutex<()>,
}

/// The gates that a writer holds.
pub type Held<'a> = Vec<MutexGuard<'a, ()>>;

impl Unique {
    /// Puts rules in force. What the table holds already is not looked at: see [`first_shared`].
    pub fn set(&self, rules: Rules) {
        let _gate = self.gate.lock();
        self.is_on
            .store(!rules.positions.is_empty(), Ordering::Release);
        self.rules.store(Arc::new(rules));
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Whether any position is unique.
    #[must_use]
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }
}

/// Holds a table's gate, if it has unique positions, and checks a single write.
///
/// # Errors
/// [`TableError::NotUnique`].
#[inline]
pub fn admit<'a>(table: &'a Table, op: &Op<'_>) -> Result<Option<MutexGuard<'a, ()>>, TableError> {
    let unique = table.body().unique();
    if !unique.is_on() {
        return Ok(None);
    }
    let gate = unique.gate.lock();
    if let Op::Write(row) = op {
        check(table, &unique.rules(), row, |_, _, _| false)?;
    }
    Ok(Some(gate))
}

/// Holds the gates of all tables that a transaction has written, and checks the rows that it
/// leaves there against those of others and against one another.
///
/// # Errors
/// [`TableError::NotUnique`]; nothing of the transaction may be applied then.
pub fn admit_all(own: &Overlay) -> Result<Held<'_>, TableError> {
    let mut tables: Vec<&OwnTable> = own
        .tables()
        .iter()
        .filter(|own| own.table().body().unique().is_on())
        .collect();
    // Every commit takes the gates in one order, so that no two wait for each other.
    tables.sort_by_key(|own| own.table().id());
    let mut held = Vec::with_capacity(tables.len());
    for own in &tables {
        held.push(own.table().body().unique().gate.lock());
    }
    tables.into_iter().try_for_each(check_own)?;
    Ok(held)
}

fn check_own(own: &OwnTable) -> Result<(), TableError> {
    let table = own.table();
    let rules = table.body().unique().rules();
    let mut seen: HashSet<(usize, Vec<u8>)> = HashSet::new();
    for own_key in own.keys() {
        let Some(row) = left(own_key.ops()) else {
            continue;
        };
        check(table, &rules, row, |key, position, value| {
            own.ops(key).iter().any(|op| takes(op, position, value))
        })?;
        for &position in &rules.positions {
            let Some(value) = row.at(position).filter(|value| !is_exempt(&rules, value)) else {
                continue;
            };
            let mut bytes = Vec::with_capacity(64);
            key::encode(value, Flavour::Exact, &mut bytes);
            if !seen.insert((position, bytes)) {
                return Err(refusal(table, position));
            }
        }
    }
    Ok(())
}

fn refusal(table: &Table, position: usize) -> TableError {
    let table = table.definition().name;
    TableError::NotUnique { table, position }
}

/// The row that a set's key has after these operations, if they write one.
fn left(ops: &[OwnOp]) -> Option<&Row> {
    let mut left = None;
    for op in ops {
        left = match op {
            OwnOp::Write(row) => Some(row),
            OwnOp::Delete => None,
            OwnOp::DeleteObject(row) => left.filter(|there: &&Row| !there.is_identical(row)),
        };
    }
    left
}

/// Whether an operation on a key takes away the row with this value that the key had.
fn takes(op: &OwnOp, position: usize, value: &[u8]) -> bool {
    match op {
        OwnOp::Write(_) | OwnOp::Delete => true,
        OwnOp::DeleteObject(row) => row
            .at(position)
            .is_some_and(|there| order::equal_exact(there, value)),
    }
}

/// Looks for a row of another key with one of the row's unique values. `is_taken` says of a key
/// that its row with the value at a position will be gone.
fn check(
    table: &Table,
    rules: &Rules,
    row: &Row,
    is_taken: impl Fn(&[u8], usize, &[u8]) -> bool,
) -> Result<(), TableError> {
    let is_same_key = |key: &[u8]| {
        if table.body().is_ordered() {
            order::equal(key, row.key())
        } else {
            order::equal_exact(key, row.key())
        }
    };
    for &position in &rules.positions {
        let (Some(index), Some(value)) = (table.index(position), row.at(position)) else {
            continue;
        };
        if is_exempt(rules, value) {
            continue;
        }
        let mut is_shared = false;
        index.read(value, |other| {
            let key = other.key();
            is_shared |= !is_same_key(key) && !is_taken(key, position, value);
        });
        if is_shared {
            return Err(refusal(table, position));
        }
    }
    Ok(())
}

fn is_exempt(rules: &Rules, value: &[u8]) -> bool {
    rules
        .exempt
        .iter()
        .any(|exempt| order::equal_exact(exempt, value))
}

/// Holds a table that is to take another's place to that one's rules.
///
/// # Errors
/// As [`verify`].
pub fn inherit(new: &Table, old: &Table) -> Result<(), TableError> {
    new.body()
        .unique()
        .set(Rules::clone(&old.body().unique().rules()));
    verify(new)
}

/// Looks whether the rows of a table are as its rules want them.
///
/// # Errors
/// [`TableError::NotUnique`]; when the rows are on disk and the disk fails.
pub fn verify(table: &Table) -> Result<(), TableError> {
    let rules = table.body().unique().rules();
    if rules.positions.is_empty() {
        return Ok(());
    }
    match first_shared(table, &rules)? {
        Some(position) => Err(refusal(table, position)),
        None => Ok(()),
    }
}

/// The first of the positions with a value that two rows of a table share.
///
/// # Errors
/// When the rows are on disk and the disk fails.
pub fn first_shared(table: &Table, rules: &Rules) -> Result<Option<usize>, TableError> {
    use crate::table::{Direction, Position};

    let mut shared = None;
    let mut position = Some(Position::START);
    while let (Some(from), None) = (&position, shared) {
        position = table.body().walk(from, Direction::Up, &mut |row| {
            if let Err(TableError::NotUnique { position, .. }) =
                check(table, rules, row, |_, _, _| false)
            {
                shared = Some(position);
            }
            shared.is_none()
        })?;
    }
    Ok(shared)
}
