//! The record of a commit: what is appended to the log and replayed from it.
//!
//! Layout, little-endian: kind `u8`, length of the dictionary `u32`, the dictionary of atom
//! names, then operations one after the other: table `u32`, operation `u8`, elements `u32`,
//! length of the body `u32`, body (packed terms in portable form). See docs/disk.md.
//!
//! Never here: files; which table a number stands for is the reader's business.

use magnesia_term::portable::{self, Dictionary, Names};
use magnesia_term::{Items, Packer, Row};

use crate::apply::Op;
use crate::error::TableError;
use crate::txn::Overlay;

/// The only kind of record so far: operations on rows.
const KIND_OPERATIONS: u8 = 1;

const WRITE: u8 = 1;
const DELETE: u8 = 2;
const DELETE_OBJECT: u8 = 3;
const CLEAR: u8 = 4;

/// Gathers operations and makes a record of them.
#[derive(Default)]
pub struct Recorder {
    dictionary: Dictionary,
    operations: Vec<u8>,
    scratch: Vec<u8>,
}

impl Recorder {
    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.dictionary.clear();
        self.operations.clear();
    }

    /// Adds an operation on a table.
    pub fn add(&mut self, table: u32, op: &Op<'_>) {
        match op {
            Op::Write(row) => self.add_terms(table, WRITE, row.items()),
            Op::Delete(key) => self.add_terms(table, DELETE, Items::new(key, 1)),
            Op::DeleteObject(row) => self.add_terms(table, DELETE_OBJECT, row.items()),
            Op::Clear => self.add_terms(table, CLEAR, Items::new(&[], 0)),
        }
    }

    /// Adds the own writes of a transaction on durable tables.
    pub fn add_overlay(&mut self, own: &Overlay) {
        for own_table in own.tables() {
            let table = own_table.table();
            if !table.definition().storage.is_durable() {
                continue;
            }
            for own_key in own_table.keys() {
                for op in own_key.ops() {
                    self.add(table.id(), &op.on(own_key.key()));
                }
            }
        }
    }

    fn add_terms(&mut self, table: u32, op: u8, terms: Items<'_>) {
        let elements = u32::try_from(terms.count()).expect("a row has fewer than 2^32 elements");
        self.scratch.clear();
        for term in terms {
            portable::write(term, &mut self.dictionary, &mut self.scratch);
        }
        let length = u32::try_from(self.scratch.len()).expect("a row is under 4 GiB");
        self.operations.extend_from_slice(&table.to_le_bytes());
        self.operations.push(op);
        self.operations.extend_from_slice(&elements.to_le_bytes());
        self.operations.extend_from_slice(&length.to_le_bytes());
        self.operations.extend_from_slice(&self.scratch);
    }

    /// The record.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let mut names = Vec::new();
        self.dictionary.encode(&mut names);
        let length = u32::try_from(names.len()).expect("a dictionary is under 4 GiB");
        let mut record = Vec::with_capacity(5 + names.len() + self.operations.len());
        record.push(KIND_OPERATIONS);
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&names);
        record.extend_from_slice(&self.operations);
        record
    }
}

/// Reads a record and hands each operation with its table's number to `apply`.
///
/// `row` makes a row of a table from elements, or none when the table is gone.
///
/// # Errors
/// [`TableError::Storage`] when the record is not one that [`Recorder`] makes; what `apply`
/// returns.
pub fn replay(
    record: &[u8],
    row: &dyn Fn(u32, usize, &[u8]) -> Option<Row>,
    apply: &mut dyn FnMut(u32, Op<'_>) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let mut reader = Reader(record);
    if reader.byte()? != KIND_OPERATIONS {
        return Err(malformed("an unknown kind of record"));
    }
    let length = reader.word()?;
    let (names, _) = Names::parse(reader.take(length)?).map_err(|e| malformed(&e.to_string()))?;
    let mut packer = Packer::new();
    while !reader.0.is_empty() {
        let table = u32::try_from(reader.word()?).map_err(|_| malformed("a table number"))?;
        let op = reader.byte()?;
        let elements = reader.word()?;
        let length = reader.word()?;
        let body = reader.take(length)?;
        packer.clear();
        unpack(body, elements, &names, &mut packer)?;
        let packed = packer.as_bytes();
        match op {
            WRITE | DELETE_OBJECT if elements == 0 => return Err(malformed("a row without a key")),
            WRITE => each(row(table, elements, packed), |row| {
                apply(table, Op::Write(row))
            })?,
            DELETE_OBJECT => {
                each(row(table, elements, packed), |row| {
                    apply(table, Op::DeleteObject(row))
                })?;
            }
            DELETE if elements == 1 => apply(table, Op::Delete(packed))?,
            CLEAR => apply(table, Op::Clear)?,
            _ => return Err(malformed("an unknown operation")),
        }
    }
    Ok(())
}

fn each(row: Option<Row>, f: impl FnOnce(Row) -> Result<(), TableError>) -> Result<(), TableError> {
    row.map_or(Ok(()), f)
}

/// Reads `elements` portable terms that fill `body` exactly.
///
/// # Errors
/// [`TableError::Storage`] when they don't.
pub fn unpack(
    mut body: &[u8],
    elements: usize,
    names: &Names,
    out: &mut Packer,
) -> Result<(), TableError> {
    for _ in 0..elements {
        let used = portable::read(body, names, out).map_err(|e| malformed(&e.to_string()))?;
        body = body
            .get(used..)
            .ok_or_else(|| malformed("a term past its end"))?;
    }
    if body.is_empty() {
        Ok(())
    } else {
        Err(malformed("bytes after the last element"))
    }
}

fn malformed(what: &str) -> TableError {
    TableError::Storage {
        reason: format!("malformed record: {what}"),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], TableError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, TableError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn word(&mut self) -> Result<usize, TableError> {
        let bytes = self
            .take(4)?
            .try_into()
            .map_err(|_| malformed("it ends too early"))?;
        Ok(u32::from_le_bytes(bytes) as usize)
    }
}
