//! Order-preserving key bytes: comparing them as bytes is comparing the terms.
//!
//! Every encoding delimits itself, so the bytes of two terms one after the other compare as the
//! pair. Of each type the first byte is its place in the order:
//!
//! | first byte | then |
//! |---|---|
//! | `0x16`, `0x29` | integer part over 64 bits: length `u32`, magnitude (big-endian) |
//! | `0x17..=0x1e`, `0x21..=0x28` | integer part of 8 to 1, or 1 to 8, bytes |
//! | `0x1f`, `0x20` | integer part 0, of a negative or another number |
//! | `0x2f` | a float as a map key, then the number |
//! | `0x40` | atom: name, escaped, 0 |
//! | `0x50..=0x5f` | reference, fun, port, pid: see `external.rs` |
//! | `0x70` | tuple: arity, elements |
//! | `0x78` | map: size, keys, values |
//! | `0x80` | `[]` |
//! | `0x84` | list cell: head, tail |
//! | `0x90` | bitstring: bytes, escaped, 0, bits used in the last byte |
//!
//! An integer part is followed, if there is a fraction, by `0xff` and the fraction as a float;
//! the bytes of a negative number are complemented after the first, and end in `0xff` where
//! there is no fraction. An escaped 0 is `0x00 0xff`. The exact flavour adds, after the whole
//! term, two bits for each number in it that is in no key of a map: 0 for an integer, 1 for
//! `-0.0`, 2 for another float. So the numeric key of a term begins every exact key of a term
//! that is `==`.

mod buffer;
mod held;

use smallvec::SmallVec;

pub(crate) use self::buffer::Buffer;
pub use self::held::{Held, INLINE_BYTES, Key, LongKey};
use crate::external;
use crate::number;
use crate::order;
use crate::packed::{self, Bits, Items, View};

/// Which terms have the same key bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Those that are `==`: 1 and 1.0 are one key.
    Numeric,
    /// Those that are `=:=`: the same order, and where terms are `==` only, the kinds of their
    /// numbers decide, so that 1 comes just before 1.0.
    Exact,
}

/// Appends the key bytes of a packed term.
#[inline]
pub fn encode(packed: &[u8], flavour: Flavour, out: &mut Vec<u8>) {
    encode_to(packed, flavour, out);
}

/// Where key bytes go.
pub(crate) trait Sink {
    fn push(&mut self, byte: u8);
    fn append(&mut self, bytes: &[u8]);
    fn len(&self) -> usize;
    fn truncate(&mut self, len: usize);
    fn complement_from(&mut self, start: usize);
}

impl Sink for Vec<u8> {
    #[inline]
    fn push(&mut self, byte: u8) {
        self.push(byte);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }

