//! The first 16 bytes of every file: magic, format version, checksum of both.
//!
//! This part never changes between versions, so that an older program can tell a newer file
//! from a damaged one and leave it untouched.

use crate::cursor::Cursor;
use crate::error::{DamageKind, StoreError};

/// Bytes of the head.
pub(crate) const HEAD_BYTES: usize = 16;

/// The version of all three formats that this crate writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Which of the three kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Log,
    Snapshot,
    Manifest,
}

impl FileKind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Log => *b"\x89MagnLog",
            Self::Snapshot => *b"\x89MagnSnp",
            Self::Manifest => *b"\x89MagnMan",
        }
    }
}

/// Appends the head for `kind` to `out`.
pub(crate) fn write(kind: FileKind, out: &mut Vec<u8>) {
    let mut first = [0u8; 12];
    first[..8].copy_from_slice(&kind.magic());
    first[8..].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&first);
    out.extend_from_slice(&crc32c::crc32c(&first).to_le_bytes());
}

/// Reads the head off `cursor`; a newer version is its own error.
pub(crate) fn read(kind: FileKind, file: &str, cursor: &mut Cursor<'_>) -> Result<(), StoreError> {
    let damaged = |kind| StoreError::Damaged {
        file: file.to_owned(),
        offset: 0,
        kind,
    };
    let first: [u8; 12] = cursor.array().ok_or_else(|| damaged(DamageKind::Short))?;
    let sum = cursor.u32().ok_or_else(|| damaged(DamageKind::Short))?;
    let mut inner = Cursor::new(&first);
    if inner.array() != Some(kind.magic()) {
        return Err(damaged(DamageKind::Magic));
    }
    if crc32c::crc32c(&first) != sum {
        return Err(damaged(DamageKind::HeaderChecksum));
    }
    match inner.u32() {
        Some(FORMAT_VERSION) => Ok(()),
        Some(version) if version > FORMAT_VERSION => Err(StoreError::TooNew {
            file: file.to_owned(),
            version,
            known: FORMAT_VERSION,
        }),
        _ => Err(damaged(DamageKind::Version)),
    }
}
