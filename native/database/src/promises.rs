//! Commits that were logged ahead as one record, and what of each is not done yet.
//!
//! Their host does the operations one by one. What the record has already is not logged again
//! when it is done, so the log has the commit in one place, whole. But a dump whose line falls
//! in the middle of a commit drops the record, with operations that no snapshot has: what is
//! still owed at the line is logged again, first of all after it. Nothing is owed any more once
//! it is done, or once a later write decides what becomes of the same rows.
//!
//! Everything but [`Promises::forget`] happens under the log's lock, so that what is owed has
//! the order of the log. Never here: the log itself, and whether an owner still lives.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use magnesia_engine::Table;
use magnesia_engine::apply::Op;
use magnesia_engine::commit::Recorder;
use magnesia_engine::schema::Kind;
use magnesia_term::Row;
use magnesia_term::key::{self, Flavour};
use parking_lot::Mutex;

use crate::database::Ahead;

/// All commits that are not done.
#[derive(Default)]
pub(crate) struct Promises {
    /// How many there are, for those who only want to know that there are none.
    count: AtomicUsize,
    open: Mutex<Vec<Promise>>,
}

/// What one commit still owes.
pub(crate) struct Promise {
    owner: u64,
    /// By table and key; the operations on one key in their order.
    owed: HashMap<Vec<u8>, Owed>,
}

struct Owed {
    table: u32,
    key: Vec<u8>,
    ops: VecDeque<OwedOp>,
    /// Whether others' operations on the key came after the record, so that doing what is owed
    /// has to be logged: the log would have them in the other order.
    is_behind: bool,
}

/// What doing an operation means for the log.
pub(crate) enum Claim {
    /// The log has it.
    Logged,
    /// It is to be logged together with what is still owed on its key, in a record.
    Behind(Vec<u8>),
    /// Nobody owes it.
    Unowed,
}

#[derive(Clone)]
enum OwedOp {
    Write(Row),
    Delete,
    DeleteObject(Row),
}

impl Promise {
    /// What a commit owes before its first operation. `owner` is whoever does them, one commit
    /// at a time.
    pub(crate) fn new(owner: u64, ops: &[Ahead<'_>]) -> Self {
        let mut owed: HashMap<Vec<u8>, Owed> = HashMap::new();
        for (table, op) in ops {
            let Some((key, op)) = owed_op(op) else {
                continue;
            };
            let entry = owed.entry(place(table, key)).or_insert_with(|| Owed {
                table: table.id(),
                key: key.to_vec(),
                ops: VecDeque::new(),
                is_behind: false,
            });
            entry.ops.push_back(op);
        }
        Self { owner, owed }
    }

    /// A record of all that is owed, for the end of the log.
    fn record(&mut self) -> Vec<u8> {
        let mut recorder = Recorder::default();
        for owed in self.owed.values_mut() {
            owed.add_to(&mut recorder);
            owed.is_behind = false;
        }
        recorder.finish()
    }
}

impl Owed {
    fn add_to(&self, recorder: &mut Recorder) {
        for op in &self.ops {
            recorder.add(self.table, &op.on(&self.key));
        }
    }
}

impl OwedOp {
    fn on<'a>(&self, key: &'a [u8]) -> Op<'a> {
        match self {
            Self::Write(row) => Op::Write(row.clone()),
            Self::Delete => Op::Delete(key),
            Self::DeleteObject(row) => Op::DeleteObject(row.clone()),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Write(row), Self::Write(other))
            | (Self::DeleteObject(row), Self::DeleteObject(other)) => row.is_identical(other),
            (Self::Delete, Self::Delete) => true,
            _ => false,
        }
    }
}

/// The key and the operation on it; none for one that concerns all keys.
fn owed_op<'a>(op: &'a Op<'_>) -> Option<(&'a [u8], OwedOp)> {
    match op {
        Op::Write(row) => Some((row.key(), OwedOp::Write(row.clone()))),
        Op::Delete(key) => Some((key, OwedOp::Delete)),
        Op::DeleteObject(row) => Some((row.key(), OwedOp::DeleteObject(row.clone()))),
        Op::Clear => None,
    }
}