    fn complement_from(&mut self, start: usize) {
        self[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

mod lead {
    pub(super) const BIG_NEGATIVE: u8 = 0x16;
    pub(super) const ZERO_NEGATIVE: u8 = 0x1f;
    pub(super) const ZERO: u8 = 0x20;
    pub(super) const BIG: u8 = 0x29;
    pub(super) const KEY_FLOAT: u8 = 0x2f;
    pub(super) const ATOM: u8 = 0x40;
    pub(super) const TUPLE: u8 = 0x70;
    pub(super) const MAP: u8 = 0x78;
    pub(super) const NIL: u8 = 0x80;
    pub(super) const CELL: u8 = 0x84;
    pub(super) const BITS: u8 = 0x90;
}

/// What follows an integer part.
const FRACTION: u8 = 0xff;

/// What a number is, for the exact flavour.
mod kind {
    pub(super) const INT: u8 = 0;
    pub(super) const MINUS_ZERO: u8 = 1;
    pub(super) const FLOAT: u8 = 2;
}

/// How numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Value,
    MapKey,
}

/// Kinds of the numbers so far, where the flavour wants them.
#[derive(Default)]
struct Kinds(Option<SmallVec<[u8; 16]>>);

impl Kinds {
    fn push(&mut self, kind: u8, manner: Manner) {
        if let (Some(kinds), Manner::Value) = (&mut self.0, manner) {
            kinds.push(kind);
        }
    }

    fn write<S: Sink>(self, out: &mut S) {
        for four in self.0.unwrap_or_default().chunks(4) {
            let bits = four
                .iter()
                .zip([6, 4, 2, 0])
                .fold(0, |bits, (kind, by)| bits | kind << by);
            out.push(bits);
        }
    }
}

/// Terms that wait to be written.
struct Pending<'a> {
    manner: Manner,
    kind: Run,
    items: Items<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    All,
    List,
    Keys,
    Values,
}

fn encode_to<S: Sink>(packed: &[u8], flavour: Flavour, out: &mut S) {
    let mut kinds = Kinds((flavour == Flavour::Exact).then(SmallVec::new));
    let mut stack: SmallVec<[Pending<'_>; 2]> = SmallVec::new();
    term(packed, Manner::Value, &mut stack, &mut kinds, out);
    while let Some(top) = stack.last_mut() {
        let manner = top.manner;
        match top.advance(out) {
            Some(packed) => term(packed, manner, &mut stack, &mut kinds, out),
            None => {
                stack.pop();
            }
        }
    }
    kinds.write(out);
}

impl<'a> Pending<'a> {
    fn advance<S: Sink>(&mut self, out: &mut S) -> Option<&'a [u8]> {
        match self.kind {
            Run::All => self.items.next(),
            Run::List => {
                if self.items.count() > 1 {
                    out.push(lead::CELL);
                }
                self.items.next()
            }
            Run::Keys => {
                let key = self.items.next();
                self.items.next();
                key
            }
            Run::Values => {
                self.items.next();
                self.items.next()
            }
        }
    }
}

/// Writes one level; what is inside goes on the stack.
fn term<'a, S: Sink>(
    packed: &'a [u8],
    manner: Manner,
    stack: &mut SmallVec<[Pending<'a>; 2]>,
    kinds: &mut Kinds,
    out: &mut S,
) {
    match packed::view(packed) {
        View::Int(value) => {
            let (bytes, length) = int_bytes(value);
            out.append(&bytes[..length]);
            kinds.push(kind::INT, manner);
        }
        View::Big {
            negative,
            magnitude,
        } => {
            whole_part(negative, magnitude, out);
            whole_end(negative, out);
            kinds.push(kind::INT, manner);
        }
        View::Float(value) => {
            float(value, manner, out);
            kinds.push(float_kind(value), manner);
        }
        View::Atom(atom) => {
            out.push(lead::ATOM);
            escape(atom.name().as_bytes(), out);
            out.push(0);
        }
        View::Ext(kind, external) => external::encode_key(kind, external, out),
        View::Nil => out.push(lead::NIL),
        View::Bits(bits) => bitstring(&bits, out),
        View::Tuple(items) => {
            out.push(lead::TUPLE);
            count(items.count(), out);
            stack.push(Pending {
                manner,
                kind: Run::All,
                items,
            });
        }
        View::List(items) => stack.push(Pending {
            manner,
            kind: Run::List,
            items,
        }),
        View::Map(items) => {
            out.push(lead::MAP);
            count(items.count() / 2, out);
            stack.push(Pending {
                manner,
                kind: Run::Values,
                items,
            });
            stack.push(Pending {
                manner: Manner::MapKey,
                kind: Run::Keys,
                items,
            });
        }
    }
}

/// Room for the key of a 64-bit integer, of which at most 10 bytes are used.
const INT_BYTES: usize = 16;

/// The numeric key of a 64-bit integer and its length. The bytes after it are 0, which is the
/// kind of an integer.
#[inline]
fn int_bytes(value: i64) -> ([u8; INT_BYTES], usize) {
    let magnitude = value.unsigned_abs();
    let skipped = magnitude.leading_zeros() / 8;
    let used = 8 - skipped;
    // The used bytes go to the front; 0 has none, and a shift by 64 would overflow.
    let front = magnitude.checked_shl(skipped * 8).unwrap_or(0);
    if value >= 0 {
        let word = u128::from(lead::ZERO + used as u8) << 120 | u128::from(front) << 56;
        return (word.to_be_bytes(), 1 + used as usize);
    }
    let front = !front & u64::MAX << (skipped * 8);
    let word = u128::from(lead::ZERO_NEGATIVE - used as u8) << 120
        | u128::from(front) << 56
        | u128::from(NEGATIVE_END) << (112 - used * 8);
    (word.to_be_bytes(), 2 + used as usize)
}

/// What ends a negative number without a fraction: above the complement of [`FRACTION`].
const NEGATIVE_END: u8 = 0xff;

fn whole_end<S: Sink>(negative: bool, out: &mut S) {
    if negative {
        out.push(NEGATIVE_END);
    }
}

fn float_kind(value: f64) -> u8 {
    let is_minus_zero = value == 0.0 && value.is_sign_negative();
    if is_minus_zero && order::zeros_distinct() {
        kind::MINUS_ZERO
    } else {
        kind::FLOAT
    }
}

/// The integer part by its little-endian magnitude without leading zeros.
fn whole_part<S: Sink>(negative: bool, magnitude: &[u8], out: &mut S) {
    let start = out.len() + 1;
    match u8::try_from(magnitude.len()) {
        Ok(short @ 0..=8) => {
            out.push(if negative {
                lead::ZERO_NEGATIVE - short
            } else {
                lead::ZERO + short
            });
        }
        _ => {
            out.push(if negative {
                lead::BIG_NEGATIVE
            } else {
                lead::BIG
            });
            // A packed term is under 4 GiB, so its length fits.
            out.append(&(magnitude.len() as u32).to_be_bytes());
        }
    }
    let mut chunk: SmallVec<[u8; 128]> = SmallVec::with_capacity(magnitude.len());
    chunk.extend(magnitude.iter().rev().copied());
    out.append(&chunk);
    if negative {
        out.complement_from(start);
    }
}

fn float<S: Sink>(value: f64, manner: Manner, out: &mut S) {
    if manner == Manner::MapKey {
        out.push(lead::KEY_FLOAT);
    }
    if value == 0.0 {
        out.push(lead::ZERO);
        if manner == Manner::MapKey {
            out.push(float_kind(value));
        }
        return;
    }
    let negative = value < 0.0;
    let size = value.abs();
    if size >= 18_446_744_073_709_551_616.0 {
        let (mantissa, exponent) = number::parts(size);
        let mut magnitude = vec![0; exponent as usize / 8];
        magnitude.extend_from_slice(&(u128::from(mantissa) << (exponent % 8)).to_le_bytes());
        trimmed_whole(negative, &magnitude, out);
        return whole_end(negative, out);
    }
    let whole = size as u64;
    trimmed_whole(negative, &whole.to_le_bytes(), out);
    let rest = size - whole as f64;
    if rest > 0.0 {
        fraction(negative, rest, out);
    } else {
        whole_end(negative, out);
    }
}

fn trimmed_whole<S: Sink>(negative: bool, magnitude: &[u8], out: &mut S) {
    let used = magnitude
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |at| at + 1);
    whole_part(negative, &magnitude[..used], out);
}

