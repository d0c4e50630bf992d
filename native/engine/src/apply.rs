//! Puts a transaction's writes, or a logged operation, into the tables.
//!
//! Never here: deciding whether to; a commit that was logged is applied whole.

use magnesia_term::Row;

use crate::error::TableError;
use crate::table::Table;
use crate::txn::Overlay;

/// Applies all own writes of a transaction, in the order that Mnesia does: key by key, the
/// operations of one key in turn.
///
/// # Errors
/// When a table's rows are on disk and the disk fails; tables in memory have what was applied
/// before.
pub fn apply(own: &Overlay) -> Result<(), TableError> {
    for own_table in own.tables() {
        for own_key in own_table.keys() {
            for op in own_key.ops() {
                apply_op(own_table.table(), op.on(own_key.key()))?;
            }
        }
    }
    Ok(())
}

/// Applies one operation on a table.
///
/// # Errors
/// When the table's rows are on disk and the disk fails.
pub fn apply_op(table: &Table, op: Op<'_>) -> Result<(), TableError> {
    match op {
        Op::Write(row) => table.body().write(row),
        Op::Delete(key) => table.body().delete(key),
        Op::DeleteObject(row) => table.body().delete_object(&row),
        Op::Clear => table.body().detach().map(|rows| table.body().release(rows)),
    }
}

/// One operation on one table.
#[derive(Debug, Clone)]
pub enum Op<'a> {
    /// Write a row.
    Write(Row),
    /// Delete the rows of a packed key.
    Delete(&'a [u8]),
    /// Delete one row.
    DeleteObject(Row),
    /// Delete everything.
    Clear,
}
