//! Who is told of changes, and events that Elixir makes.

use rustler::{Encoder, Env, Term};

use crate::raw::nif;
use crate::{atoms, audience, change, reply};

nif!("audience", 4, Normal, set_audience);
nif!("publish", 1, Normal, publish);

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
    answer(env, change::publish(env, events))
}

fn answer(env: Env<'_>, done: Option<()>) -> Term<'_> {
    match done {
        Some(()) => atoms::ok().encode(env),
        None => reply::error(env, atoms::badarg()),
    }
}
