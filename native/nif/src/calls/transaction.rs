//! Transactions: begun, nested, read and written in, committed; each by its own process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use magnesia_engine::Table;
use magnesia_engine::limits::WAITERS_MAX;
use magnesia_engine::locks::{Await, Kind, LockTable, Outcome, Tid};
use magnesia_engine::txn::{OwnOp, OwnTable, StickyOutcome, Transaction};
use rustler::{Encoder, Env, Term};

use super::SMALL_COUNT_MAX;
use super::read::{Collected, rows_of_key};
use crate::raw::{self, Word, nif};
use crate::slots::{self, Running};
use crate::{atoms, change, mail, record, reply, sink, slice, state};

nif!("tx_new", 0, Normal, tx_new);
nif!("tx_begin", 1, Normal, tx_begin);
nif!("tx_nest", 1, Normal, tx_nest);
nif!("tx_nest_large", 1, DirtyCpu, tx_nest_large);
nif!("tx_merge", 1, Normal, tx_merge);
nif!("tx_merge_large", 1, DirtyCpu, tx_merge_large);
nif!("tx_undo", 1, Normal, tx_undo);
nif!("tx_undo_large", 1, DirtyCpu, tx_undo_large);
nif!("tx_commit", 2, Normal, tx_commit);
nif!("tx_commit_large", 2, DirtyIo, tx_commit_large);
nif!("tx_abort", 1, Normal, tx_abort);
nif!("tx_abort_large", 1, DirtyCpu, tx_abort_large);
nif!("tx_restart", 2, Normal, tx_restart);
nif!("tx_restart_large", 2, DirtyCpu, tx_restart_large);
nif!("tx_read", 4, Normal, tx_read);
nif!("tx_read_large", 4, DirtyCpu, tx_read_large);
nif!("tx_write", 4, Normal, tx_write);
nif!("tx_delete", 4, Normal, tx_delete);
nif!("tx_delete_object", 4, Normal, tx_delete_object);
nif!("tx_lock", 3, Normal, tx_lock);
nif!("tx_own", 2, Normal, tx_own);
nif!("tx_own_large", 2, DirtyCpu, tx_own_large);
nif!("tx_own_key", 3, Normal, tx_own_key);
nif!("tx_seq", 1, Normal, tx_seq);

/// Tokens of syncs that processes wait for: even, where those of locks count up from the lock
/// table's own start in odd ones.
static NEXT_SYNC: AtomicU64 = AtomicU64::new(1 << 48);

fn tx_new<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    match slots::claim(env) {
        Some((number, guard)) => (number, guard).encode(env),
        None => reply::error(env, atoms::badarg()),
    }
}

fn tx_begin<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    let database = state::database();
    let Some(database) = database.as_ref() else {
        return reply::error(env, atoms::closed());
    };
    let Some(mut slot) = slots::lock(env, context) else {
        return reply::error(env, atoms::not_owner());
    };
    if slot.is_some() {
        return reply::error(env, atoms::nested());
    }
    let counter = database.engine().next_tid();
    let tid = Tid { counter, node: 0 };
    let transaction = Transaction::begin(database.engine().locks(), tid, slots::owner(env));
    *slot = Some(Running {
        database: Arc::clone(database),
        transaction,
    });
    counter.encode(env)
}

fn tx_nest<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    of_small(env, context, nest)
}

fn tx_nest_large<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    slots::with_running(env, context, |running| nest(env, running))
}

/// The own writes are copied, so that they can be had back.
fn nest<'a>(env: Env<'a>, running: &mut Running) -> Term<'a> {
    running.transaction.nest();
    atoms::ok().encode(env)
}

fn tx_merge<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    of_small(env, context, merge)
}

fn tx_merge_large<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    slots::with_running(env, context, |running| merge(env, running))
}

fn merge<'a>(env: Env<'a>, running: &mut Running) -> Term<'a> {
    running.transaction.merge();
    let counters = running.database.engine().counters();
    counters.commits.fetch_add(1, Ordering::Relaxed);
    atoms::ok().encode(env)
}

fn tx_undo<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    of_small(env, context, undo)
}

fn tx_undo_large<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    slots::with_running(env, context, |running| undo(env, running))
}

fn undo<'a>(env: Env<'a>, running: &mut Running) -> Term<'a> {
    running.transaction.undo();
    atoms::ok().encode(env)
}

