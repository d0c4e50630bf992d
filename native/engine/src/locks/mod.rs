//! Mnesia's locks: who may read or write which record, table or term, until its transaction ends.
//!
//! Two-phase, and free of deadlocks by wait-die: if an older one holds what a transaction
//! wants, or is first in the queue that it must join, it is refused, releases everything, waits
//! for that one with empty hands and starts again under its old id. So whoever is in a queue
//! has a younger one before it, as holder or waiter, and the youngest of all waits for a holder
//! that waits for nobody: no circle can close. Whenever one of those leaves, the queue is
//! decided on again, the youngest first, and who meets an older holder then is refused after
//! all. As an id is kept until the end, everyone is the oldest some day.
//!
//! A queue holds back fewer than one might think, as in Mnesia: a table's queue every new request
//! in the table, a record's queue only its readers.
//!
//! Nothing here blocks, sends, or knows processes, rows or names: a wait is an answer, its end a
//! call of the host's [`Wake`]. Rooms: `space` is the door, `shard` one part of the records,
//! `whole` all parts at once (tables), `queue` order and conflict on one item, `refusal` those
//! sent away, `waiters` how many wait.
//!
//! Source: OTP 25 `mnesia_locker` (`can_lock`, `check_lock`, `check_queue`,
//! `try_waiters_obj`, `try_waiters_tab`).

mod holder;
mod item;
mod listing;
mod queue;
mod refusal;
mod shard;
mod space;
mod sticky;
mod sync;
mod tid;
mod waiters;
mod wake;
mod whole;

pub use holder::Holder;
pub use item::{Item, Kind, OwnedItem};
pub use listing::{HeldLock, QueuedLock};
pub use space::{Await, LockTable, Outcome, Until};
pub use sticky::StuckTables;
pub use tid::{OwnerId, Tid};
pub use waiters::{WAITERS_MAX, Waiters};
pub use wake::{Wake, Wakeup};

#[cfg(test)]
mod flaw;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod rules_test;
