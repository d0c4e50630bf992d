//! Kernels of queries: match specifications compiled and run, and steps of a select.

use std::hint::black_box;
use std::sync::Arc;

use magnesia_engine::pattern::{Host, Record, Scratch, Spec};
use magnesia_engine::schema::Kind;
use magnesia_engine::select::{Budget, Cursor, Query};
use magnesia_engine::table::{Body, Direction};
use magnesia_term::Packer;

use crate::values::{
    COUNT, GROUP_AT, atom, binary, filled, int, list, name, pack, rows, table, tuple,
};
use crate::{Kernel, measured, repeat};

pub const KERNELS: &[Kernel] = &[
    ("spec_compile", spec_compile),
    ("spec_run_head", || spec_run(&head_only())),
    ("spec_run_guard", || spec_run(&guarded())),
    ("spec_run_body", || spec_run(&with_body())),
    ("select_all", || select(Kind::Set, &guarded(), false)),
    ("select_ordered", || {
        select(Kind::OrderedSet, &guarded(), false)
    }),
    ("select_index", || select(Kind::Set, &head_only(), true)),
    ("select_chunks", select_chunks),
    ("select_key_chunks", select_key_chunks),
];

/// `[{{thing, '$1', '$2', 1}, Guards, [Body]}]`.
fn spec(group: Vec<u8>, guards: &[Vec<u8>], body: Vec<u8>) -> Vec<u8> {
    let head = tuple(&[atom("thing"), atom("$1"), atom("$2"), group]);
    list(&[tuple(&[head, list(guards), list(&[body])])])
}

fn head_only() -> Vec<u8> {
    spec(int(1), &[], atom("$_"))
}

fn guarded() -> Vec<u8> {
    let low = tuple(&[atom(">="), atom("$1"), int(100)]);
    let high = tuple(&[atom("<"), atom("$1"), int(900)]);
    spec(atom("_"), &[low, high], atom("$_"))
}

fn with_body() -> Vec<u8> {
    let sum = tuple(&[atom("+"), atom("$1"), atom("$3")]);
    spec(atom("$3"), &[], tuple(&[tuple(&[sum, atom("$2")])]))
}

fn host() -> Host {
    Host {
        self_pid: pack(Packer::nil).into(),
        node: name("nonode@nohost"),
    }
}

fn compiled(spec: &[u8]) -> Spec {
    Spec::compile(spec).expect("it is a specification")
}

fn spec_compile() -> usize {
    let specs: Vec<_> = (0..100)
        .flat_map(|_| [head_only(), guarded(), with_body()])
        .collect();
    repeat(&specs, |spec| {
        black_box(compiled(spec));
    })
}

fn spec_run(spec: &[u8]) -> usize {
    let (spec, host, mut scratch) = (compiled(spec), host(), Scratch::default());
    let body = filled(Kind::Set);
    repeat(&rows(&body, "a text"), |row| {
        let record = Record {
            name: name("thing"),
            row,
        };
        black_box(spec.run(record, &host, &mut scratch));
    })
}

fn cursor(kind: Kind, spec: &[u8], is_indexed: bool) -> Cursor {
    let body = filled(kind);
    if is_indexed {
        body.add_index(GROUP_AT).expect("memory does not fail");
    }
    let query = Query {
        spec: compiled(spec),
        host: host(),
    };
    Cursor::new(table(body, kind), Arc::new(query), Direction::Up)
}

fn run(cursor: &Cursor, budget: Budget) -> usize {
    let mut steps = 1;
    let mut step = cursor.step(budget, &mut |row, out| {
        black_box((row, out));
    });
    while let Some(next) = step.expect("memory does not fail").next {
        steps += 1;
        step = next.step(budget, &mut |row, out| {
            black_box((row, out));
        });
    }
    steps
}

/// A whole table, in one step, or by its index; one call.
fn select(kind: Kind, spec: &[u8], is_indexed: bool) -> usize {
    let cursor = cursor(kind, spec, is_indexed);
    let budget = Budget {
        matches: usize::MAX,
        visits: usize::MAX,
    };
    assert_eq!(
        cursor.is_walk(),
        !is_indexed,
        "the way that is to be measured"
    );
    run(&cursor, budget);
    measured(&mut || {
        run(&cursor, budget);
    });
    1
}

/// Steps of 20 rows.
fn select_chunks() -> usize {
    steps(&cursor(Kind::Set, &guarded(), false))
}

/// Steps of 20 rows over one key of a bag.
fn select_key_chunks() -> usize {
    let body = Body::in_memory(Kind::Bag);
    for number in 0..COUNT {
        let row = body.row(3, &[int(7), binary("text"), int(number)].concat());
        body.write(row).expect("memory does not fail");
    }
    let head = tuple(&[atom("thing"), int(7), atom("$1"), atom("$2")]);
    let spec = list(&[tuple(&[head, list(&[]), list(&[atom("$_")])])]);
    let query = Query {
        spec: compiled(&spec),
        host: host(),
    };
    let table = table(body, Kind::Bag);
    steps(&Cursor::new(table, Arc::new(query), Direction::Up))
}

fn steps(cursor: &Cursor) -> usize {
    let budget = Budget {
        matches: 20,
        visits: COUNT as usize,
    };
    run(cursor, budget);
    let mut steps = 0;
    measured(&mut || steps = run(cursor, budget));
    steps
}
