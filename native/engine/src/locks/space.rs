//! The lock table of one database: the door to all locks.
//!
//! A request for a record takes one mutex, a request for a table takes all; a decision is made and
//! carried out under them, so nobody sees half of one. Wake-ups go out when the mutexes are free.

use std::sync::Arc;

use crossbeam_utils::CachePadded;
use smallvec::SmallVec;

#[cfg(test)]
use super::flaw::Flaw;
use super::holder::{Holder, Pending, RefusedAt, Slot};
use super::item::{GLOBALS, Item, Kind, Place};
use super::listing::{HeldLock, QueuedLock};
use super::queue::Claim;
use super::shard::{self, Shard};
use super::sticky::StuckTables;
use super::sync::{AtomicU64, Mutex, Ordering};
use super::tid::{OwnerId, Tid};
use super::waiters::Waiters;
use super::wake::{Wake, Wakes};
use super::whole::{self, SHARDS, Whole};

/// The answer to a request for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The lock is held.
    Granted,
    /// The request is queued behind younger transactions: wait to be woken with this token as
    /// granted, then ask again for the same.
    Wait {
        /// Names the wait; used once.
        token: u64,
    },
    /// An older transaction is in the way: drop all work and [`LockTable::await_end`].
    Die {
        /// The oldest one in the way.
        blocker: Tid,
    },
    /// Too many wait already: the transaction must end. Only a transaction answers this, which
    /// has [counted](LockTable::waiters) itself among those who wait; the lock table never does.
    Busy,
}

/// The answer to the wait for a blocker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Await {
    /// It has released what it held: start again now.
    Ended,
    /// Wait to be woken with this token as the blocker being gone, then start again.
    Wait {
        /// Names the wait; used once.
        token: u64,
    },
}

/// Why everything is released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// The transaction starts again: it may still ask to be told when its blocker is gone.
    Restart,
    /// It is over: committed, aborted, or its owner is dead.
    End,
}

/// All locks of one database.
pub struct LockTable {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    tokens: CachePadded<AtomicU64>,
    stuck: StuckTables,
    waiters: Waiters,
    wake: Arc<dyn Wake>,
    #[cfg(test)]
    flaw: Option<Flaw>,
}

impl LockTable {
    /// Makes an empty table, whose waiters are woken by `wake`.
    #[must_use]
    pub fn new(wake: Arc<dyn Wake>) -> Self {
        Self::with_shards(wake, SHARDS)
    }

