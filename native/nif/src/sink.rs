//! Packed terms to BEAM terms: one walk, straight from the bytes.
//!
//! Binaries over 64 bytes are not copied: they are resource binaries into the row, which they
//! keep alive. What nests goes through an explicit stack.

use magnesia_engine::schema::{Definition, Shape};
use magnesia_term::packed::{self, View};
use magnesia_term::{Bits, Items, Row};
use rustler::{Env, Resource, ResourceArc};

use crate::raw::{self, Word};

/// Longest binary that is copied to the process's heap.
const COPIED_BYTES_MAX: usize = 64;
/// Records up to this arity are built on the stack.
const FLAT_ARITY_MAX: usize = 16;
const VERSION: u8 = 131;
const BIT_BINARY: u8 = 77;
const LARGE_BIG: u8 = 111;

/// A row that binaries of processes point into.
pub(crate) struct HeldRow(Row);

#[rustler::resource_impl]
impl Resource for HeldRow {}

/// Stands for the name of records that have none; no term is this word.
const NAMELESS: Word = 0;

/// The name that the records of a table begin with, for [`record`].
#[inline]
pub(crate) fn name_of(definition: &Definition) -> Word {
    match definition.shape {
        Shape::Nameless => NAMELESS,
        Shape::Exact | Shape::AnyArity => raw::atom_word(definition.record_name),
    }
}

/// The record of a row: its name, if its table has one, and its elements.
#[inline]
pub(crate) fn record(env: Env<'_>, name: Word, row: &Row) -> Word {
    if name == NAMELESS {
        return nameless(env, row);
    }
    let count = row.elements() + 1;
    if count <= FLAT_ARITY_MAX {
        let mut words = [name; FLAT_ARITY_MAX];
        fill(env, row, &mut words[1..count]);
        return raw::tuple_word(env, &words[..count]);
    }
    let mut words = vec![name; count];
    fill(env, row, &mut words[1..]);
    raw::tuple_word(env, &words)
}

fn nameless(env: Env<'_>, row: &Row) -> Word {
    let mut words = vec![raw::nil_word(); row.elements()];
    fill(env, row, &mut words);
    raw::tuple_word(env, &words)
}

/// Builds the elements of a row.
#[inline]
fn fill(env: Env<'_>, row: &Row, words: &mut [Word]) {
    let mut rest = row.body();
    for place in words {
        let (view, after) = packed::take(rest);
        *place = opened(env, view, Some(row));
        rest = after;
    }
}

/// A packed term; `row` is the row whose bytes it lies in, if it does.
#[inline]
pub(crate) fn term(env: Env<'_>, packed: &[u8], row: Option<&Row>) -> Word {
    opened(env, packed::view(packed), row)
}

/// A term that is open already.
#[inline(always)]
fn opened(env: Env<'_>, view: View<'_>, row: Option<&Row>) -> Word {
    match view {
        View::Int(int) => raw::int_word(env, int),
        View::Atom(atom) => raw::atom_word(atom),
        View::Nil => raw::nil_word(),
        View::Bits(Bits {
            bytes,
            last_bits: 8,
        }) if bytes.len() <= COPIED_BYTES_MAX => raw::binary_word(env, bytes),
        view @ (View::Tuple(_) | View::Map(_) | View::List(_)) => nested(env, view, row),
        view => flat(env, view, row),
    }
}

/// A term without elements.
fn flat(env: Env<'_>, view: View<'_>, row: Option<&Row>) -> Word {
    match view {
        View::Int(int) => raw::int_word(env, int),
        View::Atom(atom) => raw::atom_word(atom),
        View::Float(float) => raw::word(rustler::Encoder::encode(&float, env)),
        View::Bits(bits) => bitstring(env, bits, row),
        View::Big {
            negative,
            magnitude,
        } => big(env, negative, magnitude),
        View::Ext(_, external) => {
            let mut bytes = Vec::with_capacity(external.len() + 1);
            bytes.push(VERSION);
            bytes.extend_from_slice(external);
            external_term(env, &bytes)
        }
        View::Nil | View::Tuple(_) | View::Map(_) | View::List(_) => raw::nil_word(),
    }
}

