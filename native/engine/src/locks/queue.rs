//! Holders and queue of one item, and the rule of who is in whose way.
//!
//! The same for records and tables. Order of the queue is that of the tokens; nobody is granted
//! past an earlier waiter that it conflicts with. A transaction is never in its own way.

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
    /// Whether the lock was held for reading before it was raised to a write lock.
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

/// What becomes of a new request.
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
    /// Decides by the oldest of those in the way.
    pub(super) fn on(tid: Tid, oldest: Option<Tid>) -> Self {
        match oldest {
            None => Self::Grant,
            Some(other) if other.is_older_than(tid) => Self::Refuse(other),
            Some(_) => Self::Queue,
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

    /// The oldest holder or waiter that a new `claim` conflicts with.
    pub(super) fn obstacle(&self, claim: &Claim) -> Option<Tid> {
        let queued = self.queue.iter().map(|waiter| &waiter.claim);
        let all = self.holdings.iter().chain(queued);
        all.filter(|other| claim.conflicts(other))
            .map(|other| other.tid)
            .min()
    }

    pub(super) fn is_held_against(&self, claim: &Claim) -> bool {
        self.holdings.iter().any(|held| claim.conflicts(held))
    }

    /// Says whether someone who came before `waiter` still waits and conflicts with it.
    pub(super) fn is_queued_before(&self, waiter: &Waiter) -> bool {
        let earlier = self
            .queue
            .iter()
            .take_while(|other| other.token < waiter.token);
        earlier
            .into_iter()
            .any(|other| waiter.claim.conflicts(&other.claim))
    }

    /// Adds or strengthens a hold; returns what it was before.
    pub(super) fn hold(&mut self, claim: Claim) -> Option<Kind> {
        if let Some(held) = self.holdings.iter_mut().find(|held| held.tid == claim.tid) {
            let before = held.kind;
            held.kind = before.max(claim.kind);
            held.was_read |= before < held.kind;
            return Some(before);
        }
        self.holdings.push(claim);
        None
    }

    pub(super) fn enqueue(&mut self, waiter: Waiter) {
        debug_assert!(
            self.queue
                .back()
                .is_none_or(|last| last.token < waiter.token)
        );
        self.queue.push_back(waiter);
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
