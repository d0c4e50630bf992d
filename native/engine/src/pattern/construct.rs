//! Makes tuples, lists and maps out of packed terms.

use magnesia_term::packed::{self, View};
use magnesia_term::{Items, Packer, order};

/// Appends the tuple of `terms`.
pub(super) fn tuple(out: &mut Packer, terms: &[&[u8]]) {
    let mark = out.tuple_begin(terms.len());
    terms.iter().for_each(|term| out.raw(term));
    out.tuple_end(mark);
}

/// Appends the list of all `terms` but the last, which is its tail and may be a list itself.
pub(super) fn list(out: &mut Packer, terms: &[&[u8]]) {
    let Some((&tail, elements)) = terms.split_last() else {
        return out.nil();
    };
    if elements.is_empty() {
        return out.raw(tail);
    }
    match packed::view(tail) {
        View::List(more) => {
            let mark = out.list_begin(elements.len() + more.count() - 1);
            elements.iter().for_each(|term| out.raw(term));
            out.raw(more.rest());
            out.list_end(mark);
        }
        _ => {
            let mark = out.list_begin(elements.len());
            elements.iter().for_each(|term| out.raw(term));
            out.raw(tail);
            out.list_end(mark);
        }
    }
}

/// Appends what is left of a list behind its first elements; `left` ends with the tail.
pub(super) fn rest_of_list(out: &mut Packer, left: Items<'_>) {
    if left.count() > 1 {
        let mark = out.list_begin(left.count() - 1);
        out.raw(left.rest());
        out.list_end(mark);
    } else {
        out.raw(left.rest());
    }
}

/// Appends the map of `terms`, keys and values in turn; of equal keys the last pair stays.
pub(super) fn map(out: &mut Packer, terms: &[&[u8]]) {
    let mut pairs: Vec<(&[u8], &[u8])> = terms
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    // Stable, so that equal keys keep the order in which they were given.
    pairs.sort_by(|a, b| order::compare_exact(a.0, b.0));
    let mut kept: Vec<(&[u8], &[u8])> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        match kept.last_mut() {
            Some(last) if order::equal_exact(last.0, pair.0) => *last = pair,
            _ => kept.push(pair),
        }
    }
    let mark = out.map_begin(kept.len());
    for (key, value) in kept {
        out.raw(key);
        out.raw(value);
    }
    out.map_end(mark);
}
