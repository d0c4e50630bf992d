//! Values while a specification runs, and the memory they live in.
//!
//! A value is a scalar or a place: an offset into the row, into the constants of the
//! specification or into the scratch arena. Nothing is copied until a constructor or the
//! result needs it.

use magnesia_term::packed::{self, tag};
use magnesia_term::{Atom, Packer, View};

/// A value of an expression or a variable.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Atom(Atom),
    /// A term that begins here in the bytes of the subject.
    Row(u32),
    /// A term that begins here in the constants.
    Const(u32),
    /// A term that begins here in the arena.
    Arena(u32),
    /// The record itself, which is in no memory as one term.
    Whole,
}

impl Value {
    /// The scalar at the start of `bytes`, or `place` when the term there is none.
    #[inline]
    pub(super) fn load(bytes: &[u8], place: Self) -> Self {
        match bytes[0] {
            tag::INT8 | tag::INT16 | tag::INT32 | tag::INT64 | tag::ATOM | tag::FLOAT => {
                match packed::view(bytes) {
                    View::Int(int) => Self::Int(int),
                    View::Atom(atom) => Self::Atom(atom),
                    View::Float(float) => Self::Float(float),
                    _ => place,
                }
            }
            _ => place,
        }
    }
}

/// Memory that runs reuse. Keep one for each scan or process; it grows to what the largest
/// result so far needed and is never shared between threads at the same time.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) slots: Vec<Value>,
    pub(super) marks: Vec<u32>,
    pub(super) stack: Vec<Value>,
    pub(super) arena: Packer,
    pub(super) work: Packer,
}

impl Scratch {
    /// Makes room for a specification's variables and marks.
    #[inline]
    pub(super) fn prepare(&mut self, slots: usize, marks: usize) {
        if self.slots.len() < slots {
            self.slots.resize(slots, Value::Whole);
        }
        if self.marks.len() < marks {
            self.marks.resize(marks, 0);
        }
    }

    /// Forgets what an earlier clause or row left.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.stack.clear();
        self.arena.clear();
    }
}
