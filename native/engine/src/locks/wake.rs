//! How a waiting transaction hears that it may go on.
//!
//! The lock table never blocks and never sends: it collects wake-ups while its mutexes are held and
//! hands them to the host's [`Wake`] when all of them are free again.

use smallvec::SmallVec;

use super::tid::OwnerId;

/// Why a waiting transaction is woken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Wakeup {
    /// The queued request with this token has left the queue: ask for the same again. It is held
    /// now, or an older transaction came in its way and the answer is a refusal.
    Granted,
    /// The transaction that refused this one has released what it held.
    BlockerGone,
}

/// The host's way of waking an owner, on a BEAM one message.
///
/// Called with no mutex of the lock table held, on the thread whose release caused it, once for
/// each wait that ended. It must not block and must not panic.
pub trait Wake: Send + Sync {
    /// Tells `owner` that its wait `token` is over.
    fn wake(&self, owner: OwnerId, token: u64, what: Wakeup);
}

/// Wake-ups that wait until the mutexes are free.
#[derive(Default)]
pub(super) struct Wakes(SmallVec<[(OwnerId, u64, Wakeup); 2]>);

impl Wakes {
    pub(super) fn push(&mut self, owner: OwnerId, token: u64, what: Wakeup) {
        self.0.push((owner, token, what));
    }

    pub(super) fn send(self, wake: &dyn Wake) {
        for (owner, token, what) in self.0 {
            wake.wake(owner, token, what);
        }
    }
}
