//! The packed layout of a term, and how it is read.
//!
//! A packed term is a tag byte and a payload; integers are little-endian. Every composite
//! carries its length in bytes, so any term is skipped in constant time.
//!
//! | tag | payload |
//! |---|---|
//! | `INT8` `INT16` `INT32` `INT64` | the integer in 1, 2, 4 or 8 bytes, always the shortest |
//! | `BIG` | sign `u8` (1 = negative), length `u32`, magnitude, no leading zeros |
//! | `FLOAT` | 8 bytes, IEEE 754 |
//! | `ATOM` | handle `u32`, see [`crate::atom`] |
//! | `EXT` | kind `u8`, length `u32`, external bytes without the version byte |
//! | `TUPLE` | arity `u8`, length `u32`, elements |
//! | `TUPLE32` | arity `u32`, length `u32`, elements; only when arity > 255 |
//! | `MAP` | pairs `u32`, length `u32`, key, value, …, keys ascending in exact order |
//! | `NIL` | nothing |
//! | `LIST` | elements `u32` (≥ 1), length `u32`, elements, tail; the tail is never a `LIST` |
//! | `BIN` | length `u8`, bytes |
//! | `BIN32` | length `u32`, bytes; only when longer than 255 |
//! | `BITS` | bytes `u32`, bits used in the last byte `u8` (1..=7), bytes; unused bits are 0 |
//!
//! The layout is canonical: two terms are `=:=` if and only if their bytes are equal, but for
//! `0.0` and `-0.0`, where the host's release calls them equal, and for a local fun by two
//! processes; [`crate::order::canonical`] folds both. Bytes here are always our own work
//! ([`crate::packer`] or a validated decoder made them), so readers index without checks of
//! their own; bytes from outside go through [`crate::portable`] or [`crate::etf`] first.

use crate::atom::Atom;

/// Tag bytes of the layout.
pub mod tag {
    /// Integer in one byte.
    pub const INT8: u8 = 1;
    /// Integer in two bytes.
    pub const INT16: u8 = 2;
    /// Integer in four bytes.
    pub const INT32: u8 = 3;
    /// Integer in eight bytes.
    pub const INT64: u8 = 4;
    /// Integer outside the 64-bit range.
    pub const BIG: u8 = 5;
    /// Float.
    pub const FLOAT: u8 = 6;
    /// Atom.
    pub const ATOM: u8 = 7;
    /// Reference, fun, port or pid as external bytes.
    pub const EXT: u8 = 8;
    /// Tuple of up to 255 elements.
    pub const TUPLE: u8 = 9;
    /// Tuple of more than 255 elements.
    pub const TUPLE32: u8 = 10;
    /// Map.
    pub const MAP: u8 = 11;
    /// The empty list.
    pub const NIL: u8 = 12;
    /// Non-empty list, proper or not.
    pub const LIST: u8 = 13;
    /// Binary of up to 255 bytes.
    pub const BIN: u8 = 14;
    /// Binary of more than 255 bytes.
    pub const BIN32: u8 = 15;
    /// Bitstring whose length is not a multiple of eight.
    pub const BITS: u8 = 16;
}

/// What an `EXT` term is; the numbers ascend in Erlang's order of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExtKind {
    /// A reference.
    Reference = 1,
    /// A fun, local or external (`fun m:f/a`).
    Fun = 2,
    /// A port.
    Port = 3,
    /// A process identifier.
    Pid = 4,
}

impl ExtKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Reference),
            2 => Some(Self::Fun),
            3 => Some(Self::Port),
            4 => Some(Self::Pid),
            _ => None,
        }
    }
}

/// A bitstring: `bits` counts the valid bits, the last byte is padded with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits<'a> {
    /// The bytes, the last one perhaps in part.
    pub bytes: &'a [u8],
    /// Bits used in the last byte: 1..=7 for a true bitstring, 8 for a binary.
    pub last_bits: u8,
}

impl Bits<'_> {
    /// Whether this is a binary (a whole number of bytes).
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.last_bits == 8
    }

    /// Length in bits.
    #[must_use]
    pub fn bit_len(&self) -> usize {
        if self.bytes.is_empty() {
            0
        } else {
            (self.bytes.len() - 1) * 8 + usize::from(self.last_bits)
        }
    }
}

/// A run of packed terms, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl<'a> Items<'a> {
    /// The first `count` terms of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8], count: usize) -> Self {
        Self { bytes, left: count }
    }

    /// How many terms are left.
    #[must_use]
    pub fn count(&self) -> usize {
        self.left
    }

    /// The bytes from here on.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The term at `index`, counted from 0.
    #[must_use]
    pub fn nth_term(mut self, index: usize) -> Option<&'a [u8]> {
        self.nth(index)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let (term, rest) = self.bytes.split_at(len(self.bytes));
        self.bytes = rest;
        Some(term)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    #[inline]
    fn count(self) -> usize {
        self.left
    }
}

