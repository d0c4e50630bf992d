//! Kernels of tables: reading, writing, deleting and walking in each kind, and indexes.

use std::hint::black_box;

use magnesia_engine::counter;
use magnesia_engine::schema::Kind;
use magnesia_engine::table::{Body, Direction, Position};
use magnesia_term::Packer;

use crate::values::{GROUP_AT, filled, int, keys, numbers, row, rows, table};
use crate::{Kernel, measured, once, repeat};

pub const KERNELS: &[Kernel] = &[
    ("set_get", || get(Kind::Set)),
    ("set_insert", || insert(Kind::Set)),
    ("set_overwrite", || overwrite(Kind::Set)),
    ("set_delete", || delete(Kind::Set)),
    ("set_walk", || walk(Kind::Set)),
    ("ordered_get", || get(Kind::OrderedSet)),
    ("ordered_insert", || insert(Kind::OrderedSet)),
    ("ordered_overwrite", || overwrite(Kind::OrderedSet)),
    ("ordered_delete", || delete(Kind::OrderedSet)),
    ("ordered_walk", || walk(Kind::OrderedSet)),
    ("ordered_next", next_key),
    ("bag_get", || get(Kind::Bag)),
    ("bag_insert", || insert(Kind::Bag)),
    ("bag_second", || overwrite(Kind::Bag)),
    ("bag_delete", || delete(Kind::Bag)),
    ("bag_delete_object", delete_object),
    ("index_read", index_read),
    ("index_write", index_write),
    ("index_delete", index_delete),
    ("counter", count),
];

fn get(kind: Kind) -> usize {
    let body = filled(kind);
    repeat(&keys(), |key| {
        body.read(key, |row| {
            black_box(row);
        })
        .expect("memory does not fail");
    })
}

fn write_all(body: &Body, text: &str) -> usize {
    once(&rows(body, text), |row| {
        body.write(row.clone()).expect("memory does not fail");
    })
}

fn insert(kind: Kind) -> usize {
    drop(filled(kind));
    write_all(&Body::in_memory(kind), "as it is")
}

/// Another row of each key: in a bag it stands beside the first.
fn overwrite(kind: Kind) -> usize {
    write_all(&filled(kind), "as it is now")
}

fn delete(kind: Kind) -> usize {
    let body = filled(kind);
    once(&keys(), |key| {
        body.delete(key).expect("memory does not fail");
    })
}

fn delete_object() -> usize {
    let body = filled(Kind::Bag);
    once(&rows(&body, "as it was"), |row| {
        body.delete_object(row).expect("memory does not fail");
    })
}

/// Rows visited, from the first part to the last.
fn walk(kind: Kind) -> usize {
    let body = filled(kind);
    measured(&mut || {
        let mut position = Some(Position::START);
        while let Some(from) = position {
            let next = body.walk(&from, Direction::Up, &mut |row| {
                black_box(row);
                true
            });
            position = next.expect("memory does not fail");
        }
    });
    body.rows()
}

fn next_key() -> usize {
    let body = filled(Kind::OrderedSet);
    repeat(&keys(), |key| {
        black_box(body.next_key(key, Direction::Up)).expect("memory does not fail");
    })
}

fn indexed() -> Body {
    let body = filled(Kind::Set);
    body.add_index(GROUP_AT).expect("memory does not fail");
    body
}

/// Rows given out: a third of the table for each value.
fn index_read() -> usize {
    let body = indexed();
    let values = [int(0), int(1), int(2)];
    let indexes = body.indexes();
    repeat(&values, |value| {
        indexes[0].read(value, |row| {
            black_box(row);
        });
    });
    body.rows()
}

/// Each row goes to another value.
fn index_write() -> usize {
    let body = indexed();
    let moved: Vec<_> = numbers()
        .map(|number| {
            let mut elements = Packer::new();
            elements.int(number);
            elements.binary(b"as it is");
            elements.int((number + 1) % 3);
            body.row(3, elements.as_bytes())
        })
        .collect();
    once(&moved, |row| {
        body.write(row.clone()).expect("memory does not fail");
    })
}

fn index_delete() -> usize {
    let body = indexed();
    once(&keys(), |key| {
        body.delete(key).expect("memory does not fail");
    })
}

fn count() -> usize {
    let body = Body::in_memory(Kind::Set);
    body.write(row(&body, 0, "no counter of this table"))
        .expect("memory does not fail");
    let (table, one) = (table(body, Kind::Set), int(1));
    repeat(&keys(), |key| {
        black_box(counter::update(&table, key, &one)).expect("memory does not fail");
    })
}
