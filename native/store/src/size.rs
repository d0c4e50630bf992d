//! Conversions between the sizes of memory (`usize`) and of files (`u64`).
//!
//! A size that does not fit saturates: it is then past every bound and refused where bounds
//! are checked. Never used for arithmetic.

/// A length in memory as a length in a file.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A length in a file as a length in memory.
pub(crate) fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// A length in memory as the 32-bit length that frames carry.
pub(crate) fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
