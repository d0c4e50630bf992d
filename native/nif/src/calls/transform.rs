//! Transforming a table: Elixir makes the rows, this puts them in place.

use magnesia_database::transform::Transform;
use parking_lot::Mutex;
use rustler::{Encoder, Env, Resource, ResourceArc, Term};

use crate::raw::{self, nif};
use crate::{atoms, record, reply, source, state};

nif!("transform_start", 4, DirtyIo, transform_start);
nif!("transform_rows", 2, DirtyIo, transform_rows);
nif!("transform_commit", 1, DirtyIo, transform_commit);

/// A transformation under way; dropped, it leaves the table as it was.
struct Handle(Mutex<Option<Transform>>);

#[rustler::resource_impl]
impl Resource for Handle {}

fn transform_start<'a>(
    env: Env<'a>,
    [table, record_name, arity, properties]: [Term<'a>; 4],
) -> Term<'a> {
    state::with_database_of(env, table, |database, name| {
        let begun = (|| {
            let record_name = raw::atom_of(raw::word(record_name))?;
            let arity = arity.decode().ok().filter(|&arity: &usize| arity >= 2)?;
            let properties = record::owned(properties)?;
            Some(Transform::begin(
                database,
                name,
                record_name,
                arity,
                properties,
            ))
        })();
        match begun {
            Some(Ok(transform)) => {
                ResourceArc::new(Handle(Mutex::new(Some(transform)))).encode(env)
            }
            Some(Err(error)) => reply::database(env, &error),
            None => reply::error(env, atoms::badarg()),
        }
    })
}

fn transform_rows<'a>(env: Env<'a>, [handle, records]: [Term<'a>; 2]) -> Term<'a> {
    let (Ok(handle), Some(records)) = (
        handle.decode::<ResourceArc<Handle>>(),
        source::list(records),
    ) else {
        return reply::error(env, atoms::badarg());
    };
    let held = handle.0.lock();
    let Some(transform) = held.as_ref() else {
        return reply::error(env, atoms::badarg());
    };
    for term in records {
        match record::row(env, transform.table(), term) {
            Ok(row) => {
                if let Err(error) = transform.add(row) {
                    return reply::table(env, &error);
                }
            }
            Err(refusal) => return refusal,
        }
    }
    atoms::ok().encode(env)
}

fn transform_commit<'a>(env: Env<'a>, [handle]: [Term<'a>; 1]) -> Term<'a> {
    let handle = handle.decode::<ResourceArc<Handle>>().ok();
    match handle
        .and_then(|handle| handle.0.lock().take())
        .map(Transform::finish)
    {
        Some(Ok(())) => atoms::ok().encode(env),
        Some(Err(error)) => reply::database(env, &error),
        None => reply::error(env, atoms::badarg()),
    }
}
