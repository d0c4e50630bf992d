//! What the manifest says of the schema: properties, and each table with its newest snapshot.
//!
//! The whole is one term in portable form, `{Version, NextTable, Properties, [Table]}`, after
//! its dictionary of atom names; docs/disk.md has it in full.
//!
//! Never here: files.

use magnesia_engine::schema::{AccessMode, Definition, Kind, Shape, Storage};
use magnesia_term::portable::{self, Dictionary, Names};
use magnesia_term::{Items, Packer, View, packed};

use crate::error::DatabaseError;

/// Version of the catalog that this release writes, and the newest that it reads.
const VERSION: i64 = 1;
const TABLE_FIELDS: usize = 10;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the table in the log.
    pub id: u32,
    /// Its definition.
    pub definition: Definition,
    /// Id of the snapshot that holds its rows, if there is one.
    pub snapshot: Option<u64>,
}

/// The schema as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// Number that the next table gets.
    pub next_table: u32,
    /// The host's own term about the schema, packed.
    pub properties: Vec<u8>,
    /// The tables.
    pub tables: Vec<Entry>,
}

impl Default for Catalog {
    fn default() -> Self {
        let mut nil = Packer::new();
        nil.nil();
        Self {
            next_table: 1,
            properties: nil.into_bytes(),
            tables: Vec::new(),
        }
    }
}

impl Catalog {
    /// The catalog as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        let mark = packer.tuple_begin(4);
        packer.int(VERSION);
        packer.int(i64::from(self.next_table));
        packer.raw(&self.properties);
        if self.tables.is_empty() {
            packer.nil();
        } else {
            let list = packer.list_begin(self.tables.len());
            self.tables
                .iter()
                .for_each(|entry| encode_entry(entry, &mut packer));
            packer.nil();
            packer.list_end(list);
        }
        packer.tuple_end(mark);
        let (mut dictionary, mut body) = (Dictionary::new(), Vec::new());
        portable::write(packer.as_bytes(), &mut dictionary, &mut body);
        let mut bytes = Vec::new();
        dictionary.encode(&mut bytes);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads what [`Catalog::encode`] wrote.
    ///
    /// # Errors
    /// [`DatabaseError::Catalog`] when it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DatabaseError> {
        let (names, used) = Names::parse(bytes).map_err(|error| bad(&error.to_string()))?;
        let mut packer = Packer::new();
        let body = bytes.get(used..).unwrap_or_default();
        portable::read(body, &names, &mut packer).map_err(|error| bad(&error.to_string()))?;
        let mut fields = Fields::of(packer.as_bytes(), 4)?;
        let version = fields.int()?;
        if version != VERSION {
            return Err(bad(&format!("version {version} is not {VERSION}")));
        }
        let next_table = fields.number()?;
        let properties = fields.term()?.to_vec();
        let tables = match packed::view(fields.term()?) {
            View::Nil => Vec::new(),
            View::List(items) => items
                .take(items.count() - 1)
                .map(decode_entry)
                .collect::<Result<_, _>>()?,
            _ => return Err(bad("the tables are no list")),
        };
        Ok(Self {
            next_table,
            properties,
            tables,
        })
    }
}

fn encode_entry(entry: &Entry, packer: &mut Packer) {
    let definition = &entry.definition;
    let mark = packer.tuple_begin(TABLE_FIELDS);
    packer.int(i64::from(entry.id));
    packer.atom(definition.name);
    packer.int(match definition.kind {
        Kind::Set => 1,
        Kind::OrderedSet => 2,
        Kind::Bag => 3,
    });
    packer.int(match definition.storage {
        Storage::Ram => 1,
        Storage::Disc => 2,
        Storage::DiscOnly => 3,
    });
    packer.atom(definition.record_name);
    packer.int(i64::try_from(definition.arity).unwrap_or(i64::MAX));
    if definition.indexes.is_empty() {
        packer.nil();
    } else {
        let list = packer.list_begin(definition.indexes.len());
        for &position in &definition.indexes {
            packer.int(i64::try_from(position).unwrap_or(i64::MAX));
        }
        packer.nil();
        packer.list_end(list);
    }
    packer.int(flags(definition));
    packer.raw(&definition.properties);
    match entry.snapshot {
        Some(id) => packer.big(false, &id.to_le_bytes()),
        None => packer.nil(),
    }
    packer.tuple_end(mark);
}

