//! One shard of the lock table: the records whose hash leads here, under one mutex.
//!
//! A shard also has a copy of every table lock and of every wait for one, so that a request for a
//! record looks nowhere else; and it counts its record locks for each table, so that a request for
//! a table passes quickly over shards which have nothing to say. Never: other shards, wake-ups
//! sent.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smallvec::SmallVec;

#[cfg(test)]
use super::flaw::Flaw;
use super::holder::Slot;
use super::item::{GLOBALS, Kind, Place, mix_table};
use super::queue::{Claim, Claims, Verdict, Waiter, older};
use super::refusal::Refusals;
use super::tid::Tid;
use super::wake::{Wakes, Wakeup};

/// An empty shard keeps room for this many records and gives back more.
const RECORDS_KEPT: usize = 1_024;

/// One locked or awaited record; `hash` is the mixed one.
pub(super) struct Record {
    hash: u64,
    pub(super) table: u32,
    pub(super) is_stick: bool,
    pub(super) key: SmallVec<[u8; 32]>,
    pub(super) claims: Claims,
}

impl Record {
    fn new(place: Place<'_>) -> Self {
        let Place {
            hash,
            table,
            is_stick,
            key,
        } = place;
        let key = SmallVec::from_slice(key);
        Self {
            hash,
            table,
            is_stick,
            key,
            claims: Claims::default(),
        }
    }

    fn is_at(&self, place: &Place<'_>) -> bool {
        self.hash == place.hash
            && self.table == place.table
            && self.is_stick == place.is_stick
            && self.key.as_slice() == place.key
    }

    fn is_in(&self, slot: Slot) -> bool {
        self.hash == slot.hash && self.table == slot.table
    }

    /// The first in the queue, and what to do with it now.
    fn first(&self, state: &TableState) -> Option<(Waiter, Verdict)> {
        let first = *self.claims.queue.front()?;
        let claim = &first.claim;
        let oldest = older(self.claims.obstacle(claim), state.claims.obstacle(claim));
        Some((first, Verdict::on(claim.tid, oldest)))
    }

    #[cfg(test)]
    fn is_first_refused(&self, state: &TableState) -> bool {
        matches!(self.first(state), Some((_, Verdict::Refuse(_))))
    }

    /// Decides again on the first in the queue; says whether it left.
    ///
    /// One that an older holder is in the way of leaves with nothing, and hears of the refusal when
    /// it asks again: a table's lock passes by those who wait for records.
    fn let_on_first(&mut self, state: &mut TableState, wakes: &mut Wakes) -> bool {
        let Some((Waiter { claim, token }, verdict)) = self.first(state) else {
            return false;
        };
        if verdict == Verdict::Queue {
            return false;
        }
        self.claims.queue.pop_front();
        assert!(state.waiting > 0, "a waiter leaves which was never counted");
        state.waiting -= 1;
        if verdict == Verdict::Grant {
            let (before, now) = self.claims.hold(claim);
            state.recount(before, Some(now));
        }
        wakes.push(claim.owner, token, Wakeup::Granted);
        true
    }
}

/// What one shard knows of one table: its locks as a whole, and how many of its records' are here.
#[derive(Default)]
pub(super) struct TableState {
    pub(super) table: u32,
    readers: u32,
    writers: u32,
    waiting: u32,
    pub(super) claims: Claims,
}

impl TableState {
    fn is_empty(&self) -> bool {
        self.readers == 0 && self.writers == 0 && self.waiting == 0 && self.claims.is_empty()
    }

    fn count(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Read => &mut self.readers,
            Kind::Write => &mut self.writers,
        }
    }

    fn recount(&mut self, before: Option<Kind>, after: Option<Kind>) {
        if let Some(kind) = before {
            let count = self.count(kind);
            assert!(*count > 0, "a lock is released which was never counted");
            *count -= 1;
        }
        if let Some(kind) = after {
            *self.count(kind) += 1;
        }
    }

    /// Says whether a lock of `kind` on the whole table could meet a record lock of this shard.
    fn concerns(&self, kind: Kind) -> bool {
        self.writers > 0 || (kind == Kind::Write && self.readers > 0)
    }
}

