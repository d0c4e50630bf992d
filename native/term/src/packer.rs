//! Writes packed terms.
//!
//! A [`Packer`] appends to one buffer. Composites are opened with a `begin` that returns a
//! mark and closed with the matching `end`, which fills in the length; a map's pairs are put
//! in order at its end. The caller keeps its own stack of marks, so nothing recurses here.

use smallvec::SmallVec;

use crate::atom::Atom;
use crate::order;
use crate::packed::{self, ExtKind, Items, tag};

/// Where an open composite began; given back to the matching `end`.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Mark(usize);

/// A buffer that packed terms are appended to.
#[derive(Debug, Default, Clone)]
pub struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    /// An empty packer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written so far.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer itself.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes written so far.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets all, keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Forgets what was written after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Appends terms that are packed already.
    #[inline]
    pub fn raw(&mut self, packed: &[u8]) {
        self.bytes.extend_from_slice(packed);
    }

    /// Appends an integer in its shortest form.
    #[inline]
    pub fn int(&mut self, value: i64) {
        // A copy of constant length and a cut cost less than a copy of variable length.
        let (bytes, length) = packed::of_int(value);
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(&bytes);
        self.bytes.truncate(end);
    }

    /// Appends an integer given by sign and little-endian magnitude, in its shortest form.
    pub fn big(&mut self, negative: bool, magnitude: &[u8]) {
        let used = magnitude
            .iter()
            .rposition(|&b| b != 0)
            .map_or(0, |at| at + 1);
        let magnitude = &magnitude[..used];
        if let Some(small) = small_of(negative, magnitude) {
            return self.int(small);
        }
        self.bytes
            .extend_from_slice(&[tag::BIG, u8::from(negative)]);
        self.length(magnitude.len());
        self.bytes.extend_from_slice(magnitude);
    }

    /// Appends a float.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.bytes.push(tag::FLOAT);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends an atom.
    #[inline]
    pub fn atom(&mut self, atom: Atom) {
        let [a, b, c, d] = atom.handle().to_le_bytes();
        self.bytes.extend_from_slice(&[tag::ATOM, a, b, c, d]);
    }

    /// Appends a reference, fun, port or pid by its external bytes (without the version byte).
    pub fn ext(&mut self, kind: ExtKind, external: &[u8]) {
        self.bytes.extend_from_slice(&[tag::EXT, kind as u8]);
        self.length(external.len());
        self.bytes.extend_from_slice(external);
    }

    /// Appends the empty list.
    #[inline]
    pub fn nil(&mut self) {
        self.bytes.push(tag::NIL);
    }

    /// Appends a binary.
    #[inline]
    pub fn binary(&mut self, data: &[u8]) {
        if let Ok(short) = u8::try_from(data.len()) {
            self.bytes.extend_from_slice(&[tag::BIN, short]);
        } else {
            self.bytes.push(tag::BIN32);
            self.length(data.len());
        }
        self.bytes.extend_from_slice(data);
    }

    /// Appends a bitstring whose last byte has `last_bits` (1..=8) valid high bits.
    pub fn bits(&mut self, data: &[u8], last_bits: u8) {
        let Some((&last, whole)) = data.split_last() else {
            return self.binary(data);
        };
        if last_bits >= 8 {
            return self.binary(data);
        }
        self.bytes.push(tag::BITS);
        self.length(data.len());
        self.bytes.push(last_bits);
        self.bytes.extend_from_slice(whole);
        self.bytes.push(last & !(0xff_u8 >> last_bits));
    }

    /// Opens a tuple; exactly `arity` terms must follow before [`Packer::tuple_end`].
    #[inline]
    pub fn tuple_begin(&mut self, arity: usize) -> Mark {
        let mark = Mark(self.bytes.len());
        if let Ok(short) = u8::try_from(arity) {
            self.bytes
                .extend_from_slice(&[tag::TUPLE, short, 0, 0, 0, 0]);
        } else {
            self.open(tag::TUPLE32, arity);
        }
        mark
    }

    /// Closes a tuple.
    #[inline]
    pub fn tuple_end(&mut self, mark: Mark) {
        let length_at = if self.bytes[mark.0] == tag::TUPLE {
            2
        } else {
            5
        };
        self.close(mark, length_at);
    }

    /// Opens a list of `count` ≥ 1 elements; these and the tail must follow. The tail must not
    /// be a list of its own.
    pub fn list_begin(&mut self, count: usize) -> Mark {
        let mark = Mark(self.bytes.len());
        self.open(tag::LIST, count);
        mark
    }

    /// Closes a list.
    pub fn list_end(&mut self, mark: Mark) {
        self.close(mark, 5);
    }

    /// Opens a map of `pairs` pairs with distinct keys, which must follow key first.
    pub fn map_begin(&mut self, pairs: usize) -> Mark {
        let mark = Mark(self.bytes.len());
        self.open(tag::MAP, pairs);
        mark
    }

    /// The count that an open list was given.
    pub(crate) fn list_count(&self, mark: Mark) -> usize {
        let at = mark.0 + 1;
        let mut count = [0; 4];
        count.copy_from_slice(&self.bytes[at..at + 4]);
        u32::from_le_bytes(count) as usize
    }

    /// Corrects the count of an open list, which was not known when it was opened.
    pub(crate) fn list_recount(&mut self, mark: Mark, count: usize) {
        let count = u32::try_from(count).expect("a term is under 4 GiB");
        self.bytes[mark.0 + 1..mark.0 + 5].copy_from_slice(&count.to_le_bytes());
    }

    /// What was written after the first `from` bytes, for changes that keep every length.
    pub(crate) fn written_mut(&mut self, from: usize) -> &mut [u8] {
        &mut self.bytes[from..]
    }

    /// Whether a closed map, the last thing written, has a key twice.
    pub(crate) fn map_has_double_key(&self, mark: Mark) -> bool {
        let mut items = Items::new(&self.bytes[mark.0 + 9..], usize::MAX);
        let mut before: Option<&[u8]> = None;
        while !items.rest().is_empty() {
            let key = items.next();
            items.next();
            if let (Some(before), Some(key)) = (before, key)
                && order::compare_exact(before, key).is_eq()
            {
                return true;
            }
            before = key;
        }
        false
    }

    /// Closes a map and puts its pairs in key order.
    pub fn map_end(&mut self, mark: Mark) {
        self.map_end_counted(mark);
    }

    /// The same; returns how many bytes had to be moved for it, which is none or the whole body.
    pub(crate) fn map_end_counted(&mut self, mark: Mark) -> usize {
        self.close(mark, 5);
        let body = &self.bytes[mark.0 + 9..];
        let mut pairs: SmallVec<[(&[u8], &[u8]); 8]> = SmallVec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (key, after) = rest.split_at(packed::len(rest));
            let (value, after) = after.split_at(packed::len(after));
            pairs.push((key, value));
            rest = after;
        }
        if pairs.is_sorted_by(|a, b| order::compare_exact(a.0, b.0).is_lt()) {
            return 0;
        }
        pairs.sort_by(|a, b| order::compare_exact(a.0, b.0));
        let sorted: Vec<u8> = pairs
            .iter()
            .flat_map(|(k, v)| [*k, *v])
            .flatten()
            .copied()
            .collect();
        drop(pairs);
        self.bytes.truncate(mark.0 + 9);
        self.bytes.extend_from_slice(&sorted);
        sorted.len()
    }

    fn open(&mut self, tag: u8, count: usize) {
        self.bytes.push(tag);
        self.length(count);
        self.bytes.extend_from_slice(&[0; 4]);
    }

    #[inline]
    fn close(&mut self, mark: Mark, length_at: usize) {
        let body_at = mark.0 + length_at + 4;
        let length = u32::try_from(self.bytes.len() - body_at).expect("a term is under 4 GiB");
        self.bytes[mark.0 + length_at..body_at].copy_from_slice(&length.to_le_bytes());
    }

    #[inline]
    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("a term is under 4 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
    }
}

