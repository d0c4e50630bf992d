//! Restoring: tables made anew out of a backup and put in place all at once.

use magnesia_database::rebuild::{Rebuild, Taken};
use parking_lot::Mutex;
use rustler::{Encoder, Env, Resource, ResourceArc, Term};

use super::schema;
use crate::raw::{self, nif};
use crate::{atoms, reaper, record, reply, source, state};

nif!("rebuild_start", 0, DirtyIo, rebuild_start);
nif!("rebuild_table", 3, DirtyIo, rebuild_table);
nif!("rebuild_drop", 2, DirtyIo, rebuild_drop);
nif!("rebuild_log", 2, DirtyIo, rebuild_log);
nif!("rebuild_items", 2, DirtyIo, rebuild_items);
nif!("rebuild_commit", 2, DirtyIo, rebuild_commit);
nif!("rebuild_abort", 1, DirtyIo, rebuild_abort);

/// Tables on their way; dropped, they leave all as it was.
struct Handle(Mutex<Option<Rebuild>>);

#[rustler::resource_impl]
impl Resource for Handle {}

impl Drop for Handle {
    /// It may be millions of rows.
    fn drop(&mut self) {
        if let Some(rebuild) = self.0.get_mut().take() {
            reaper::run(move || drop(rebuild));
        }
    }
}

fn with_handle<'a>(
    env: Env<'a>,
    handle: Term<'a>,
    f: impl FnOnce(&mut Rebuild) -> Term<'a>,
) -> Term<'a> {
    let Ok(handle) = handle.decode::<ResourceArc<Handle>>() else {
        return reply::error(env, atoms::badarg());
    };
    match handle.0.lock().as_mut() {
        Some(rebuild) => f(rebuild),
        None => reply::error(env, atoms::closed()),
    }
}

fn rebuild_start<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    state::with_database(env, |database| {
        ResourceArc::new(Handle(Mutex::new(Some(Rebuild::begin(database))))).encode(env)
    })
}

/// Takes `{Name, Kind, Storage, RecordName, Arity, Indexes, AccessMode, Properties}` and whether
/// the rows there are stay.
fn rebuild_table<'a>(env: Env<'a>, [handle, definition, keep]: [Term<'a>; 3]) -> Term<'a> {
    let parsed = (|| {
        let words: &[raw::Word; 8] = raw::tuple_of(env, raw::word(definition))?.try_into().ok()?;
        let name = raw::atom_of(words[0])?;
        let terms = words.map(|word| raw::term(env, word));
        Some((schema::definition(name, terms)?, keep.decode().ok()?))
    })();
    let Some((definition, is_kept)) = parsed else {
        return reply::error(env, atoms::badarg());
    };
    with_handle(env, handle, |rebuild| {
        reply::done(env, rebuild.table(definition, is_kept))
    })
}

fn rebuild_drop<'a>(env: Env<'a>, [handle, name]: [Term<'a>; 2]) -> Term<'a> {
    let Some(name) = raw::atom_of(raw::word(name)) else {
        return reply::error(env, atoms::badarg());
    };
    with_handle(env, handle, |rebuild| {
        rebuild.drop_table(name);
        atoms::ok().encode(env)
    })
}

fn counts(taken: Taken) -> (usize, usize, usize) {
    (taken.bytes, taken.items, taken.rows)
}

/// `{ok, {Bytes, Items, Rows}}` of what was taken, or `{damaged | bad_type, Text, {Bytes, Items,
/// Rows}}` with what was taken before the item that was refused.
fn rebuild_log<'a>(env: Env<'a>, [handle, bytes]: [Term<'a>; 2]) -> Term<'a> {
    let Some(bytes) = raw::binary_of(env, raw::word(bytes)) else {
        return reply::error(env, atoms::badarg());
    };
    with_handle(env, handle, |rebuild| match rebuild.take(bytes) {
        Ok(taken) => (atoms::ok(), counts(taken)).encode(env),
        Err(refused) => {
            let kind = if refused.is_fit {
                atoms::bad_type()
            } else {
                atoms::damaged()
            };
            (kind, refused.reason, counts(refused.before)).encode(env)
        }
    })
}

/// Takes the items of a backup as terms: records that begin with their table's name, and
/// `{Table, Key}` to delete. `{ok, Rows}`, or `{bad_type, Item}` at the first that fits none.
fn rebuild_items<'a>(env: Env<'a>, [handle, items]: [Term<'a>; 2]) -> Term<'a> {
    let Some(items) = source::list(items) else {
        return reply::error(env, atoms::badarg());
    };
    with_handle(env, handle, |rebuild| {
        let mut rows = 0_usize;
        for item in items {
            match put(env, rebuild, item) {
                Ok(is_row) => rows += usize::from(is_row),
                Err(Some(refusal)) => return refusal,
                Err(None) => return (atoms::bad_type(), item).encode(env),
            }
        }
        (atoms::ok(), rows).encode(env)
    })
}

fn put<'a>(env: Env<'a>, rebuild: &mut Rebuild, item: Term<'a>) -> Result<bool, Option<Term<'a>>> {
    let elements = raw::tuple_of(env, raw::word(item)).ok_or(None)?;
    let (&name, rest) = elements.split_first().ok_or(None)?;
    let name = raw::atom_of(name).ok_or(None)?;
    let Some(table) = rebuild.making(name) else {
        return Ok(false);
    };
    let refused = |error| Some(reply::table(env, &error));
    if let &[key] = rest {
        let key = record::owned(raw::term(env, key)).ok_or(None)?;
        rebuild.delete(name, &key).map_err(refused)?;
        return Ok(false);
    }
    if elements.len() != table.definition().arity {
        return Err(None);
    }
    let row = record::row_of(env, &table, rest).map_err(Some)?;
    rebuild.write(name, row).map_err(refused)?;
    Ok(true)
}

/// Takes the new properties of the schema, or nil to leave them.
fn rebuild_commit<'a>(env: Env<'a>, [handle, properties]: [Term<'a>; 2]) -> Term<'a> {
    let is_none = raw::word(properties) == raw::word(atoms::nil().encode(env));
    let properties = if is_none {
        Some(None)
    } else {
        record::owned(properties).map(Some)
    };
    let rebuild = handle.decode::<ResourceArc<Handle>>().ok();
    let rebuild = rebuild.and_then(|handle| handle.0.lock().take());
    match (rebuild, properties) {
        (Some(rebuild), Some(properties)) => reply::done(env, rebuild.finish(properties)),
        _ => reply::error(env, atoms::badarg()),
    }
}

fn rebuild_abort<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    match handle.decode::<ResourceArc<Handle>>() {
        Ok(handle) => {
            drop(handle.0.lock().take());
            atoms::ok().encode(env)
        }
        Err(_) => reply::error(env, atoms::badarg()),
    }
}
