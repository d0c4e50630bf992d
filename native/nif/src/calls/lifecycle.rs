//! Opening and closing the database; the log; figures about the whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use magnesia_database::{Database, open as opening};
use magnesia_engine::locks::{Kind, OwnedItem, OwnerId, Tid};
use rustler::{Encoder, Env, Term};

use crate::mail::Mail;
use crate::raw::{self, nif};
use crate::state::{self, Side};
use crate::{atoms, reply, sink};

nif!("open", 3, DirtyIo, open);
nif!("has_database", 1, DirtyIo, has_database);
nif!("create", 1, DirtyIo, create);
nif!("destroy", 1, DirtyIo, destroy);
nif!("attach", 2, DirtyIo, attach);
nif!("detach", 1, DirtyIo, detach);
nif!("close", 1, DirtyIo, close);
nif!("dump_log", 1, DirtyIo, dump_log);
nif!("sync_log", 1, DirtyIo, sync_log);
nif!("log_info", 1, Normal, log_info);
nif!("held_locks", 0, DirtyCpu, held_locks);
nif!("lock_queue", 0, DirtyCpu, lock_queue);
nif!("counters", 1, Normal, counters);
nif!("count_failure", 0, Normal, count_failure);
nif!("count_restart", 0, Normal, count_restart);

/// How this VM is named to whoever finds its directory taken.
fn owner() -> String {
    format!("a BEAM with process id {}", std::process::id())
}

fn with_dir<'a>(env: Env<'a>, dir: Term<'a>, f: impl FnOnce(&Path) -> Term<'a>) -> Term<'a> {
    match raw::binary_of(env, raw::word(dir)).map(std::str::from_utf8) {
        Some(Ok(dir)) => f(&PathBuf::from(dir)),
        _ => reply::error(env, atoms::badarg()),
    }
}

/// Calls `f` with the side that an atom says.
fn with_side<'a>(
    env: Env<'a>,
    side: Term<'a>,
    f: impl FnOnce(&'static Side) -> Term<'a>,
) -> Term<'a> {
    match state::side(side) {
        Some(side) => f(side),
        None => reply::error(env, atoms::badarg()),
    }
}

/// Calls `f` with the open database of the side that an atom says.
fn with_open<'a>(
    env: Env<'a>,
    side: Term<'a>,
    f: impl FnOnce(&Arc<Database>) -> Term<'a>,
) -> Term<'a> {
    with_side(env, side, |side| side.with_database(env, f))
}

fn open<'a>(env: Env<'a>, [side, dir, _options]: [Term<'a>; 3]) -> Term<'a> {
    with_side(env, side, |side| {
        if side.database().is_some() {
            return reply::error(env, atoms::exists());
        }
        if dir.is_atom() {
            side.set(Database::in_memory(Arc::new(Mail), side.published()));
            return atoms::ok().encode(env);
        }
        with_dir(env, dir, |dir| {
            let opened = opening::open(dir, &owner(), Arc::new(Mail), side.published());
            reply::done(env, opened.map(|database| side.set(database)))
        })
    })
}

fn has_database<'a>(env: Env<'a>, [dir]: [Term<'a>; 1]) -> Term<'a> {
    with_dir(env, dir, |dir| match opening::has_database(dir) {
        Ok(is_there) => is_there.encode(env),
        Err(error) => reply::database(env, &error),
    })
}

fn create<'a>(env: Env<'a>, [dir]: [Term<'a>; 1]) -> Term<'a> {
    with_dir(env, dir, |dir| {
        reply::done(env, opening::create(dir, &owner()))
    })
}

fn destroy<'a>(env: Env<'a>, [dir]: [Term<'a>; 1]) -> Term<'a> {
    with_dir(env, dir, |dir| {
        reply::done(env, opening::destroy(dir, &owner()))
    })
}

fn attach<'a>(env: Env<'a>, [side, dir]: [Term<'a>; 2]) -> Term<'a> {
    with_open(env, side, |database| {
        with_dir(env, dir, |dir| {
            reply::done(env, database.attach(dir, &owner()))
        })
    })
}

fn detach<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, side, |database| reply::done(env, database.detach()))
}

fn close<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_side(env, side, |side| match side.take() {
        Some(database) => reply::done(env, database.close()),
        None => reply::error(env, atoms::closed()),
    })
}

fn dump_log<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, side, |database| reply::done(env, database.dump()))
}

fn sync_log<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, side, |database| reply::done(env, database.sync_log()))
}

fn log_info<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, side, |database| {
        let writes = database
            .engine()
            .counters()
            .log_writes
            .load(Ordering::Relaxed);
        let pairs = [
            (atoms::bytes(), database.log_bytes()),
            (atoms::writes(), writes),
        ];
        Term::map_from_pairs(env, &pairs).unwrap_or_else(|_| reply::error(env, atoms::badarg()))
    })
}

fn held_locks<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    state::with_database(env, |database| {
        let held = database.engine().locks().held();
        let each = held.iter().filter_map(|lock| {
            lock_term(env, database, &lock.item, lock.kind, lock.tid, lock.owner)
        });
        each.collect::<Vec<_>>().encode(env)
    })
}

fn lock_queue<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    state::with_database(env, |database| {
        let queued = database.engine().locks().queued();
        let each = queued.iter().filter_map(|lock| {
            lock_term(env, database, &lock.item, lock.kind, lock.tid, lock.owner)
        });
        each.collect::<Vec<_>>().encode(env)
    })
}

/// `{Item, Kind, Counter, Pid}`; nothing for a table that is gone.
fn lock_term<'a>(
    env: Env<'a>,
    database: &Database,
    item: &OwnedItem,
    kind: Kind,
    tid: Tid,
    owner: OwnerId,
) -> Option<Term<'a>> {
    let name = |id: u32| {
        let tables = database.engine().tables();
        let table = tables.values().find(|table| table.id() == id)?;
        Some(raw::term(env, raw::atom_word(table.definition().name)))
    };
    let packed = |key: &[u8]| raw::term(env, sink::term(env, key, None));
    let item = match item {
        OwnedItem::Record { table, key } => (name(*table)?, packed(key)).encode(env),
        OwnedItem::Table(table) => (name(*table)?, atoms::whole_table()).encode(env),
        OwnedItem::Stick(table) => (name(*table)?, atoms::stick()).encode(env),
        OwnedItem::Global { key } => (atoms::of_global(), packed(key)).encode(env),
    };
    let kind = match kind {
        Kind::Read => atoms::read(),
        Kind::Write => atoms::write(),
    };
    Some((item, kind, tid.counter, raw::pid_of(owner.0 as usize)).encode(env))
}

fn counters<'a>(env: Env<'a>, [side]: [Term<'a>; 1]) -> Term<'a> {
    with_open(env, side, |database| {
        let counters = database.engine().counters();
        let all = [
            &counters.commits,
            &counters.failures,
            &counters.restarts,
            &counters.log_writes,
        ];
        let [a, b, c, d] = all.map(|counter| counter.load(Ordering::Relaxed));
        (a, b, c, d).encode(env)
    })
}

fn count_failure<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    state::with_database(env, |database| {
        database
            .engine()
            .counters()
            .failures
            .fetch_add(1, Ordering::Relaxed);
        atoms::ok().encode(env)
    })
}

fn count_restart<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    state::with_database(env, |database| {
        database
            .engine()
            .counters()
            .restarts
            .fetch_add(1, Ordering::Relaxed);
        atoms::ok().encode(env)
    })
}
