//! Reading what is intact of a directory, for an export; the open database has no part in it.

use std::path::PathBuf;

use magnesia_database::salvage::Salvage;
use magnesia_engine::table::Position;
use parking_lot::Mutex;
use rustler::{Encoder, Env, Resource, ResourceArc, Term};

use super::schema;
use crate::raw::{self, nif};
use crate::{atoms, reply, sink};

nif!("salvage_open", 2, DirtyIo, salvage_open);
nif!("salvage_close", 1, DirtyIo, salvage_close);
nif!("salvage_tables", 1, DirtyIo, salvage_tables);
nif!("salvage_damage", 1, DirtyIo, salvage_damage);
nif!("salvage_rows", 3, DirtyIo, salvage_rows);

/// A directory that is being read; nothing after it was closed.
struct Handle(Mutex<Option<Salvage>>);

#[rustler::resource_impl]
impl Resource for Handle {}

/// Where the next rows begin.
struct Place(Position);

#[rustler::resource_impl]
impl Resource for Place {}

fn path<'a>(env: Env<'a>, term: Term<'a>) -> Option<PathBuf> {
    let bytes = raw::binary_of(env, raw::word(term))?;
    std::str::from_utf8(bytes).ok().map(PathBuf::from)
}

fn with_open<'a>(env: Env<'a>, handle: Term<'a>, f: impl FnOnce(&Salvage) -> Term<'a>) -> Term<'a> {
    let Ok(handle) = handle.decode::<ResourceArc<Handle>>() else {
        return reply::error(env, atoms::badarg());
    };
    match handle.0.lock().as_ref() {
        Some(salvage) => f(salvage),
        None => reply::error(env, atoms::closed()),
    }
}

fn salvage_open<'a>(env: Env<'a>, [dir, scratch]: [Term<'a>; 2]) -> Term<'a> {
    let (Some(dir), Some(scratch)) = (path(env, dir), path(env, scratch)) else {
        return reply::error(env, atoms::badarg());
    };
    match Salvage::open(&dir, &scratch) {
        Ok(salvage) => ResourceArc::new(Handle(Mutex::new(Some(salvage)))).encode(env),
        Err(error) => reply::database(env, &error),
    }
}

fn salvage_close<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    match handle.decode::<ResourceArc<Handle>>() {
        Ok(handle) => {
            drop(handle.0.lock().take());
            atoms::ok().encode(env)
        }
        Err(_) => reply::error(env, atoms::badarg()),
    }
}

fn salvage_tables<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, handle, |salvage| {
        let tables = salvage.tables().iter().map(|table| {
            let definition = table.definition();
            let name = raw::term(env, raw::atom_word(definition.name));
            (name, schema::definition_term(env, definition), table.rows())
        });
        tables.collect::<Vec<_>>().encode(env)
    })
}

fn salvage_damage<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, handle, |salvage| salvage.damage().encode(env))
}

/// `{Records, Place}`, with nil for the place after the last.
fn salvage_rows<'a>(env: Env<'a>, [handle, name, place]: [Term<'a>; 3]) -> Term<'a> {
    let from = if place.is_atom() {
        Some(Position::START)
    } else {
        let place = place.decode::<ResourceArc<Place>>().ok();
        place.map(|place| place.0.clone())
    };
    let (Some(name), Some(from)) = (raw::atom_of(raw::word(name)), from) else {
        return reply::error(env, atoms::badarg());
    };
    with_open(env, handle, |salvage| {
        let mut tables = salvage.tables().iter();
        let Some(table) = tables.find(|table| table.definition().name == name) else {
            return reply::error(env, atoms::no_table());
        };
        let (rows, next) = match salvage.rows(name, &from) {
            Ok(found) => found,
            Err(error) => return reply::database(env, &error),
        };
        let record_name = sink::name_of(table.definition());
        let records = rows
            .iter()
            .map(|row| raw::term(env, sink::record(env, record_name, row)));
        let next = match next {
            Some(position) => ResourceArc::new(Place(position)).encode(env),
            None => atoms::nil().encode(env),
        };
        (records.collect::<Vec<_>>(), next).encode(env)
    })
}
