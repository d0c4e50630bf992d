//! Changes of tables that are watched or logged: made as any other, logged in the same commit,
//! then told.
//!
//! The events are Mnesia's, term for term. The rows that a detailed event calls old are read
//! before the change, so all of it happens with other writers of such tables held out.
//!
//! Never here: who is told (see `audience`), a change of a table that nobody watches.

use std::sync::Arc;

use magnesia_database::{Database, DatabaseError};
use magnesia_engine::apply::Op;
use magnesia_engine::schema::Kind;
use magnesia_engine::txn::{Overlay, OwnKey, OwnOp};
use magnesia_engine::{Table, TableError, counter};
use magnesia_store::Lsn;
use magnesia_term::{Atom, Row, View, packed};
use rustler::{Encoder, Env, Term};

use crate::audience::{self, Watch};
use crate::journal::{self, Logged};
use crate::raw::{self, Word};
use crate::{atoms, sink};

/// Elements of a row that holds a counter: key and value.
const COUNTER_ELEMENTS: usize = 2;

/// Events that are built but not yet sent.
struct Events<'a> {
    env: Env<'a>,
    /// Whose change it is: `{dirty, Pid}` or `{tid, Number, Pid}`.
    cause: Word,
    list: Vec<(Word, Word)>,
}

impl<'a> Events<'a> {
    fn of_dirty(env: Env<'a>) -> Self {
        let kind = raw::word(atoms::dirty().to_term(env));
        let cause = raw::tuple_word(env, &[kind, raw::self_word(env)]);
        Self {
            env,
            cause,
            list: Vec::new(),
        }
    }

    fn of_transaction(env: Env<'a>, number: u64) -> Self {
        let kind = raw::word(atoms::tid().to_term(env));
        let number = raw::word(number.encode(env));
        let cause = raw::tuple_word(env, &[kind, number, raw::self_word(env)]);
        Self {
            env,
            cause,
            list: Vec::new(),
        }
    }

    fn atom(&self, atom: rustler::Atom) -> Word {
        raw::word(atom.to_term(self.env))
    }

    fn add(&mut self, stream: Word, tag: rustler::Atom, what: &[Word]) {
        let event = raw::tuple_word(self.env, what);
        let message = raw::tuple_word(self.env, &[self.atom(tag), event]);
        self.list.push((stream, message));
    }

    fn add_of_table(&mut self, table: &Table, kind: rustler::Atom, what: &[Word]) {
        let name = raw::atom_word(table.definition().name);
        let stream = raw::tuple_word(self.env, &[name, self.atom(kind)]);
        self.add(stream, atoms::mnesia_table_event(), what);
    }

    fn old_rows(&self, table: &Table, rows: &[Row]) -> Word {
        let name = sink::name_of(table.definition());
        let mut list = raw::nil_word();
        for row in rows.iter().rev() {
            list = raw::cons_word(self.env, sink::record(self.env, name, row), list);
        }
        list
    }

    /// Adds one operation; `old` are the rows that the key had.
    fn add_op(&mut self, table: &Table, watch: Watch, op: &Op<'_>, old: &[Row]) {
        let name = raw::atom_word(table.definition().name);
        let record_name = sink::name_of(table.definition());
        let (env, cause) = (self.env, self.cause);
        let (verb, row) = match op {
            Op::Write(row) => (self.atom(atoms::write()), Some(row)),
            Op::DeleteObject(row) => (self.atom(atoms::delete_object()), Some(row)),
            Op::Delete(_) | Op::Clear => (self.atom(atoms::delete()), None),
        };
        let key = match op {
            Op::Delete(key) => raw::tuple_word(env, &[name, sink::term(env, key, None)]),
            _ => raw::nil_word(),
        };
        if watch.is_simple {
            let what = row.map_or(key, |row| sink::record(env, name, row));
            self.add_of_table(table, atoms::simple(), &[verb, what, cause]);
        }
        if watch.is_detailed {
            let what = row.map_or(key, |row| sink::record(env, record_name, row));
            let (verb, old) = match op {
                // As Mnesia has it: the row that is named is the old one, there or not.
                Op::DeleteObject(_) => (
                    self.atom(atoms::delete()),
                    raw::cons_word(env, what, raw::nil_word()),
                ),
                _ => (verb, self.old_rows(table, old)),
            };
            self.add_of_table(table, atoms::detailed(), &[verb, name, what, old, cause]);
        }
    }

