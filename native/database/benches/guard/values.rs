//! The data that kernels work on: packed terms, rows and tables, the same in every run.

use std::sync::Arc;

use magnesia_engine::Table;
use magnesia_engine::locks::{OwnerId, Wake, Wakeup};
use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_engine::table::Body;
use magnesia_term::{Atom, Packer, Row};

/// Rows of a table, keys of a loop.
pub const COUNT: i64 = 1_000;
/// The place of a row's third element in a record, which has three different values.
pub const GROUP_AT: usize = 4;

pub fn pack(write: impl FnOnce(&mut Packer)) -> Vec<u8> {
    let mut packer = Packer::new();
    write(&mut packer);
    packer.into_bytes()
}

pub fn int(value: i64) -> Vec<u8> {
    pack(|packer| packer.int(value))
}

pub fn binary(text: &str) -> Vec<u8> {
    pack(|packer| packer.binary(text.as_bytes()))
}

pub fn name(text: &str) -> Atom {
    Atom::intern(text).expect("there is room for an atom")
}

pub fn atom(text: &str) -> Vec<u8> {
    pack(|packer| packer.atom(name(text)))
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    pack(|packer| {
        let mark = packer.tuple_begin(items.len());
        items.iter().for_each(|item| packer.raw(item));
        packer.tuple_end(mark);
    })
}

pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    pack(|packer| {
        let mark = packer.list_begin(items.len());
        items.iter().for_each(|item| packer.raw(item));
        packer.nil();
        packer.list_end(mark);
    })
}

/// Spread over the order: every number below [`COUNT`] once.
pub fn numbers() -> impl Iterator<Item = i64> {
    (0..COUNT).map(|number| number * 617 % COUNT)
}

/// The keys of the rows.
pub fn keys() -> Vec<Vec<u8>> {
    numbers().map(int).collect()
}

/// Keys as people have them: a user's name with a number.
pub fn long_keys() -> Vec<Vec<u8>> {
    numbers()
        .map(|number| {
            tuple(&[
                atom("user"),
                binary(&format!("customer-{number:06}")),
                int(number),
            ])
        })
        .collect()
}

/// A term of the kind that tables hold.
pub fn document(number: i64) -> Vec<u8> {
    let tags = list(&[atom("new"), atom("paid"), int(number)]);
    tuple(&[
        atom("order"),
        int(number),
        binary(&format!("customer {number}")),
        pack(|packer| packer.float(number as f64 / 4.0)),
        tags,
        pack(|packer| packer.big(false, &[number as u8 | 1; 12])),
    ])
}

pub fn documents() -> Vec<Vec<u8>> {
    numbers().map(document).collect()
}

/// The elements of the row of a key: key, group of three, text.
pub fn elements(number: i64, text: &str) -> Vec<u8> {
    [int(number), binary(text), int(number % 3)].concat()
}

pub fn row(body: &Body, number: i64, text: &str) -> Row {
    body.row(3, &elements(number, text))
}

pub fn rows(body: &Body, text: &str) -> Vec<Row> {
    numbers().map(|number| row(body, number, text)).collect()
}

pub fn fill(body: &Body, text: &str) {
    for row in rows(body, text) {
        body.write(row).expect("memory does not fail");
    }
}

pub fn filled(kind: Kind) -> Body {
    let body = Body::in_memory(kind);
    fill(&body, "as it was");
    body
}

pub fn definition(text: &str, kind: Kind, storage: Storage) -> Definition {
    Definition {
        name: name(text),
        kind,
        storage,
        record_name: name(text),
        arity: 4,
        shape: Shape::Exact,
        indexes: Vec::new(),
        access_mode: AccessMode::ReadWrite,
        properties: pack(Packer::nil),
    }
}

pub fn table(body: Body, kind: Kind) -> Arc<Table> {
    let definition = definition("thing", kind, Storage::Ram);
    Arc::new(Table::new(7, definition, Arc::new(body)))
}

/// Nobody waits in a kernel.
pub struct Nobody;

impl Wake for Nobody {
    fn wake(&self, _owner: OwnerId, _token: u64, _what: Wakeup) {}
}
