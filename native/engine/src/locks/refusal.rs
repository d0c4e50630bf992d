//! Transactions that an older one sent away, and that wait for its end.
//!
//! A refusal is noted in the shard where the older one was met, under the same mutex that found it:
//! there it must come to release, so its departure can't be missed. The note wakes nobody until
//! the refused transaction asks for that ("armed"). Never: locks; the refused one holds none.

use super::tid::{OwnerId, Tid};
use super::wake::{Wakes, Wakeup};

/// One transaction sent away by `blocker`.
struct Refusal {
    blocker: Tid,
    owner: OwnerId,
    token: u64,
    is_armed: bool,
}

/// All refusals noted in one shard.
#[derive(Default)]
pub(super) struct Refusals(Vec<Refusal>);

impl Refusals {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, blocker: Tid, owner: OwnerId, token: u64) {
        debug_assert!(
            self.0.iter().all(|r| r.token != token),
            "a token is used once"
        );
        self.0.push(Refusal {
            blocker,
            owner,
            token,
            is_armed: false,
        });
    }

    /// Asks for a wake-up; false if the blocker has left already and none will come.
    pub(super) fn arm(&mut self, token: u64) -> bool {
        let found = self.0.iter_mut().find(|r| r.token == token);
        found.map(|r| r.is_armed = true).is_some()
    }

    pub(super) fn cancel(&mut self, token: u64) {
        self.0.retain(|r| r.token != token);
    }

    /// `blocker` has released something here: whoever it refused may try again.
    pub(super) fn depart(&mut self, blocker: Tid, wakes: &mut Wakes) {
        self.0.retain(|r| {
            let stays = r.blocker != blocker;
            if !stays && r.is_armed {
                wakes.push(r.owner, r.token, Wakeup::BlockerGone);
            }
            stays
        });
    }
}
