//! External term format out, straight from a packed term: both have the same order of parts,
//! so one pass over the bytes does it.

use super::external::write_name;
use super::{VERSION, tag};
use crate::atom::Atom;
use crate::packed::{self, Items, View};

/// Longest list of bytes that has a form of its own.
const STRING_MAX: usize = u16::MAX as usize;

/// Appends a packed term, the version byte first.
pub fn encode(packed: &[u8], out: &mut Vec<u8>) {
    out.push(VERSION);
    encode_parts(&packed[..packed::len(packed)], out);
}

/// Appends packed terms, one after the other, as the elements of a tuple are: without a version.
pub fn encode_parts(packed: &[u8], out: &mut Vec<u8>) {
    let mut rest = packed;
    while !rest.is_empty() {
        let done = one(rest, out);
        rest = &rest[done..];
    }
}

/// Appends what a tuple begins with: the version, its arity and an atom as its first element.
/// Its other elements follow, by [`encode_parts`].
pub fn encode_record(name: Atom, arity: usize, out: &mut Vec<u8>) {
    out.push(VERSION);
    tuple(arity, out);
    write_name(name.name(), out);
}

/// Writes one level and returns the packed bytes it took; what is inside follows them.
fn one(packed: &[u8], out: &mut Vec<u8>) -> usize {
    match packed::view(packed) {
        View::Int(value) => int(value, out),
        View::Big {
            negative,
            magnitude,
        } => big(negative, magnitude, out),
        View::Float(value) => {
            out.push(tag::NEW_FLOAT);
            out.extend_from_slice(&value.to_be_bytes());
        }
        View::Atom(atom) => write_name(atom.name(), out),
        View::Ext(_, external) => out.extend_from_slice(external),
        View::Nil => out.push(tag::NIL),
        View::Bits(bits) if bits.is_binary() => {
            out.push(tag::BINARY);
            length(bits.bytes.len(), out);
            out.extend_from_slice(bits.bytes);
        }
        View::Bits(bits) => {
            out.push(tag::BIT_BINARY);
            length(bits.bytes.len(), out);
            out.push(bits.last_bits);
            out.extend_from_slice(bits.bytes);
        }
        View::Tuple(items) => {
            tuple(items.count(), out);
            return packed::len(packed) - items.rest().len();
        }
        View::Map(items) => {
            out.push(tag::MAP);
            length(items.count() / 2, out);
            return packed::len(packed) - items.rest().len();
        }
        View::List(items) if string(items, out) => {}
        View::List(items) => {
            out.push(tag::LIST);
            length(items.count() - 1, out);
            return packed::len(packed) - items.rest().len();
        }
    }
    packed::len(packed)
}

fn tuple(arity: usize, out: &mut Vec<u8>) {
    match u8::try_from(arity) {
        Ok(short) => out.extend_from_slice(&[tag::SMALL_TUPLE, short]),
        Err(_) => {
            out.push(tag::LARGE_TUPLE);
            length(arity, out);
        }
    }
}

fn int(value: i64, out: &mut Vec<u8>) {
    if let Ok(short) = u8::try_from(value) {
        out.extend_from_slice(&[tag::SMALL_INTEGER, short]);
    } else if let Ok(word) = i32::try_from(value) {
        out.push(tag::INTEGER);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        let magnitude = value.unsigned_abs().to_le_bytes();
        let used = 8 - value.unsigned_abs().leading_zeros() as usize / 8;
        big(value < 0, &magnitude[..used], out);
    }
}

fn big(negative: bool, magnitude: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(magnitude.len()) {
        Ok(short) => out.extend_from_slice(&[tag::SMALL_BIG, short]),
        Err(_) => {
            out.push(tag::LARGE_BIG);
            length(magnitude.len(), out);
        }
    }
    out.push(u8::from(negative));
    out.extend_from_slice(magnitude);
}

/// Writes a proper list of bytes in its short form, if it is one.
fn string(items: Items<'_>, out: &mut Vec<u8>) -> bool {
    let count = items.count() - 1;
    if count > STRING_MAX {
        return false;
    }
    let start = out.len();
    out.push(tag::STRING);
    // At most STRING_MAX.
    out.extend_from_slice(&(count as u16).to_be_bytes());
    for (index, item) in items.enumerate() {
        match packed::view(item) {
            View::Int(value @ 0..=255) if index < count => out.push(value as u8),
            View::Nil if index == count => return true,
            _ => break,
        }
    }
    out.truncate(start);
    false
}

/// A length or count, which is under 2^32 in any packed term.
fn length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u32).to_be_bytes());
}
