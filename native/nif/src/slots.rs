//! Transactions of processes: a slot for each process that ever began one.
//!
//! A process gets a slot with its first transaction and keeps it; Elixir holds `{Slot, Guard}`
//! in the process dictionary. The number finds the slot without a look-up, and the owner's pid
//! is compared on every call. The guard is a resource that monitors the process: when that dies,
//! in whatever state, its transaction ends and all its locks are free.
//!
//! Never here: what a transaction does.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use magnesia_database::Database;
use magnesia_engine::txn::Transaction;
use parking_lot::{Mutex, MutexGuard};
use rustler::{Env, LocalPid, Monitor, Resource, ResourceArc, Term};

use crate::calls::SMALL_COUNT_MAX;
use crate::{raw, reaper, reply};

/// Own operations that are dropped or committed on a normal scheduler.
const OWN_COUNT_MAX: usize = SMALL_COUNT_MAX / 2;
const CHUNK_SLOTS: usize = 256;
/// Chunks there can be: room for more transactions than a VM has processes by default.
const CHUNKS: usize = 8192;

/// A transaction under way, and the database it is in.
pub(crate) struct Running {
    pub(crate) database: Arc<Database>,
    pub(crate) transaction: Transaction,
}

impl Running {
    /// Whether ending it is more than a call on a normal scheduler does.
    pub(crate) fn is_large(&self) -> bool {
        self.transaction.own().count() > OWN_COUNT_MAX
            || self.transaction.held_count() > SMALL_COUNT_MAX
    }

    /// Drops the own writes and frees all locks.
    pub(crate) fn end(&mut self) {
        self.transaction.end(self.database.engine().locks());
    }
}

#[derive(Default)]
#[repr(align(128))]
struct Slot {
    owner: AtomicUsize,
    running: Mutex<Option<Running>>,
}

type Chunk = OnceLock<Box<[Slot]>>;

static SLOTS: [Chunk; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
static NEXT: AtomicU32 = AtomicU32::new(0);
static FREE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn slot(number: u32) -> Option<&'static Slot> {
    let number = number as usize;
    let chunk = SLOTS.get(number / CHUNK_SLOTS)?;
    let new = || (0..CHUNK_SLOTS).map(|_| Slot::default()).collect();
    chunk.get_or_init(new).get(number % CHUNK_SLOTS)
}

/// Ends a slot's transaction when its process dies or forgets it.
pub(crate) struct Guard {
    number: u32,
    is_freed: AtomicBool,
}

#[rustler::resource_impl]
impl Resource for Guard {
    const IMPLEMENTS_DESTRUCTOR: bool = true;
    const IMPLEMENTS_DOWN: bool = true;

    fn destructor(self, env: Env<'_>) {
        raw::as_caller(env, || self.free());
    }

    fn down<'a>(&'a self, env: Env<'a>, _pid: LocalPid, _monitor: Monitor) {
        raw::as_caller(env, || self.free());
    }
}

impl Guard {
    fn free(&self) {
        if self.is_freed.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(slot) = slot(self.number) else {
            return;
        };
        slot.owner.store(0, Ordering::Release);
        // A death is seen on a normal scheduler, and a call of the dead may still be at work.
        let number = self.number;
        match slot.running.try_lock() {
            Some(mut running) => Self::abandon(number, running.take()),
            None => reaper::run(move || Self::abandon(number, slot.running.lock().take())),
        }
    }

    fn abandon(number: u32, running: Option<Running>) {
        if let Some(mut running) = running {
            let counters = running.database.engine().counters();
            counters.failures.fetch_add(1, Ordering::Relaxed);
            if running.is_large() {
                reaper::run(move || running.end());
            } else {
                running.end();
            }
        }
        FREE.lock().push(number);
    }
}

/// A slot for the calling process: its number and its guard, or `None` when all are taken.
pub(crate) fn claim(env: Env<'_>) -> Option<(u32, ResourceArc<Guard>)> {
    let number = FREE
        .lock()
        .pop()
        .unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed));
    let owner = raw::self_word(env);
    slot(number)?.owner.store(owner, Ordering::Release);
    let guard = ResourceArc::new(Guard {
        number,
        is_freed: AtomicBool::new(false),
    });
    guard.monitor(Some(env), &raw::pid_of(owner))?;
    Some((number, guard))
}

/// The calling process as the lock table names it.
pub(crate) fn owner(env: Env<'_>) -> magnesia_engine::locks::OwnerId {
    magnesia_engine::locks::OwnerId(raw::self_word(env) as u64)
}

/// Locks the slot of a context that belongs to the calling process.
#[inline]
pub(crate) fn lock(
    env: Env<'_>,
    context: Term<'_>,
) -> Option<MutexGuard<'static, Option<Running>>> {
    let &number = raw::tuple_of(env, raw::word(context))?.first()?;
    let slot = slot(u32::try_from(raw::small_of(number)?).ok()?)?;
    (slot.owner.load(Ordering::Acquire) == raw::self_word(env)).then(|| slot.running.lock())
}

/// Calls `f` with the transaction that the calling process has under way.
#[inline]
pub(crate) fn with_running<'a>(
    env: Env<'a>,
    context: Term<'a>,
    f: impl FnOnce(&mut Running) -> Term<'a>,
) -> Term<'a> {
    match lock(env, context).as_mut().and_then(|slot| slot.as_mut()) {
        Some(running) => f(running),
        None => reply::error(env, crate::atoms::not_owner()),
    }
}
