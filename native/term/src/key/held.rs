//! Key bytes that are kept: as many beside each other as fit the key itself.
//!
//! Never here: what the bytes mean.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::{Buffer, Flavour, INT_BYTES, encode_to, int_bytes};
use crate::packed;

/// Most bytes of a [`Key`] that need no allocation.
pub const INLINE_BYTES: usize = 30;

/// The key of one term in 32 bytes.
pub type Key = Held<INLINE_BYTES, 15>;

/// The key of several terms, one after the other, in 64 bytes.
pub type LongKey = Held<62, 47>;

/// Key bytes of one term or of several, compared as bytes: up to `INLINE` of them in place, or
/// all of them elsewhere and the first `HEAD` in place.
#[derive(Clone)]
pub struct Held<const INLINE: usize, const HEAD: usize>(Repr<INLINE, HEAD>);

/// Inline bytes are padded with zeros, so that they compare as whole words. Longer keys keep
/// their first bytes beside the rest: most comparisons end there, without a look elsewhere.
#[derive(Clone)]
enum Repr<const INLINE: usize, const HEAD: usize> {
    Inline { len: u8, bytes: [u8; INLINE] },
    Boxed { head: [u8; HEAD], bytes: Box<[u8]> },
}

const _: () = assert!(size_of::<Key>() == 32 && size_of::<LongKey>() == 64);

impl Key {
    /// The key of a packed term.
    #[must_use]
    #[inline]
    pub fn of(packed: &[u8], flavour: Flavour) -> Self {
        if let Some(value) = packed::small_int(packed) {
            return Self::of_int(value, flavour);
        }
        let mut buffer = Buffer::new();
        encode_to(packed, flavour, &mut buffer);
        buffer.into_key()
    }

    /// The key of a 64-bit integer.
    #[must_use]
    #[inline]
    pub fn of_int(value: i64, flavour: Flavour) -> Self {
        let (int, len) = int_bytes(value);
        let mut bytes = [0; INLINE_BYTES];
        bytes[..INT_BYTES].copy_from_slice(&int);
        Self::of_inline(len as u8 + u8::from(flavour == Flavour::Exact), bytes)
    }
}

impl LongKey {
    /// The key of packed terms, one after the other.
    #[must_use]
    #[inline]
    pub fn of_each<'a>(terms: impl IntoIterator<Item = &'a [u8]>, flavour: Flavour) -> Self {
        let mut buffer = Buffer::new();
        for term in terms {
            encode_to(term, flavour, &mut buffer);
        }
        buffer.into_key()
    }
}

impl<const INLINE: usize, const HEAD: usize> Held<INLINE, HEAD> {
    /// A key of the first `len` of these bytes, of which the rest are 0.
    #[inline]
    pub(super) fn of_inline(len: u8, bytes: [u8; INLINE]) -> Self {
        Self(Repr::Inline { len, bytes })
    }

    /// A key of more bytes than are inline.
    pub(super) fn of_box(bytes: Box<[u8]>) -> Self {
        let mut head = [0; HEAD];
        head.copy_from_slice(&bytes[..HEAD]);
        Self(Repr::Boxed { head, bytes })
    }

    /// A key of these bytes, which [`super::encode`] made.
    #[must_use]
    #[inline]
    pub fn from_bytes(key: &[u8]) -> Self {
        if key.len() > INLINE {
            return Self::of_box(key.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..key.len()].copy_from_slice(key);
        Self::of_inline(key.len() as u8, bytes)
    }

    /// The key bytes.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Boxed { bytes, .. } => bytes,
        }
    }

    /// The first bytes; where they differ, so do the keys, in the same way.
    #[inline]
    fn head(&self) -> &[u8; HEAD] {
        match &self.0 {
            Repr::Inline { bytes, .. } => bytes.first_chunk().expect("a head is shorter"),
            Repr::Boxed { head, .. } => head,
        }
    }

    /// Bytes that this key takes besides itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Boxed { bytes, .. } => bytes.len(),
        }
    }
}

