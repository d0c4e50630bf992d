//! What must hold of a decoder on any bytes at all: no panic, and no memory out of proportion.
//!
//! The random tests beside this call it, the replay of the kept inputs does, and so do the fuzz
//! targets of `native/fuzz`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each caller takes a part of this"
)]

use magnesia_term::etf::{self, Limits};
use magnesia_term::portable::{self, Dictionary, Names};
use magnesia_term::{Flavour, Key, Packer, hash, order, show};

#[path = "../../../fuzz/memory.rs"]
pub mod memory;

pub const INFLATED_MAX: usize = 16 << 10;

/// What inflating takes before it has read a byte.
pub const INFLATE_BYTES: usize = 64 << 10;

/// Decoding, and then using and encoding what was decoded, each within the bound.
pub const USES: usize = 3;

/// Memory besides the input: four times as much, and a page; more where there is inflating.
pub fn allowed(input: &[u8]) -> usize {
    let inflates = if input.get(1) == Some(&80) {
        INFLATE_BYTES + 4 * INFLATED_MAX
    } else {
        0
    };
    4 * input.len() + 4096 + inflates
}

pub fn limits() -> Limits {
    Limits {
        inflated_bytes: INFLATED_MAX,
        ..Limits::default()
    }
}

/// Everything a caller does with a term that it was given.
fn use_term(term: &[u8]) {
    assert!(order::compare(term, term).is_eq() && order::equal_exact(term, term));
    let shown = show::show(term, 80);
    assert!(shown.chars().count() <= 80);
    assert_eq!(hash::hash(term), hash::hash(term));
    assert_eq!(Key::of(term, Flavour::Exact), Key::of(term, Flavour::Exact));
}

pub fn read_external(input: &[u8]) {
    let mut packer = Packer::new();
    if etf::decode(input, &limits(), &mut packer).is_ok() {
        use_term(packer.as_bytes());
        let mut again = Vec::new();
        etf::encode(packer.as_bytes(), &mut again);
        let mut twice = Packer::new();
        assert!(etf::decode(&again, &limits(), &mut twice).is_ok());
        assert_eq!(packer.as_bytes(), twice.as_bytes());
    } else {
        assert!(packer.is_empty());
    }
}

/// A dictionary and a term after it.
pub fn read_portable(input: &[u8]) {
    let Ok((names, taken)) = Names::parse(input) else {
        return;
    };
    let mut packer = Packer::new();
    let Ok(length) = portable::read(&input[taken..], &names, &mut packer) else {
        return assert!(packer.is_empty());
    };
    use_term(packer.as_bytes());
    let (mut dictionary, mut again) = (Dictionary::new(), Vec::new());
    portable::write(packer.as_bytes(), &mut dictionary, &mut again);
    assert_eq!(again.len(), length);
}

/// Fuzz target: the external term format.
pub fn etf_decode(input: &[u8]) {
    let _alone = memory::alone();
    memory::within(USES * allowed(input), &mut || read_external(input));
}

/// Fuzz target: the portable form.
pub fn portable_decode(input: &[u8]) {
    let _alone = memory::alone();
    memory::within(USES * allowed(input), &mut || read_portable(input));
}
