//! Holders and queue of one item, and the rule of who is in whose way.
//!
//! The same for records and tables. The youngest is first in the queue: it is in the way of the
//! older ones behind it, never the other way round. A transaction is never in its own way.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::item::Kind;
use super::tid::{OwnerId, Tid};

/// Someone's wish for, or hold on, one item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) tid: Tid,
    pub(super) owner: OwnerId,
    pub(super) kind: Kind,
    /// Whether a write lock is listed beside a read lock: it was one before it was raised, or was
    /// asked for as one since.
    pub(super) was_read: bool,
}

impl Claim {
    pub(super) fn conflicts(&self, other: &Self) -> bool {
        self.kind.conflicts(other.kind) && self.tid != other.tid
    }
}

/// A claim in the queue; tokens grow with time and are used once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) claim: Claim,
    pub(super) token: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nobody is in the way.
    Grant,
    /// Only younger ones are.
    Queue,
    /// At least one older one is; this is the oldest.
    Refuse(Tid),
}

impl Verdict {
    /// Decides by the oldest of the holders in the way.
    pub(super) fn on(tid: Tid, oldest: Option<Tid>) -> Self {
        match oldest {
            None => Self::Grant,
            Some(other) if other.is_older_than(tid) => Self::Refuse(other),
            Some(_) => Self::Queue,
        }
    }

    /// Decides by a queue that a new request must not overtake: only its youngest counts, as all
    /// others wait for that one.
    pub(super) fn behind(tid: Tid, queue: &VecDeque<Waiter>) -> Self {
        Self::on(tid, queue.front().map(|first| first.claim.tid))
    }

    /// The stricter of two, the first if both refuse.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refuse(_), _) | (Self::Queue, Self::Grant) => self,
            _ => other,
        }
    }
}

pub(super) fn older(one: Option<Tid>, other: Option<Tid>) -> Option<Tid> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Who has one item, and who waits for it.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) holdings: SmallVec<[Claim; 1]>,
    pub(super) queue: VecDeque<Waiter>,
}

impl Claims {
    pub(super) fn is_empty(&self) -> bool {
        self.holdings.is_empty() && self.queue.is_empty()
    }

    pub(super) fn kind_of(&self, tid: Tid) -> Option<Kind> {
        self.holdings
            .iter()
            .find(|held| held.tid == tid)
            .map(|held| held.kind)
    }

    pub(super) fn involves(&self, tid: Tid) -> bool {
        self.kind_of(tid).is_some() || self.queue.iter().any(|w| w.claim.tid == tid)
    }

    pub(super) fn is_queued(&self, token: u64) -> bool {
        self.queue.iter().any(|waiter| waiter.token == token)
    }

    /// The oldest holder that `claim` conflicts with.
    pub(super) fn obstacle(&self, claim: &Claim) -> Option<Tid> {
        let met = self.holdings.iter().filter(|held| claim.conflicts(held));
        met.map(|held| held.tid).min()
    }

    /// Adds or strengthens a hold; returns what it was before, and is now.
    pub(super) fn hold(&mut self, claim: Claim) -> (Option<Kind>, Kind) {
        if let Some(held) = self.holdings.iter_mut().find(|held| held.tid == claim.tid) {
            let before = held.kind;
            held.kind = before.max(claim.kind);
            held.was_read |= before != claim.kind;
            return (Some(before), held.kind);
        }
        self.holdings.push(claim);
        (None, claim.kind)
    }

    pub(super) fn enqueue(&mut self, waiter: Waiter) {
        let is_younger = |other: &Waiter| waiter.claim.tid.is_older_than(other.claim.tid);
        let index = self.queue.partition_point(is_younger);
        self.queue.insert(index, waiter);
    }

    /// Takes a hold away; returns what it was.
    pub(super) fn release(&mut self, tid: Tid) -> Option<Kind> {
        let index = self.holdings.iter().position(|held| held.tid == tid)?;
        Some(self.holdings.swap_remove(index).kind)
    }

    /// Takes a transaction out of the queue; says whether it was there.
    pub(super) fn cancel(&mut self, tid: Tid) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let before = self.queue.len();
        self.queue.retain(|waiter| waiter.claim.tid != tid);
        before != self.queue.len()
    }
}