    /// Adds a transaction's operations on a key.
    fn add_key(&mut self, table: &Table, watch: Watch, own: &OwnKey) -> Result<(), TableError> {
        let stored = if watch.is_detailed {
            rows(table, own.key())?
        } else {
            Vec::new()
        };
        for (at, op) in own.ops().iter().enumerate() {
            // A row that is deleted by name needs no look at what was there.
            let is_read = watch.is_detailed && !matches!(op, OwnOp::DeleteObject(_));
            let old = if is_read {
                after(table.definition().kind, &own.ops()[..at], stored.clone())
            } else {
                Vec::new()
            };
            self.add_op(table, watch, &op.on(own.key()), &old);
        }
        Ok(())
    }
}

/// The rows of a key after some operations, as the table does them: of a bag a row that is there
/// already keeps its place.
fn after(kind: Kind, ops: &[OwnOp], mut rows: Vec<Row>) -> Vec<Row> {
    for op in ops {
        match op {
            OwnOp::Write(row) if kind == Kind::Bag => {
                if !rows.iter().any(|there| there.is_identical(row)) {
                    rows.push(row.clone());
                }
            }
            OwnOp::Write(row) => rows = vec![row.clone()],
            OwnOp::DeleteObject(row) => rows.retain(|there| !there.is_identical(row)),
            OwnOp::Delete => rows.clear(),
        }
    }
    rows
}

fn rows(table: &Table, key: &[u8]) -> Result<Vec<Row>, TableError> {
    let mut rows = Vec::new();
    table.body().read(key, |row| rows.push(row.clone()))?;
    Ok(rows)
}

/// Makes one dirty change of a table that may be watched or logged, and tells of it; whether the
/// writer has to wait for those who hand the events on.
pub(crate) fn write(
    env: Env<'_>,
    database: &Database,
    table: &Arc<Table>,
    op: Op<'_>,
    is_told: bool,
) -> Result<bool, DatabaseError> {
    let order = audience::in_order();
    let audience = audience::now();
    let audience = audience.as_ref().filter(|_| is_told);
    let watch = audience
        .map(|audience| audience.watch(table))
        .unwrap_or_default();
    let mut events = Events::of_dirty(env);
    let old = match &op {
        Op::Write(row) if watch.is_detailed => rows(table, row.key())?,
        Op::Delete(key) if watch.is_detailed => rows(table, key)?,
        _ => Vec::new(),
    };
    events.add_op(table, watch, &op, &old);
    match journal::logged(env, database, &own_of(table, &op))? {
        Some(logged) => put_logged(env, database, logged).map(drop)?,
        None => database.write(table, op).map(drop)?,
    }
    let is_crowded = audience.is_some_and(|audience| audience.tell(env, &events.list));
    drop(order);
    Ok(is_crowded)
}

/// One operation as a transaction would have it.
fn own_of(table: &Arc<Table>, op: &Op<'_>) -> Overlay {
    let mut own = Overlay::default();
    match op {
        Op::Write(row) => own.write(table, row.clone()),
        Op::Delete(key) => own.delete(table, key),
        Op::DeleteObject(row) => own.delete_object(table, row.clone()),
        Op::Clear => {}
    }
    own
}

fn put_logged(
    env: Env<'_>,
    database: &Database,
    logged: Logged,
) -> Result<Option<Lsn>, DatabaseError> {
    let lsn = database.commit(&logged.own)?;
    logged.settle(env);
    Ok(lsn)
}

/// Deletes all rows of a table that may be logged.
pub(crate) fn clear(env: Env<'_>, database: &Database, name: Atom) -> Result<(), DatabaseError> {
    let table = database
        .engine()
        .table(name)
        .ok_or(DatabaseError::NoTable)?;
    let order = audience::in_order();
    match journal::cleared(env, database, &table)? {
        Some(logged) => {
            database.clear_with(&table, &logged.own)?;
            logged.settle(env);
        }
        None => database.clear(&table)?,
    }
    drop(order);
    Ok(())
}

