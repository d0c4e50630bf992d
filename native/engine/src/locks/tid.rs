//! Who asks for locks: transaction ids with their age, and the opaque owner to wake.
//!
//! Age decides every conflict, so the order here is the whole of wait-die: a smaller counter is
//! older, and the node breaks ties between counters of different nodes. Never: clocks or process
//! ids; what an owner is, only the host knows.
//!
//! Source: OTP 25 `mnesia_locker:allowed_to_be_queued/2`, `#tid{counter, pid}`.

/// A transaction's id and age: the smaller one is the older one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tid {
    /// Counts transactions; kept over the restarts of one transaction.
    pub counter: u64,
    /// The node that counted it, in the host's numbering; breaks ties.
    pub node: u32,
}

impl Tid {
    /// Says whether this transaction wins a conflict against `other`.
    #[must_use]
    pub fn is_older_than(self, other: Self) -> bool {
        self < other
    }
}

/// Whom to wake: a local process's word or the host's number for a remote one. Never interpreted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OwnerId(pub u64);
