//! Messages to processes that wait: `{'$magnesia', Token, Outcome}`.
//!
//! Sent from calls of other processes, when they free a lock, and from the store's threads,
//! when a sync is done. A process that is gone is not missed.

use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_store::StoreError;
use rustler::{Encoder, OwnedEnv};

use crate::{atoms, raw, reply};

/// Tells processes about locks.
pub(crate) struct Mail;

impl Wake for Mail {
    fn wake(&self, owner: OwnerId, token: u64, what: Wakeup) {
        let outcome = match what {
            Wakeup::Granted => atoms::granted(),
            Wakeup::BlockerGone => atoms::gone(),
        };
        OwnedEnv::new().run(|env| {
            raw::send(
                owner.0 as usize,
                (atoms::message(), token, outcome).encode(env),
            );
        });
    }
}

/// Tells a process how a sync ended.
pub(crate) fn synced(owner: OwnerId, token: u64, outcome: &Result<(), StoreError>) {
    OwnedEnv::new().run(|env| {
        let outcome = match outcome {
            Ok(()) => atoms::ok().encode(env),
            Err(error) => reply::store(env, error),
        };
        raw::send(
            owner.0 as usize,
            (atoms::message(), token, outcome).encode(env),
        );
    });
}
