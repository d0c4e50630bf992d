//! What can be locked, and how strongly.
//!
//! An item comes from the caller with its key's canonical bytes and their hash; here it gets its
//! place: the hash mixed with the table, from which the shard and the slot follow. Names such as
//! Mnesia's pseudo-keys for whole tables are the caller's business.

/// The number no table has: global items live under it.
pub(super) const GLOBALS: u32 = u32::MAX;

/// How strongly an item is held; `Write` is the stronger one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Shared with other readers.
    Read,
    /// Alone.
    Write,
}

impl Kind {
    /// Says whether two transactions can't have these kinds on one item at once.
    #[must_use]
    pub fn conflicts(self, other: Self) -> bool {
        self == Self::Write || other == Self::Write
    }

    /// Says whether who holds this kind needs nothing more for `other`.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self >= other
    }
}

/// One item to lock, borrowed from the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// One key of one table, whether a row is there or not.
    Record {
        /// The table, any number but `u32::MAX`.
        table: u32,
        /// The key's canonical bytes: equal keys have equal bytes.
        key: &'a [u8],
        /// A hash of `key`; the same bytes always come with the same hash.
        hash: u64,
    },
    /// A whole table: all its records, there or not, and its stick.
    Table(u32),
    /// Any term, outside all tables.
    Global {
        /// The term's canonical bytes.
        key: &'a [u8],
        /// A hash of `key`.
        hash: u64,
    },
    /// The pseudo-record that the first sticky writer of a table takes.
    Stick(u32),
}

/// One item in a listing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OwnedItem {
    /// One key of one table.
    Record {
        /// The table.
        table: u32,
        /// The key's canonical bytes.
        key: Vec<u8>,
    },
    /// A whole table.
    Table(u32),
    /// Any term, outside all tables.
    Global {
        /// The term's canonical bytes.
        key: Vec<u8>,
    },
    /// The pseudo-record of a table's sticky writer.
    Stick(u32),
}

/// Where a record-like item lives; `hash` is mixed, `is_stick` keeps it apart from real keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) hash: u64,
    pub(super) table: u32,
    pub(super) is_stick: bool,
    pub(super) key: &'a [u8],
}

impl<'a> Place<'a> {
    pub(super) fn new(table: u32, key: &'a [u8], hash: u64) -> Self {
        Self {
            hash: mix(hash, table),
            table,
            is_stick: false,
            key,
        }
    }

    pub(super) fn of_stick(table: u32) -> Self {
        Self {
            hash: mix(1, table),
            table,
            is_stick: true,
            key: &[],
        }
    }
}

/// Spreads caller's hash and table over all bits: hash tables use both ends, shards the middle.
fn mix(hash: u64, table: u32) -> u64 {
    let salted = hash ^ mix_table(table);
    let spread = (salted ^ (salted >> 32)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
    spread ^ (spread >> 29)
}

pub(super) fn mix_table(table: u32) -> u64 {
    u64::from(table)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
