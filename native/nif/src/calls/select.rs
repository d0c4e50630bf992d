//! Queries by match specification, in slices.
//!
//! `select_all` gathers everything: each call adds a slice to a list it is given back.
//! `select_chunk` answers slice by slice, for those who want some rows at a time. A cursor is a
//! value of its own: stepping it twice gives the same rows twice.

use std::sync::Arc;

use magnesia_engine::pattern::{Host, Out, Spec};
use magnesia_engine::schema::Kind;
use magnesia_engine::select::{Access, Budget, Cursor, Query};
use magnesia_engine::table::{Direction, Table};
use magnesia_term::{Atom, Packer, Row};
use rustler::{Encoder, Env, Resource, ResourceArc, Term};

use crate::raw::{self, Word, nif};
use crate::{atoms, reaper, record, reply, sink, slice, source, state};

nif!("select_all", 2, Normal, select_all);
nif!("select_all_more", 2, Normal, select_all_more);
nif!("select_chunk", 3, Normal, select_chunk);
nif!("select_ordered", 4, Normal, select_ordered);
nif!("select_access", 3, Normal, select_access);
nif!("select_chunk_more", 2, Normal, select_chunk_more);
nif!("cursor_table", 1, Normal, cursor_table);
nif!("spec_valid", 1, Normal, spec_valid);
nif!("spec_run", 2, DirtyCpu, spec_run);

/// Rows that one call looks at.
const VISITS_MAX: usize = 10_000;
/// Results that one call builds.
const RESULTS_MAX: usize = 1_000;

/// Where a query goes on, held by Elixir.
struct Held(Cursor);

#[rustler::resource_impl]
impl Resource for Held {}

impl Drop for Held {
    /// The last one that walks a deleted table would drop its rows on a normal scheduler.
    fn drop(&mut self) {
        if self.0.table().is_retired() {
            reaper::bury(Arc::clone(self.0.table()));
        }
    }
}

/// Whether a specification names an atom, so that what it stands for is worth knowing.
fn names(spec: &[u8], name: &str) -> bool {
    let mut packer = Packer::new();
    Atom::intern(name).is_some_and(|atom| {
        packer.atom(atom);
        spec.windows(packer.len())
            .any(|window| window == packer.as_bytes())
    })
}

/// The calling process and its node, as far as the specification asks for them.
fn host(env: Env<'_>, spec: &[u8]) -> Host {
    let mut nil = Packer::new();
    nil.nil();
    let mut self_pid: Box<[u8]> = nil.as_bytes().into();
    let mut node = Atom::intern("nonode@nohost").expect("the VM has room for an atom");
    if names(spec, "self") || names(spec, "node") {
        let mut packer = Packer::new();
        let pid = env.pid().encode(env);
        if source::pack(pid, &mut packer).is_some() {
            self_pid = packer.as_bytes().into();
        }
        if let Some(name) = state::node_of(pid) {
            node = name;
        }
    }
    Host { self_pid, node }
}

fn query(env: Env<'_>, spec: Term<'_>) -> Option<Arc<Query>> {
    let packed = record::owned(spec)?;
    let spec = Spec::compile(&packed).ok()?;
    Some(Arc::new(Query {
        spec,
        host: host(env, &packed),
    }))
}

/// The result of one row as a word.
#[inline]
fn word(env: Env<'_>, name: Word, row: &Row, out: Out<'_>) -> Word {
    match out {
        Out::Whole => sink::record(env, name, row),
        Out::Term(packed) => sink::term(env, packed, Some(row)),
    }
}

fn select_all<'a>(env: Env<'a>, [name, spec]: [Term<'a>; 2]) -> Term<'a> {
    state::with_table(env, name, |table| {
        let Some(query) = query(env, spec) else {
            return reply::error(env, atoms::badarg());
        };
        // The list grows at its head: rows of an ordered table come last first.
        let cursor = Cursor::new(Arc::clone(table), query, Direction::Down);
        gather(env, &cursor, raw::nil_word())
    })
}

fn select_all_more<'a>(env: Env<'a>, [cursor, list]: [Term<'a>; 2]) -> Term<'a> {
    match cursor.decode::<ResourceArc<Held>>() {
        Ok(held) => gather(env, &held.0, raw::word(list)),
        Err(_) => reply::error(env, atoms::badarg()),
    }
}

fn gather<'a>(env: Env<'a>, cursor: &Cursor, mut list: Word) -> Term<'a> {
    let name = sink::name_of(cursor.table().definition());
    let budget = Budget {
        matches: RESULTS_MAX,
        visits: VISITS_MAX,
    };
    let step = cursor.step(budget, &mut |row, out| {
        list = raw::cons_word(env, word(env, name, row, out), list);
    });
    let list = raw::term(env, list);
    match step {
        Err(error) => reply::table(env, &error),
        Ok(step) => match step.next {
            Some(next) => {
                slice::charge(env, slice::STEP_NANOS);
                (atoms::more(), ResourceArc::new(Held(next)), list).encode(env)
            }
            None if is_reversed(cursor.table(), cursor) => (atoms::done(), list).encode(env),
            None => list,
        },
    }
}

/// Whether a list that grew at its head is in the wrong order: rows of a bag's key, and rows of
/// an ordered table that came by keys or by an index.
fn is_reversed(table: &Table, cursor: &Cursor) -> bool {
    table.definition().kind == Kind::Bag || (table.body().is_ordered() && !cursor.is_walk())
}