    /// `shards` is a power of two; the tests take few, to meet more often.
    pub(crate) fn with_shards(wake: Arc<dyn Wake>, shards: usize) -> Self {
        assert!(shards.is_power_of_two(), "shards are picked by a mask");
        let shards = (0..shards).map(|_| CachePadded::new(Mutex::new(Shard::default())));
        Self {
            shards: shards.collect(),
            tokens: CachePadded::new(AtomicU64::new(1)),
            stuck: StuckTables::new(),
            waiters: Waiters::new(),
            wake,
            #[cfg(test)]
            flaw: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_flaw(wake: Arc<dyn Wake>, shards: usize, flaw: Flaw) -> Self {
        let table = Self {
            flaw: Some(flaw),
            ..Self::with_shards(wake, shards)
        };
        for shard in &table.shards {
            shard.lock().flaw = Some(flaw);
        }
        table
    }

    /// Starts the list of a transaction's locks. Registers nothing.
    #[must_use]
    pub fn begin(&self, tid: Tid, owner: OwnerId) -> Holder {
        Holder::new(tid, owner)
    }

    /// Holders and queues of one moment, for the tests' invariants.
    #[cfg(test)]
    pub(crate) fn picture(&self) -> (Vec<HeldLock>, Vec<QueuedLock>) {
        let whole = self.whole();
        (whole.held(), whole.queued())
    }

    /// Asks for one lock; holding it already, or its whole table as strongly, is enough.
    ///
    /// - While an earlier request waits, any request answers for that one first.
    /// - Cost: one mutex for a record, all mutexes for a table; none if the table is held.
    pub fn acquire(&self, tx: &mut Holder, item: Item<'_>, kind: Kind) -> Outcome {
        if tx.pending.is_some() || tx.refused.is_some() {
            if let Some(token) = self.still_waits(tx) {
                return Outcome::Wait { token };
            }
            self.cancel_refusal(tx);
        }
        match item {
            Item::Record { table, key, hash } => {
                debug_assert_ne!(table, GLOBALS, "a reserved number");
                self.acquire_record(tx, Place::new(table, key, hash), kind)
            }
            Item::Global { key, hash } => {
                self.acquire_record(tx, Place::new(GLOBALS, key, hash), kind)
            }
            Item::Stick(table) => self.acquire_record(tx, Place::of_stick(table), kind),
            Item::Table(table) => self.acquire_table(tx, table, kind),
        }
    }

    fn acquire_record(&self, tx: &mut Holder, place: Place<'_>, kind: Kind) -> Outcome {
        if tx
            .table_kind(place.table)
            .is_some_and(|held| held.covers(kind))
        {
            return Outcome::Granted;
        }
        let claim = Claim {
            tid: tx.tid(),
            owner: tx.owner(),
            kind,
            was_read: false,
        };
        let slot = Slot {
            hash: place.hash,
            table: place.table,
        };
        let index = self.index(place.hash);
        let mut shard = self.shards[index].lock();
        match shard.request(place, claim, || self.next_token()) {
            shard::Answer::Granted { is_new } => {
                drop(shard);
                if is_new {
                    tx.slots.push(slot);
                }
                Outcome::Granted
            }
            shard::Answer::Queued { is_new, token } => {
                drop(shard);
                if is_new {
                    tx.slots.push(slot);
                }
                tx.pending = Some(Pending::Record { slot, token });
                Outcome::Wait { token }
            }
            shard::Answer::Refused(blocker) => self.refuse(tx, &mut shard, index, blocker),
        }
    }

    fn acquire_table(&self, tx: &mut Holder, table: u32, kind: Kind) -> Outcome {
        debug_assert_ne!(table, GLOBALS, "a reserved number");
        if tx.table_kind(table).is_some_and(|held| held.covers(kind)) {
            return Outcome::Granted;
        }
        let claim = Claim {
            tid: tx.tid(),
            owner: tx.owner(),
            kind,
            was_read: false,
        };
        let mut whole = self.whole();
        let token = self.next_token();
        match whole.request(table, claim, token) {
            whole::Answer::Granted => {
                tx.note_table(table, kind);
                Outcome::Granted
            }
            whole::Answer::Queued => {
                tx.pending = Some(Pending::Table { table, kind, token });
                Outcome::Wait { token }
            }
            whole::Answer::Refused(blocker, index) => {
                self.refuse(tx, &mut whole.shards[index], index, blocker)
            }
        }
    }

    /// Notes a refusal where the blocker was met, so that its departure is seen.
    fn refuse(&self, tx: &mut Holder, shard: &mut Shard, index: usize, blocker: Tid) -> Outcome {
        assert!(
            blocker.is_older_than(tx.tid()),
            "only an older transaction refuses"
        );
        let token = self.next_token();
        shard.refusals.note(blocker, tx.owner(), token);
        tx.refused = Some(RefusedAt {
            shard: index,
            token,
        });
        Outcome::Die { blocker }
    }

    /// The token of the request that still waits; one that was granted joins the held ones.
    fn still_waits(&self, tx: &mut Holder) -> Option<u64> {
        let (is_queued, token) = match tx.pending? {
            Pending::Record { slot, token } => (
                self.shards[self.index(slot.hash)]
                    .lock()
                    .is_queued(slot, token),
                token,
            ),
            Pending::Table { table, token, .. } => {
                let shard = self.shards[0].lock();
                let claims = shard.known_table(table).map(|state| &state.claims);
                let is_queued = claims.is_some_and(|claims| claims.is_queued(token));
                let held = claims.and_then(|claims| claims.kind_of(tx.tid()));
                drop(shard);
                if let Some(kind) = held {
                    tx.note_table(table, kind);
                }
                (is_queued, token)
            }
        };
        if is_queued {
            return Some(token);
        }
        tx.pending = None;
        None
    }

    /// After a refusal: releases everything and asks to be told when the blocker is gone.
    ///
    /// A blocker that starts again itself is gone as well, as it holds nothing any more.
    pub fn await_end(&self, tx: &mut Holder) -> Await {
        self.release_all(tx, Until::Restart);
        let Some(RefusedAt { shard, token }) = tx.refused else {
            return Await::Ended;
        };
        if self.shards[shard].lock().refusals.arm(token) {
            return Await::Wait { token };
        }
        tx.refused = None;
        Await::Ended
    }

    /// Releases everything a transaction holds and waits for, whatever its state, and grants what
    /// others waited for. Doing it twice is harmless.
    ///
    /// - A wake-up may already be on its way to a wait which this cancels.
    pub fn release_all(&self, tx: &mut Holder, until: Until) {
        if until == Until::End {
            self.cancel_refusal(tx);
        }
        if !tx.holds_any() {
            return;
        }
        let mut wakes = Wakes::default();
        let tid = tx.tid();
        // Records of a table that someone waits for are released with all mutexes held: whoever is
        // next, for the record or for the table, is decided at once.
        tx.slots.retain(|slot| {
            let mut shard = self.shards[self.index(slot.hash)].lock();
            let is_awaited = shard.is_awaited(slot.table);
            if !is_awaited {
                shard.release(*slot, tid, &mut wakes);
            }
            is_awaited
        });
        if let Some(Pending::Table { table, kind, .. }) = tx.pending.take() {
            tx.note_table(table, kind);
        }
        self.release_tables(tx, &mut wakes);
        debug_assert!(!tx.holds_any());
        self.send(wakes);
    }

    /// Releases whole tables and the records that are left, and lets on whoever waits there.
    fn release_tables(&self, tx: &mut Holder, wakes: &mut Wakes) {
        if tx.tables.is_empty() && tx.slots.is_empty() {
            return;
        }
        let tid = tx.tid();
        let mut whole = self.whole();
        let mut tables = SmallVec::<[u32; 4]>::new();
        for (table, _) in tx.tables.drain(..) {
            whole.release(table, tid, wakes);
            tables.push(table);
        }
        for slot in tx.slots.drain(..) {
            whole.shards[self.index(slot.hash)].release(slot, tid, wakes);
            if !tables.contains(&slot.table) {
                tables.push(slot.table);
            }
        }
        for table in tables {
            whole.let_on(table, wakes);
        }
    }

    fn cancel_refusal(&self, tx: &mut Holder) {
        if let Some(RefusedAt { shard, token }) = tx.refused.take() {
            self.shards[shard].lock().refusals.cancel(token);
        }
    }

    fn send(&self, wakes: Wakes) {
        #[cfg(test)]
        if self.flaw == Some(Flaw::LoseWakeup) {
            return;
        }
        wakes.send(&*self.wake);
    }

    /// Every lock held now, in the order of items.
    #[must_use]
    pub fn held(&self) -> Vec<HeldLock> {
        self.whole().held()
    }

    /// Every request waiting now, the earliest first.
    #[must_use]
    pub fn queued(&self) -> Vec<QueuedLock> {
        self.whole().queued()
    }

    /// The count of transactions that wait.
    #[must_use]
    #[inline]
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Which tables are stuck to this node, by the numbers of their names.
    #[must_use]
    pub fn sticky(&self) -> &StuckTables {
        &self.stuck
    }

    /// Says whether a transaction holds a record as strongly as this, by its own lock or its
    /// table's.
    #[must_use]
    pub fn holds(&self, tx: &Holder, table: u32, key: &[u8], hash: u64, kind: Kind) -> bool {
        let place = Place::new(table, key, hash);
        let covers = |held: Option<Kind>| held.is_some_and(|held| held.covers(kind));
        covers(tx.table_kind(table))
            || covers(
                self.shards[self.index(place.hash)]
                    .lock()
                    .kind_of(&place, tx.tid()),
            )
    }

    /// Drops the counters of a deleted table; its locks, if any are left, stay until released.
    pub fn forget_table(&self, table: u32) {
        for shard in &mut self.whole().shards {
            shard.forget_table(table);
        }
    }

    /// Says whether nothing is held, awaited or refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole().shards.iter().all(|shard| shard.is_empty())
    }

    fn whole(&self) -> Whole<'_> {
        Whole {
            shards: self.shards.iter().map(|shard| shard.lock()).collect(),
        }
    }

    fn index(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.shards.len() - 1)
    }

    fn next_token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }
}
