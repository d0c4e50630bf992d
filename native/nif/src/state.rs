//! The databases that this VM has open, and the way to their tables.
//!
//! There are two: the main one, and the hot one, whose tables a stock Mnesia runs. A call names
//! a table of the main one by its atom, and one of the hot one by the list `[Name]`.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use magnesia_database::Database;
use magnesia_engine::Table;
use magnesia_engine::engine::{Published, Tables};
use magnesia_term::Atom;
use rustler::{Env, Term};

use crate::{atoms, raw, reaper, reply};

/// One of the two databases.
pub(crate) struct Side {
    database: ArcSwapOption<Database>,
    /// The tables of the open database, found without a look at the database.
    tables: ArcSwapOption<Tables>,
}

static MAIN: Side = Side::closed();
static HOT: Side = Side::closed();

impl Side {
    const fn closed() -> Self {
        Self {
            database: ArcSwapOption::const_empty(),
            tables: ArcSwapOption::const_empty(),
        }
    }

    /// What a database that is opened here does with its tables.
    pub(crate) fn published(&'static self) -> Published {
        Box::new(|tables| {
            if let Some(old) = self.tables.swap(Some(Arc::clone(tables))) {
                reaper::bury(old);
            }
        })
    }

    /// The open database, without counting a reference.
    #[inline]
    pub(crate) fn database(&self) -> Guard<Option<Arc<Database>>> {
        self.database.load()
    }

    /// Makes this the open database.
    pub(crate) fn set(&self, database: Arc<Database>) {
        self.database.store(Some(database));
    }

    /// Leaves no database open; returns the one that was.
    pub(crate) fn take(&self) -> Option<Arc<Database>> {
        let database = self.database.swap(None);
        // Whoever is in the middle of a read must not be the last to hold all rows.
        if let Some(tables) = self.tables.swap(None) {
            reaper::bury(tables);
        }
        if let Some(database) = &database {
            reaper::bury(Arc::clone(database));
        }
        database
    }

    /// Calls `f` with the database, or says that none is open.
    #[inline]
    pub(crate) fn with_database<'a>(
        &self,
        env: Env<'a>,
        f: impl FnOnce(&Arc<Database>) -> Term<'a>,
    ) -> Term<'a> {
        match self.database().as_ref() {
            Some(database) => f(database),
            None => reply::error(env, atoms::closed()),
        }
    }
}

/// The main database, without counting a reference.
#[inline]
pub(crate) fn database() -> Guard<Option<Arc<Database>>> {
    MAIN.database()
}

/// Calls `f` with the main database, or says that none is open.
pub(crate) fn with_database<'a>(
    env: Env<'a>,
    f: impl FnOnce(&Arc<Database>) -> Term<'a>,
) -> Term<'a> {
    MAIN.with_database(env, f)
}

/// The side that an atom `main` or `hot` says.
pub(crate) fn side(name: Term<'_>) -> Option<&'static Side> {
    let name = name.decode::<rustler::Atom>().ok()?;
    if name == atoms::main() {
        return Some(&MAIN);
    }
    (name == atoms::hot()).then_some(&HOT)
}

/// The side and the atom that a term names as a table.
#[inline]
pub(crate) fn named<'a>(env: Env<'a>, name: Term<'a>) -> Option<(&'static Side, Atom)> {
    let word = raw::word(name);
    if let Some(atom) = raw::atom_of(word) {
        return Some((&MAIN, atom));
    }
    let atom = raw::atom_of(raw::head_of(env, word)?)?;
    Some((&HOT, atom))
}

/// Calls `f` with the table that a term names, or says that there is none.
#[inline]
pub(crate) fn with_table<'a>(
    env: Env<'a>,
    name: Term<'a>,
    f: impl FnOnce(&Arc<Table>) -> Term<'a>,
) -> Term<'a> {
    let Some((side, name)) = named(env, name) else {
        return no_table(env);
    };
    let tables = side.tables.load();
    match tables.as_ref().and_then(|tables| tables.get(&name)) {
        Some(table) => f(table),
        None => no_table(env),
    }
}

/// The table of the hot database that a list names.
pub(crate) fn hot_table<'a>(env: Env<'a>, name: Term<'a>) -> Option<Arc<Table>> {
    let name = raw::atom_of(raw::head_of(env, raw::word(name))?)?;
    HOT.tables.load().as_ref()?.get(&name).cloned()
}

fn no_table(env: Env<'_>) -> Term<'_> {
    // A list is what strangers pass for a name too: what they hear is about the main database.
    if database().is_none() {
        reply::error(env, atoms::closed())
    } else {
        reply::error(env, atoms::no_table())
    }
}

/// Calls `f` with the database of the table that a term names, and its name.
pub(crate) fn with_database_of<'a>(
    env: Env<'a>,
    name: Term<'a>,
    f: impl FnOnce(&Arc<Database>, Atom) -> Term<'a>,
) -> Term<'a> {
    match named(env, name) {
        Some((side, name)) => side.with_database(env, |database| f(database, name)),
        None => with_database(env, |_| reply::error(env, atoms::badarg())),
    }
}

/// The node of a pid, read from its external bytes.
pub(crate) fn node_of(pid: Term<'_>) -> Option<Atom> {
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