/// The 64-bit integer of this sign and magnitude, if it is one.
fn small_of(negative: bool, magnitude: &[u8]) -> Option<i64> {
    if magnitude.len() > 8 {
        return None;
    }
    let mut word = [0; 8];
    word[..magnitude.len()].copy_from_slice(magnitude);
    let value = i128::from(u64::from_le_bytes(word));
    i64::try_from(if negative { -value } else { value }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::View;

    #[test]
    fn integers_take_their_shortest_form() {
        for (value, bytes) in [
            (0, 2),
            (127, 2),
            (128, 3),
            (-32768, 3),
            (65536, 5),
            (1 << 40, 9),
        ] {
            let mut packer = Packer::new();
            packer.int(value);
            assert_eq!(packer.len(), bytes, "{value}");
            assert!(matches!(packed::view(packer.as_bytes()), View::Int(v) if v == value));
        }
    }

    #[test]
    fn a_big_integer_within_64_bits_becomes_a_small_one() {
        let mut packer = Packer::new();
        packer.big(true, &[0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0]);
        assert!(matches!(
            packed::view(packer.as_bytes()),
            View::Int(i64::MIN)
        ));
        packer.clear();
        packer.big(false, &[0, 0, 0, 0, 0, 0, 0, 0x80]);
        assert!(matches!(
            packed::view(packer.as_bytes()),
            View::Big {
                negative: false,
                ..
            }
        ));
    }

    #[test]
    fn unused_bits_are_cleared() {
        let mut packer = Packer::new();
        packer.bits(&[0xff, 0xff], 3);
        let View::Bits(bits) = packed::view(packer.as_bytes()) else {
            panic!("a bitstring")
        };
        assert_eq!((bits.bytes, bits.bit_len()), (&[0xff, 0xe0][..], 11));
    }

    #[test]
    fn map_pairs_are_put_in_key_order() {
        let mut packer = Packer::new();
        let mark = packer.map_begin(2);
        packer.int(2);
        packer.int(20);
        packer.int(1);
        packer.int(10);
        packer.map_end(mark);
        let View::Map(items) = packed::view(packer.as_bytes()) else {
            panic!("a map")
        };
        let values: Vec<_> = items.map(|term| term[1]).collect();
        assert_eq!(values, [1, 10, 2, 20]);
    }
}
