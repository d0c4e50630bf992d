//! Every call from the BEAM passes here: a panic becomes a term.
//!
//! Never here: what a call does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustler::{Env, Term};

use crate::reply;

/// Runs a call. A panic is a bug of this library: it is reported as
/// `{'$magnesia_error', {bug, Text}}` and the VM lives on.
#[inline]
pub(crate) fn run<'a>(env: Env<'a>, call: impl FnOnce() -> Term<'a>) -> Term<'a> {
    // A call that panics leaves tables whole: no row is half written, and its locks are freed.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(term) => term,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a panic without words".to_owned());
            reply::bug(env, &text)
        }
    }
}