/// The answer to a request for a record; `is_new` if the transaction had no claim on it before.
pub(super) enum Answer {
    Granted { is_new: bool },
    Queued { is_new: bool, token: u64 },
    Refused(Tid),
}

/// Records, tables and refusals under one mutex.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) records: HashTable<Record>,
    pub(super) tables: HashTable<TableState>,
    pub(super) refusals: Refusals,
    #[cfg(test)]
    pub(super) flaw: Option<Flaw>,
}

fn state_of(tables: &mut HashTable<TableState>, table: u32) -> &mut TableState {
    match tables.find_entry(mix_table(table), |state| state.table == table) {
        Ok(entry) => entry.into_mut(),
        Err(absent) => {
            let state = TableState {
                table,
                ..TableState::default()
            };
            let hasher = |state: &TableState| mix_table(state.table);
            absent
                .into_table()
                .insert_unique(mix_table(table), state, hasher)
                .into_mut()
        }
    }
}

impl Shard {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.refusals.is_empty()
            && self.tables.iter().all(TableState::is_empty)
    }

    pub(super) fn table(&mut self, table: u32) -> &mut TableState {
        state_of(&mut self.tables, table)
    }

    pub(super) fn known_table(&self, table: u32) -> Option<&TableState> {
        self.tables
            .find(mix_table(table), |state| state.table == table)
    }

    /// Removes what is known of a table that has no locks here.
    pub(super) fn forget_table(&mut self, table: u32) {
        let is_it = |state: &TableState| state.table == table && state.is_empty();
        if let Ok(entry) = self.tables.find_entry(mix_table(table), is_it) {
            entry.remove();
        }
    }

    /// Decides on a request for a record, and does what was decided.
    pub(super) fn request(
        &mut self,
        place: Place<'_>,
        claim: Claim,
        token: impl FnOnce() -> u64,
    ) -> Answer {
        let state = state_of(&mut self.tables, place.table);
        let mut oldest = state.claims.obstacle(&claim);
        let mut behind = Verdict::Grant;
        let entry = self
            .records
            .entry(place.hash, |record| record.is_at(&place), |r| r.hash);
        let mut own = None;
        if let Entry::Occupied(entry) = &entry {
            let claims = &entry.get().claims;
            own = claims.kind_of(claim.tid);
            // Mnesia asks again for a term that is held, so its reader gives way to an older one
            // who waits for it, and a writer's read lock is listed beside the write lock.
            let asks_again = place.table == GLOBALS && claim.kind == Kind::Read;
            if own.is_some_and(|kind| kind.covers(claim.kind)) && !asks_again {
                return Answer::Granted { is_new: false };
            }
            oldest = older(oldest, claims.obstacle(&claim));
            // A reader does not overtake those who wait for the record; a writer does, as nobody
            // else holds the record then and those who wait are older.
            if claim.kind == Kind::Read {
                behind = Verdict::behind(claim.tid, &claims.queue);
            }
        }
        let verdict = match Verdict::on(claim.tid, oldest) {
            Verdict::Grant => behind.and(Verdict::behind(claim.tid, &state.claims.queue)),
            settled => settled,
        };
        #[cfg(test)]
        let verdict = verdict.bent(self.flaw, own.is_some());
        if let Verdict::Refuse(blocker) = verdict {
            return Answer::Refused(blocker);
        }
        let record = entry.or_insert_with(|| Record::new(place)).into_mut();
        if verdict == Verdict::Grant {
            let (before, now) = record.claims.hold(claim);
            state.recount(before, Some(now));
            return Answer::Granted {
                is_new: own.is_none(),
            };
        }
        let token = token();
        record.claims.enqueue(Waiter { claim, token });
        state.waiting += 1;
        Answer::Queued {
            is_new: own.is_none(),
            token,
        }
    }

    /// Says whether someone waits for the whole of `table`.
    pub(super) fn is_awaited(&self, table: u32) -> bool {
        #[cfg(test)]
        if self.flaw == Some(Flaw::ForgetTableQueue) {
            return false;
        }
        self.known_table(table)
            .is_some_and(|state| !state.claims.queue.is_empty())
    }

    /// Releases one record lock and queue entry, if it is there still, and lets on those who wait
    /// for the record if nobody waits for its table.
    pub(super) fn release(&mut self, slot: Slot, tid: Tid, wakes: &mut Wakes) {
        let is_awaited = self.is_awaited(slot.table);
        let state = state_of(&mut self.tables, slot.table);
        let is_it = |record: &Record| record.is_in(slot) && record.claims.involves(tid);
        if let Ok(mut entry) = self.records.find_entry(slot.hash, is_it) {
            let record = entry.get_mut();
            state.recount(record.claims.release(tid), None);
            #[cfg(test)]
            let forgets = self.flaw == Some(Flaw::ForgetCancel);
            #[cfg(not(test))]
            let forgets = false;
            if !forgets && record.claims.cancel(tid) {
                state.waiting -= 1;
            }
            #[cfg(test)]
            let is_awaited = is_awaited
                || self.flaw == Some(Flaw::StayForOlder) && record.is_first_refused(state);
            while !is_awaited && record.let_on_first(state, wakes) {}
            if record.claims.is_empty() {
                entry.remove();
            }
        }
        self.depart(tid, wakes);
        if self.records.is_empty() && self.records.capacity() > RECORDS_KEPT {
            self.records = HashTable::new();
        }
    }

    /// `tid` has released something here: those it refused hear of it.
    pub(super) fn depart(&mut self, tid: Tid, wakes: &mut Wakes) {
        if self.refusals.is_empty() {
            return;
        }
        #[cfg(test)]
        if self.flaw == Some(Flaw::ForgetRefused) {
            return;
        }
        self.refusals.depart(tid, wakes);
    }

    pub(super) fn is_queued(&self, slot: Slot, token: u64) -> bool {
        let is_it = |record: &Record| {
            record.is_in(slot) && record.claims.queue.iter().any(|w| w.token == token)
        };
        self.records.find(slot.hash, is_it).is_some()
    }

    /// The oldest here that a new claim on the whole table conflicts with.
    pub(super) fn table_obstacle(&self, table: u32, claim: &Claim) -> Option<Tid> {
        let state = self.known_table(table)?;
        let mut oldest = state.claims.obstacle(claim);
        if state.concerns(claim.kind) {
            for record in self.records.iter().filter(|record| record.table == table) {
                oldest = older(oldest, record.claims.obstacle(claim));
            }
        }
        oldest
    }

    /// Everyone who waits for a record of `table` here: age, the record's hash, and token.
    pub(super) fn waiters(&self, table: u32) -> impl Iterator<Item = (Tid, u64, u64)> {
        let is_awaited = self
            .known_table(table)
            .is_some_and(|state| state.waiting > 0);
        let records = self
            .records
            .iter()
            .filter(move |r| is_awaited && r.table == table);
        records.flat_map(|record| {
            let queue = record.claims.queue.iter();
            queue.map(|waiter| (waiter.claim.tid, record.hash, waiter.token))
        })
    }

    /// Decides again on one who waits for a record of `table`, unless somebody younger stays
    /// before it.
    pub(super) fn let_on(&mut self, table: u32, hash: u64, token: u64, wakes: &mut Wakes) {
        let state = state_of(&mut self.tables, table);
        let is_it = |record: &Record| {
            let first = record.claims.queue.front();
            record.table == table && first.is_some_and(|waiter| waiter.token == token)
        };
        let Ok(mut entry) = self.records.find_entry(hash, is_it) else {
            return;
        };
        #[cfg(test)]
        if self.flaw == Some(Flaw::StayForOlder) && entry.get().is_first_refused(state) {
            return;
        }
        entry.get_mut().let_on_first(state, wakes);
        if entry.get().claims.is_empty() {
            entry.remove();
        }
    }

    /// Says how strongly a transaction holds one record.
    pub(super) fn kind_of(&self, place: &Place<'_>, tid: Tid) -> Option<Kind> {
        let record = self
            .records
            .find(place.hash, |record| record.is_at(place))?;
        record.claims.kind_of(tid)
    }
}
