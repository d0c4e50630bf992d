//! The kernels whose instructions `scripts/guard` counts: the small work of which every call is
//! made, each alone, on fixed data and with a fixed seed.
//!
//! `guard` lists the kernels; `guard NAME` runs one and prints how many calls were measured. Only
//! what runs inside [`measured`] is counted: the rest makes the data and warms up. Never here:
//! clocks, randomness, threads that work while a kernel does, anything that differs between runs.

#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]
#![forbid(unsafe_code)]

mod commits;
mod disk;
mod locks;
mod queries;
mod tables;
mod terms;
mod values;

use std::process::ExitCode;

/// A kernel: makes its data, runs its work in [`measured`], returns the number of calls in it.
pub type Kernel = (&'static str, fn() -> usize);

/// The one function whose instructions are counted; the script knows it by this name.
#[inline(never)]
pub fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Runs `work` on each item, once to warm up and once measured.
pub fn repeat<T>(items: &[T], mut work: impl FnMut(&T)) -> usize {
    items.iter().for_each(&mut work);
    once(items, work)
}

/// Runs `work` on each item, measured, once.
pub fn once<T>(items: &[T], mut work: impl FnMut(&T)) -> usize {
    measured(&mut || items.iter().for_each(&mut work));
    items.len()
}

fn main() -> ExitCode {
    assert!(magnesia_term::hash::set_seed(1), "nothing was hashed yet");
    let topics = [
        terms::KERNELS,
        tables::KERNELS,
        queries::KERNELS,
        locks::KERNELS,
        disk::KERNELS,
        commits::KERNELS,
    ];
    let mut kernels = topics.iter().copied().flatten();
    let Some(name) = std::env::args().nth(1) else {
        kernels.for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    if let Some((_, run)) = kernels.find(|(known, _)| *known == name) {
        println!("{}", run());
        return ExitCode::SUCCESS;
    }
    eprintln!("no kernel is called {name}; without a name they are listed");
    ExitCode::FAILURE
}
