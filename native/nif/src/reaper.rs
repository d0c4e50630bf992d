//! The thread that takes large things apart: what a scheduler must not spend its time on when
//! it is the last to hold it.
//!
//! Never here: work that a call waits for.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::Duration;

/// How often it is asked whether others have let go of what is buried.
const LOOK_EVERY: Duration = Duration::from_millis(10);

enum Job {
    Run(Box<dyn FnOnce() + Send>),
    /// Holds a reference and says whether it is the last; dropped when it is.
    Bury(Box<dyn Fn() -> bool + Send>),
}

static JOBS: OnceLock<Option<Sender<Job>>> = OnceLock::new();

fn start() -> Option<Sender<Job>> {
    let (sender, jobs) = mpsc::channel();
    let thread = Builder::new().name("magnesia-reaper".to_owned());
    let started = thread.spawn(move || work(&jobs));
    started.is_ok().then_some(sender)
}

fn work(jobs: &Receiver<Job>) {
    let mut buried: Vec<Box<dyn Fn() -> bool + Send>> = Vec::new();
    loop {
        let next = if buried.is_empty() {
            jobs.recv().map_err(RecvTimeoutError::from)
        } else {
            jobs.recv_timeout(LOOK_EVERY)
        };
        match next {
            Ok(Job::Run(job)) => job(),
            Ok(Job::Bury(is_last)) => buried.push(is_last),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        buried.retain(|is_last| !is_last());
    }
}

/// Hands a job to the thread, or back when the operating system gives no thread.
fn send(job: Job) -> Option<Job> {
    match JOBS.get_or_init(start) {
        Some(sender) => sender.send(job).err().map(|refused| refused.0),
        None => Some(job),
    }
}

/// Runs a job on the thread.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    if let Some(Job::Run(job)) = send(Job::Run(Box::new(job))) {
        job();
    }
}

/// Drops a reference on the thread, after everyone else has dropped theirs.
pub(crate) fn bury<T: Send + Sync + 'static>(held: Arc<T>) {
    drop(send(Job::Bury(Box::new(move || {
        Arc::strong_count(&held) == 1
    }))));
}