/// Does what takes as long as there are own writes, unless they are many.
fn of_small<'a>(
    env: Env<'a>,
    context: Term<'a>,
    work: fn(Env<'a>, &mut Running) -> Term<'a>,
) -> Term<'a> {
    slots::with_running(env, context, |running| {
        if running.is_large() {
            return atoms::large().encode(env);
        }
        work(env, running)
    })
}

fn tx_commit<'a>(env: Env<'a>, [context, is_synced]: [Term<'a>; 2]) -> Term<'a> {
    let Some(mut slot) = slots::lock(env, context) else {
        return reply::error(env, atoms::not_owner());
    };
    if slot.as_ref().is_some_and(Running::is_large) {
        return atoms::large().encode(env);
    }
    match slot.take() {
        Some(running) => raw::as_caller(env, || commit(env, running, is_synced)),
        None => reply::error(env, atoms::not_owner()),
    }
}

fn tx_commit_large<'a>(env: Env<'a>, [context, is_synced]: [Term<'a>; 2]) -> Term<'a> {
    match slots::lock(env, context).and_then(|mut slot| slot.take()) {
        Some(running) => raw::as_caller(env, || commit(env, running, is_synced)),
        None => reply::error(env, atoms::not_owner()),
    }
}

/// Commits and ends a transaction. The locks are free before a sync is waited for: whoever
/// reads what was written and syncs after, syncs this too.
fn commit<'a>(env: Env<'a>, mut running: Running, is_synced: Term<'a>) -> Term<'a> {
    let database = &running.database;
    let engine = database.engine();
    let committed = if running.transaction.own().is_empty() {
        Ok((None, false))
    } else {
        let number = running.transaction.tid().counter;
        change::commit(env, database, running.transaction.own(), number)
    };
    running.transaction.end(engine.locks());
    let counter = if committed.is_ok() {
        &engine.counters().commits
    } else {
        &engine.counters().failures
    };
    counter.fetch_add(1, Ordering::Relaxed);
    if let Ok((Some(_), _)) = committed {
        slice::charge(env, slice::LOGGED_NANOS);
    }
    match committed {
        Ok((Some(lsn), is_crowded)) if is_synced.decode().unwrap_or(false) => {
            let (owner, token) = (slots::owner(env), NEXT_SYNC.fetch_add(1, Ordering::Relaxed));
            database.sync(
                lsn,
                Box::new(move |outcome| mail::synced(owner, token, &outcome)),
            );
            reply::told(env, (atoms::wait(), token).encode(env), is_crowded)
        }
        Ok((_, is_crowded)) => reply::told(env, atoms::ok().encode(env), is_crowded),
        Err(error) => reply::database(env, &error),
    }
}

fn tx_abort<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    let Some(mut slot) = slots::lock(env, context) else {
        return reply::error(env, atoms::not_owner());
    };
    if slot.as_ref().is_some_and(Running::is_large) {
        return atoms::large().encode(env);
    }
    abort(env, slot.take())
}

fn tx_abort_large<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    let running = slots::lock(env, context).and_then(|mut slot| slot.take());
    abort(env, running)
}

fn abort(env: Env<'_>, running: Option<Running>) -> Term<'_> {
    match running {
        Some(mut running) => {
            raw::as_caller(env, || running.end());
            atoms::ok().encode(env)
        }
        None => reply::error(env, atoms::not_owner()),
    }
}

fn tx_restart<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    let slot = slots::lock(env, arguments[0]);
    if slot.and_then(|slot| slot.as_ref().map(Running::is_large)) == Some(true) {
        return atoms::large().encode(env);
    }
    tx_restart_large(env, arguments)
}

