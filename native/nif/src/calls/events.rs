//! Who is told of changes, which changes are logged, and events that Elixir makes.

use rustler::{Encoder, Env, Term};

use crate::raw::{self, nif};
use crate::{atoms, audience, change, journal, reply, state};

nif!("audience", 4, Normal, set_audience);
nif!("publish", 1, Normal, publish);
nif!("handed_on", 1, Normal, handed_on);
nif!("set_logs", 1, Normal, set_logs);
nif!("log_wait", 2, Normal, log_wait);

fn set_audience<'a>(env: Env<'a>, arguments: [Term<'a>; 4]) -> Term<'a> {
    let [to, is_direct, tables, has_activities] = arguments;
    let flag = |term: Term<'a>| term.decode().unwrap_or(false);
    let set = to.is_pid().then(|| {
        let (is_direct, has_activities) = (flag(is_direct), flag(has_activities));
        audience::set(env, to, is_direct, tables, has_activities)
    });
    answer(env, set.flatten())
}

fn publish<'a>(env: Env<'a>, [events]: [Term<'a>; 1]) -> Term<'a> {
    match change::publish(env, events) {
        Some(is_crowded) => reply::told(env, atoms::ok().encode(env), is_crowded),
        None => reply::error(env, atoms::badarg()),
    }
}

fn handed_on<'a>(env: Env<'a>, [count]: [Term<'a>; 1]) -> Term<'a> {
    answer(env, count.decode().ok().map(audience::handed_on))
}

fn set_logs<'a>(env: Env<'a>, [logs]: [Term<'a>; 1]) -> Term<'a> {
    answer(env, journal::set(env, logs))
}

fn log_wait<'a>(env: Env<'a>, [log, after]: [Term<'a>; 2]) -> Term<'a> {
    let (Some(log), Ok(after)) = (raw::atom_of(raw::word(log)), after.decode()) else {
        return reply::error(env, atoms::badarg());
    };
    state::with_database(env, |database| {
        match journal::wait(env, database, log, after) {
            Ok(Some(last)) => last.encode(env),
            Ok(None) => atoms::wait().encode(env),
            Err(error) => reply::database(env, &error),
        }
    })
}

fn answer(env: Env<'_>, done: Option<()>) -> Term<'_> {
    match done {
        Some(()) => atoms::ok().encode(env),
        None => reply::error(env, atoms::badarg()),
    }
}
