//! One transaction's own list of what it holds, kept by its caller.
//!
//! It lives as long as the outermost transaction, over all restarts, and has at most one request
//! outstanding. The lock table is the truth; this list only says where to release. Dropping a
//! holder that was not released leaks its locks.

use smallvec::SmallVec;

use super::item::Kind;
use super::tid::{OwnerId, Tid};

/// Where one record lock of this transaction is.
///
/// Two keys of one table with equal hashes make two equal slots; each release takes one of them.
/// A wait that ended in a refusal leaves a slot with nothing behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) hash: u64,
    pub(super) table: u32,
}

/// The one request that waits in a queue, or was granted there since.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    /// Its slot is in the list already.
    Record { slot: Slot, token: u64 },
    /// Joins the list of tables when it is seen to be granted.
    Table { table: u32, kind: Kind, token: u64 },
}

/// Where this transaction was refused: which shard has the note, under which token.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedAt {
    pub(super) shard: usize,
    pub(super) token: u64,
}

/// What one transaction holds and waits for.
#[derive(Debug)]
pub struct Holder {
    tid: Tid,
    owner: OwnerId,
    pub(super) slots: SmallVec<[Slot; 8]>,
    pub(super) tables: SmallVec<[(u32, Kind); 2]>,
    pub(super) pending: Option<Pending>,
    pub(super) refused: Option<RefusedAt>,
}

impl Holder {
    pub(super) fn new(tid: Tid, owner: OwnerId) -> Self {
        let (slots, tables) = (SmallVec::new(), SmallVec::new());
        Self {
            tid,
            owner,
            slots,
            tables,
            pending: None,
            refused: None,
        }
    }

    /// The transaction's id.
    #[must_use]
    pub fn tid(&self) -> Tid {
        self.tid
    }

    /// Who is woken.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// Says whether there is anything that others could wait for: locks or a place in a queue.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        !self.slots.is_empty() || !self.tables.is_empty() || self.pending.is_some()
    }

    /// How many locks it holds.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.slots.len() + self.tables.len()
    }

    /// Says whether the last request was queued and has not been asked for again since.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// How strongly the whole of `table` is held.
    #[must_use]
    pub fn table_kind(&self, table: u32) -> Option<Kind> {
        self.tables
            .iter()
            .find(|(t, _)| *t == table)
            .map(|(_, kind)| *kind)
    }

    pub(super) fn note_table(&mut self, table: u32, kind: Kind) {
        match self.tables.iter_mut().find(|(t, _)| *t == table) {
            Some((_, held)) => *held = kind.max(*held),
            None => self.tables.push((table, kind)),
        }
    }
}
