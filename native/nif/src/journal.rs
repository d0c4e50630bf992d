//! Change logs: a change of a table that has one is a row of the log too, in the same commit.
//!
//! A log is an ordered set of rows `{Log, Number, Verb, Table, Data, First}`: numbers count up
//! without a gap in the order of the commits, and First is the first number of the same commit.
//! A write into the log under a key that is no number is an entry of its own, and gets the next
//! number. What is logged is written one writer at a time (see `audience`), so a number that was
//! given to a commit that failed is given again.
//!
//! Never here: reading a log, forgetting its old rows, which table has one.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use magnesia_database::{Database, DatabaseError};
use magnesia_engine::Table;
use magnesia_engine::table::Direction;
use magnesia_engine::txn::{Overlay, OwnOp, OwnTable};
use magnesia_term::{Atom, Packer, Row, View, packed};
use parking_lot::Mutex;
use rustler::{Encoder, Env, Term};

use crate::raw::{self, Word};
use crate::{atoms, audience, source};

/// Elements of a log's row: number, verb, table, data, first number of the commit.
const ELEMENTS: usize = 5;
/// Where the data is in a row of a log, the row's name counted.
const DATA_POSITION: usize = 5;

/// The log of each table that has one.
type Logs = HashMap<Atom, Atom>;

static LOGS: ArcSwapOption<Logs> = ArcSwapOption::const_empty();
static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers {
    next: Vec::new(),
    waiters: Vec::new(),
});

struct Numbers {
    /// Log, number of its table, the number of its next row.
    next: Vec<(Atom, u32, i64)>,
    /// Log and process.
    waiters: Vec<(Atom, Word)>,
}

impl Numbers {
    /// The number of a log's next row.
    fn next_of(&mut self, log: &Table) -> Result<i64, DatabaseError> {
        let name = log.definition().name;
        let known = self
            .next
            .iter()
            .find(|known| (known.0, known.1) == (name, log.id()));
        if let Some(&(_, _, next)) = known {
            return Ok(next);
        }
        let last = log.body().first_key(Direction::Down)?;
        let next = match last.as_deref().map(packed::view) {
            Some(View::Int(last)) => last + 1,
            _ => 1,
        };
        self.set(log, next);
        Ok(next)
    }

    fn set(&mut self, log: &Table, next: i64) {
        let name = log.definition().name;
        self.next.retain(|known| known.0 != name);
        self.next.push((name, log.id(), next));
    }
}

/// A commit with the rows that go into logs.
pub(crate) struct Logged {
    pub(crate) own: Overlay,
    /// The logs, each with the number of its next row.
    next: Vec<(Arc<Table>, i64)>,
}

impl Logged {
    /// The log of this name, to be added to, and the number of its next row.
    fn log(&mut self, database: &Database, name: Atom) -> Result<usize, DatabaseError> {
        let is_it = |(log, _): &(Arc<Table>, i64)| log.definition().name == name;
        if let Some(at) = self.next.iter().position(is_it) {
            return Ok(at);
        }
        let log = database
            .engine()
            .table(name)
            .ok_or(DatabaseError::NoTable)?;
        let next = NUMBERS.lock().next_of(&log)?;
        self.next.push((log, next));
        Ok(self.next.len() - 1)
    }

    fn add(&mut self, at: usize, first: i64, entry: &Entry<'_>) -> Result<(), DatabaseError> {
        let (log, next) = &mut self.next[at];
        let mut packer = Packer::new();
        packer.int(*next);
        packer.atom(entry.verb);
        packer.atom(entry.table);
        packer.raw(entry.data);
        packer.int(first);
        let row = log.row(ELEMENTS, packer.as_bytes())?;
        *next += 1;
        self.own.write(log, row);
        Ok(())
    }

    /// The commit is done: the numbers are taken, and those who wait are told.
    pub(crate) fn settle(self, env: Env<'_>) {
        let mut numbers = NUMBERS.lock();
        for (log, next) in &self.next {
            numbers.set(log, *next);
        }
        let is_told = |name: Atom| {
            self.next
                .iter()
                .any(|(log, _)| log.definition().name == name)
        };
        let (told, rest) = numbers.waiters.iter().partition(|waiter| is_told(waiter.0));
        numbers.waiters = rest;
        drop(numbers);
        let told: Vec<(Atom, Word)> = told;
        raw::as_caller(env, || {
            for (log, pid) in told {
                let log = raw::term(env, raw::atom_word(log));
                raw::send(pid, (atoms::log_message(), log).encode(env));
            }
        });
    }
}

/// One row to be of a log.
struct Entry<'a> {
    verb: Atom,
    table: Atom,
    data: &'a [u8],
}

fn named(env: Env<'_>, atom: rustler::Atom) -> Atom {
    raw::atom_of(raw::word(atom.to_term(env))).unwrap_or(Atom::from_handle(0))
}

/// The record of a row, packed.
fn packed_record(table: &Table, row: &Row) -> Vec<u8> {
    let mut packer = Packer::new();
    let mark = packer.tuple_begin(row.elements() + 1);
    packer.atom(table.definition().record_name);
    packer.raw(row.body());
    packer.tuple_end(mark);
    packer.into_bytes()
}

/// Whether a row of a log is one that has no number yet.
fn is_unnumbered(op: &OwnOp) -> bool {
    matches!(op, OwnOp::Write(row) if !matches!(packed::view(row.key()), View::Int(_)))
}

