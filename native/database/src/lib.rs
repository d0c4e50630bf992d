//! A database: the engine's tables, kept in a directory.
//!
//! This is the piece that all hosts share: opening and recovering a directory ([`open`]), the
//! path of a commit through the log ([`Database`]), dumps that keep the log short ([`dump`]),
//! changes of the schema ([`alter`], [`transform`], [`rebuild`]), tables as they were at one
//! moment ([`checkpoint`]), the records of a backup ([`backup_file`]), tables whose rows stay on
//! disk ([`rows_sled`]) and reading what is intact of a damaged directory ([`salvage`]). What the
//! manifest says of the tables is in [`catalog`].
//!
//! Never here: terms of a host, processes, waiting for locks. The only threads are the store's
//! keeper and those that load tables at opening.

#![forbid(unsafe_code)]

pub mod alter;
pub mod backup_file;
pub mod catalog;
pub mod checkpoint;
pub mod database;
pub mod dump;
pub mod error;
mod gate;
mod held;
pub mod open;
mod promises;
pub mod rebuild;
pub mod rows_sled;
pub mod salvage;
pub mod transform;

pub use database::{Completion, Database, Durability};
pub use error::DatabaseError;
