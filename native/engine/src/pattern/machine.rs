//! The state of one run: the subject, the constants, and values resolved to terms.
//!
//! Heads are walked in `walk.rs`, code runs in `run.rs`, functions in `call.rs`; here is what
//! they share. Never here: semantics of any function.

use std::cmp::Ordering;

use magnesia_term::packed::{self, tag};
use magnesia_term::{Atom, Packer, View, order};

use super::construct;
use super::function::Comparison;
use super::value::{Scratch, Value};
use super::words::Words;
use super::{Host, Record};

/// What a specification runs on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A record of a table.
    Record(Record<'a>),
    /// Any packed term.
    Term(&'a [u8]),
}

impl<'a> Subject<'a> {
    /// The bytes that [`Value::Row`] points into.
    #[inline]
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Record(record) => record.row.body(),
            Self::Term(term) => term,
        }
    }
}

/// A run in progress.
pub(super) struct Machine<'a, 's> {
    pub(super) subject: Subject<'a>,
    pub(super) constants: &'a [u8],
    pub(super) words: &'a Words,
    pub(super) host: &'a Host,
    pub(super) scratch: &'s mut Scratch,
}

impl Machine<'_, '_> {
    /// The scalar or place at an offset of the subject.
    #[inline]
    pub(super) fn load_row(&self, at: u32) -> Value {
        Value::load(&self.subject.bytes()[at as usize..], Value::Row(at))
    }

    /// A value with scalars read out of their places.
    #[inline]
    pub(super) fn load(&self, value: Value) -> Value {
        match value {
            Value::Row(at) => self.load_row(at),
            Value::Const(at) => Value::load(&self.constants[at as usize..], value),
            Value::Arena(at) => Value::load(&self.scratch.arena.as_bytes()[at as usize..], value),
            other => other,
        }
    }

    /// The bytes of a value that has a place; empty for one that has none.
    #[inline]
    pub(super) fn place(&self, value: Value) -> &[u8] {
        let (bytes, at) = match value {
            Value::Row(at) => (self.subject.bytes(), at),
            Value::Const(at) => (self.constants, at),
            Value::Arena(at) => (self.scratch.arena.as_bytes(), at),
            _ => return &[],
        };
        let rest = &bytes[at as usize..];
        &rest[..packed::len(rest)]
    }

    /// Gives a value a place, packing scalars and the record into the arena.
    pub(super) fn settle(&mut self, value: Value) -> Value {
        match value {
            Value::Row(_) | Value::Const(_) | Value::Arena(_) => value,
            _ => {
                let at = self.scratch.arena.len();
                let arena = &mut self.scratch.arena;
                match value {
                    Value::Int(int) => arena.int(int),
                    Value::Float(float) => arena.float(float),
                    Value::Atom(atom) => arena.atom(atom),
                    _ => pack_subject(self.subject, arena),
                }
                Value::Arena(offset(at))
            }
        }
    }

