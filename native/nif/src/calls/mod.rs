//! The calls of `Magnesia.Native`, one file a topic.
//!
//! On dirty schedulers: everything in [`lifecycle`], [`schema`], [`transform`], [`rebuild`],
//! [`checkpoint`] and [`salvage`],
//! and the calls whose names end in `_large`, which a caller turns to when the same call
//! without the ending answers `large`. All others are on normal schedulers and do less than a
//! millisecond's work; queries go on from a cursor.

mod checkpoint;
mod events;
mod hot;
mod items;
mod lifecycle;
mod read;
mod rebuild;
mod salvage;
mod schema;
mod select;
mod transaction;
mod transform;
mod write;

/// Rows or operations that a call on a normal scheduler handles; beyond, it answers `large`.
pub(crate) const SMALL_COUNT_MAX: usize = 1000;
