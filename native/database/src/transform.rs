//! Transforming a table: every row made anew by the caller, then put in place at once.
//!
//! The caller streams the new rows into a table that nobody sees; [`Transform::finish`] makes it
//! durable and puts it in the old one's place. Dropped before that, nothing has changed.
//!
//! Never here: calling the fun that changes rows, or keeping transactions away.

use std::sync::Arc;

use magnesia_engine::schema::Definition;
use magnesia_engine::{Table, TableError};
use magnesia_term::{Atom, Row};

use crate::alter::empty_body;
use crate::database::Database;
use crate::error::DatabaseError;

/// A table being made in the place of another.
pub struct Transform {
    database: Arc<Database>,
    old: Arc<Table>,
    new: Table,
}

impl Transform {
    /// Begins to make a table of the same name with another shape.
    ///
    /// # Errors
    /// [`DatabaseError::NoTable`]; when the disk fails.
    pub fn begin(
        database: &Arc<Database>,
        name: Atom,
        record_name: Atom,
        arity: usize,
        properties: Vec<u8>,
    ) -> Result<Self, DatabaseError> {
        let old = database
            .engine()
            .table(name)
            .ok_or(DatabaseError::NoTable)?;
        let definition = Definition {
            record_name,
            arity,
            properties,
            ..old.definition().clone()
        };
        let id = database.reserve_id();
        let durable = database.durable.load_full();
        let body = empty_body(&definition, id, durable.as_deref())?;
        for &position in &definition.indexes {
            body.add_index(position)?;
        }
        let new = Table::new(id, definition, Arc::new(body));
        Ok(Self {
            database: Arc::clone(database),
            old,
            new,
        })
    }

    /// The table to be.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.new
    }

    /// Adds one of its rows.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn add(&self, row: Row) -> Result<(), TableError> {
        self.new.body().write(row)
    }

    /// Puts the new table in the old one's place.
    ///
    /// # Errors
    /// When the disk fails; the old table is in place then.
    pub fn finish(self) -> Result<(), DatabaseError> {
        self.database.install(&self.old, Arc::new(self.new))
    }
}
