//! Mnesia's locks: who may read or write which record, table or term, until its transaction ends.
//!
//! Two-phase, and free of deadlocks by wait-die: a transaction waits only for younger ones; if an
//! older one is in its way, as holder or earlier in the queue, it is refused, releases everything,
//! waits for that one with empty hands and starts again under its old id. So an arrow "waits for"
//! always leads from older to younger and no circle can close; and as an id is kept until the end,
//! everyone is the oldest some day.
//!
//! Nothing here blocks, sends, or knows processes, rows or names: a wait is an answer, its end a
//! call of the host's [`Wake`]. Rooms: `space` is the door, `shard` one part of the records,
//! `whole` all parts at once (tables), `queue` order and conflict on one item, `refusal` those
//! sent away.
//!
//! Source: OTP 25 `mnesia_locker` (`try_lock`, `check_lock`, `check_queue`, `release_tid`).

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
mod wake;
mod whole;

pub use holder::Holder;
pub use item::{Item, Kind, OwnedItem};
pub use listing::{HeldLock, QueuedLock};
pub use space::{Await, LockTable, Outcome, Until};
pub use sticky::StuckTables;
pub use tid::{OwnerId, Tid};
pub use wake::{Wake, Wakeup};

#[cfg(test)]
mod flaw;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod rules_test;
