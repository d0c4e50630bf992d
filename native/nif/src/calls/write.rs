//! Dirty writes: one operation on one key, logged where the table is durable.

use std::sync::Arc;

use magnesia_database::DatabaseError;
use magnesia_engine::Table;
use magnesia_engine::apply::{Op, apply_op};
use magnesia_engine::schema::{Kind, Shape};
use magnesia_engine::unique;
use magnesia_term::{View, packed};
use rustler::{Encoder, Env, Term};

use crate::raw::{self, nif};
use crate::{atoms, audience, change, record, reply, sink, slice, state};

nif!("write", 2, Normal, write);
nif!("delete", 2, Normal, delete);
nif!("delete_object", 2, Normal, delete_object);
nif!("write_bare", 2, Normal, write_bare);
nif!("delete_bare", 2, Normal, delete_bare);
nif!("delete_object_bare", 2, Normal, delete_object_bare);
nif!("update_counter", 3, Normal, update_counter);

/// Elements of a record that holds a counter: name, key, value.
const COUNTER_ARITY: usize = 3;

/// Calls `f` with a table that takes writes.
#[inline]
fn with_writable<'a>(
    env: Env<'a>,
    name: Term<'a>,
    f: impl FnOnce(&Arc<Table>) -> Term<'a>,
) -> Term<'a> {
    state::with_table(env, name, |table| {
        if table.is_read_only() {
            return reply::error(env, atoms::read_only());
        }
        f(table)
    })
}

/// Whether those who watch a table are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Yes,
    No,
}

/// Whether changes of what a call names as a table may be heard of: the hot tables are another
/// database's, whatever their atoms.
#[inline]
fn may_be_heard(name: Term<'_>) -> bool {
    raw::atom_of(raw::word(name)).is_some_and(audience::may_hear)
}

/// Writes to a table: at once when it is in memory only, through the database's log otherwise.
#[inline]
fn put<'a>(env: Env<'a>, name: Term<'a>, table: &Arc<Table>, op: Op<'_>, told: Told) -> Term<'a> {
    if may_be_heard(name) {
        slice::charge(env, slice::LOGGED_NANOS);
        return state::with_database(env, |database| {
            match change::write(env, database, table, op, told == Told::Yes) {
                Ok(is_crowded) => reply::told(env, atoms::ok().encode(env), is_crowded),
                Err(error) => reply::database(env, &error),
            }
        });
    }
    if table.definition().storage.is_durable() {
        slice::charge(env, slice::LOGGED_NANOS);
        return state::with_database_of(env, name, |database, _| {
            reply::done(env, database.write(table, op))
        });
    }
    let applied = unique::admit(table, &op).and_then(|_gate| apply_op(table, op));
    reply::done(env, applied.map_err(DatabaseError::from))
}

fn write<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    write_row(env, arguments, Told::Yes)
}

fn write_bare<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    write_row(env, arguments, Told::No)
}

#[inline]
fn write_row<'a>(env: Env<'a>, [name, record]: [Term<'a>; 2], told: Told) -> Term<'a> {
    // Mnesia looks at the record before it looks whether the table takes writes.
    state::with_table(env, name, |table| match record::row(env, table, record) {
        Ok(_) if table.is_read_only() => reply::error(env, atoms::read_only()),
        Ok(row) => put(env, name, table, Op::Write(row), told),
        Err(refusal) => refusal,
    })
}

fn delete<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    delete_key(env, arguments, Told::Yes)
}

fn delete_bare<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    delete_key(env, arguments, Told::No)
}

#[inline]
fn delete_key<'a>(env: Env<'a>, [name, key]: [Term<'a>; 2], told: Told) -> Term<'a> {
    with_writable(env, name, |table| {
        record::with_packed(env, key, |key| put(env, name, table, Op::Delete(key), told))
    })
}

fn delete_object<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    delete_row(env, arguments, Told::Yes)
}

fn delete_object_bare<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    delete_row(env, arguments, Told::No)
}

#[inline]
fn delete_row<'a>(env: Env<'a>, [name, record]: [Term<'a>; 2], told: Told) -> Term<'a> {
    with_writable(env, name, |table| {
        let Some(elements) = raw::tuple_of(env, raw::word(record)) else {
            return reply::error(env, atoms::bad_type());
        };
        match record::row(env, table, record) {
            Ok(row) => put(env, name, table, Op::DeleteObject(row), told),
            // A record of another shape is not there, as nothing of that shape is.
            Err(_) if elements.len() >= 2 => atoms::ok().encode(env),
            Err(refusal) => refusal,
        }
    })
}

fn update_counter<'a>(env: Env<'a>, [name, key, increment]: [Term<'a>; 3]) -> Term<'a> {
    with_writable(env, name, |table| {
        let definition = table.definition();
        let is_of_arity = definition.arity == COUNTER_ARITY || definition.shape == Shape::AnyArity;
        if definition.kind == Kind::Bag || !is_of_arity {
            return reply::error(env, atoms::bad_kind());
        }
        let Some(increment) = record::owned(increment) else {
            return reply::error(env, atoms::badarg());
        };
        if !matches!(packed::view(&increment), View::Int(_) | View::Big { .. }) {
            return reply::error(env, atoms::badarg());
        }
        if definition.storage.is_durable() {
            slice::charge(env, slice::LOGGED_NANOS);
        }
        record::with_packed(env, key, |key| {
            state::with_database_of(env, name, |database, _| {
                let updated = if may_be_heard(name) {
                    change::update_counter(env, database, table, key, &increment)
                } else {
                    let row = database.update_counter(table, key, &increment);
                    row.map(|row| (row, false))
                };
                match updated {
                    Ok((row, is_crowded)) => {
                        let value = row.at(COUNTER_ARITY).unwrap_or_default();
                        let value = raw::term(env, sink::term(env, value, None));
                        reply::told(env, value, is_crowded)
                    }
                    Err(error) => reply::database(env, &error),
                }
            })
        })
    })
}
