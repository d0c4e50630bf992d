//! All shards at once: requests for, and releases of, whole tables.
//!
//! Holds every shard's mutex, taken in ascending order; who holds one shard never asks for another,
//! so this can't deadlock, and a table lock is in all shards or in none. The copies of a table's
//! holders and queue are equal in all shards; shard 0 speaks for them.

use smallvec::SmallVec;

use super::queue::{Claim, Verdict, Waiter};
use super::shard::Shard;
use super::sync::MutexGuard;
use super::tid::Tid;
use super::wake::{Wakes, Wakeup};

/// Shards of a lock table; also what fits inline here.
pub(super) const SHARDS: usize = 32;

/// The answer to a request for a table.
pub(super) enum Answer {
    Granted,
    Queued,
    /// By whom, and in which shard that one was met.
    Refused(Tid, usize),
}

/// The whole lock table under all its mutexes.
pub(super) struct Whole<'a> {
    pub(super) shards: SmallVec<[MutexGuard<'a, Shard>; SHARDS]>,
}

impl Whole<'_> {
    /// The oldest one in the way of a new claim, and the shard where it was met.
    fn obstacle(&self, table: u32, claim: &Claim) -> Option<(Tid, usize)> {
        let shards = self.shards.iter().enumerate();
        let met = shards.filter_map(|(index, shard)| {
            shard.table_obstacle(table, claim).map(|tid| (tid, index))
        });
        met.min()
    }

    /// Decides on a request for a table, and does what was decided.
    pub(super) fn request(&mut self, table: u32, claim: Claim, token: u64) -> Answer {
        let met = self.obstacle(table, &claim);
        match (Verdict::on(claim.tid, met.map(|(tid, _)| tid)), met) {
            (Verdict::Refuse(blocker), Some((_, shard))) => Answer::Refused(blocker, shard),
            (Verdict::Grant, _) => {
                self.hold(table, claim);
                Answer::Granted
            }
            _ => {
                for shard in &mut self.shards {
                    shard.table(table).claims.enqueue(Waiter { claim, token });
                }
                Answer::Queued
            }
        }
    }

    fn hold(&mut self, table: u32, claim: Claim) {
        for shard in &mut self.shards {
            shard.table(table).claims.hold(claim);
        }
    }

    /// Takes a transaction's hold on, and wait for, a table out of every shard.
    pub(super) fn release(&mut self, table: u32, tid: Tid, wakes: &mut Wakes) {
        for shard in &mut self.shards {
            let claims = &mut shard.table(table).claims;
            claims.release(tid);
            claims.cancel(tid);
            debug_assert!(!claims.involves(tid));
            shard.depart(tid, wakes);
        }
    }

    /// Grants whatever can be granted in `table`, until nothing more can.
    pub(super) fn grant(&mut self, table: u32, wakes: &mut Wakes) {
        loop {
            for shard in &mut self.shards {
                shard.grant_records(table, wakes);
            }
            if !self.grant_table(table, wakes) {
                return;
            }
        }
    }

    /// Grants those who wait for the whole table; says whether there was one.
    fn grant_table(&mut self, table: u32, wakes: &mut Wakes) -> bool {
        let mut has_granted = false;
        let mut index = 0;
        while let Some(waiter) = self.waiter(table, index) {
            if self.delays(table, &waiter) {
                index += 1;
                continue;
            }
            for shard in &mut self.shards {
                shard.table(table).claims.queue.remove(index);
            }
            self.hold(table, waiter.claim);
            wakes.push(waiter.claim.owner, waiter.token, Wakeup::Granted);
            has_granted = true;
        }
        has_granted
    }

    fn waiter(&self, table: u32, index: usize) -> Option<Waiter> {
        let state = self.shards.first()?.known_table(table)?;
        state.claims.queue.get(index).copied()
    }

    fn delays(&self, table: u32, waiter: &Waiter) -> bool {
        let state = self
            .shards
            .first()
            .and_then(|shard| shard.known_table(table));
        let is_delayed = state.is_some_and(|state| {
            state.claims.is_held_against(&waiter.claim) || state.claims.is_queued_before(waiter)
        });
        is_delayed || self.shards.iter().any(|shard| shard.delays(table, waiter))
    }
}
