//! Match specifications: compiled once, run on packed rows.
//!
//! [`Spec::compile`] takes a specification exactly as `ets:select/2` does and accepts what
//! `ets:match_spec_compile/1` accepts, by [`release`] where releases differ. [`Spec::run`]
//! matches a row without decoding it: variables are places in the row, constants were packed
//! before, and only results that a body constructs are written, into a [`Scratch`] that is
//! reused. `access` says which keys or ranges can match at all.
//!
//! Map of the room: `variable` and `words` know the atoms; `head` and `expression` compile into
//! steps and code; `flat` runs the commonest clauses the short way; `machine` is a run's state,
//! `walk` runs heads, `run` runs code, `call`, `arithmetic` and `node` are the functions,
//! `construct` makes composites; `range` and `access` find candidates.
//!
//! Never here: tables, locks, threads. Nothing recurses on the specification or on data.

mod access;
mod arithmetic;
mod call;
mod construct;
mod expression;
mod flat;
mod function;
mod head;
mod machine;
mod node;
mod range;
pub mod release;
mod run;
mod value;
mod variable;
mod walk;
mod words;

use magnesia_term::packed::{self, View};
use magnesia_term::{Atom, Packer, Row};

pub use arithmetic::{INTEGER_BITS_MAX, INTEGER_BITS_MAX_27};
pub use expression::DEPTH_MAX;
pub use range::{Edge, Range};
pub use value::Scratch;
pub use variable::{has_variables, is_match_variable};

use access::Columns;
use expression::Code;
use head::Head;
use machine::{Machine, Subject, pack_subject};
use run::Place;
use value::Value;
use words::Words;

/// Why a match specification was refused; callers answer `badarg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The specification, its guards or a body is not a proper list.
    #[error("not a proper list")]
    NotAList,
    /// There is no clause.
    #[error("no clause")]
    NoClause,
    /// A clause is not a tuple of three.
    #[error("a clause is not a tuple of head, guards and body")]
    NotAClause,
    /// A body has no expression.
    #[error("a body has no expression")]
    EmptyBody,
    /// A map in a head has a variable or `'_'` as key.
    #[error("a map in a head has a variable as key")]
    MapKey,
    /// A guard or body uses a variable that the head does not bind.
    #[error("variable ${0} is unbound")]
    Unbound(u32),
    /// A tuple is neither `{{…}}` nor a call that is allowed here.
    #[error("a tuple is neither a call nor a constructor")]
    NotACall,
    /// An expression nests deeper than [`DEPTH_MAX`].
    #[error("an expression nests deeper than {DEPTH_MAX}")]
    TooDeep,
    /// The specification is larger than 4 GiB.
    #[error("the specification is too large")]
    TooLarge,
    /// The atom table is full.
    #[error("the atom table is full")]
    Atoms,
}

/// A record of a table: its name and its elements from the key on.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The record's first element.
    pub name: Atom,
    /// The other elements.
    pub row: &'a Row,
}

/// What `self()`, `node()` and the like answer in guards and bodies.
#[derive(Debug, Clone)]
pub struct Host {
    /// The calling process, packed.
    pub self_pid: Box<[u8]>,
    /// The name of this node.
    pub node: Atom,
}

/// The answer of a specification to one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out<'a> {
    /// The record itself, `'$_'`; it was not packed as a tuple.
    Whole,
    /// A packed term: in the row where it is a variable's value, else in the specification or
    /// in the scratch.
    Term(&'a [u8]),
}

#[derive(Debug)]
struct Clause {
    head: Head,
    variables: Vec<(u32, u32)>,
    guards: Vec<Code>,
    body: Vec<Code>,
    /// Whether the short way can run it on a record.
    is_flat: bool,
}

/// A compiled match specification: immutable, shared freely between threads.
#[derive(Debug)]
pub struct Spec {
    clauses: Vec<Clause>,
    constants: Vec<u8>,
    words: Words,
    slots: usize,
    marks: usize,
    columns: Columns,
}

impl Spec {
    /// Compiles a packed list of `{Head, Guards, Body}`.
    ///
    /// # Errors
    /// What `ets` refuses with `badarg` is refused here, and expressions deeper than
    /// [`DEPTH_MAX`] are.
    pub fn compile(spec: &[u8]) -> Result<Self, Invalid> {
        let mut compiled = Self {
            clauses: Vec::new(),
            constants: Vec::new(),
            words: Words::find()?,
            slots: 0,
            marks: 0,
            columns: Columns::default(),
        };
        let mut parts = Vec::new();
        for clause in expression::proper_items(spec)? {
            let View::Tuple(mut items) = packed::view(clause) else {
                return Err(Invalid::NotAClause);
            };
            let (3, Some(head), Some(guards), Some(body)) =
                (items.count(), items.next(), items.next(), items.next())
            else {
                return Err(Invalid::NotAClause);
            };
            compiled.add(head, guards, body)?;
            parts.push((head, guards));
        }
        if parts.is_empty() {
            return Err(Invalid::NoClause);
        }
        compiled.columns = Columns::of(&parts, &compiled.words);
        Ok(compiled)
    }

    /// Compiles `[{Pattern, [], ['$_']}]`, which is what `match_object` asks.
    ///
    /// # Errors
    /// As [`Spec::compile`].
    pub fn compile_pattern(pattern: &[u8]) -> Result<Self, Invalid> {
        let words = Words::find()?;
        let mut packer = Packer::new();
        let list = packer.list_begin(1);
        let clause = packer.tuple_begin(3);
        packer.raw(pattern);
        packer.nil();
        let body = packer.list_begin(1);
        packer.atom(words.whole);
        packer.nil();
        packer.list_end(body);
        packer.tuple_end(clause);
        packer.nil();
        packer.list_end(list);
        Self::compile(packer.as_bytes())
    }

