//! The storage thread: sync requests in, completions out, one fdatasync for all that wait.
//!
//! For callers that must not block on the disk. A second thread runs the long jobs (dumps), so
//! that a sync never waits behind one, and a third the short ones, which writers wait for when
//! they are late: closing a log segment before it is full. All sleep on a condition while there
//! is nothing to do. Completions run on the storage thread and must be short; one that panics is
//! contained.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use parking_lot::{Condvar, Mutex};

use crate::error::StoreError;
use crate::log::{Log, Lsn};

/// What is called when a sync request has been carried out, or has failed.
pub type Completion = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A background job.
pub type Job = Box<dyn FnOnce() + Send>;

/// The threads and their queues.
pub struct Keeper {
    log: Arc<Log>,
    syncs: Arc<Queue<(Lsn, Completion)>>,
    jobs: Arc<Queue<Job>>,
    short: Arc<Queue<Job>>,
    is_rotating: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the threads. The queues are bounded by the log's limits.
    ///
    /// # Errors
    /// `Io` when the operating system gives no thread.
    pub fn start(log: Arc<Log>) -> Result<Self, StoreError> {
        let syncs = Arc::new(Queue::new("sync", log.limits().sync_queue_max));
        let jobs = Arc::new(Queue::new("job", log.limits().job_queue_max));
        let short = Arc::new(Queue::new("short job", log.limits().job_queue_max));
        let keeper = Self {
            log: Arc::clone(&log),
            syncs: Arc::clone(&syncs),
            jobs: Arc::clone(&jobs),
            short: Arc::clone(&short),
            is_rotating: Arc::default(),
            threads: Mutex::new(Vec::new()),
        };
        keeper.spawn("magnesia-sync", move || run_syncs(&syncs, &log))?;
        keeper.spawn("magnesia-jobs", move || run_jobs(&jobs))?;
        keeper.spawn("magnesia-short", move || run_jobs(&short))?;
        Ok(keeper)
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = Builder::new().name(name.to_owned()).spawn(body);
        self.threads
            .lock()
            .push(thread.map_err(|e| StoreError::io(name, "spawn", 0, e))?);
        Ok(())
    }

    /// Asks for everything before `lsn` to be put on disk. `done` is called exactly once: on
    /// the storage thread in the order of the requests, or at once on this thread with `Busy`
    /// or `Stopped`.
    pub fn request_sync(&self, lsn: Lsn, done: Completion) {
        if let Err((error, (_, done))) = self.syncs.push((lsn, done)) {
            done(Err(error));
        }
    }

    /// Queues a background job. Jobs run one after the other.
    ///
    /// # Errors
    /// `Busy`, `Stopped`; the job was then dropped without being run.
    pub fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.push(job).map_err(|(error, _)| error)
    }

    /// Queues a job that must not wait behind the long ones. Short jobs run one after the other.
    ///
    /// # Errors
    /// As [`Keeper::submit`].
    pub fn submit_short(&self, job: Job) -> Result<(), StoreError> {
        self.short.push(job).map_err(|(error, _)| error)
    }

    /// Closes the log's segment in the background when it [wants it](Log::wants_rotation), so
    /// that no append waits for the disk when it is full. To be called after appends; costs a
    /// look at one number.
    pub fn rotate_ahead(&self) {
        if !self.log.wants_rotation() || self.is_rotating.swap(true, Ordering::AcqRel) {
            return;
        }
        let (log, is_rotating) = (Arc::clone(&self.log), Arc::clone(&self.is_rotating));
        let job = move || {
            // What fails here has broken the log, or the disk is full and appends will say so.
            drop(log.rotate());
            is_rotating.store(false, Ordering::Release);
        };
        if self.submit_short(Box::new(job)).is_err() {
            self.is_rotating.store(false, Ordering::Release);
        }
    }

    /// Runs all that is queued, then ends the threads. Nothing is taken in any more. May be
    /// called again, and by a completion or a job (which then is not waited for).
    pub fn stop(&self) {
        self.syncs.close();
        self.jobs.close();
        self.short.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        let me = std::thread::current().id();
        for thread in threads {
            if thread.thread().id() != me {
                // A thread's panic was contained; there is nothing to learn from its end.
                drop(thread.join());
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keeper").finish_non_exhaustive()
    }
}

fn run_syncs(queue: &Queue<(Lsn, Completion)>, log: &Log) {
    while let Some(batch) = queue.take_all() {
        let highest = batch.iter().map(|(lsn, _)| *lsn).max().unwrap_or_default();
        let result = log.sync(highest);
        for (lsn, done) in batch {
            // A failed group may hold requests that an earlier sync had carried out.
            let own = if result.is_err() && lsn <= log.synced() {
                Ok(())
            } else {
                result.clone()
            };
            contain(|| done(own));
        }
    }
}

fn run_jobs(queue: &Queue<Job>) {
    while let Some(jobs) = queue.take_all() {
        for job in jobs {
            contain(job);
        }
    }
}

fn contain(body: impl FnOnce()) {
    // The panic has been reported by the panic hook; the thread must outlive it.
    drop(catch_unwind(AssertUnwindSafe(body)));
}

/// A bounded queue that its reader empties in one go.
struct Queue<T> {
    name: &'static str,
    max: usize,
    state: Mutex<QueueState<T>>,
    wake: Condvar,
}

struct QueueState<T> {
    items: VecDeque<T>,
    is_closed: bool,
}

impl<T> Queue<T> {
    fn new(name: &'static str, max: usize) -> Self {
        let state = Mutex::new(QueueState {
            items: VecDeque::new(),
            is_closed: false,
        });
        Self {
            name,
            max,
            state,
            wake: Condvar::new(),
        }
    }

    fn push(&self, item: T) -> Result<(), (StoreError, T)> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err((StoreError::Stopped, item));
        }
        if state.items.len() >= self.max {
            return Err((
                StoreError::Busy {
                    queue: self.name,
                    max: self.max,
                },
                item,
            ));
        }
        state.items.push_back(item);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for items and takes them all; `None` when closed and empty.
    fn take_all(&self) -> Option<VecDeque<T>> {
        let mut state = self.state.lock();
        while state.items.is_empty() {
            if state.is_closed {
                return None;
            }
            self.wake.wait(&mut state);
        }
        Some(std::mem::take(&mut state.items))
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.wake.notify_all();
    }
}
