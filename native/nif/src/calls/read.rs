//! Reads of one key, steps from key to key, sizes.

use magnesia_engine::TableError;
use magnesia_engine::index::{Holds, Index};
use magnesia_engine::table::walk::Slots;
use magnesia_engine::table::{Direction, Table};
use magnesia_term::order;
use rustler::{Encoder, Env, Term};

use super::SMALL_COUNT_MAX;
use crate::raw::{self, Word, nif};
use crate::{atoms, record, reply, sink, slice, state};

nif!("read", 2, Normal, read);
nif!("read_large", 2, DirtyCpu, read_large);
nif!("first", 1, Normal, first);
nif!("last", 1, Normal, last);
nif!("next", 2, Normal, next);
nif!("prev", 2, Normal, prev);
nif!("slot", 2, DirtyCpu, slot);
nif!("index_read", 3, Normal, index_read);
nif!("index_read_large", 3, DirtyCpu, index_read_large);
nif!("size", 1, Normal, size);
nif!("memory", 1, Normal, memory);

fn read<'a>(env: Env<'a>, [name, key]: [Term<'a>; 2]) -> Term<'a> {
    read_up_to(env, name, key, SMALL_COUNT_MAX)
}

fn read_large<'a>(env: Env<'a>, [name, key]: [Term<'a>; 2]) -> Term<'a> {
    read_up_to(env, name, key, usize::MAX)
}

#[inline]
fn read_up_to<'a>(env: Env<'a>, name: Term<'a>, key: Term<'a>, max: usize) -> Term<'a> {
    state::with_table(env, name, |table| {
        record::with_packed(env, key, |key| rows_of_key(env, table, key, max))
    })
}

/// The records of a packed key.
#[inline]
pub(crate) fn rows_of_key<'a>(env: Env<'a>, table: &Table, key: &[u8], max: usize) -> Term<'a> {
    let name = sink::name_of(table.definition());
    let mut list = Collected::new(max);
    match table
        .body()
        .read(key, |row| list.push(|| sink::record(env, name, row)))
    {
        Ok(()) => list.finish(env),
        Err(error) => reply::table(env, &error),
    }
}

/// Words for a list: the first without memory of its own, since most keys have one row.
pub(crate) struct Collected {
    first: Option<Word>,
    more: Vec<Word>,
    max: usize,
    is_over: bool,
}

impl Collected {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            first: None,
            more: Vec::new(),
            max,
            is_over: false,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, word: impl FnOnce() -> Word) {
        if self.first.is_none() {
            self.first = Some(word());
        } else if self.more.len() < self.max {
            self.more.push(word());
        } else {
            self.is_over = true;
        }
    }

    /// The list, or `large` when there were too many.
    #[inline]
    pub(crate) fn finish<'a>(&self, env: Env<'a>) -> Term<'a> {
        if self.is_over {
            return atoms::large().encode(env);
        }
        if !self.more.is_empty() {
            slice::charge_rows(env, self.more.len());
        }
        let cons = |tail, &head: &Word| raw::cons_word(env, head, tail);
        let rest = self.more.iter().rev().fold(raw::nil_word(), cons);
        raw::term(
            env,
            self.first.as_ref().map_or(rest, |first| cons(rest, first)),
        )
    }
}

fn first<'a>(env: Env<'a>, [name]: [Term<'a>; 1]) -> Term<'a> {
    state::with_table(env, name, |table| {
        key_or_end(env, table.body().first_key(Direction::Up))
    })
}

fn last<'a>(env: Env<'a>, [name]: [Term<'a>; 1]) -> Term<'a> {
    state::with_table(env, name, |table| {
        key_or_end(env, table.body().first_key(Direction::Down))
    })
}

fn next<'a>(env: Env<'a>, [name, key]: [Term<'a>; 2]) -> Term<'a> {
    step(env, name, key, Direction::Up)
}

fn prev<'a>(env: Env<'a>, [name, key]: [Term<'a>; 2]) -> Term<'a> {
    step(env, name, key, Direction::Down)
}

fn step<'a>(env: Env<'a>, name: Term<'a>, key: Term<'a>, direction: Direction) -> Term<'a> {
    state::with_table(env, name, |table| {
        record::with_packed(env, key, |key| {
            key_or_end(env, table.body().next_key(key, direction))
        })
    })
}

fn key_or_end(env: Env<'_>, key: Result<Option<Vec<u8>>, TableError>) -> Term<'_> {
    match key {
        Ok(Some(key)) => raw::term(env, sink::term(env, &key, None)),
        Ok(None) => atoms::end_of_table().encode(env),
        Err(error) => reply::table(env, &error),
    }
}

fn slot<'a>(env: Env<'a>, [name, number]: [Term<'a>; 2]) -> Term<'a> {
    let Ok(number) = number.decode::<usize>() else {
        return reply::error(env, atoms::badarg());
    };
    state::with_table(env, name, |table| {
        let name = sink::name_of(table.definition());
        let mut list = Collected::new(usize::MAX);
        let put = |row: &_| list.push(|| sink::record(env, name, row));
        match table.body().slot(number, put) {
            Ok(Slots::Within) => list.finish(env),
            Ok(Slots::End) => atoms::end_of_table().encode(env),
            Ok(Slots::Beyond) => reply::error(env, atoms::badarg()),
            Err(error) => reply::table(env, &error),
        }
    })
}

fn index_read<'a>(env: Env<'a>, [name, value, position]: [Term<'a>; 3]) -> Term<'a> {
    index_read_up_to(env, name, value, position, SMALL_COUNT_MAX)
}

fn index_read_large<'a>(env: Env<'a>, [name, value, position]: [Term<'a>; 3]) -> Term<'a> {
    index_read_up_to(env, name, value, position, usize::MAX)
}

fn index_read_up_to<'a>(
    env: Env<'a>,
    name: Term<'a>,
    value: Term<'a>,
    position: Term<'a>,
    max: usize,
) -> Term<'a> {
    state::with_table(env, name, |table| {
        let position = position.decode::<usize>().ok();
        let Some(index) = position.and_then(|position| table.index(position)) else {
            return reply::error(env, atoms::bad_position());
        };
        record::with_packed(env, value, |value| {
            rows_of_value(env, table, &index, value, max)
        })
    })
}

fn rows_of_value<'a>(
    env: Env<'a>,
    table: &Table,
    index: &Index,
    value: &[u8],
    max: usize,
) -> Term<'a> {
    let name = sink::name_of(table.definition());
    let mut list = Collected::new(max);
    if index.holds() != Holds::Keys {
        index.read(value, |row| list.push(|| sink::record(env, name, row)));
        return list.finish(env);
    }
    let mut keys = Vec::new();
    index.read(value, |row| keys.push(row.clone()));
    for key in keys {
        let read = table.body().read(key.key(), |row| {
            if row
                .at(index.position())
                .is_some_and(|there| order::equal_exact(there, value))
            {
                list.push(|| sink::record(env, name, row));
            }
        });
        if let Err(error) = read {
            return reply::table(env, &error);
        }
    }
    list.finish(env)
}

fn size<'a>(env: Env<'a>, [name]: [Term<'a>; 1]) -> Term<'a> {
    state::with_table(env, name, |table| table.rows().encode(env))
}

fn memory<'a>(env: Env<'a>, [name]: [Term<'a>; 1]) -> Term<'a> {
    state::with_table(env, name, |table| table.body().bytes().encode(env))
}