/// One level of a term, opened for reading.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// An integer of the 64-bit range.
    Int(i64),
    /// An integer outside it: sign, and magnitude little-endian without leading zeros.
    Big {
        /// Whether the integer is below zero.
        negative: bool,
        /// Magnitude, little-endian.
        magnitude: &'a [u8],
    },
    /// A float.
    Float(f64),
    /// An atom.
    Atom(Atom),
    /// A reference, fun, port or pid.
    Ext(ExtKind, &'a [u8]),
    /// A tuple's elements.
    Tuple(Items<'a>),
    /// A map's keys and values in turn (`count` is twice the number of pairs).
    Map(Items<'a>),
    /// The empty list.
    Nil,
    /// A list's elements followed by its tail: `count` is the elements plus one.
    List(Items<'a>),
    /// A binary or bitstring.
    Bits(Bits<'a>),
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Bytes that the first term of `bytes` takes.
#[inline]
#[must_use]
pub fn len(bytes: &[u8]) -> usize {
    match bytes[0] {
        tag::NIL => 1,
        tag::INT8 => 2,
        tag::INT16 => 3,
        tag::INT32 | tag::ATOM => 5,
        tag::INT64 | tag::FLOAT => 9,
        tag::BIN => 2 + usize::from(bytes[1]),
        tag::BIN32 => 5 + u32_at(bytes, 1),
        tag::BIG | tag::EXT | tag::TUPLE => 6 + u32_at(bytes, 2),
        tag::BITS => 6 + u32_at(bytes, 1),
        tag::MAP | tag::LIST | tag::TUPLE32 => 9 + u32_at(bytes, 5),
        other => unreachable!("no packed term begins with {other}"),
    }
}

/// The first term of `bytes`, if it is an integer of the 64-bit range.
#[inline]
#[must_use]
pub fn small_int(bytes: &[u8]) -> Option<i64> {
    Some(match bytes[0] {
        tag::INT8 => i64::from(bytes[1].cast_signed()),
        tag::INT16 => i64::from(i16::from_le_bytes([bytes[1], bytes[2]])),
        tag::INT32 => i64::from(i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]])),
        tag::INT64 => i64::from_le_bytes(eight(bytes)),
        _ => return None,
    })
}

/// An integer in its shortest form, without a buffer: the bytes, and how many of them.
#[inline]
#[must_use]
pub fn of_int(value: i64) -> ([u8; 9], usize) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    let (tag, length) = if i8::try_from(value).is_ok() {
        (tag::INT8, 2)
    } else if i16::try_from(value).is_ok() {
        (tag::INT16, 3)
    } else if i32::try_from(value).is_ok() {
        (tag::INT32, 5)
    } else {
        (tag::INT64, 9)
    };
    ([tag, a, b, c, d, e, f, g, h], length)
}

/// Opens the first term of `bytes` and returns what follows it: one look at the tag where
/// [`view`] and [`len`] take two. For loops over the elements of rows.
#[inline(always)]
#[must_use]
pub fn take(bytes: &[u8]) -> (View<'_>, &[u8]) {
    match *bytes {
        [tag::INT8, a, ref rest @ ..] => (View::Int(i64::from(a.cast_signed())), rest),
        [tag::INT16, a, b, ref rest @ ..] => {
            (View::Int(i64::from(i16::from_le_bytes([a, b]))), rest)
        }
        [tag::INT32, a, b, c, d, ref rest @ ..] => {
            (View::Int(i64::from(i32::from_le_bytes([a, b, c, d]))), rest)
        }
        [tag::ATOM, a, b, c, d, ref rest @ ..] => (
            View::Atom(Atom::from_handle(u32::from_le_bytes([a, b, c, d]))),
            rest,
        ),
        [tag::BIN, length, ref rest @ ..] => {
            let (data, rest) = rest.split_at(usize::from(length));
            (
                View::Bits(Bits {
                    bytes: data,
                    last_bits: 8,
                }),
                rest,
            )
        }
        _ => (view(bytes), &bytes[len(bytes)..]),
    }
}

/// Opens the first term of `bytes`.
#[inline]
#[must_use]
pub fn view(bytes: &[u8]) -> View<'_> {
    match bytes[0] {
        tag::INT8 => View::Int(i64::from(bytes[1].cast_signed())),
        tag::INT16 => View::Int(i64::from(i16::from_le_bytes([bytes[1], bytes[2]]))),
        tag::INT32 => View::Int(i64::from(i32::from_le_bytes([
            bytes[1], bytes[2], bytes[3], bytes[4],
        ]))),
        tag::INT64 => View::Int(i64::from_le_bytes(eight(bytes))),
        tag::FLOAT => View::Float(f64::from_le_bytes(eight(bytes))),
        tag::ATOM => View::Atom(Atom::from_handle(u32_at(bytes, 1) as u32)),
        tag::NIL => View::Nil,
        tag::BIN => View::Bits(Bits {
            bytes: &bytes[2..2 + usize::from(bytes[1])],
            last_bits: 8,
        }),
        tag::BIN32 => View::Bits(Bits {
            bytes: &bytes[5..5 + u32_at(bytes, 1)],
            last_bits: 8,
        }),
        tag::BITS => View::Bits(Bits {
            bytes: &bytes[6..6 + u32_at(bytes, 1)],
            last_bits: bytes[5],
        }),
        tag::TUPLE => View::Tuple(Items::new(&bytes[6..len(bytes)], usize::from(bytes[1]))),
        tag::TUPLE32 => View::Tuple(Items::new(&bytes[9..len(bytes)], u32_at(bytes, 1))),
        tag::MAP => View::Map(Items::new(&bytes[9..len(bytes)], 2 * u32_at(bytes, 1))),
        tag::LIST => View::List(Items::new(&bytes[9..len(bytes)], 1 + u32_at(bytes, 1))),
        tag::BIG => View::Big {
            negative: bytes[1] == 1,
            magnitude: &bytes[6..len(bytes)],
        },
        tag::EXT => {
            let kind = ExtKind::from_byte(bytes[1]).expect("packers write known kinds only");
            View::Ext(kind, &bytes[6..len(bytes)])
        }
        other => unreachable!("no packed term begins with {other}"),
    }
}

#[inline]
fn eight(bytes: &[u8]) -> [u8; 8] {
    [
        bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8],
    ]
}