fn decode_entry(term: &[u8]) -> Result<Entry, DatabaseError> {
    let mut fields = Fields::of(term, TABLE_FIELDS)?;
    let id = fields.number()?;
    let name = fields.atom()?;
    let kind = match fields.int()? {
        1 => Kind::Set,
        2 => Kind::OrderedSet,
        3 => Kind::Bag,
        other => return Err(bad(&format!("no kind of table is {other}"))),
    };
    let storage = match fields.int()? {
        1 => Storage::Ram,
        2 => Storage::Disc,
        3 => Storage::DiscOnly,
        other => return Err(bad(&format!("no storage is {other}"))),
    };
    let record_name = fields.atom()?;
    let arity = fields.number()? as usize;
    let indexes = match packed::view(fields.term()?) {
        View::List(items) => items
            .take(items.count() - 1)
            .map(position)
            .collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let (access_mode, shape) = of_flags(fields.int()?)?;
    let properties = fields.term()?.to_vec();
    let snapshot = match packed::view(fields.term()?) {
        View::Nil => None,
        View::Int(id) => Some(id.cast_unsigned()),
        View::Big { magnitude, .. } => {
            let bytes = magnitude
                .try_into()
                .map_err(|_| bad("a snapshot's id is too long"))?;
            Some(u64::from_le_bytes(bytes))
        }
        _ => return Err(bad("a snapshot's id is no integer")),
    };
    let definition = Definition {
        name,
        kind,
        storage,
        record_name,
        arity,
        shape,
        indexes,
        access_mode,
        properties,
    };
    Ok(Entry {
        id,
        definition,
        snapshot,
    })
}

/// Access mode and shape in one integer: 1 for read-only, 2 or 4 for a shape that isn't exact.
fn flags(definition: &Definition) -> i64 {
    let access = i64::from(definition.access_mode == AccessMode::ReadOnly);
    access
        | match definition.shape {
            Shape::Exact => 0,
            Shape::AnyArity => 2,
            Shape::Nameless => 4,
        }
}

fn of_flags(flags: i64) -> Result<(AccessMode, Shape), DatabaseError> {
    let access_mode = if flags & 1 == 1 {
        AccessMode::ReadOnly
    } else {
        AccessMode::ReadWrite
    };
    match flags & !1 {
        0 => Ok((access_mode, Shape::Exact)),
        2 => Ok((access_mode, Shape::AnyArity)),
        4 => Ok((access_mode, Shape::Nameless)),
        _ => Err(bad(&format!("no access mode and shape are {flags}"))),
    }
}

fn position(term: &[u8]) -> Result<usize, DatabaseError> {
    match packed::view(term) {
        View::Int(position) => {
            usize::try_from(position).map_err(|_| bad("an index's position is negative"))
        }
        _ => Err(bad("an index's position is no integer")),
    }
}

fn bad(reason: &str) -> DatabaseError {
    DatabaseError::Catalog {
        reason: reason.to_owned(),
    }
}

/// The elements of a tuple, taken one by one.
struct Fields<'a>(Items<'a>);

impl<'a> Fields<'a> {
    fn of(term: &'a [u8], count: usize) -> Result<Self, DatabaseError> {
        match packed::view(term) {
            View::Tuple(items) if items.count() == count => Ok(Self(items)),
            _ => Err(bad(&format!("a tuple of {count} is missing"))),
        }
    }

    fn term(&mut self) -> Result<&'a [u8], DatabaseError> {
        self.0.next().ok_or_else(|| bad("a field is missing"))
    }

    fn int(&mut self) -> Result<i64, DatabaseError> {
        match packed::view(self.term()?) {
            View::Int(int) => Ok(int),
            _ => Err(bad("a field is no integer")),
        }
    }

    fn number(&mut self) -> Result<u32, DatabaseError> {
        u32::try_from(self.int()?).map_err(|_| bad("a number is out of range"))
    }

    fn atom(&mut self) -> Result<magnesia_term::Atom, DatabaseError> {
        match packed::view(self.term()?) {
            View::Atom(atom) => Ok(atom),
            _ => Err(bad("a field is no atom")),
        }
    }
}
