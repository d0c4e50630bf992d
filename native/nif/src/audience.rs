//! Who hears of changes: the tables that are watched, and the process that is told.
//!
//! Subscriptions are kept by an Elixir process; here is only what a writer has to know. A table
//! that nobody watches costs a writer one load and one bit. What is watched is written one
//! writer at a time, from reading the old rows to the sending of the events, so that events
//! come in the order of the commits. A writer sends one message: to the only subscriber there
//! is, or to the process that hands it on to all of them. How many events that process has before
//! it is counted, so that writers can be told to wait for it.
//!
//! Never here: what a change is (see `change`), a list of subscribers, waiting for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use magnesia_engine::Table;
use magnesia_term::Atom;
use parking_lot::{Mutex, MutexGuard};
use rustler::{Encoder, Env, Term};

use crate::raw::{self, Word};
use crate::{atoms, source};

/// What is told of a table's changes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Watch {
    pub(crate) is_simple: bool,
    pub(crate) is_detailed: bool,
}

/// What writers are to tell, and whom.
pub(crate) struct Audience {
    to: Word,
    /// Whether `to` is the only subscriber, which takes events as they are.
    is_direct: bool,
    tables: HashMap<Atom, Watch>,
}

static AUDIENCE: ArcSwapOption<Audience> = ArcSwapOption::const_empty();
/// One bit for 64 groups of atoms: whether a table of the group is watched or logged.
static WATCHED: AtomicU64 = AtomicU64::new(0);
/// The same of those that somebody hears of, and of those that have a log.
static PARTS: Mutex<(u64, u64)> = Mutex::new((0, 0));
static HEARS_ACTIVITIES: AtomicBool = AtomicBool::new(false);
static ORDER: Mutex<()> = Mutex::new(());
/// Events that were sent to be handed on and are not yet.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// The process that they were sent to.
static KEEPER: AtomicUsize = AtomicUsize::new(0);

/// Events that may wait to be handed on before their writers have to.
const WAITING_MAX: usize = 32_768;

fn bit(name: Atom) -> u64 {
    1 << (name.handle() & (u64::BITS - 1))
}

/// Whether a table may be watched or logged; most that are not are told apart here.
#[inline]
pub(crate) fn may_hear(name: Atom) -> bool {
    WATCHED.load(Ordering::Relaxed) & bit(name) != 0
}

/// Whether somebody is told of transactions that have committed.
#[inline]
pub(crate) fn hears_activities() -> bool {
    HEARS_ACTIVITIES.load(Ordering::Relaxed)
}

/// Keeps other writers of watched tables out until it is dropped.
pub(crate) fn in_order() -> MutexGuard<'static, ()> {
    ORDER.lock()
}

/// The audience as it is now.
pub(crate) fn now() -> Guard<Option<Arc<Audience>>> {
    AUDIENCE.load()
}

impl Audience {
    /// What is told of a table.
    pub(crate) fn watch(&self, table: &Table) -> Watch {
        let name = table.definition().name;
        self.tables.get(&name).copied().unwrap_or_default()
    }

    /// Sends events, each `{Stream, Message}` with Stream `{Table, Kind}` or `activity`; `env`
    /// is that of a call. Tells whether so many wait to be handed on that the writer has to, too.
    pub(crate) fn tell(&self, env: Env<'_>, events: &[(Word, Word)]) -> bool {
        if events.is_empty() {
            return false;
        }
        raw::as_caller(env, || {
            if self.is_direct {
                for &(_, message) in events {
                    raw::send(self.to, raw::term(env, message));
                }
                return;
            }
            let mut list = raw::nil_word();
            for &(stream, message) in events.iter().rev() {
                let event = raw::tuple_word(env, &[stream, message]);
                list = raw::cons_word(env, event, list);
            }
            let message = (atoms::events(), raw::term(env, list)).encode(env);
            WAITING.fetch_add(events.len(), Ordering::Relaxed);
            raw::send(self.to, message);
        });
        !self.is_direct && WAITING.load(Ordering::Relaxed) > WAITING_MAX
    }
}

/// Notes that so many events have been handed on.
pub(crate) fn handed_on(count: usize) {
    let less = |waiting: usize| Some(waiting.saturating_sub(count));
    let noted = WAITING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    debug_assert!(noted.is_ok(), "there is always a next value");
}

/// Replaces the audience: `Tables` is a list of `{Table, Simple, Detailed}`.
pub(crate) fn set<'a>(
    env: Env<'a>,
    to: Term<'a>,
    is_direct: bool,
    tables: Term<'a>,
    has_activities: bool,
) -> Option<()> {
    let truth = raw::word(true.encode(env));
    let mut watched = HashMap::new();
    for entry in source::list(tables)? {
        let &[name, simple, detailed] = raw::tuple_of(env, raw::word(entry))? else {
            return None;
        };
        let watch = Watch {
            is_simple: simple == truth,
            is_detailed: detailed == truth,
        };
        watched.insert(raw::atom_of(name)?, watch);
    }
    let order = in_order();
    // What one process had before it is gone when another has taken its place.
    let keeper = raw::self_word(env);
    if KEEPER.swap(keeper, Ordering::Relaxed) != keeper {
        WAITING.store(0, Ordering::Relaxed);
    }
    let bits = watched.keys().fold(0, |bits, &name| bits | bit(name));
    AUDIENCE.store(Some(Arc::new(Audience {
        to: raw::word(to),
        is_direct,
        tables: watched,
    })));
    let mut parts = PARTS.lock();
    parts.0 = bits;
    WATCHED.store(parts.0 | parts.1, Ordering::Release);
    HEARS_ACTIVITIES.store(has_activities, Ordering::Release);
    drop(order);
    Some(())
}

/// Replaces the tables that have a log, and the logs; called with other writers held out.
pub(crate) fn set_logged(names: impl Iterator<Item = Atom>) {
    let bits = names.fold(0, |bits, name| bits | bit(name));
    let mut parts = PARTS.lock();
    parts.1 = bits;
    WATCHED.store(parts.0 | parts.1, Ordering::Release);
}
