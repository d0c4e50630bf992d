//! What calls return when they don't return what was asked for.
//!
//! Every error is `{'$magnesia_error', Reason}`: Reason an atom, or `{Atom, Text}` where people
//! need words (file, offset, what to do), or `{system_limit, What, Most}`.

use magnesia_database::DatabaseError;
use magnesia_engine::TableError;
use magnesia_store::StoreError;
use rustler::{Atom, Encoder, Env, Term};

use crate::{atoms, raw};

/// An error with an atom for reason.
pub(crate) fn error(env: Env<'_>, reason: Atom) -> Term<'_> {
    (atoms::error(), reason).encode(env)
}

/// An error with words.
pub(crate) fn words<'a>(env: Env<'a>, reason: Atom, text: &str) -> Term<'a> {
    (atoms::error(), (reason, text)).encode(env)
}

/// A limit that was reached: `{system_limit, What, Most}`.
pub(crate) fn limit(env: Env<'_>, what: Atom, most: usize) -> Term<'_> {
    (atoms::error(), (atoms::system_limit(), what, most)).encode(env)
}

/// A panic.
pub(crate) fn bug<'a>(env: Env<'a>, text: &str) -> Term<'a> {
    words(env, atoms::bug(), text)
}

/// `ok`, or what the database refused.
#[inline]
pub(crate) fn done<T>(env: Env<'_>, outcome: Result<T, DatabaseError>) -> Term<'_> {
    match outcome {
        Ok(_) => atoms::ok().encode(env),
        Err(error) => database(env, &error),
    }
}

/// The reply to a change that was told of: `{crowded, Reply}` where its writer has to wait for
/// those who hand events on.
#[inline]
pub(crate) fn told<'a>(env: Env<'a>, reply: Term<'a>, is_crowded: bool) -> Term<'a> {
    if is_crowded {
        return (atoms::crowded(), reply).encode(env);
    }
    reply
}

/// What a table refused.
pub(crate) fn table<'a>(env: Env<'a>, cause: &TableError) -> Term<'a> {
    match cause {
        TableError::NoSuchKey => error(env, atoms::no_key()),
        TableError::NotUnique { table, position } => {
            let table = raw::term(env, raw::atom_word(*table));
            (atoms::error(), (atoms::not_unique(), table, *position)).encode(env)
        }
        TableError::RowTooLarge { .. } => words(env, atoms::too_large(), &cause.to_string()),
        _ => words(env, atoms::storage(), &cause.to_string()),
    }
}

/// What the database refused.
pub(crate) fn database<'a>(env: Env<'a>, cause: &DatabaseError) -> Term<'a> {
    let text = cause.to_string();
    match cause {
        DatabaseError::Table(cause) => table(env, cause),
        DatabaseError::Store(cause) => words(env, store_reason(cause), &text),
        DatabaseError::NoTable => error(env, atoms::no_table()),
        DatabaseError::Exists => error(env, atoms::exists()),
        DatabaseError::NoIndex => error(env, atoms::bad_position()),
        DatabaseError::BadRecord => error(env, atoms::bad_type()),
        DatabaseError::NoDirectory => error(env, atoms::no_directory()),
        DatabaseError::NoDatabase { .. } => error(env, atoms::no_table()),
        DatabaseError::Catalog { .. } => words(env, atoms::damaged(), &text),
        _ => words(env, atoms::storage(), &text),
    }
}

/// What the store refused.
pub(crate) fn store<'a>(env: Env<'a>, cause: &StoreError) -> Term<'a> {
    words(env, store_reason(cause), &cause.to_string())
}

fn store_reason(cause: &StoreError) -> Atom {
    match cause {
        StoreError::Full { .. } => atoms::disc_full(),
        StoreError::Damaged { .. } => atoms::damaged(),
        StoreError::TooNew { .. } => atoms::too_new(),
        StoreError::Broken { .. } => atoms::broken(),
        StoreError::TooLarge { .. } => atoms::too_large(),
        StoreError::InUse { .. } => atoms::in_use(),
        _ => atoms::storage(),
    }
}
