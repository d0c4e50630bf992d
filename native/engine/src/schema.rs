//! What a table is: the part of its definition that the engine acts on.
//!
//! Everything else that Mnesia keeps in a table's definition (attribute names, replicas,
//! properties) is carried as one packed term that only the hosts read.

use magnesia_term::Atom;

/// How a table's keys behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One row a key, keys equal by `=:=`.
    Set,
    /// One row a key, keys equal by `==`, in order.
    OrderedSet,
    /// Distinct rows a key, in order of insertion.
    Bag,
}

/// Where a table's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In memory only.
    Ram,
    /// In memory, and restored from disk.
    Disc,
    /// On disk.
    DiscOnly,
}

impl Storage {
    /// Whether writes go to the commit log.
    #[must_use]
    pub fn is_durable(self) -> bool {
        self != Self::Ram
    }
}

/// Whether a table takes writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessMode {
    /// Reads and writes.
    ReadWrite,
    /// Reads only.
    ReadOnly,
}

/// Which records a table takes, and what of them its rows hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Records of the table's name and arity; rows have no name.
    Exact,
    /// Records of the table's name and of any arity; rows have no name.
    AnyArity,
    /// Tuples of any arity, whose first element is the key: rows have all of it.
    Nameless,
}

/// A table's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Name of the table.
    pub name: Atom,
    /// Behaviour of keys.
    pub kind: Kind,
    /// Where the rows are.
    pub storage: Storage,
    /// First element of every record.
    pub record_name: Atom,
    /// Elements of a record, its name included: 3 or more; 0 for nameless tuples.
    pub arity: usize,
    /// Whether records of another form are taken.
    pub shape: Shape,
    /// Positions that have an index, 3 or more each, ascending.
    pub indexes: Vec<usize>,
    /// Whether writes are taken.
    pub access_mode: AccessMode,
    /// Everything else, as one packed term.
    pub properties: Vec<u8>,
}