/// The same bytes for keys that are one key to the table.
fn place(table: &Table, key: &[u8]) -> Vec<u8> {
    let flavour = match table.definition().kind {
        Kind::OrderedSet => Flavour::Numeric,
        Kind::Set | Kind::Bag => Flavour::Exact,
    };
    let mut bytes = table.id().to_le_bytes().to_vec();
    key::encode(key, flavour, &mut bytes);
    bytes
}

impl Promises {
    /// Adds a commit, in the moment that its record is logged. What the same owner's last one
    /// still owed was never meant to be done here.
    pub(crate) fn make(&self, promise: Promise, ops: &[Ahead<'_>]) {
        self.forget(promise.owner);
        ops.iter().for_each(|(table, op)| self.note(table, op));
        let mut open = self.open.lock();
        open.push(promise);
        self.count.store(open.len(), Ordering::Release);
    }

    /// Whether anything is owed.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Takes an operation that is about to be done out of what is owed.
    pub(crate) fn claim(&self, table: &Table, op: &Op<'_>) -> Claim {
        let Some((key, op)) = owed_op(op) else {
            return Claim::Unowed;
        };
        let place = place(table, key);
        let mut open = self.open.lock();
        for promise in open.iter_mut() {
            let Some(owed) = promise.owed.get_mut(&place) else {
                continue;
            };
            if !owed.ops.front().is_some_and(|first| first.is(&op)) {
                continue;
            }
            let claim = if owed.is_behind {
                let mut recorder = Recorder::default();
                owed.add_to(&mut recorder);
                owed.is_behind = false;
                Claim::Behind(recorder.finish())
            } else {
                Claim::Logged
            };
            owed.ops.pop_front();
            if owed.ops.is_empty() {
                promise.owed.remove(&place);
            }
            self.close_done(&mut open);
            return claim;
        }
        Claim::Unowed
    }

    /// Notes an operation that nobody claimed and that is logged now: it decides what becomes
    /// of its key, unless it concerns one row alone. What is owed is done after it then.
    #[inline]
    pub(crate) fn note(&self, table: &Table, op: &Op<'_>) {
        if self.is_any() {
            self.note_among(table, op);
        }
    }

    fn note_among(&self, table: &Table, op: &Op<'_>) {
        let mut open = self.open.lock();
        match owed_op(op) {
            None => open.iter_mut().for_each(|promise| {
                promise.owed.retain(|_, owed| owed.table != table.id());
            }),
            Some((key, op)) => {
                let place = place(table, key);
                let is_of_one_row =
                    table.definition().kind == Kind::Bag || matches!(op, OwedOp::DeleteObject(_));
                for promise in open.iter_mut() {
                    if !is_of_one_row {
                        promise.owed.remove(&place);
                    } else if let Some(owed) = promise.owed.get_mut(&place) {
                        owed.is_behind = true;
                    }
                }
            }
        }
        self.close_done(&mut open);
    }

    fn close_done(&self, open: &mut Vec<Promise>) {
        open.retain(|promise| !promise.owed.is_empty());
        self.count.store(open.len(), Ordering::Release);
    }

    /// Those who have a commit that is not done.
    pub(crate) fn owners(&self) -> Vec<u64> {
        self.open.lock().iter().map(|open| open.owner).collect()
    }

    /// Forgets what an owner owes.
    pub(crate) fn forget(&self, owner: u64) {
        if self.is_any() {
            let mut open = self.open.lock();
            open.retain(|promise| promise.owner != owner);
            self.count.store(open.len(), Ordering::Release);
        }
    }

    /// A record for each commit, of what it still owes, for the end of the log.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        self.open.lock().iter_mut().map(Promise::record).collect()
    }
}
