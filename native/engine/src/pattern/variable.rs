//! Which atoms are variables of a match specification, and whether a term holds any.
//!
//! Two notions live side by side because stock Mnesia has both: `ets` knows `'$N'` without
//! leading zeros, `mnesia:has_var/1` takes any `'$'` followed by digits or nothing.

use magnesia_term::packed::{self, tag};
use magnesia_term::{Atom, View};

/// Whether the atom is a match variable, `'$0'`, `'$1'`, …; `'_'` is none.
#[must_use]
pub fn is_match_variable(atom: Atom) -> bool {
    number_of(atom).is_some()
}

/// The number of a match variable: decimal, no leading zero, below 2^31 as in `ets`.
pub(super) fn number_of(atom: Atom) -> Option<u32> {
    let digits = atom.name().strip_prefix('$')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    digits
        .parse::<u32>()
        .ok()
        .filter(|&number| i32::try_from(number).is_ok())
}

/// Whether a term holds `'_'` or a variable in a tuple or list at any depth; what
/// `mnesia:has_var/1` answers, which does not look into maps.
#[must_use]
pub fn has_variables(term: &[u8]) -> bool {
    Walk::new(term, Maps::Skip).any(|(_, part)| match packed::view(part) {
        View::Atom(atom) => is_loose_variable(atom),
        _ => false,
    })
}

fn is_loose_variable(atom: Atom) -> bool {
    let name = atom.name();
    name == "_"
        || name
            .strip_prefix('$')
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a walk enters maps or passes over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maps {
    /// Keys and values are visited.
    Enter,
    /// The map is visited as one.
    Skip,
}

/// All parts of a term in the order of their bytes, composites before their contents.
///
/// Packed composites hold their contents in line, so this needs no stack at any depth. Items
/// are the part's distance from the start of the term and the bytes from there on.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    maps: Maps,
}

impl<'a> Walk<'a> {
    /// A walk over the first term of `bytes`.
    pub(super) fn new(bytes: &'a [u8], maps: Maps) -> Self {
        Self {
            bytes: &bytes[..packed::len(bytes)],
            at: 0,
            maps,
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let at = self.at;
        self.at += match part[0] {
            tag::TUPLE => 6,
            tag::TUPLE32 | tag::LIST => 9,
            tag::MAP if self.maps == Maps::Enter => 9,
            _ => packed::len(part),
        };
        Some((at, part))
    }
}