    /// One level of a value; the record itself must have been settled before.
    #[inline]
    pub(super) fn view(&self, value: Value) -> View<'_> {
        match value {
            Value::Int(int) => View::Int(int),
            Value::Float(float) => View::Float(float),
            Value::Atom(atom) => View::Atom(atom),
            Value::Whole => View::Nil,
            place => packed::view(self.place(place)),
        }
    }

    /// Appends a term to the arena through the work buffer, so that `make` may read the arena.
    pub(super) fn make(&mut self, make: impl FnOnce(&Self, &mut Packer)) -> Value {
        let mut work = std::mem::take(&mut self.scratch.work);
        work.clear();
        make(self, &mut work);
        let at = self.scratch.arena.len();
        self.scratch.arena.raw(work.as_bytes());
        self.scratch.work = work;
        Value::Arena(offset(at))
    }

    /// Makes a composite of the last `count` values of the stack.
    pub(super) fn gather(&mut self, count: usize, build: fn(&mut Packer, &[&[u8]])) -> Value {
        let from = self.scratch.stack.len() - count;
        for index in from..self.scratch.stack.len() {
            let settled = self.settle(self.scratch.stack[index]);
            self.scratch.stack[index] = settled;
        }
        let made = self.make(|machine, work| {
            let values = &machine.scratch.stack[from..];
            let terms: Vec<&[u8]> = values.iter().map(|&value| machine.place(value)).collect();
            build(work, &terms);
        });
        self.scratch.stack.truncate(from);
        made
    }

    /// The list of all variables in the order of their numbers, which is `'$$'`.
    pub(super) fn bindings(&mut self, variables: &[(u32, u32)]) -> Value {
        for &(_, slot) in variables {
            let value = self.scratch.slots[slot as usize];
            self.scratch.stack.push(value);
        }
        let nil = self.make(|_, work| work.nil());
        self.scratch.stack.push(nil);
        self.gather(variables.len() + 1, construct::list)
    }

    /// The order of two values, by `==` or `=:=`.
    pub(super) fn holds(&mut self, comparison: Comparison, a: Value, b: Value) -> bool {
        match (a, b) {
            (Value::Int(a), Value::Int(b)) => return comparison.holds(a.cmp(&b)),
            (Value::Atom(a), Value::Atom(b)) if a == b => {
                return comparison.holds(Ordering::Equal);
            }
            _ => {}
        }
        let (a, b) = (self.settle(a), self.settle(b));
        compare(comparison, self.place(a), self.place(b))
    }
}

/// Whether the comparison holds between two packed terms.
pub(super) fn compare(comparison: Comparison, a: &[u8], b: &[u8]) -> bool {
    match comparison {
        Comparison::Exact => order::equal_exact(a, b),
        Comparison::NotExact => !order::equal_exact(a, b),
        Comparison::Equal => order::equal(a, b),
        Comparison::NotEqual => !order::equal(a, b),
        _ => comparison.holds(order::compare(a, b)),
    }
}

/// Whether a term compares so with a packed integer or atom.
#[inline]
pub(super) fn compare_scalar(comparison: Comparison, term: &[u8], scalar: &[u8]) -> bool {
    if let (Some(a), Some(b)) = (int_at(term), int_at(scalar)) {
        return comparison.holds(a.cmp(&b));
    }
    if scalar[0] == tag::ATOM && term.starts_with(&scalar[..5]) {
        return comparison.holds(Ordering::Equal);
    }
    compare(
        comparison,
        &term[..packed::len(term)],
        &scalar[..packed::len(scalar)],
    )
}

/// The integer of the 64-bit range that begins here, if one does.
#[inline]
fn int_at(term: &[u8]) -> Option<i64> {
    match *term {
        [tag::INT8, a, ..] => Some(i64::from(a.cast_signed())),
        [tag::INT16, a, b, ..] => Some(i64::from(i16::from_le_bytes([a, b]))),
        [tag::INT32, a, b, c, d, ..] => Some(i64::from(i32::from_le_bytes([a, b, c, d]))),
        [tag::INT64, a, b, c, d, e, f, g, h, ..] => {
            Some(i64::from_le_bytes([a, b, c, d, e, f, g, h]))
        }
        _ => None,
    }
}

/// Appends the subject as one term.
pub(super) fn pack_subject(subject: Subject<'_>, out: &mut Packer) {
    match subject {
        Subject::Term(term) => out.raw(&term[..packed::len(term)]),
        Subject::Record(Record { name, row }) => {
            let mark = out.tuple_begin(row.elements() + 1);
            out.atom(name);
            out.raw(row.body());
            out.tuple_end(mark);
        }
    }
}

/// The atom at the start of a packed term, if there is one.
pub(super) fn atom_of(view: View<'_>) -> Option<Atom> {
    match view {
        View::Atom(atom) => Some(atom),
        _ => None,
    }
}

/// An offset into the arena or a row; terms are under 4 GiB.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a term is under 4 GiB")
}
