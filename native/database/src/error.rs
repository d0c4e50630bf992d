//! What can go wrong with a database.

use magnesia_engine::TableError;
use magnesia_store::StoreError;
use thiserror::Error;

/// Why an operation on the database was refused.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The store refused: the disk, a file or a limit.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A table refused.
    #[error(transparent)]
    Table(#[from] TableError),
    /// There is no such table.
    #[error("there is no such table")]
    NoTable,
    /// There is a table of this name, or an index on this position, already.
    #[error("it exists already")]
    Exists,
    /// There is no index on this position.
    #[error("there is no index on this position")]
    NoIndex,
    /// A record does not fit the table.
    #[error("the record does not fit the table")]
    BadRecord,
    /// The database is in memory only.
    #[error("the database has no directory; give one, or use ram_copies")]
    NoDirectory,
    /// The directory holds no database.
    #[error("{dir} holds no database; create one first")]
    NoDatabase {
        /// The directory.
        dir: String,
    },
    /// The manifest's description of the tables is not one that this release writes.
    #[error("the manifest's tables can't be read: {reason}")]
    Catalog {
        /// What is wrong with it.
        reason: String,
    },
}