/// A fraction between 0 and 1: a float's own bits are in order.
fn fraction<S: Sink>(negative: bool, rest: f64, out: &mut S) {
    let start = out.len();
    out.push(FRACTION);
    out.append(&rest.to_bits().to_be_bytes());
    if negative {
        out.complement_from(start);
    }
}

fn bitstring<S: Sink>(bits: &Bits<'_>, out: &mut S) {
    out.push(lead::BITS);
    escape(bits.bytes, out);
    out.push(0);
    out.push(if bits.bytes.is_empty() {
        0
    } else {
        bits.last_bits
    });
}

/// A count whose bytes compare as it does.
fn count<S: Sink>(count: usize, out: &mut S) {
    match u8::try_from(count) {
        Ok(short @ 0..=0xfd) => out.push(short),
        _ => {
            out.push(0xfe);
            out.append(&(count as u32).to_be_bytes());
        }
    }
}

/// Bytes with each 0 made `0x00 0xff`; a 0 and a byte below `0xff` must follow.
pub(crate) fn escape<S: Sink>(mut bytes: &[u8], out: &mut S) {
    while let Some(at) = memchr::memchr(0, bytes) {
        out.append(&bytes[..=at]);
        out.push(0xff);
        bytes = &bytes[at + 1..];
    }
    out.append(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packer::Packer;

    fn int(value: i64) -> Vec<u8> {
        let mut packer = Packer::new();
        packer.int(value);
        packer.into_bytes()
    }

    fn float(value: f64) -> Vec<u8> {
        let mut packer = Packer::new();
        packer.float(value);
        packer.into_bytes()
    }

    fn ascending() -> Vec<Vec<u8>> {
        let mut terms = vec![
            float(-1e300),
            float(-1.0e19),
            int(i64::MIN),
            int(i64::MIN + 1),
            int(-65536),
            int(-256),
            int(-255),
            float(-2.5),
            int(-2),
            float(-1.5),
            int(-1),
            float(-0.5),
            float(-5e-324),
            int(0),
            float(5e-324),
            float(0.5),
            int(1),
            float(1.5),
            int(2),
            int(255),
            int(256),
            int(1 << 53),
            int((1 << 53) + 1),
            int(i64::MAX),
            float(1.0e19),
            float(1e300),
        ];
        let mut packer = Packer::new();
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\0",
            b"\0\x01",
            b"\x01",
            b"\xff",
            b"\xff\xff",
        ] {
            packer.clear();
            packer.binary(bytes);
            terms.push(packer.as_bytes().to_vec());
        }
        terms
    }

    #[test]
    fn keys_compare_as_their_terms_in_both_flavours() {
        let terms = ascending();
        for flavour in [Flavour::Numeric, Flavour::Exact] {
            for (i, a) in terms.iter().enumerate() {
                for (j, b) in terms.iter().enumerate() {
                    assert_eq!(order::compare(a, b), i.cmp(&j), "{a:?} {b:?}");
                    let keys = (Key::of(a, flavour), Key::of(b, flavour));
                    assert_eq!(keys.0.cmp(&keys.1), i.cmp(&j), "{keys:?}");
                    assert_eq!(keys.0.as_bytes().cmp(keys.1.as_bytes()), i.cmp(&j));
                    let (mut both, mut other) = (Vec::new(), Vec::new());
                    for (out, pair) in [(&mut both, [a, b]), (&mut other, [b, a])] {
                        pair.iter().for_each(|term| encode(term, flavour, out));
                    }
                    assert_eq!(both.cmp(&other), i.cmp(&j), "as pairs {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn exact_keys_put_an_integer_just_before_its_float() {
        for (whole, same) in [
            (1, 1.0),
            (-1, -1.0),
            (0, 0.0),
            (1 << 40, 1_099_511_627_776.0),
        ] {
            let (a, b) = (int(whole), float(same));
            assert_eq!(Key::of(&a, Flavour::Numeric), Key::of(&b, Flavour::Numeric));
            assert!(
                Key::of(&a, Flavour::Exact) < Key::of(&b, Flavour::Exact),
                "{whole}"
            );
            assert!(Key::of(&b, Flavour::Exact) < Key::of(&int(whole + 1), Flavour::Exact));
            assert!(Key::of(&int(whole - 1), Flavour::Exact) < Key::of(&a, Flavour::Exact));
        }
    }

    #[test]
    fn a_number_of_any_size_has_the_key_of_its_equal_float() {
        let mut packer = Packer::new();
        for (negative, power) in [
            (false, 64),
            (true, 64),
            (false, 70),
            (true, 1023),
            (false, 63),
        ] {
            let mut magnitude = vec![0; power / 8 + 1];
            magnitude[power / 8] = 1 << (power % 8);
            packer.clear();
            packer.big(negative, &magnitude);
            let value = 2.0_f64.powi(power as i32) * if negative { -1.0 } else { 1.0 };
            let keys = [packer.as_bytes(), &float(value)].map(|t| Key::of(t, Flavour::Numeric));
            assert_eq!(keys[0], keys[1], "{power}");
        }
    }

    #[test]
    fn the_longest_inline_key_and_the_first_boxed_one() {
        let bytes: Vec<u8> = (0..=INLINE_BYTES as u8).collect();
        let inline = Key::from_bytes(&bytes[..INLINE_BYTES]);
        let boxed = Key::from_bytes(&bytes);
        assert_eq!(
            (inline.heap_bytes(), boxed.heap_bytes()),
            (0, INLINE_BYTES + 1)
        );
        assert!(inline < boxed && inline != boxed);
        assert!(Key::from_bytes(b"a") < Key::from_bytes(b"a\0"));
        assert!(Key::from_bytes(b"abcdefgh") < Key::from_bytes(b"abcdefgh\0"));
    }
}
