//! Bugs on purpose: each breaks one rule of the lock table, and the tests must notice.

use super::queue::Verdict;

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// A grant from the queue wakes nobody.
    LoseWakeup,
    /// A reader becomes a writer while others read.
    UpgradeBesideReaders,
    /// A release leaves the transaction's queue entry behind.
    ForgetCancel,
    /// A transaction queues behind older ones.
    WaitForOlder,
    /// A record's release does not look at those who wait for its table.
    ForgetTableQueue,
    /// The end of a blocker wakes nobody whom it refused.
    ForgetRefused,
    /// A waiter stays in its queue for an older holder.
    StayForOlder,
}

impl Verdict {
    /// What a flawed table decides where a sound one decides `self`.
    pub(super) fn bent(self, flaw: Option<Flaw>, is_upgrade: bool) -> Self {
        match (flaw, self) {
            (Some(Flaw::UpgradeBesideReaders), _) if is_upgrade => Self::Grant,
            (Some(Flaw::WaitForOlder), Self::Refuse(_)) => Self::Queue,
            _ => self,
        }
    }
}
