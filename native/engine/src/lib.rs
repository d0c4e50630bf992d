//! Magnesia's tables in memory: rows, indexes, queries, locks, transactions.
//!
//! Map of the crate: [`engine`] knows the tables by name, [`table`] holds rows in their three
//! kinds, [`index`] the secondary indexes, [`pattern`] match specifications and [`select`]
//! queries over them, [`locks`] who may read and write, [`txn`] what a transaction has written
//! so far, [`commit`] the record of it that is logged, [`apply`] puts it into the tables,
//! [`unique`] lets nothing through that would share a value that only one key may have.
//! [`rows`] is the storage that a table on disk is given.
//!
//! Never here: files, sockets, threads, clocks, randomness. All of it is safe to use from many
//! threads, and none of it ever waits for anything but short internal locks.

#![forbid(unsafe_code)]

pub mod apply;
pub mod commit;
pub mod counter;
pub mod engine;
pub mod error;
pub mod index;
pub mod limits;
pub mod locks;
pub mod pattern;
mod pieces;
pub mod rows;
pub mod schema;
pub mod select;
pub mod table;
pub mod txn;
pub mod unique;

pub use engine::Engine;
pub use error::TableError;
pub use table::Table;
