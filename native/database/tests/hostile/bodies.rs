//! What must hold of a catalog that somebody else wrote: it is refused, or it says the same when
//! it is written again and its tables can be made.
//!
//! The replay of the kept inputs calls this, and so does the fuzz target of `native/fuzz`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each caller takes a part of this"
)]

use magnesia_database::catalog::Catalog;
use magnesia_engine::table::Body;
use magnesia_term::Packer;

#[path = "../../../fuzz/memory.rs"]
pub mod memory;

fn read(input: &[u8]) {
    let Ok(catalog) = Catalog::decode(input) else {
        return;
    };
    let again = Catalog::decode(&catalog.encode()).expect("it was encoded");
    assert_eq!(again, catalog, "written again");
    for entry in &catalog.tables {
        let body = Body::in_memory(entry.definition.kind);
        for &position in &entry.definition.indexes {
            body.add_index(position).expect("memory does not fail");
        }
        let mut elements = Packer::new();
        for value in 0..4 {
            elements.int(value);
        }
        let row = body.row(4, elements.as_bytes());
        body.write(row.clone()).expect("memory does not fail");
        body.delete_object(&row).expect("memory does not fail");
    }
}

/// Fuzz target: the catalog of tables.
pub fn catalog_decode(input: &[u8]) {
    let _alone = memory::alone();
    memory::within(256 * input.len() + (64 << 10), &mut || read(input));
}
