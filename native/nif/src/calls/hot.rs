//! Calls that only the backend of a stock Mnesia makes: fixed tables, commits logged ahead.

use std::sync::Arc;

use magnesia_engine::Table;
use magnesia_engine::apply::Op;
use rustler::{Encoder, Env, Term};

use crate::raw::{self, nif};
use crate::{atoms, record, reply, source, state};

nif!("fix", 2, Normal, fix);
nif!("log_ahead", 1, Normal, log_ahead);
nif!("log_ahead_large", 1, DirtyIo, log_ahead);
nif!("forget_owed", 0, Normal, forget_owed);

fn fix<'a>(env: Env<'a>, [name, is_fixed]: [Term<'a>; 2]) -> Term<'a> {
    state::with_table(env, name, |table| match is_fixed.decode() {
        Ok(is_fixed) => {
            table.body().fix(is_fixed);
            atoms::ok().encode(env)
        }
        Err(_) => reply::error(env, atoms::badarg()),
    })
}

/// One operation of a commit, with its key packed where that is all it has.
enum Ahead {
    Row(Arc<Table>, bool, magnesia_term::Row),
    Key(Arc<Table>, Vec<u8>),
}

/// Takes a list of `{[Table], write | delete | delete_object, RecordOrKey}`. What concerns no
/// durable table, or fits none, is passed over: it will be found again when it is done.
fn log_ahead<'a>(env: Env<'a>, [list]: [Term<'a>; 1]) -> Term<'a> {
    let Some(elements) = source::list(list) else {
        return reply::error(env, atoms::badarg());
    };
    let ahead: Vec<_> = elements
        .into_iter()
        .filter_map(|element| operation(env, element))
        .collect();
    if ahead.len() < 2 {
        return atoms::ok().encode(env);
    }
    let ops: Vec<_> = ahead
        .iter()
        .map(|ahead| match ahead {
            Ahead::Row(table, true, row) => (Arc::clone(table), Op::Write(row.clone())),
            Ahead::Row(table, false, row) => (Arc::clone(table), Op::DeleteObject(row.clone())),
            Ahead::Key(table, key) => (Arc::clone(table), Op::Delete(key)),
        })
        .collect();
    let owner = raw::self_word(env) as u64;
    match state::side(atoms::hot().encode(env)) {
        Some(side) => side.with_database(env, |database| {
            reply::done(env, database.log_ahead(owner, &ops))
        }),
        None => reply::error(env, atoms::closed()),
    }
}

/// Forgets what processes that are dead have not done of a commit; answers how many they were.
fn forget_owed<'a>(env: Env<'a>, []: [Term<'a>; 0]) -> Term<'a> {
    let Some(side) = state::side(atoms::hot().encode(env)) else {
        return reply::error(env, atoms::closed());
    };
    side.with_database(env, |database| {
        let is_dead = |owner: &u64| {
            usize::try_from(*owner).is_ok_and(|owner| !env.is_process_alive(raw::pid_of(owner)))
        };
        let dead: Vec<u64> = database.owing().into_iter().filter(is_dead).collect();
        dead.iter().for_each(|owner| database.forget_owed(*owner));
        dead.len().encode(env)
    })
}

fn operation<'a>(env: Env<'a>, element: Term<'a>) -> Option<Ahead> {
    let &[name, op, term] = raw::tuple_of(env, raw::word(element))? else {
        return None;
    };
    let table = state::hot_table(env, raw::term(env, name))?;
    if !table.definition().storage.is_durable() {
        return None;
    }
    let op = raw::term(env, op).decode::<rustler::Atom>().ok()?;
    let term = raw::term(env, term);
    if op == atoms::delete() {
        return Some(Ahead::Key(table, record::owned(term)?));
    }
    let row = record::row(env, &table, term).ok()?;
    Some(Ahead::Row(table, op == atoms::write(), row))
}
