//! `update_counter`: an integer in the third element, added to in one step.
//!
//! Mnesia's rules: a key that is absent or holds no integer starts at the increment, as does a
//! counter that would be below zero; an increment below zero starts at zero.

use magnesia_term::number::{bigint_of, pack_bigint};
use magnesia_term::{Packer, Row, packed};
use num_bigint::{BigInt, Sign};

use crate::error::TableError;
use crate::table::Table;

/// Adds a packed integer to the counter of a packed key; returns the row that is there now.
///
/// The table must be a set or an ordered set of records with three elements.
///
/// # Errors
/// When the table's rows are on disk and the disk fails.
pub fn update(table: &Table, key: &[u8], increment: &[u8]) -> Result<Row, TableError> {
    table.body().update(key, |old| {
        let row = added(table, key, old, increment);
        (row.clone(), row)
    })
}

/// The row after adding. As in Mnesia, a key that is there keeps its spelling (1 and 1.0 are one
/// key of an ordered set) where its counter is added to, and takes the new one where the row is
/// written afresh.
fn added(table: &Table, key: &[u8], old: Option<&Row>, increment: &[u8]) -> Row {
    let increment = bigint_of(packed::view(increment)).unwrap_or_default();
    let value = old.and_then(|row| Some((row, bigint_of(packed::view(row.at(3)?))?)));
    let (key, sum) = match value {
        Some((row, value)) if (&value + &increment).sign() != Sign::Minus => {
            (row.key(), value + increment)
        }
        _ => (key, increment.max(BigInt::ZERO)),
    };
    let mut body = Packer::new();
    body.raw(key);
    pack_bigint(&sum, &mut body);
    table.body().row(2, body.as_bytes())
}

/// The row that [`update`] would write now.
///
/// # Errors
/// When the table's rows are on disk and the disk fails.
pub fn next(table: &Table, key: &[u8], increment: &[u8]) -> Result<Row, TableError> {
    let mut old = None;
    table.body().read(key, |row| old = Some(row.clone()))?;
    Ok(added(table, key, old.as_ref(), increment))
}
