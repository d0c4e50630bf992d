//! A stored record: reference-counted, immutable, one allocation.
//!
//! A row is a record without its first element: a table knows its record name once, so its
//! rows hold the packed elements from the key on, and the key is always the first bytes.
//! Cloning a row counts a reference; a large binary given out of a row keeps the whole row.

use triomphe::ThinArc;

use crate::order;
use crate::packed::{self, Items};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    hash: u32,
    elements: u32,
}

/// The elements of a record after its name, packed one after the other; the key is the first.
#[derive(Debug, Clone)]
pub struct Row(ThinArc<Head, u8>);

impl Row {
    /// Bytes that a row takes besides its elements: count, head and length.
    pub const OVERHEAD_BYTES: usize = 24;

    /// A row of `elements` packed terms (at least the key) whose key hashes to `hash`.
    #[must_use]
    #[inline]
    pub fn new(hash: u32, elements: usize, body: &[u8]) -> Self {
        debug_assert!(elements >= 1, "a row has a key");
        let elements = u32::try_from(elements).expect("a tuple has fewer than 2^32 elements");
        Self(ThinArc::from_header_and_slice(
            Head { hash, elements },
            body,
        ))
    }

    /// The packed elements, key first.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &[u8] {
        &self.0.slice
    }

    /// Where the row is in memory, told without a look at it.
    #[must_use]
    #[inline]
    pub fn place(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    /// How many elements the row has; the record has one more, its name.
    #[must_use]
    #[inline]
    pub fn elements(&self) -> usize {
        self.0.header.header.elements as usize
    }

    /// Upper half of the hash of the key, as given to [`Row::new`].
    #[must_use]
    #[inline]
    pub fn hash(&self) -> u32 {
        self.0.header.header.hash
    }

    /// The packed key.
    #[must_use]
    #[inline]
    pub fn key(&self) -> &[u8] {
        let body = self.body();
        &body[..packed::len(body)]
    }

    /// The packed elements in turn, key first.
    #[must_use]
    #[inline]
    pub fn items(&self) -> Items<'_> {
        Items::new(self.body(), self.elements())
    }

    /// The packed element at a position of the record: 2 is the key, as in Mnesia.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<&[u8]> {
        self.items().nth_term(position.checked_sub(2)?)
    }

    /// Whether two rows are `=:=`, element by element.
    #[must_use]
    pub fn is_identical(&self, other: &Self) -> bool {
        self == other
            || (self.elements() == other.elements()
                && self
                    .items()
                    .zip(other.items())
                    .all(|(a, b)| order::equal_exact(a, b)))
    }

    /// Whether both are the same allocation.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.body().as_ptr(), other.body().as_ptr())
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.elements() == other.elements() && self.body() == other.body()
    }
}

impl Eq for Row {}
