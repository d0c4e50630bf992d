//! The bytes of a backup: Mnesia's own format, a log of `disk_log` with a term for each item.
//!
//! A file begins with eight bytes; each item is `<<Size:32, 98,87,76,65, Term/binary>>`, with an
//! MD5 digest of the size's bytes before the term when the term is long.
//!
//! Never here: reading or writing files, what an item means.

use magnesia_engine::limits::ROW_BYTES_MAX;
use magnesia_term::{Atom, Row, etf};
use md5::{Digest, Md5};
use thiserror::Error;

/// What a file begins with that was closed.
pub const CLOSED: [u8; 8] = [1, 2, 3, 4, 99, 88, 77, 11];
/// What a file begins with that nobody has closed.
pub const OPENED: [u8; 8] = [1, 2, 3, 4, 6, 7, 8, 9];

const MAGIC: [u8; 4] = [98, 87, 76, 65];
const HEAD_BYTES: usize = 8;
const DIGEST_BYTES: usize = 16;
/// A term of so many bytes has a digest.
const DIGESTED_BYTES: usize = 65_528;
/// Longest item that is read.
const ITEM_BYTES_MAX: usize = ROW_BYTES_MAX + (1 << 20);

/// Appends an item, whose term `f` appends.
pub fn item(out: &mut Vec<u8>, f: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    f(out);
    let length = out.len() - start - HEAD_BYTES;
    let size = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    out[start..start + 4].copy_from_slice(&size);
    out[start + 4..start + HEAD_BYTES].copy_from_slice(&MAGIC);
    if length >= DIGESTED_BYTES {
        let at = start + HEAD_BYTES;
        out.splice(at..at, md5(size));
    }
}

/// Appends the record of a row under a name.
pub fn record(out: &mut Vec<u8>, name: Atom, row: &Row) {
    item(out, |out| {
        etf::encode_record(name, row.elements() + 1, out);
        etf::encode_parts(row.body(), out);
    });
}

/// Appends `{Table, Key}`, which takes the rows of a packed key away.
pub fn gone(out: &mut Vec<u8>, name: Atom, key: &[u8]) {
    item(out, |out| {
        etf::encode_record(name, 2, out);
        etf::encode_parts(key, out);
    });
}

/// Why bytes are no item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ItemError {
    /// The mark of an item is not there.
    #[error("no item begins here")]
    Mark,
    /// The digest of the size is wrong.
    #[error("the digest of an item's size is wrong")]
    Digest,
    /// It is longer than any item of a table is.
    #[error("an item of {0} bytes")]
    Long(usize),
}

/// The term of the item at the front of `bytes` and the bytes that the item takes; `None` when
/// `bytes` end inside it.
///
/// # Errors
/// When no item begins there.
pub fn next(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, ItemError> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let [a, b, c, d, mark @ ..] = *head;
    if mark != MAGIC {
        return Err(ItemError::Mark);
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > ITEM_BYTES_MAX {
        return Err(ItemError::Long(length));
    }
    let skipped = if length >= DIGESTED_BYTES {
        match rest.get(..DIGEST_BYTES) {
            None => return Ok(None),
            Some(digest) if digest != md5([a, b, c, d]) => return Err(ItemError::Digest),
            Some(_) => DIGEST_BYTES,
        }
    } else {
        0
    };
    let term = rest.get(skipped..skipped + length);
    Ok(term.map(|term| (term, HEAD_BYTES + skipped + length)))
}

fn md5(message: [u8; 4]) -> [u8; DIGEST_BYTES] {
    Md5::digest(message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_any_length_are_read_back_and_cut_ones_are_waited_for() {
        for length in [0, 1, DIGESTED_BYTES - 1, DIGESTED_BYTES, 200_000] {
            let mut bytes = Vec::new();
            item(&mut bytes, |out| out.resize(out.len() + length, 7));
            let whole = bytes.len();
            bytes.extend_from_slice(b"more");
            let (term, taken) = next(&bytes).expect("an item").expect("whole");
            assert_eq!((term.len(), taken), (length, whole));
            assert!(term.iter().all(|&byte| byte == 7));
            for cut in [0, 3, 7, 8, whole - 1] {
                if cut < whole {
                    assert_eq!(next(&bytes[..cut]), Ok(None), "{length} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_item_is_refused() {
        let mut bytes = Vec::new();
        item(&mut bytes, |out| out.resize(out.len() + 70_000, 7));
        assert_eq!(next(b"abcdefgh"), Err(ItemError::Mark));
        bytes[9] ^= 1;
        assert_eq!(next(&bytes), Err(ItemError::Digest));
        let long = [&[255, 255, 255, 255][..], &MAGIC].concat();
        assert_eq!(next(&long), Err(ItemError::Long(u32::MAX as usize)));
    }
}
