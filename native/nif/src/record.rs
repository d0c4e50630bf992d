//! Records from Elixir, checked against their table and packed.

use std::cell::RefCell;

use magnesia_engine::Table;
use magnesia_engine::schema::Shape;
use magnesia_term::{Packer, Row, packed};
use rustler::{Env, Term};

use crate::{atoms, raw, reply, source};

thread_local! {
    /// Keys and records are packed in memory that is kept, one per thread.
    static SCRATCH: RefCell<Packer> = RefCell::default();
}

/// Memory that a thread's packer keeps between calls.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Longest binary key that is packed on the stack.
const STACKED_BYTES_MAX: usize = 62;

/// Packs a term and calls `f` with its bytes: integers, atoms and short binaries, as most keys
/// are, on the stack.
#[inline]
pub(crate) fn with_packed<'a>(
    env: Env<'a>,
    term: Term<'a>,
    f: impl FnOnce(&[u8]) -> Term<'a>,
) -> Term<'a> {
    let word = raw::word(term);
    if let Some(int) = raw::small_of(word) {
        let (bytes, length) = packed::of_int(int);
        return f(&bytes[..length]);
    }
    if let Some(atom) = raw::atom_of(word) {
        let [a, b, c, d] = atom.handle().to_le_bytes();
        return f(&[packed::tag::ATOM, a, b, c, d]);
    }
    match raw::binary_of(env, word) {
        Some(data) if data.len() <= STACKED_BYTES_MAX => {
            let mut bytes = [packed::tag::BIN; STACKED_BYTES_MAX + 2];
            bytes[1] = u8::try_from(data.len()).unwrap_or(0);
            bytes[2..2 + data.len()].copy_from_slice(data);
            f(&bytes[..2 + data.len()])
        }
        _ => with_packed_at_length(env, term, f),
    }
}

fn with_packed_at_length<'a>(
    env: Env<'a>,
    term: Term<'a>,
    f: impl FnOnce(&[u8]) -> Term<'a>,
) -> Term<'a> {
    let mut packer = SCRATCH.take();
    packer.clear();
    let result = match source::pack(term, &mut packer) {
        Some(()) => f(packer.as_bytes()),
        None => reply::error(env, atoms::badarg()),
    };
    if packer.len() <= KEPT_BYTES_MAX {
        SCRATCH.set(packer);
    }
    result
}

/// A term, packed in memory of its own.
pub(crate) fn owned(term: Term<'_>) -> Option<Vec<u8>> {
    let mut packer = Packer::new();
    source::pack(term, &mut packer)?;
    Some(packer.into_bytes())
}

/// Makes a row of a record that fits the table, or says why it can't.
#[inline]
pub(crate) fn row<'a>(env: Env<'a>, table: &Table, record: Term<'a>) -> Result<Row, Term<'a>> {
    let bad_type = || reply::error(env, atoms::bad_type());
    let elements = raw::tuple_of(env, raw::word(record)).ok_or_else(bad_type)?;
    let definition = table.definition();
    let (&name, rest) = elements.split_first().ok_or_else(bad_type)?;
    let is_named = name == raw::atom_word(definition.record_name);
    if is_named && elements.len() == definition.arity {
        return row_of(env, table, rest);
    }
    match definition.shape {
        Shape::AnyArity if is_named && !rest.is_empty() => row_of(env, table, rest),
        Shape::Nameless => row_of(env, table, elements),
        _ => Err(bad_type()),
    }
}

/// Makes a row of elements, the key first.
pub(crate) fn row_of<'a>(
    env: Env<'a>,
    table: &Table,
    elements: &[raw::Word],
) -> Result<Row, Term<'a>> {
    SCRATCH.with_borrow_mut(|packer| {
        packer.clear();
        let row = match source::pack_elements(env, elements, packer) {
            Some(()) => table
                .row(elements.len(), packer.as_bytes())
                .map_err(|error| reply::table(env, &error)),
            None => Err(reply::error(env, atoms::badarg())),
        };
        if packer.len() > KEPT_BYTES_MAX {
            *packer = Packer::new();
        }
        row
    })
}