/// Adds to a counter of a table that may be watched or logged, and tells of it; returns the row,
/// and whether the writer has to wait.
pub(crate) fn update_counter(
    env: Env<'_>,
    database: &Database,
    table: &Arc<Table>,
    key: &[u8],
    increment: &[u8],
) -> Result<(Row, bool), DatabaseError> {
    let order = audience::in_order();
    let audience = audience::now();
    let audience = audience.as_ref();
    let watch = audience
        .map(|audience| audience.watch(table))
        .unwrap_or_default();
    let mut events = Events::of_dirty(env);
    let before = rows(table, key)?;
    let next = counter::next(table, key, increment)?;
    let row = match journal::logged(env, database, &own_of(table, &Op::Write(next.clone())))? {
        Some(logged) => put_logged(env, database, logged).map(|_| next)?,
        None => database.update_counter(table, key, increment)?,
    };
    // As in Mnesia the key is spelt as the caller did, and a counter that starts anew, where
    // there was none or it would be below zero, has no old row.
    let spelt = |value: &[u8]| {
        let body = [key, value].concat();
        table.body().row(COUNTER_ELEMENTS, &body)
    };
    let old = before
        .iter()
        .filter(|old| is_continued(old, &row, increment));
    let old: Vec<Row> = old.filter_map(|old| old.at(3).map(spelt)).collect();
    let new = spelt(row.at(3).unwrap_or_default());
    events.add_op(table, watch, &Op::Write(new), &old);
    let is_crowded = audience.is_some_and(|audience| audience.tell(env, &events.list));
    drop(order);
    Ok((row, is_crowded))
}

/// Whether the new counter is the old one and the increment.
fn is_continued(old: &Row, new: &Row, increment: &[u8]) -> bool {
    let value = |packed: Option<&[u8]>| {
        let view = packed::view(packed?);
        let is_integer = matches!(view, View::Int(_) | View::Big { .. });
        is_integer
            .then(|| magnesia_term::number::bigint_of(view))
            .flatten()
    };
    match (value(old.at(3)), value(new.at(3)), value(Some(increment))) {
        (Some(old), Some(new), Some(increment)) => old + increment == new,
        _ => false,
    }
}

/// Commits a transaction's writes, and tells of those that are watched; the place in the log, and
/// whether the writer has to wait.
pub(crate) fn commit(
    env: Env<'_>,
    database: &Database,
    own: &Overlay,
    number: u64,
) -> Result<(Option<Lsn>, bool), DatabaseError> {
    let is_heard =
        |own: &magnesia_engine::txn::OwnTable| audience::may_hear(own.table().definition().name);
    if !audience::hears_activities() && !own.tables().iter().any(is_heard) {
        return Ok((database.commit(own)?, false));
    }
    let order = audience::in_order();
    let audience = audience::now();
    let audience = audience.as_ref();
    let mut events = Events::of_transaction(env, number);
    for own_table in own.tables() {
        let table = own_table.table();
        let watch = audience
            .map(|audience| audience.watch(table))
            .unwrap_or_default();
        if watch.is_simple || watch.is_detailed {
            for own_key in own_table.keys() {
                events.add_key(table, watch, own_key)?;
            }
        }
    }
    let lsn = match journal::logged(env, database, own)? {
        Some(logged) => put_logged(env, database, logged)?,
        None => database.commit(own)?,
    };
    if audience::hears_activities() {
        let stream = events.atom(atoms::activity());
        let what = [events.atom(atoms::complete()), events.cause];
        events.add(stream, atoms::mnesia_activity_event(), &what);
    }
    let is_crowded = audience.is_some_and(|audience| audience.tell(env, &events.list));
    drop(order);
    Ok((lsn, is_crowded))
}

/// Sends events that were made elsewhere, in the order of all others: a list of
/// `{Stream, Message}`; whether the sender has to wait.
pub(crate) fn publish<'a>(env: Env<'a>, events: Term<'a>) -> Option<bool> {
    let mut list = Vec::new();
    for event in crate::source::list(events)? {
        let &[stream, message] = raw::tuple_of(env, raw::word(event))? else {
            return None;
        };
        list.push((stream, message));
    }
    let order = audience::in_order();
    let audience = audience::now();
    let is_crowded = audience
        .as_ref()
        .is_some_and(|audience| audience.tell(env, &list));
    drop(order);
    Some(is_crowded)
}