fn tx_restart_large<'a>(env: Env<'a>, [context, _blocker]: [Term<'a>; 2]) -> Term<'a> {
    slots::with_running(env, context, |running| {
        let locks = running.database.engine().locks();
        match raw::as_caller(env, || running.transaction.restart(locks)) {
            Await::Ended => atoms::ok().encode(env),
            Await::Wait { token } => (atoms::wait(), token).encode(env),
        }
    })
}

/// How a lock is asked for.
#[derive(Clone, Copy)]
enum Wanted {
    Plain(Kind),
    Sticky,
}

impl Wanted {
    fn is_write(self) -> bool {
        !matches!(self, Self::Plain(Kind::Read))
    }

    fn lock_record(
        self,
        transaction: &mut Transaction,
        locks: &LockTable,
        table: &Table,
        key: &[u8],
    ) -> StickyOutcome {
        match self {
            Self::Plain(kind) => transaction.lock_record(locks, table.id(), key, kind).into(),
            Self::Sticky => transaction.lock_sticky(locks, table, key),
        }
    }

    fn lock_table(
        self,
        transaction: &mut Transaction,
        locks: &LockTable,
        table: &Table,
    ) -> StickyOutcome {
        match self {
            Self::Plain(kind) => transaction.lock_table(locks, table.id(), kind).into(),
            Self::Sticky => transaction.lock_table_sticky(locks, table),
        }
    }

    fn kind(self) -> Kind {
        if self.is_write() {
            Kind::Write
        } else {
            Kind::Read
        }
    }
}

fn wanted(lock: Term<'_>) -> Option<Wanted> {
    let lock = lock.decode::<rustler::Atom>().ok()?;
    if lock == atoms::read() {
        Some(Wanted::Plain(Kind::Read))
    } else if lock == atoms::write() {
        Some(Wanted::Plain(Kind::Write))
    } else if lock == atoms::sticky_write() {
        Some(Wanted::Sticky)
    } else {
        None
    }
}

fn ungranted(env: Env<'_>, outcome: Outcome) -> Option<Term<'_>> {
    match outcome {
        Outcome::Granted => None,
        Outcome::Wait { token } => Some((atoms::wait(), token).encode(env)),
        Outcome::Die { blocker } => Some((atoms::die(), blocker.counter).encode(env)),
        Outcome::Busy => Some(reply::limit(env, atoms::lock_queue(), WAITERS_MAX)),
    }
}

/// The answer to a lock that is asked for alone: a table that was stuck before answers otherwise.
fn granted(env: Env<'_>, was_stuck: bool) -> Term<'_> {
    if was_stuck {
        atoms::granted().encode(env)
    } else {
        atoms::ok().encode(env)
    }
}

/// Locks a record of a table and calls `f` with the table as it is under the lock.
#[inline]
fn with_locked<'a>(
    env: Env<'a>,
    running: &mut Running,
    name: Term<'a>,
    key: &[u8],
    lock: Term<'a>,
    f: impl FnOnce(&mut Transaction, &Arc<Table>) -> Term<'a>,
) -> Term<'a> {
    let f = |transaction: &mut Transaction, table: &Arc<Table>, _| f(transaction, table);
    lock_and(env, running, name, key, lock, f)
}

/// The same with a third argument: whether the table was stuck to this node before.
#[inline]
fn lock_and<'a>(
    env: Env<'a>,
    running: &mut Running,
    name: Term<'a>,
    key: &[u8],
    lock: Term<'a>,
    f: impl FnOnce(&mut Transaction, &Arc<Table>, bool) -> Term<'a>,
) -> Term<'a> {
    let Some(wanted) = wanted(lock) else {
        return reply::error(env, atoms::badarg());
    };
    slice::charge(env, slice::LOCKED_NANOS);
    let Running {
        database,
        transaction,
    } = running;
    let Some(name) = raw::atom_of(raw::word(name)) else {
        return reply::error(env, atoms::no_table());
    };
    loop {
        let tables = database.engine().tables();
        let Some(table) = tables.get(&name) else {
            return reply::error(env, atoms::no_table());
        };
        if wanted.is_write() && table.is_read_only() {
            return reply::error(env, atoms::read_only());
        }
        let locks = database.engine().locks();
        let lock = wanted.lock_record(transaction, locks, table, key);
        if let Some(reply) = ungranted(env, lock.outcome) {
            return reply;
        }
        // A table that was replaced before the lock was ours is looked up again.
        if !table.is_retired() {
            return f(transaction, table, lock.was_stuck);
        }
    }
}

fn tx_read<'a>(env: Env<'a>, arguments: [Term<'a>; 4]) -> Term<'a> {
    tx_read_up_to(env, arguments, SMALL_COUNT_MAX)
}

fn tx_read_large<'a>(env: Env<'a>, arguments: [Term<'a>; 4]) -> Term<'a> {
    tx_read_up_to(env, arguments, usize::MAX)
}

#[inline]
fn tx_read_up_to<'a>(
    env: Env<'a>,
    [context, name, key, lock]: [Term<'a>; 4],
    max: usize,
) -> Term<'a> {
    slots::with_running(env, context, |running| {
        record::with_packed(env, key, |key| {
            with_locked(env, running, name, key, lock, |transaction, table| {
                let own = transaction.own().ops(table.id(), key).len();
                if own == 0 {
                    rows_of_key(env, table, key, max)
                } else if own > max {
                    atoms::large().encode(env)
                } else {
                    merged_rows(env, transaction, table, key, max)
                }
            })
        })
    })
}

/// The records of a key seen through the transaction's own operations on it.
fn merged_rows<'a>(
    env: Env<'a>,
    transaction: &Transaction,
    table: &Table,
    key: &[u8],
    max: usize,
) -> Term<'a> {
    // To merge takes as long as both have rows, so what is too much is known before.
    let mut stored = 0;
    let counted = table.body().read(key, |_| stored += 1);
    if counted.is_ok() && stored > max {
        return atoms::large().encode(env);
    }
    match transaction.read(table, key) {
        Ok(rows) => {
            let name = sink::name_of(table.definition());
            let mut list = Collected::new(max);
            rows.iter()
                .for_each(|row| list.push(|| sink::record(env, name, row)));
            list.finish(env)
        }
        Err(error) => reply::table(env, &error),
    }
}

