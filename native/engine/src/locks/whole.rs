//! All shards at once: requests for, and releases of, whole tables.
//!
//! Holds every shard's mutex, taken in ascending order; who holds one shard never asks for another,
//! so this can't deadlock, and a table lock is in all shards or in none. The copies of a table's
//! holders and queue are equal in all shards; shard 0 speaks for them.

use std::cmp::Reverse;

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
    /// The oldest holder in the way of a claim, and the shard where it was met.
    fn obstacle(&self, table: u32, claim: &Claim) -> Option<(Tid, usize)> {
        let shards = self.shards.iter().enumerate();
        let met = shards.filter_map(|(index, shard)| {
            shard.table_obstacle(table, claim).map(|tid| (tid, index))
        });
        met.min()
    }

    /// Decides on a request for a table, and does what was decided.
    ///
    /// Of those who wait only the table's own count, not those for its records.
    pub(super) fn request(&mut self, table: u32, claim: Claim, token: u64) -> Answer {
        let met = self.obstacle(table, &claim);
        let verdict = match Verdict::on(claim.tid, met.map(|(tid, _)| tid)) {
            Verdict::Grant => Verdict::behind(claim.tid, &self.shards[0].table(table).claims.queue),
            settled => settled,
        };
        match verdict {
            Verdict::Refuse(blocker) => Answer::Refused(blocker, met.map_or(0, |(_, at)| at)),
            Verdict::Grant => {
                self.hold(table, claim);
                Answer::Granted
            }
            Verdict::Queue => {
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

    /// Lets on those who wait for `table` or its records, the youngest first: as long as one stays,
    /// older ones stay behind it, those for the same record or, if it is for the table, all.
    pub(super) fn let_on(&mut self, table: u32, wakes: &mut Wakes) {
        let mut waiters: Vec<_> = self.waiters(table).collect();
        waiters.sort_unstable_by_key(|&(tid, ..)| Reverse(tid));
        for (_, record, token) in waiters {
            match record {
                Some((index, hash)) => self.shards[index].let_on(table, hash, token, wakes),
                None if self.let_on_first(table, wakes) => {}
                None => return,
            }
        }
    }

    /// Everyone who waits in a table: age, shard and hash if it is for a record, and token.
    fn waiters(&self, table: u32) -> impl Iterator<Item = (Tid, Option<(usize, u64)>, u64)> {
        let state = self.shards.first().and_then(|s| s.known_table(table));
        let whole = state.into_iter().flat_map(|state| &state.claims.queue);
        let records = self
            .shards
            .iter()
            .enumerate()
            .flat_map(move |(index, shard)| {
                let waiters = shard.waiters(table);
                waiters.map(move |(tid, hash, token)| (tid, Some((index, hash)), token))
            });
        whole
            .map(|waiter| (waiter.claim.tid, None, waiter.token))
            .chain(records)
    }

    /// Decides again on the first who waits for the whole table; says whether it left.
    fn let_on_first(&mut self, table: u32, wakes: &mut Wakes) -> bool {
        let state = self.shards.first().and_then(|s| s.known_table(table));
        let Some(&Waiter { claim, token }) = state.and_then(|s| s.claims.queue.front()) else {
            return false;
        };
        let met = self.obstacle(table, &claim).map(|(tid, _)| tid);
        let verdict = Verdict::on(claim.tid, met);
        if verdict == Verdict::Queue {
            return false;
        }
        for shard in &mut self.shards {
            shard.table(table).claims.queue.pop_front();
        }
        if verdict == Verdict::Grant {
            self.hold(table, claim);
        } else {
            for shard in &mut self.shards {
                shard.depart(claim.tid, wakes);
            }
        }
        wakes.push(claim.owner, token, Wakeup::Granted);
        true
    }
}
