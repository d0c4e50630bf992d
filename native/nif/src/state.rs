//! The database that this VM has open, and the way to its tables.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use magnesia_database::Database;
use magnesia_engine::Table;
use magnesia_engine::engine::{Published, Tables};
use rustler::{Env, Term};

use crate::{atoms, raw, reaper, reply};

static DATABASE: ArcSwapOption<Database> = ArcSwapOption::const_empty();

/// The tables of the open database, found without a look at the database.
static TABLES: ArcSwapOption<Tables> = ArcSwapOption::const_empty();

/// What a database that is opened here does with its tables.
pub(crate) fn published() -> Published {
    Box::new(|tables| {
        if let Some(old) = TABLES.swap(Some(Arc::clone(tables))) {
            reaper::bury(old);
        }
    })
}

/// The open database, without counting a reference.
#[inline]
pub(crate) fn database() -> Guard<Option<Arc<Database>>> {
    DATABASE.load()
}

/// Makes this the open database.
pub(crate) fn set(database: Arc<Database>) {
    DATABASE.store(Some(database));
}

/// Leaves no database open; returns the one that was.
pub(crate) fn take() -> Option<Arc<Database>> {
    let database = DATABASE.swap(None);
    // Whoever is in the middle of a read must not be the last to hold all rows.
    if let Some(tables) = TABLES.swap(None) {
        reaper::bury(tables);
    }
    if let Some(database) = &database {
        reaper::bury(Arc::clone(database));
    }
    database
}

/// Calls `f` with the database, or says that none is open.
pub(crate) fn with_database<'a>(
    env: Env<'a>,
    f: impl FnOnce(&Arc<Database>) -> Term<'a>,
) -> Term<'a> {
    match database().as_ref() {
        Some(database) => f(database),
        None => reply::error(env, atoms::closed()),
    }
}

/// Calls `f` with the table of an atom, or says that there is none.
#[inline]
pub(crate) fn with_table<'a>(
    env: Env<'a>,
    name: Term<'a>,
    f: impl FnOnce(&Arc<Table>) -> Term<'a>,
) -> Term<'a> {
    let tables = TABLES.load();
    let name = raw::atom_of(raw::word(name));
    match tables
        .as_ref()
        .zip(name)
        .and_then(|(tables, name)| tables.get(&name))
    {
        Some(table) => f(table),
        None if database().is_none() => reply::error(env, atoms::closed()),
        None => reply::error(env, atoms::no_table()),
    }
}

/// The node of a pid, read from its external bytes.
pub(crate) fn node_of(pid: Term<'_>) -> Option<magnesia_term::Atom> {
    const PID_HEAD_BYTES: usize = 2;
    let bytes = pid.to_binary();
    let mut packer = magnesia_term::Packer::new();
    let name = [&[131], bytes.as_slice().get(PID_HEAD_BYTES..)?].concat();
    magnesia_term::etf::decode(&name, &magnesia_term::etf::Limits::default(), &mut packer).ok()?;
    match magnesia_term::packed::view(packer.as_bytes()) {
        magnesia_term::View::Atom(node) => Some(node),
        _ => None,
    }
}
