//! Where releases of OTP differ in match specifications: what a host says of its own `ets`.
//!
//! All are off at first, as in OTP 25. Never here: the number of a release; a host knows it or asks
//! its `ets`.

use std::sync::atomic::{AtomicBool, Ordering};

static FUNCTIONS_OF_26: AtomicBool = AtomicBool::new(false);
static GUARDS_OF_27: AtomicBool = AtomicBool::new(false);
static MAPS_MATCH_IN_KEYS: AtomicBool = AtomicBool::new(false);

/// Says whether `ceil`, `floor`, `is_bitstring`, `is_boolean`, `is_function/2`, `max`, `min` and
/// `tuple_size` may be called, as from OTP 26 on.
pub fn set_functions_of_26(allowed: bool) {
    FUNCTIONS_OF_26.store(allowed, Ordering::Relaxed);
}

/// Says whether `abs(-0.0)` is `0.0`, `binary_part` refuses bitstrings that are no binaries, and
/// integers have at most [`INTEGER_BITS_MAX_27`](super::INTEGER_BITS_MAX_27) bits, as from OTP 27
/// on.
pub fn set_guards_of_27(they_are: bool) {
    GUARDS_OF_27.store(they_are, Ordering::Relaxed);
}

/// Says whether a map in a key that holds no variable matches every map with its pairs, as from
/// OTP 26.2.5 on. Before, such a key was looked up as it is.
pub fn set_maps_match_in_keys(they_match: bool) {
    MAPS_MATCH_IN_KEYS.store(they_match, Ordering::Relaxed);
}

pub(super) fn functions_of_26() -> bool {
    FUNCTIONS_OF_26.load(Ordering::Relaxed)
}

pub(super) fn guards_of_27() -> bool {
    GUARDS_OF_27.load(Ordering::Relaxed)
}

pub(super) fn maps_match_in_keys() -> bool {
    MAPS_MATCH_IN_KEYS.load(Ordering::Relaxed)
}
