//! The external term format, as `term_to_binary/1` and `binary_to_term/1` speak it.
//!
//! [`decode`] turns bytes from anywhere into a packed term under [`Limits`]; [`encode`] writes
//! a packed term. Every form that a BEAM sends is read; one form of each value is written, with
//! atoms always in UTF-8. References, funs, ports and pids keep their bytes, but for the atoms
//! and the width of their creation, which are put in one form.

mod decode;
mod encode;
mod external;
mod limits;
mod maker;
mod skip;

pub use decode::decode;
pub use encode::{encode, encode_parts, encode_record};
pub use limits::{
    BIG_BYTES_MAX, DEPTH_MAX, INFLATED_BYTES_MAX, Limits, MOVED_BYTES_MAX, MOVES_MAX, NEW_ATOMS_MAX,
};
pub(crate) use maker::without_maker;
pub(crate) use skip::external_kind;

use thiserror::Error;

/// First byte of every encoded term.
pub const VERSION: u8 = 131;

/// Tags of the format.
pub(crate) mod tag {
    pub(crate) const NEW_FLOAT: u8 = 70;
    pub(crate) const BIT_BINARY: u8 = 77;
    pub(crate) const COMPRESSED: u8 = 80;
    pub(crate) const NEW_PID: u8 = 88;
    pub(crate) const NEW_PORT: u8 = 89;
    pub(crate) const NEWER_REFERENCE: u8 = 90;
    pub(crate) const SMALL_INTEGER: u8 = 97;
    pub(crate) const INTEGER: u8 = 98;
    pub(crate) const FLOAT: u8 = 99;
    pub(crate) const ATOM: u8 = 100;
    pub(crate) const REFERENCE: u8 = 101;
    pub(crate) const PORT: u8 = 102;
    pub(crate) const PID: u8 = 103;
    pub(crate) const SMALL_TUPLE: u8 = 104;
    pub(crate) const LARGE_TUPLE: u8 = 105;
    pub(crate) const NIL: u8 = 106;
    pub(crate) const STRING: u8 = 107;
    pub(crate) const LIST: u8 = 108;
    pub(crate) const BINARY: u8 = 109;
    pub(crate) const SMALL_BIG: u8 = 110;
    pub(crate) const LARGE_BIG: u8 = 111;
    pub(crate) const NEW_FUN: u8 = 112;
    pub(crate) const EXPORT: u8 = 113;
    pub(crate) const NEW_REFERENCE: u8 = 114;
    pub(crate) const SMALL_ATOM: u8 = 115;
    pub(crate) const MAP: u8 = 116;
    pub(crate) const ATOM_UTF8: u8 = 118;
    pub(crate) const SMALL_ATOM_UTF8: u8 = 119;
    pub(crate) const V4_PORT: u8 = 120;
}

/// Why bytes are no term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EtfError {
    /// The bytes end inside a term.
    #[error("the bytes end inside a term")]
    Short,
    /// The first byte is not 131.
    #[error("version {0} of the format is not known")]
    Version(u8),
    /// No term begins with this tag.
    #[error("no term begins with {0}")]
    Tag(u8),
    /// A value that no term has: a float that is not finite, an atom that is no UTF-8, a
    /// reference of no or too many words.
    #[error("a value that no term has, under tag {0}")]
    Value(u8),
    /// One key twice in a map.
    #[error("one key twice in a map")]
    DoubleKey,
    /// More composites open than allowed.
    #[error("terms nested deeper than {0}")]
    TooDeep(usize),
    /// More new atoms than allowed, or the atom table is full.
    #[error("more than {0} new atoms")]
    TooManyAtoms(usize),
    /// An integer longer than allowed.
    #[error("an integer of {bytes} bytes, {max} are allowed")]
    BigTooLong {
        /// Length of its magnitude.
        bytes: usize,
        /// Most that is allowed.
        max: usize,
    },
    /// A compressed term that inflates to more than allowed.
    #[error("inflates to {bytes} bytes, {max} are allowed")]
    InflatesTooFar {
        /// Bytes it says it inflates to.
        bytes: usize,
        /// Most that is allowed.
        max: usize,
    },
    /// A compressed term that does not inflate to what it says.
    #[error("compressed data is damaged")]
    Compression,
    /// Unsorted maps nested so deeply that putting them in order takes too much work.
    #[error("unsorted maps are nested too deeply: over {0} bytes to move to put them in order")]
    TooUnsorted(usize),
    /// A term of more than the 4 GiB that a packed term may have.
    #[error("a term over 4 GiB")]
    TooLong,
}

/// Bytes not read yet.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], EtfError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(EtfError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], EtfError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(EtfError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, EtfError> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub(crate) fn short(&mut self) -> Result<usize, EtfError> {
        self.bytes()
            .map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    pub(crate) fn long(&mut self) -> Result<usize, EtfError> {
        self.bytes().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }
}