/// Bytes that this library keeps of terms are bytes that a BEAM made; should the VM refuse them
/// all the same, the caller gets a crash report of this call, not a wrong term.
fn external_term(env: Env<'_>, bytes: &[u8]) -> Word {
    raw::trusted_word(env, bytes).expect("the VM reads the external terms that a VM wrote")
}

fn big(env: Env<'_>, negative: bool, magnitude: &[u8]) -> Word {
    if !negative && let Ok(bytes) = magnitude.try_into() {
        return raw::uint_word(env, u64::from_le_bytes(bytes));
    }
    let length = u32::try_from(magnitude.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![VERSION, LARGE_BIG];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.push(u8::from(negative));
    bytes.extend_from_slice(magnitude);
    external_term(env, &bytes)
}

fn bitstring(env: Env<'_>, bits: Bits<'_>, row: Option<&Row>) -> Word {
    if !bits.is_binary() {
        let length = u32::try_from(bits.bytes.len()).unwrap_or(u32::MAX);
        let mut bytes = vec![VERSION, BIT_BINARY];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(bits.last_bits);
        bytes.extend_from_slice(bits.bytes);
        return external_term(env, &bytes);
    }
    let offset = row.and_then(|row| offset_in(row.body(), bits.bytes));
    match (row, offset) {
        (Some(row), Some(at)) if bits.bytes.len() > COPIED_BYTES_MAX => {
            let length = bits.bytes.len();
            let held = ResourceArc::new(HeldRow(row.clone()));
            let binary = held.make_binary(env, |held| &held.0.body()[at..at + length]);
            raw::word(binary.to_term(env))
        }
        _ => raw::binary_word(env, bits.bytes),
    }
}

/// Where `part` begins in `whole`, if it lies in it.
fn offset_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let at = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (at + part.len() <= whole.len()).then_some(at)
}

#[derive(Clone, Copy)]
enum Kind {
    Tuple,
    Map,
    List,
}

/// A composite whose elements are being built.
struct Open<'a> {
    kind: Kind,
    items: Items<'a>,
    /// Where its elements begin among the words that are built.
    base: usize,
}

fn nested(env: Env<'_>, view: View<'_>, row: Option<&Row>) -> Word {
    let mut words: Vec<Word> = Vec::new();
    let mut stack = Vec::new();
    stack.extend(open(view, 0));
    while let Some(top) = stack.last_mut() {
        if let Some(item) = top.items.next() {
            let view = packed::view(item);
            match open(view, words.len()) {
                Some(next) => stack.push(next),
                None if matches!(view, View::Nil) => words.push(raw::nil_word()),
                None => words.push(flat(env, view, row)),
            }
            continue;
        }
        let (kind, base) = (top.kind, top.base);
        let word = close(env, kind, &words[base..]);
        words.truncate(base);
        words.push(word);
        stack.pop();
    }
    words.first().copied().unwrap_or_else(raw::nil_word)
}

fn open(view: View<'_>, base: usize) -> Option<Open<'_>> {
    let (kind, items) = match view {
        View::Tuple(items) => (Kind::Tuple, items),
        View::Map(items) => (Kind::Map, items),
        View::List(items) => (Kind::List, items),
        _ => return None,
    };
    Some(Open { kind, items, base })
}

fn close(env: Env<'_>, kind: Kind, words: &[Word]) -> Word {
    match kind {
        Kind::Tuple => raw::tuple_word(env, words),
        Kind::List => {
            let (&tail, elements) = words.split_last().expect("a packed list has a tail");
            elements
                .iter()
                .rev()
                .fold(tail, |tail, &head| raw::cons_word(env, head, tail))
        }
        Kind::Map => {
            let keys: Vec<Word> = words.iter().step_by(2).copied().collect();
            let values: Vec<Word> = words.iter().skip(1).step_by(2).copied().collect();
            raw::map_word(env, &keys, &values).expect("a packed map has distinct keys")
        }
    }
}
