//! What is held and awaited at one moment, for `system_info`.
//!
//! A picture under all mutexes: consistent, and as slow as it is long. Never on a
//! transaction's path.

use super::item::{GLOBALS, Kind, OwnedItem};
use super::queue::{Claim, Claims};
use super::shard::Record;
use super::tid::{OwnerId, Tid};
use super::whole::Whole;

/// One lock that a transaction holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HeldLock {
    /// What is held.
    pub item: OwnedItem,
    /// How strongly.
    pub kind: Kind,
    /// By which transaction.
    pub tid: Tid,
    /// Of whom.
    pub owner: OwnerId,
}

/// One request that waits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct QueuedLock {
    /// The request's place in time: smaller came earlier.
    pub token: u64,
    /// What is asked for.
    pub item: OwnedItem,
    /// How strongly.
    pub kind: Kind,
    /// By which transaction.
    pub tid: Tid,
    /// Of whom.
    pub owner: OwnerId,
}

impl Record {
    fn item(&self) -> OwnedItem {
        let key = self.key.to_vec();
        match (self.table, self.is_stick) {
            (GLOBALS, _) => OwnedItem::Global { key },
            (table, true) => OwnedItem::Stick(table),
            (table, false) => OwnedItem::Record { table, key },
        }
    }
}

impl Whole<'_> {
    /// Calls `see` for each item with a claim on it.
    fn each(&self, mut see: impl FnMut(OwnedItem, &Claims)) {
        for shard in &self.shards {
            for record in &shard.records {
                see(record.item(), &record.claims);
            }
        }
        if let Some(shard) = self.shards.first() {
            for state in &shard.tables {
                see(OwnedItem::Table(state.table), &state.claims);
            }
        }
    }

    pub(super) fn held(&self) -> Vec<HeldLock> {
        let mut held = Vec::new();
        self.each(|item, claims| {
            for &Claim {
                tid,
                owner,
                kind,
                was_read,
            } in &claims.holdings
            {
                let lock = |kind| HeldLock {
                    item: item.clone(),
                    kind,
                    tid,
                    owner,
                };
                held.push(lock(kind));
                // A read lock beside the write lock is an entry of its own.
                held.extend(was_read.then(|| lock(Kind::Read)));
            }
        });
        held.sort_unstable();
        held
    }

    pub(super) fn queued(&self) -> Vec<QueuedLock> {
        let mut queued = Vec::new();
        self.each(|item, claims| {
            queued.extend(claims.queue.iter().map(|waiter| {
                let Claim {
                    tid, owner, kind, ..
                } = waiter.claim;
                QueuedLock {
                    token: waiter.token,
                    item: item.clone(),
                    kind,
                    tid,
                    owner,
                }
            }));
        });
        queued.sort_unstable();
        queued
    }
}