/// Calls `f` with a table of the running transaction that takes writes.
fn with_writable<'a>(
    env: Env<'a>,
    running: &mut Running,
    name: Term<'a>,
    f: impl FnOnce(&mut Running, &Arc<Table>) -> Term<'a>,
) -> Term<'a> {
    let table = raw::atom_of(raw::word(name)).and_then(|n| running.database.engine().table(n));
    match table {
        None => reply::error(env, atoms::no_table()),
        Some(table) if table.is_read_only() => reply::error(env, atoms::read_only()),
        Some(table) => f(running, &table),
    }
}

fn tx_write<'a>(env: Env<'a>, [context, name, term, lock]: [Term<'a>; 4]) -> Term<'a> {
    let Some(wanted) = wanted(lock) else {
        return reply::error(env, atoms::badarg());
    };
    slots::with_running(env, context, |running| {
        let Running {
            database,
            transaction,
        } = running;
        let name = raw::atom_of(raw::word(name));
        loop {
            let tables = database.engine().tables();
            let Some(table) = name.and_then(|name| tables.get(&name)) else {
                return reply::error(env, atoms::no_table());
            };
            if table.is_read_only() {
                return reply::error(env, atoms::read_only());
            }
            let row = match record::row(env, table, term) {
                Ok(row) => row,
                Err(refusal) => return refusal,
            };
            let locks = database.engine().locks();
            let lock = wanted.lock_record(transaction, locks, table, row.key());
            if let Some(reply) = ungranted(env, lock.outcome) {
                return reply;
            }
            // A table that was replaced before the lock was ours is looked up again.
            if !table.is_retired() {
                transaction.write(table, row);
                return atoms::ok().encode(env);
            }
        }
    })
}

fn tx_delete<'a>(env: Env<'a>, [context, name, key, lock]: [Term<'a>; 4]) -> Term<'a> {
    slots::with_running(env, context, |running| {
        with_writable(env, running, name, |running, _| {
            record::with_packed(env, key, |key| {
                with_locked(env, running, name, key, lock, |transaction, table| {
                    transaction.own_mut().delete(table, key);
                    atoms::ok().encode(env)
                })
            })
        })
    })
}

fn tx_delete_object<'a>(env: Env<'a>, [context, name, term, lock]: [Term<'a>; 4]) -> Term<'a> {
    slots::with_running(env, context, |running| {
        with_writable(env, running, name, |running, table| {
            let Some([_, key, ..]) = raw::tuple_of(env, raw::word(term)) else {
                return reply::error(env, atoms::bad_type());
            };
            // A record of another shape is not there, but its key is locked all the same.
            let row = record::row(env, table, term).ok();
            record::with_packed(env, raw::term(env, *key), |key| {
                with_locked(env, running, name, key, lock, |transaction, table| {
                    if let Some(row) = row {
                        transaction.own_mut().delete_object(table, row);
                    }
                    atoms::ok().encode(env)
                })
            })
        })
    })
}

fn tx_lock<'a>(env: Env<'a>, [context, item, lock]: [Term<'a>; 3]) -> Term<'a> {
    let badarg = || reply::error(env, atoms::badarg());
    let Some(&[what, ref rest @ ..]) = raw::tuple_of(env, raw::word(item)) else {
        return badarg();
    };
    let Ok(what) = raw::term(env, what).decode::<rustler::Atom>() else {
        return badarg();
    };
    let terms: Vec<Term<'a>> = rest.iter().map(|&word| raw::term(env, word)).collect();
    slots::with_running(env, context, |running| match terms[..] {
        [name] if what == atoms::table() => lock_table(env, running, name, lock),
        [name, key] if what == atoms::record() => record::with_packed(env, key, |key| {
            lock_and(env, running, name, key, lock, |_, _, was_stuck| {
                granted(env, was_stuck)
            })
        }),
        [global] if what == atoms::global() => record::with_packed(env, global, |key| {
            let Some(wanted) = wanted(lock) else {
                return badarg();
            };
            let locks = running.database.engine().locks();
            let outcome = running.transaction.lock_global(locks, key, wanted.kind());
            ungranted(env, outcome).unwrap_or_else(|| atoms::ok().encode(env))
        }),
        _ => badarg(),
    })
}

fn lock_table<'a>(env: Env<'a>, running: &mut Running, name: Term<'a>, lock: Term<'a>) -> Term<'a> {
    let Some(wanted) = wanted(lock) else {
        return reply::error(env, atoms::badarg());
    };
    let Running {
        database,
        transaction,
    } = running;
    let engine = database.engine();
    let Some(name) = raw::atom_of(raw::word(name)) else {
        return reply::error(env, atoms::no_table());
    };
    loop {
        let Some(table) = engine.table(name) else {
            return reply::error(env, atoms::no_table());
        };
        if wanted.is_write() && table.is_read_only() {
            return reply::error(env, atoms::read_only());
        }
        let lock = wanted.lock_table(transaction, engine.locks(), &table);
        if let Some(reply) = ungranted(env, lock.outcome) {
            return reply;
        }
        if !table.is_retired() {
            return granted(env, lock.was_stuck);
        }
    }
}

/// An own operation's name, and its record or `{Table, Key}`.
fn own_words(env: Env<'_>, table: &Table, key: Word, op: &OwnOp) -> (Word, Word) {
    let record_name = sink::name_of(table.definition());
    let (op, value) = match op {
        OwnOp::Write(row) => (atoms::write(), sink::record(env, record_name, row)),
        OwnOp::Delete => {
            let name = raw::atom_word(table.definition().name);
            (atoms::delete(), raw::tuple_word(env, &[name, key]))
        }
        OwnOp::DeleteObject(row) => (atoms::delete_object(), sink::record(env, record_name, row)),
    };
    (raw::word(op.to_term(env)), value)
}

fn tx_own<'a>(env: Env<'a>, arguments: [Term<'a>; 2]) -> Term<'a> {
    let slot = slots::lock(env, arguments[0]);
    let count = slot.and_then(|slot| {
        slot.as_ref()
            .map(|running| running.transaction.own().count())
    });
    if count.is_some_and(|count| count > SMALL_COUNT_MAX) {
        return atoms::large().encode(env);
    }
    tx_own_large(env, arguments)
}

fn tx_own_large<'a>(env: Env<'a>, [context, name]: [Term<'a>; 2]) -> Term<'a> {
    with_own(env, context, name, |of| {
        let mut list = raw::nil_word();
        for own_key in of.keys().rev() {
            let key = sink::term(env, own_key.key(), None);
            for op in own_key.ops().iter().rev() {
                let (op, value) = own_words(env, of.table(), key, op);
                list = raw::cons_word(env, raw::tuple_word(env, &[key, op, value]), list);
            }
        }
        raw::term(env, list)
    })
}

fn tx_own_key<'a>(env: Env<'a>, [context, name, key]: [Term<'a>; 3]) -> Term<'a> {
    with_own(env, context, name, |of| {
        record::with_packed(env, key, |packed| {
            let mut list = raw::nil_word();
            for op in of.ops(packed).iter().rev() {
                let (op, value) = own_words(env, of.table(), raw::word(key), op);
                list = raw::cons_word(env, raw::tuple_word(env, &[op, value]), list);
            }
            raw::term(env, list)
        })
    })
}

/// Calls `f` with the own operations on a table, or answers the empty list when there are none.
fn with_own<'a>(
    env: Env<'a>,
    context: Term<'a>,
    name: Term<'a>,
    f: impl FnOnce(&OwnTable) -> Term<'a>,
) -> Term<'a> {
    slots::with_running(env, context, |running| {
        let name = raw::atom_of(raw::word(name));
        match name.and_then(|name| running.transaction.own().of_name(name)) {
            Some(of) => f(of),
            None => raw::term(env, raw::nil_word()),
        }
    })
}

fn tx_seq<'a>(env: Env<'a>, [context]: [Term<'a>; 1]) -> Term<'a> {
    slots::with_running(env, context, |running| {
        running.transaction.own().count().encode(env)
    })
}
