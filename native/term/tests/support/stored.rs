//! How a BEAM compares maps inside the keys of maps: as it stores them.
//!
//! A map of few keys is stored with its keys in order, and for its own order it is compared so.
//! From OTP 26 on the atoms among those keys are stored by their numbers in the VM, not by name.
//! For a map alone the BEAM makes up for that; for one inside a key of another it does not, and
//! compares first key with first key, as they lie there. Only the order differs, never equality.
//!
//! [`spread`] replaces such maps by tuples of the same content in an order of choice, which every
//! release compares alike. It must never change a map that is inside no key.

use std::cmp::Ordering;

use magnesia_term::order;

use super::model::{Term, distinct};

/// The most keys of a map that is stored in the order of its keys.
const FLAT_KEYS_MAX: usize = 32;

/// A map's tuple has so many more elements than twice its keys: all that were tuples before are
/// smaller, and so come before it, as tuples do before maps.
const PADDING: usize = 8;

/// Where each atom is stored among the keys of a map.
pub type Places<'a> = &'a dyn Fn(&'static str) -> usize;

/// The term, with a tuple for each small map inside a key of a map.
pub fn spread(term: &Term, places: Places<'_>) -> Term {
    walk(term, false, places)
}

/// The term as it is spread inside a key.
pub fn spread_key(term: &Term, places: Places<'_>) -> Term {
    walk(term, true, places)
}

/// Random terms are shallow, so this recurses.
fn walk(term: &Term, in_key: bool, places: Places<'_>) -> Term {
    let each = |terms: &[Term]| {
        let terms = terms.iter().map(|term| walk(term, in_key, places));
        terms.collect::<Vec<Term>>()
    };
    match term {
        Term::Tuple(items) => {
            assert!(items.len() <= PADDING, "a tuple is too long for this");
            Term::Tuple(each(items))
        }
        Term::List(items, tail) => Term::List(each(items), Box::new(walk(tail, in_key, places))),
        Term::Map(pairs) => {
            let mut pairs: Vec<(Term, Term)> = distinct(pairs)
                .map(|(key, value)| (walk(key, true, places), walk(value, in_key, places)))
                .collect();
            if !in_key || pairs.len() > FLAT_KEYS_MAX {
                return Term::Map(pairs);
            }
            pairs.sort_by(|(a, _), (b, _)| stored_order(a, b, places));
            let (keys, values): (Vec<Term>, Vec<Term>) = pairs.into_iter().unzip();
            let padding = std::iter::repeat_n(Term::Nil, PADDING);
            Term::Tuple(padding.chain(keys).chain(values).collect())
        }
        other => other.clone(),
    }
}

/// The order in which keys are stored, given keys that are spread.
fn stored_order(a: &Term, b: &Term, places: Places<'_>) -> Ordering {
    match (a, b) {
        (Term::Atom(a), Term::Atom(b)) => places(a).cmp(&places(b)),
        _ => order::compare_exact(&a.packed(), &b.packed()),
    }
}
