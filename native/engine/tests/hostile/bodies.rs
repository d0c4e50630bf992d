//! What must hold of what the engine reads from outside: match specifications and the records
//! of the commit log. No panic, no memory out of proportion, and answers that agree with each
//! other.
//!
//! The replay of the kept inputs calls this, and so do the fuzz targets of `native/fuzz`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each caller takes a part of this"
)]

use magnesia_engine::apply::Op;
use magnesia_engine::commit::{Recorder, replay};
use magnesia_engine::pattern::{Host, Out, Record, Scratch, Spec};
use magnesia_term::etf::{self, Limits};
use magnesia_term::packed::{self, View};
use magnesia_term::{Atom, Packer, Row, order};

#[path = "../../../fuzz/memory.rs"]
pub mod memory;

fn limits() -> Limits {
    Limits {
        inflated_bytes: 4096,
        ..Limits::default()
    }
}

fn host() -> Host {
    let mut nil = Packer::new();
    nil.nil();
    Host {
        self_pid: nil.as_bytes().into(),
        node: Atom::intern("nonode@nohost").expect("there is room"),
    }
}

fn answer(out: Option<Out<'_>>, whole: &[u8]) -> Option<Vec<u8>> {
    out.map(|out| match out {
        Out::Whole => whole.to_vec(),
        Out::Term(term) => term.to_vec(),
    })
}

/// The record's name and its row, where a term can be a record.
fn record_of(term: &[u8]) -> Option<(Atom, Row)> {
    let View::Tuple(mut items) = packed::view(term) else {
        return None;
    };
    let View::Atom(name) = packed::view(items.next()?) else {
        return None;
    };
    let elements = items.count();
    (elements > 0).then(|| (name, Row::new(0, elements, items.rest())))
}

/// A record is matched as its tuple is, and what the specification says of those that match is
/// true of it.
fn check(spec: &Spec, term: &[u8]) {
    let (host, mut scratch, mut other) = (host(), Scratch::default(), Scratch::default());
    let by_term = answer(spec.run_term(term, &host, &mut scratch), term);
    let Some((name, row)) = record_of(term) else {
        return;
    };
    let record = Record { name, row: &row };
    let by_record = answer(spec.run(record, &host, &mut other), term);
    assert_eq!(by_term, by_record, "a tuple and the record of it");
    if by_record.is_none() {
        return;
    }
    for position in spec.positions() {
        let element = row.at(position).expect("it matched");
        if let Some(values) = spec.values_at(position) {
            let is_one = values.iter().any(|value| order::equal(value, element));
            assert!(is_one, "element {position} is none of the values");
        }
        if let Some(range) = spec.range_at(position) {
            assert!(
                range.contains(element),
                "element {position} is out of the range"
            );
        }
    }
}

/// Fuzz target: a pair of a match specification and a term to run it on, in the external form.
pub fn match_spec(input: &[u8]) {
    let mut packer = Packer::new();
    if etf::decode(input, &limits(), &mut packer).is_err() {
        return;
    }
    let View::Tuple(mut items) = packed::view(packer.as_bytes()) else {
        return;
    };
    if let (2, Some(spec), Some(term)) = (items.count(), items.next(), items.next())
        && let Ok(spec) = Spec::compile(spec)
    {
        check(&spec, term);
    }
}

/// What replaying a record does, as a record of its own.
fn read_record(input: &[u8]) {
    let (mut recorder, mut count) = (Recorder::default(), 0);
    let row = |_, elements, body: &[u8]| Some(Row::new(0, elements, body));
    let read = replay(input, &row, &mut |table, op: Op<'_>| {
        recorder.add(table, &op);
        count += 1;
        Ok(())
    });
    if read.is_err() {
        return;
    }
    let (first, mut again, mut recount) = (recorder.finish(), Recorder::default(), 0);
    let read = replay(&first, &row, &mut |table, op: Op<'_>| {
        again.add(table, &op);
        recount += 1;
        Ok(())
    });
    read.expect("it was recorded");
    assert_eq!((again.finish(), recount), (first, count), "recorded again");
}

/// Fuzz target: a record of the commit log.
pub fn record_replay(input: &[u8]) {
    let _alone = memory::alone();
    memory::within(16 * input.len() + 8192, &mut || read_record(input));
}
