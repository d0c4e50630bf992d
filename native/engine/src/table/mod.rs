//! A table: rows of one shape under one name, with the indexes that follow them.
//!
//! [`Table`] is what an operation looks up and uses; a change of definition makes a new `Table`
//! over the same rows. Every write maintains the indexes under the lock of the row's segment,
//! so an index and its rows can't drift apart. Map: [`hashed`] and `segment` are the body of
//! sets and bags, [`load`] fills sets in bulk, `tree` is the body of ordered sets, `paged` that
//! of tables on disk; [`walk`] goes over rows, [`touch`] asks for their memory ahead, [`before`]
//! keeps what a line saw, `fixes` what left a fixed table, [`body`] chooses between the
//! kinds.
//!
//! Never here: transactions, locks on records, the log, remote copies.

pub(crate) mod bag;
pub mod before;
pub mod body;
mod counts;
mod fixes;
pub mod hashed;
pub mod load;
mod paged;
mod segment;
pub mod touch;
pub(crate) mod tree;
pub mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use magnesia_term::Row;

pub use self::body::{Body, Detached};
pub use self::walk::{Direction, Position};
use crate::error::TableError;
use crate::index::Index;
use crate::limits::ROW_BYTES_MAX;
use crate::schema::{AccessMode, Definition};

/// A table as operations see it.
pub struct Table {
    id: u32,
    definition: Definition,
    body: Arc<Body>,
    is_retired: AtomicBool,
}

impl Table {
    /// A table of this definition over `body`, numbered for the lock table.
    #[must_use]
    pub fn new(id: u32, definition: Definition, body: Arc<Body>) -> Self {
        Self {
            id,
            definition,
            body,
            is_retired: false.into(),
        }
    }

    /// The same table under another definition.
    #[must_use]
    pub fn with_definition(&self, definition: Definition) -> Self {
        Self::new(self.id, definition, Arc::clone(&self.body))
    }

    /// Notes that this table was deleted, or that other rows are in its place.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    /// Whether it was deleted or replaced: whoever waited for its lock looks its name up again.
    #[must_use]
    #[inline]
    pub fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }

    /// Number of the table, unique in its database's life.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The definition.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The rows.
    #[must_use]
    pub fn body(&self) -> &Arc<Body> {
        &self.body
    }

    /// Whether writes are refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.definition.access_mode == AccessMode::ReadOnly
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.body.rows()
    }

    /// Makes a row of packed elements, the key first.
    ///
    /// # Errors
    /// [`TableError::RowTooLarge`].
    #[inline]
    pub fn row(&self, elements: usize, body: &[u8]) -> Result<Row, TableError> {
        if body.len() > ROW_BYTES_MAX {
            return Err(TableError::RowTooLarge {
                bytes: body.len(),
                max: ROW_BYTES_MAX,
            });
        }
        Ok(self.body.row(elements, body))
    }

    /// The index on a position, if there is one.
    #[must_use]
    pub fn index(&self, position: usize) -> Option<Arc<Index>> {
        self.body
            .indexes()
            .iter()
            .find(|index| index.position() == position)
            .cloned()
    }
}
