//! Erlang terms as packed bytes.
//!
//! A term in memory is one run of bytes that can be compared, hashed, matched and turned into
//! a term of the host without being decoded as a whole. Map of the crate: [`packed`] is the
//! layout and its reader, [`packer`] writes it, [`row`] is a stored record, [`atom`] the atom
//! table, [`number`] integers of any size against floats, [`order`] the order of terms and both
//! equalities, [`hash`] the hash that goes with `=:=`, [`key`] order-preserving key bytes,
//! [`portable`] the form that goes to disk, [`etf`] the external term format, [`show`] Erlang
//! syntax for people.
//!
//! Never here: files, sockets, threads, clocks, knowledge of tables.

#![forbid(unsafe_code)]

pub mod atom;
pub mod etf;
mod external;
pub mod hash;
pub mod key;
pub mod number;
pub mod order;
pub mod packed;
pub mod packer;
pub mod portable;
pub mod row;
pub mod show;

pub use atom::Atom;
pub use key::{Flavour, Key};
pub use packed::{Bits, ExtKind, Items, View};
pub use packer::Packer;
pub use row::Row;
