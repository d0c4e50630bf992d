//! `update_counter`: an integer in the third element, added to in one step.
//!
//! Mnesia's rules: a key that is absent or holds no integer starts at the increment, and no
//! counter goes below zero.

use magnesia_term::number::{bigint_of, pack_bigint};
use magnesia_term::{Packer, Row, View, packed};
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

/// A key that is there stays as it is spelt: 1 and 1.0 are one key of an ordered set.
fn added(table: &Table, key: &[u8], old: Option<&Row>, increment: &[u8]) -> Row {
    let mut body = Packer::new();
    body.raw(old.map_or(key, Row::key));
    add(old.and_then(|row| row.at(3)), increment, &mut body);
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

fn add(value: Option<&[u8]>, increment: &[u8], out: &mut Packer) {
    let value = value.map(packed::view);
    match (value, packed::view(increment)) {
        (Some(View::Int(a)), View::Int(b)) if a.checked_add(b).is_some() => out.int((a + b).max(0)),
        (value, increment) => {
            let value = value.and_then(bigint_of).unwrap_or_default();
            let sum = value + bigint_of(increment).unwrap_or_default();
            let sum = if sum.sign() == Sign::Minus {
                BigInt::ZERO
            } else {
                sum
            };
            pack_bigint(&sum, out);
        }
    }
}
