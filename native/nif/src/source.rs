//! BEAM terms to packed terms: one walk, no tree between.
//!
//! Flat terms are packed straight on; what nests goes through an explicit stack, so depth
//! costs memory and never the scheduler's stack. Pids, references, ports, funs and bitstrings
//! come by way of their external bytes.

use magnesia_term::packer::Mark;
use magnesia_term::{Packer, etf};
use rustler::types::map::MapIterator;
use rustler::{Env, Term, TermType};

use crate::raw::{self, Word};

/// A composite that is being packed.
enum Open<'a> {
    Tuple {
        mark: Mark,
        rest: &'a [Word],
    },
    List {
        mark: Mark,
        cell: Term<'a>,
        left: usize,
        is_tailed: bool,
    },
    Map {
        mark: Mark,
        pairs: Box<MapIterator<'a>>,
        value: Option<Term<'a>>,
    },
}

/// Packs a term; `None` when it holds what no row can (a term that has no external bytes).
pub(crate) fn pack<'a>(term: Term<'a>, out: &mut Packer) -> Option<()> {
    let env = term.get_env();
    let mut stack: Vec<Open<'a>> = Vec::new();
    if let Some(open) = pack_one(env, term, out)? {
        stack.push(open);
    }
    while let Some(open) = stack.last_mut() {
        let next = match open {
            Open::Tuple { mark, rest } => match rest.split_first() {
                Some((&first, after)) => {
                    *rest = after;
                    Some(raw::term(env, first))
                }
                None => {
                    out.tuple_end(*mark);
                    None
                }
            },
            Open::List {
                mark,
                cell,
                left,
                is_tailed,
            } => {
                let next = next_element(cell, left, is_tailed);
                if next.is_none() {
                    out.list_end(*mark);
                }
                next
            }
            Open::Map { mark, pairs, value } => match value.take() {
                Some(value) => Some(value),
                None => match pairs.next() {
                    Some((key, of_key)) => {
                        *value = Some(of_key);
                        Some(key)
                    }
                    None => {
                        out.map_end(*mark);
                        None
                    }
                },
            },
        };
        match next {
            Some(next) => {
                if let Some(open) = pack_one(env, next, out)? {
                    stack.push(open);
                }
            }
            None => drop(stack.pop()),
        }
    }
    Some(())
}

/// The next element of an open list, or its tail, or none at its end.
fn next_element<'a>(
    cell: &mut Term<'a>,
    left: &mut usize,
    is_tailed: &mut bool,
) -> Option<Term<'a>> {
    if *left > 0
        && let Ok((head, tail)) = cell.list_get_cell()
    {
        *left -= 1;
        *cell = tail;
        return Some(head);
    }
    if *is_tailed {
        return None;
    }
    *is_tailed = true;
    Some(*cell)
}

/// Cells of a list, whose last tail may be anything.
fn count_cells(list: Term<'_>) -> usize {
    let mut count = 0;
    let mut cell = list;
    while let Ok((_, tail)) = cell.list_get_cell() {
        count += 1;
        cell = tail;
    }
    count
}

/// The elements of a proper list; `None` for anything else.
pub(crate) fn list<'a>(list: Term<'a>) -> Option<Vec<Term<'a>>> {
    let mut elements = Vec::new();
    let mut cell = list;
    while let Ok((head, tail)) = cell.list_get_cell() {
        elements.push(head);
        cell = tail;
    }
    raw::is_nil(raw::word(cell)).then_some(elements)
}

/// Packs a flat term, or opens a composite.
#[inline]
fn pack_one<'a>(env: Env<'a>, term: Term<'a>, out: &mut Packer) -> Option<Option<Open<'a>>> {
    let word = raw::word(term);
    if let Some(small) = raw::small_of(word) {
        out.int(small);
    } else if let Some(atom) = raw::atom_of(word) {
        out.atom(atom);
    } else if raw::is_nil(word) {
        out.nil();
    } else if let Some(bytes) = raw::binary_of(env, word) {
        out.binary(bytes);
    } else {
        return pack_boxed(env, term, out);
    }
    Some(None)
}

fn pack_boxed<'a>(env: Env<'a>, term: Term<'a>, out: &mut Packer) -> Option<Option<Open<'a>>> {
    let word = raw::word(term);
    Some(match term.get_type() {
        TermType::Tuple => {
            let rest = raw::tuple_of(env, word)?;
            Some(Open::Tuple {
                mark: out.tuple_begin(rest.len()),
                rest,
            })
        }
        TermType::List => {
            let left = count_cells(term);
            let mark = out.list_begin(left);
            Some(Open::List {
                mark,
                cell: term,
                left,
                is_tailed: false,
            })
        }
        TermType::Map => {
            let pairs = term.map_size().ok()?;
            let iterator = Box::new(MapIterator::new(term)?);
            Some(Open::Map {
                mark: out.map_begin(pairs),
                pairs: iterator,
                value: None,
            })
        }
        TermType::Float => {
            out.float(term.decode().ok()?);
            None
        }
        TermType::Integer => {
            pack_integer(env, term, out)?;
            None
        }
        _ => {
            pack_external(term, out)?;
            None
        }
    })
}

fn pack_integer(env: Env<'_>, term: Term<'_>, out: &mut Packer) -> Option<()> {
    let word = raw::word(term);
    if let Some(int) = raw::int_of(env, word) {
        out.int(int);
    } else if let Some(int) = raw::uint_of(env, word) {
        out.big(false, &int.to_le_bytes());
    } else {
        pack_external(term, out)?;
    }
    Some(())
}

fn pack_external(term: Term<'_>, out: &mut Packer) -> Option<()> {
    let bytes = term.to_binary();
    etf::decode(bytes.as_slice(), &etf::Limits::default(), out).ok()?;
    Some(())
}

/// Packs elements one after the other, as rows have them.
#[inline]
pub(crate) fn pack_elements(env: Env<'_>, elements: &[Word], out: &mut Packer) -> Option<()> {
    for &word in elements {
        if let Some(small) = raw::small_of(word) {
            out.int(small);
        } else if let Some(atom) = raw::atom_of(word) {
            out.atom(atom);
        } else if let Some(bytes) = raw::binary_of(env, word) {
            out.binary(bytes);
        } else {
            pack(raw::term(env, word), out)?;
        }
    }
    Some(())
}