/// How two runs of padded bytes compare: word by word, the last one overlapping.
#[inline]
fn compare<const INLINE: usize>(a: &[u8; INLINE], b: &[u8; INLINE]) -> Ordering {
    const WORD: usize = size_of::<u64>();
    let word = |bytes: &[u8; INLINE], at: usize| {
        let mut word = [0; WORD];
        word.copy_from_slice(&bytes[at..at + WORD]);
        u64::from_be_bytes(word)
    };
    let mut at = 0;
    while at + WORD < INLINE {
        let (x, y) = (word(a, at), word(b, at));
        if x != y {
            return x.cmp(&y);
        }
        at += WORD;
    }
    word(a, INLINE - WORD).cmp(&word(b, INLINE - WORD))
}

impl<const INLINE: usize, const HEAD: usize> Default for Held<INLINE, HEAD> {
    /// No bytes: before all keys.
    fn default() -> Self {
        Self::of_inline(0, [0; INLINE])
    }
}

impl<const INLINE: usize, const HEAD: usize> Ord for Held<INLINE, HEAD> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (
                Repr::Inline {
                    len: a_len,
                    bytes: a,
                },
                Repr::Inline {
                    len: b_len,
                    bytes: b,
                },
            ) => compare(a, b).then_with(|| a_len.cmp(b_len)),
            _ => {
                let heads = self.head().cmp(other.head());
                heads.then_with(|| self.as_bytes().cmp(other.as_bytes()))
            }
        }
    }
}

impl<const INLINE: usize, const HEAD: usize> PartialOrd for Held<INLINE, HEAD> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const INLINE: usize, const HEAD: usize> PartialEq for Held<INLINE, HEAD> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (
                Repr::Inline {
                    len: a_len,
                    bytes: a,
                },
                Repr::Inline {
                    len: b_len,
                    bytes: b,
                },
            ) => a_len == b_len && a == b,
            (Repr::Boxed { head: x, bytes: a }, Repr::Boxed { head: y, bytes: b }) => {
                x == y && a == b
            }
            _ => false,
        }
    }
}

impl<const INLINE: usize, const HEAD: usize> Eq for Held<INLINE, HEAD> {}

impl<const INLINE: usize, const HEAD: usize> Hash for Held<INLINE, HEAD> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<const INLINE: usize, const HEAD: usize> Borrow<[u8]> for Held<INLINE, HEAD> {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<const INLINE: usize, const HEAD: usize> fmt::Debug for Held<INLINE, HEAD> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Key({:02x?})", self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of all lengths around what fits, whose bytes differ at each place, ascending.
    fn ascending() -> Vec<Vec<u8>> {
        let mut all = vec![vec![]];
        for length in [
            1, 7, 8, 9, 14, 15, 16, 29, 30, 31, 46, 47, 48, 61, 62, 63, 100,
        ] {
            for at in 0..length {
                for byte in [0, 1, 0xff] {
                    let mut bytes = vec![7; length];
                    bytes[at] = byte;
                    all.push(bytes);
                }
            }
        }
        all.sort();
        all.dedup();
        all
    }

    fn check<const INLINE: usize, const HEAD: usize>() {
        let all = ascending();
        let held: Vec<Held<INLINE, HEAD>> = all.iter().map(|b| Held::from_bytes(b)).collect();
        for (a, x) in all.iter().zip(&held) {
            assert_eq!(x.as_bytes(), a);
            for (b, y) in all.iter().zip(&held) {
                assert_eq!(x.cmp(y), a.cmp(b), "{a:?} {b:?}");
                assert_eq!(x == y, a == b, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn keys_compare_as_their_bytes_in_place_and_elsewhere() {
        check::<INLINE_BYTES, 15>();
        check::<62, 47>();
    }
}