/// The commit with its rows of logs, or `None` when nothing of it is logged. Called with other
/// writers held out.
pub(crate) fn logged(
    env: Env<'_>,
    database: &Database,
    own: &Overlay,
) -> Result<Option<Logged>, DatabaseError> {
    let logs = LOGS.load();
    let Some(logs) = logs.as_ref().filter(|logs| !logs.is_empty()) else {
        return Ok(None);
    };
    let log_of = |own: &OwnTable| {
        let name = own.table().definition().name;
        let is_log = logs.values().any(|&log| log == name);
        logs.get(&name).copied().or(is_log.then_some(name))
    };
    if own.tables().iter().all(|own| log_of(own).is_none()) {
        return Ok(None);
    }
    let mut logged = Logged {
        own: own.clone(),
        next: Vec::new(),
    };
    for own_table in own.tables() {
        let Some(log) = log_of(own_table) else {
            continue;
        };
        let is_log = log == own_table.table().definition().name;
        if is_log
            && !own_table
                .keys()
                .any(|key| key.ops().iter().any(is_unnumbered))
        {
            continue;
        }
        let at = logged.log(database, log)?;
        if is_log {
            add_entries(env, &mut logged, at, own_table)?;
        } else {
            add_changes(env, &mut logged, at, own_table)?;
        }
    }
    Ok(Some(logged))
}

/// Adds the changes of a table to its log.
fn add_changes(
    env: Env<'_>,
    logged: &mut Logged,
    at: usize,
    own: &OwnTable,
) -> Result<(), DatabaseError> {
    let first = first_of(logged, at)?;
    let table = own.table().definition().name;
    for own_key in own.keys() {
        for op in own_key.ops() {
            let (verb, data) = match op {
                OwnOp::Write(row) => (atoms::write(), packed_record(own.table(), row)),
                OwnOp::DeleteObject(row) => {
                    (atoms::delete_object(), packed_record(own.table(), row))
                }
                OwnOp::Delete => (atoms::delete(), own_key.key().to_vec()),
            };
            let verb = named(env, verb);
            logged.add(
                at,
                first,
                &Entry {
                    verb,
                    table,
                    data: &data,
                },
            )?;
        }
    }
    Ok(())
}

/// Gives numbers to the entries that were written into a log itself; what else is done to the
/// log stays.
fn add_entries(
    env: Env<'_>,
    logged: &mut Logged,
    at: usize,
    own: &OwnTable,
) -> Result<(), DatabaseError> {
    let first = first_of(logged, at)?;
    let log = own.table();
    logged.own.remove_unless(log.id(), |op| !is_unnumbered(op));
    for op in own.keys().flat_map(magnesia_engine::txn::OwnKey::ops) {
        if let OwnOp::Write(row) = op
            && is_unnumbered(op)
        {
            let data = row.at(DATA_POSITION).unwrap_or_default();
            let (verb, table) = (named(env, atoms::append()), log.definition().name);
            logged.add(at, first, &Entry { verb, table, data })?;
        }
    }
    Ok(())
}

/// The first number of a commit in a log.
fn first_of(logged: &Logged, at: usize) -> Result<i64, DatabaseError> {
    NUMBERS.lock().next_of(&logged.next[at].0)
}

/// The row that says that a table was cleared, or `None` when it has no log.
pub(crate) fn cleared(
    env: Env<'_>,
    database: &Database,
    table: &Table,
) -> Result<Option<Logged>, DatabaseError> {
    let name = table.definition().name;
    let Some(log) = LOGS
        .load()
        .as_ref()
        .and_then(|logs| logs.get(&name).copied())
    else {
        return Ok(None);
    };
    let mut logged = Logged {
        own: Overlay::default(),
        next: Vec::new(),
    };
    let at = logged.log(database, log)?;
    let first = logged.next[at].1;
    let mut data = Packer::new();
    data.nil();
    let verb = named(env, atoms::clear());
    logged.add(
        at,
        first,
        &Entry {
            verb,
            table: name,
            data: data.as_bytes(),
        },
    )?;
    Ok(Some(logged))
}

/// Replaces the logs: a list of `{Table, Log}`.
pub(crate) fn set<'a>(env: Env<'a>, logs: Term<'a>) -> Option<()> {
    let mut new = Logs::new();
    for entry in source::list(logs)? {
        let &[table, log] = raw::tuple_of(env, raw::word(entry))? else {
            return None;
        };
        new.insert(raw::atom_of(table)?, raw::atom_of(log)?);
    }
    let order = audience::in_order();
    audience::set_logged(new.iter().flat_map(|(&table, &log)| [table, log]));
    LOGS.store(Some(Arc::new(new)));
    // What is numbered next is read off the logs again.
    NUMBERS.lock().next.clear();
    drop(order);
    Some(())
}

/// The last number of a log if it is above `after`; otherwise the caller gets a message
/// `{'$magnesia_log', Log}` with the next commit that adds to it, and this is `None`.
pub(crate) fn wait(
    env: Env<'_>,
    database: &Database,
    log: Atom,
    after: i64,
) -> Result<Option<i64>, DatabaseError> {
    let table = database.engine().table(log).ok_or(DatabaseError::NoTable)?;
    let order = audience::in_order();
    let mut numbers = NUMBERS.lock();
    let last = numbers.next_of(&table)? - 1;
    if last > after {
        return Ok(Some(last));
    }
    let waiter = (log, raw::self_word(env));
    if !numbers.waiters.contains(&waiter) {
        numbers.waiters.push(waiter);
    }
    drop(numbers);
    drop(order);
    Ok(None)
}