fn select_chunk<'a>(env: Env<'a>, [name, spec, limit]: [Term<'a>; 3]) -> Term<'a> {
    state::with_table(env, name, |table| {
        let (Some(query), Ok(limit)) = (query(env, spec), limit.decode::<usize>()) else {
            return reply::error(env, atoms::badarg());
        };
        chunk(
            env,
            &Cursor::new(Arc::clone(table), query, Direction::Up),
            limit,
        )
    })
}

/// A cursor for who asks for an order: `asc` and `desc` of an ordered table's keys, or `any`.
fn ordered(table: &Arc<Table>, query: Arc<Query>, order: Term<'_>) -> Option<Cursor> {
    let table = Arc::clone(table);
    let order = order.decode::<rustler::Atom>().ok()?;
    Some(if order == atoms::any() {
        Cursor::in_any_order(table, query)
    } else if order == atoms::asc() {
        Cursor::new(table, query, Direction::Up)
    } else if order == atoms::desc() {
        Cursor::new(table, query, Direction::Down)
    } else {
        return None;
    })
}

fn select_ordered<'a>(env: Env<'a>, [name, spec, limit, order]: [Term<'a>; 4]) -> Term<'a> {
    state::with_table(env, name, |table| {
        let (Some(query), Ok(limit)) = (query(env, spec), limit.decode::<usize>()) else {
            return reply::error(env, atoms::badarg());
        };
        match ordered(table, query, order) {
            Some(cursor) => chunk(env, &cursor, limit),
            None => reply::error(env, atoms::badarg()),
        }
    })
}

fn select_access<'a>(env: Env<'a>, [name, spec, order]: [Term<'a>; 3]) -> Term<'a> {
    state::with_table(env, name, |table| {
        let cursor = query(env, spec).and_then(|query| ordered(table, query, order));
        match cursor.map(|cursor| cursor.access()) {
            Some(Access::Keys(count)) => (atoms::keys(), count).encode(env),
            Some(Access::Index(position, count)) => (atoms::index(), position, count).encode(env),
            Some(Access::IndexRange(position)) => (atoms::index_range(), position).encode(env),
            Some(Access::KeyRange) => atoms::key_range().encode(env),
            Some(Access::All) => atoms::all().encode(env),
            None => reply::error(env, atoms::badarg()),
        }
    })
}

fn select_chunk_more<'a>(env: Env<'a>, [cursor, limit]: [Term<'a>; 2]) -> Term<'a> {
    match (
        cursor.decode::<ResourceArc<Held>>(),
        limit.decode::<usize>(),
    ) {
        (Ok(held), Ok(limit)) => chunk(env, &held.0, limit),
        _ => reply::error(env, atoms::badarg()),
    }
}

fn chunk<'a>(env: Env<'a>, cursor: &Cursor, limit: usize) -> Term<'a> {
    let name = sink::name_of(cursor.table().definition());
    let budget = Budget {
        matches: limit.clamp(1, RESULTS_MAX),
        visits: VISITS_MAX,
    };
    let mut words = Vec::with_capacity(budget.matches.min(RESULTS_MAX));
    let step = cursor.step(budget, &mut |row, out| {
        words.push(word(env, name, row, out));
    });
    let cons = |tail, &head: &Word| raw::cons_word(env, head, tail);
    let list = raw::term(env, words.iter().rev().fold(raw::nil_word(), cons));
    match &step {
        Ok(step) if step.next.is_some() && words.len() < budget.matches => {
            slice::charge(env, slice::STEP_NANOS);
        }
        _ => slice::charge_rows(env, words.len()),
    }
    match step {
        Err(error) => reply::table(env, &error),
        Ok(step) => match step.next {
            Some(next) => (atoms::more(), list, ResourceArc::new(Held(next))).encode(env),
            None => (atoms::done(), list).encode(env),
        },
    }
}

fn cursor_table<'a>(env: Env<'a>, [cursor]: [Term<'a>; 1]) -> Term<'a> {
    match cursor.decode::<ResourceArc<Held>>() {
        Ok(held) => raw::term(env, raw::atom_word(held.0.table().definition().name)),
        Err(_) => reply::error(env, atoms::badarg()),
    }
}

fn spec_valid<'a>(env: Env<'a>, [spec]: [Term<'a>; 1]) -> Term<'a> {
    let valid = record::owned(spec).is_some_and(|packed| Spec::compile(&packed).is_ok());
    valid.encode(env)
}

fn spec_run<'a>(env: Env<'a>, [records, spec]: [Term<'a>; 2]) -> Term<'a> {
    let (Some(query), Some(records)) = (query(env, spec), source::list(records)) else {
        return reply::error(env, atoms::badarg());
    };
    let mut scratch = magnesia_engine::pattern::Scratch::default();
    let mut results = Vec::new();
    for term in records {
        let Some(packed) = record::owned(term) else {
            return reply::error(env, atoms::badarg());
        };
        match query.spec.run_term(&packed, &query.host, &mut scratch) {
            Some(Out::Whole) => results.push(term),
            Some(Out::Term(packed)) => {
                results.push(raw::term(env, sink::term(env, packed, None)));
            }
            None => {}
        }
    }
    results.encode(env)
}