    /// Runs the specification on a record; `None` when no clause matches.
    #[inline]
    pub fn run<'a>(
        &'a self,
        record: Record<'a>,
        host: &'a Host,
        scratch: &'a mut Scratch,
    ) -> Option<Out<'a>> {
        self.run_on(Subject::Record(record), host, scratch)
    }

    /// Runs the specification on any packed term, as `ets:match_spec_run/2` does.
    pub fn run_term<'a>(
        &'a self,
        term: &'a [u8],
        host: &'a Host,
        scratch: &'a mut Scratch,
    ) -> Option<Out<'a>> {
        self.run_on(Subject::Term(term), host, scratch)
    }

    /// Whether every clause answers the record itself.
    #[must_use]
    pub fn always_whole(&self) -> bool {
        self.clauses
            .iter()
            .all(|clause| matches!(clause.body.last(), Some(Code::Whole)))
    }

    /// The packed constants of which one must be `=:=` the element at this position (2 is the
    /// key) in every record that matches; `None` when there is no such set. An empty set means
    /// that nothing matches. Records found by it must still be run.
    #[must_use]
    pub fn values_at(&self, position: usize) -> Option<&[Box<[u8]>]> {
        self.columns.values_at(position)
    }

    /// The keys to look up instead of going over a table, when the specification binds them.
    /// As in `ets`, a map in a bound key is looked up whole, or matches: see [`release`].
    #[must_use]
    pub fn keys(&self) -> Option<&[Box<[u8]>]> {
        self.columns.keys()
    }

    /// The range in which the element at this position (2 is the key) lies in every record
    /// that matches; `None` when it is open on both sides. Records in it must still be run.
    #[must_use]
    pub fn range_at(&self, position: usize) -> Option<&Range> {
        self.columns.range_at(position)
    }

    /// Positions for which [`Spec::values_at`] or [`Spec::range_at`] know something.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.columns.positions()
    }

    fn add(&mut self, head: &[u8], guards: &[u8], body: &[u8]) -> Result<(), Invalid> {
        let head = head::compile(head, &self.words, &mut self.constants)?;
        let code = expression::compile(
            guards,
            body,
            &head.variables,
            &self.words,
            &mut self.constants,
        )?;
        self.slots = self.slots.max(head.variables.len());
        self.marks = self.marks.max(head.marks);
        let mut pattern = head.head;
        head::forget_unread(&mut pattern, &code.is_read);
        self.clauses.push(Clause {
            is_flat: flat::fits(&pattern, &code.guards, &code.body),
            head: pattern,
            variables: head.variables,
            guards: code.guards,
            body: code.body,
        });
        Ok(())
    }

    #[inline]
    fn run_on<'a>(
        &'a self,
        subject: Subject<'a>,
        host: &'a Host,
        scratch: &'a mut Scratch,
    ) -> Option<Out<'a>> {
        scratch.prepare(self.slots, self.marks);
        for clause in &self.clauses {
            if let (true, Subject::Record(record)) = (clause.is_flat, subject) {
                match flat::run(clause, record, &self.constants, &mut scratch.slots) {
                    Some(value) => return Some(self.out(subject, value, scratch)),
                    None => continue,
                }
            }
            scratch.clear();
            let mut machine = Machine {
                subject,
                constants: &self.constants,
                words: &self.words,
                host,
                scratch: &mut *scratch,
            };
            if !machine.matches(&clause.head) {
                continue;
            }
            let Some(()) = machine.run(&clause.guards, &clause.variables, Place::Guard) else {
                continue;
            };
            let value = machine.result(clause)?;
            return Some(self.out(subject, value, scratch));
        }
        None
    }

    #[inline]
    fn out<'a>(&'a self, subject: Subject<'a>, value: Value, scratch: &'a Scratch) -> Out<'a> {
        let (bytes, at) = match value {
            Value::Row(at) => (subject.bytes(), at),
            Value::Const(at) => (&self.constants[..], at),
            Value::Arena(at) => (scratch.arena.as_bytes(), at),
            _ => return Out::Whole,
        };
        let rest = &bytes[at as usize..];
        Out::Term(&rest[..packed::len(rest)])
    }
}

impl Machine<'_, '_> {
    /// The value of the body, with a place unless it is the record itself.
    #[inline]
    fn result(&mut self, clause: &Clause) -> Option<Value> {
        let value = match clause.body[..] {
            [Code::Whole] => Value::Whole,
            [Code::Slot(slot)] => self.scratch.slots[slot as usize],
            [Code::Const(at)] => Value::Const(at),
            _ => {
                self.run(&clause.body, &clause.variables, Place::Body)?;
                self.scratch.stack.pop()?
            }
        };
        Some(match value {
            Value::Whole => value,
            other => self.settle(other),
        })
    }
}

/// How far behind the start of `bytes` its sub-slice `part` begins.
fn offset_of(bytes: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(bytes.as_ptr().addr())
}

/// Packs the record that a [`Record`] stands for, `{Name, Key, …}`.
pub fn pack_record(record: Record<'_>, out: &mut Packer) {
    pack_subject(Subject::Record(record), out);
}
