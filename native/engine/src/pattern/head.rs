//! Compiles the head of a clause into steps that walk a packed term once.
//!
//! Composites are packed in line, so a pattern is a flat run of steps with one cursor: opening
//! a tuple is a check, and its elements follow. Maps are looked into by key and lists with a
//! variable tail need their start again; both remember it in a mark.
//!
//! A repeated variable matches what is `=:=`. Which occurrence gives it its value is visible
//! only with `0.0` and `-0.0`; the order is the BEAM's: a level's elements from left to right,
//! then the composites among them from the last to the first ([`Order`]).

use std::collections::HashMap;

use magnesia_term::packed::{self, View};
use magnesia_term::{Atom, Items};

use super::variable::{Maps, Walk, number_of};
use super::words::Words;
use super::{Invalid, offset_of};

/// A run of bytes in the constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) len: u32,
}

/// One step of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Passes over this many terms.
    Skip(u32),
    /// The term becomes the variable's value.
    Bind(u32),
    /// The term must be `=:=` the variable's value.
    Same(u32),
    /// As `Same`, and the variable takes this term.
    Rebind(u32),
    /// A term of two bytes.
    Two([u8; 2]),
    /// A term of five bytes: an atom or a middling integer.
    Five([u8; 5]),
    /// Any other constant.
    Literal(Span),
    /// Enters a tuple of this arity.
    Tuple(u32),
    /// Enters a list of exactly this many elements and a tail.
    List(u32),
    /// Enters a list of at least this many elements, whose tail is taken later.
    Open { count: u32, mark: u32 },
    /// What is left of the list becomes the variable's value.
    TailBind { slot: u32, count: u32, mark: u32 },
    /// What is left of the list must be `=:=` the variable's value.
    TailSame { slot: u32, count: u32, mark: u32 },
    /// As `TailSame`, and the variable takes it.
    TailRebind { slot: u32, count: u32, mark: u32 },
    /// Leaves the list, whatever is left of it.
    TailSkip { mark: u32 },
    /// Checks that the term is a map and remembers where it begins.
    Map(u32),
    /// Goes to the value of this key of the map.
    Key { mark: u32, key: Span },
    /// Goes behind the map.
    MapEnd(u32),
}

/// What the first element of a tuple head asks of the record's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameTest {
    Any,
    Bind(u32),
    Is(Atom),
    Never,
}

/// A compiled head.
#[derive(Debug, Clone)]
pub(super) enum Head {
    /// `'_'`
    Any,
    /// One variable.
    Whole(u32),
    /// A tuple of one element or more: steps of the first element, then of the others.
    Tuple {
        arity: usize,
        name: NameTest,
        first: Vec<Step>,
        rest: Vec<Step>,
    },
    /// Anything else; no record matches it.
    Other(Vec<Step>),
}

/// A head with what the guards and the body need to know of it.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) head: Head,
    /// Variable number and slot, ascending by number.
    pub(super) variables: Vec<(u32, u32)>,
    pub(super) marks: usize,
}

/// Compiles a head; its constants are appended to `constants`.
pub(super) fn compile(
    head: &[u8],
    words: &Words,
    constants: &mut Vec<u8>,
) -> Result<Compiled, Invalid> {
    let order = Order::of(head, words)?;
    let mut variables: Vec<_> = order
        .slots
        .iter()
        .map(|(&n, &(slot, _))| (n, slot))
        .collect();
    variables.sort_unstable();
    let mut writer = Writer {
        source: head,
        words: *words,
        loose: loose_parts(head, words),
        seen: vec![false; order.slots.len()],
        order,
        constants,
        steps: Vec::new(),
        marks: 0,
    };
    let head = writer.head()?;
    Ok(Compiled {
        head,
        variables,
        marks: writer.marks as usize,
    })
}

/// Offsets of all parts that keep a term around them from being a constant, ascending.
fn loose_parts(head: &[u8], words: &Words) -> Vec<usize> {
    Walk::new(head, Maps::Enter)
        .filter(|(_, part)| match packed::view(part) {
            View::Atom(atom) => atom == words.any || number_of(atom).is_some(),
            View::Map(_) => true,
            _ => false,
        })
        .map(|(at, _)| at)
        .collect()
}

/// The slot of each variable and which of its occurrences binds it.
struct Order {
    slots: HashMap<u32, (u32, usize)>,
}

/// A composite that waits for its turn.
enum Waiting<'a> {
    Term(&'a [u8]),
    /// A list from its second element on: elements, then the tail.
    Cells(Items<'a>),
}

impl Order {
    fn of(head: &[u8], words: &Words) -> Result<Self, Invalid> {
        let mut order = Self {
            slots: HashMap::new(),
        };
        let mut waiting = Vec::new();
        order.meet(head, head, &mut waiting);
        while let Some(next) = waiting.pop() {
            let term = match next {
                Waiting::Cells(items) => {
                    order.meet_cell(head, items, &mut waiting);
                    continue;
                }
                Waiting::Term(term) => term,
            };
            match packed::view(term) {
                View::List(items) => order.meet_cell(head, items, &mut waiting),
                View::Tuple(items) => {
                    items.for_each(|item| order.meet(head, item, &mut waiting));
                }
                View::Map(mut items) => {
                    while let (Some(key), Some(value)) = (items.next(), items.next()) {
                        check_map_key(key, words)?;
                        order.meet(head, value, &mut waiting);
                    }
                }
                _ => {}
            }
        }
        Ok(order)
    }

    fn meet_cell<'a>(&mut self, head: &[u8], items: Items<'a>, waiting: &mut Vec<Waiting<'a>>) {
        let mut rest = items;
        if let Some(first) = rest.next() {
            self.meet(head, first, waiting);
        }
        // By path: as a method this would be `Iterator::count`, which walks the list.
        if Items::count(&rest) > 1 {
            waiting.push(Waiting::Cells(rest));
        } else if let Some(tail) = rest.next() {
            self.meet(head, tail, waiting);
        }
    }

    fn meet<'a>(&mut self, head: &[u8], term: &'a [u8], waiting: &mut Vec<Waiting<'a>>) {
        match packed::view(term) {
            View::Atom(atom) => {
                if let Some(number) = number_of(atom) {
                    let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                    self.slots
                        .entry(number)
                        .or_insert((slot, offset_of(head, term)));
                }
            }
            View::Tuple(_) | View::List(_) | View::Map(_) => waiting.push(Waiting::Term(term)),
            _ => {}
        }
    }
}

fn check_map_key(key: &[u8], words: &Words) -> Result<(), Invalid> {
    match packed::view(key) {
        View::Atom(atom) if atom == words.any || number_of(atom).is_some() => Err(Invalid::MapKey),
        _ => Ok(()),
    }
}

/// What is still to be written, last first.
enum Task<'a> {
    Term(&'a [u8]),
    Tail {
        term: &'a [u8],
        count: u32,
        mark: u32,
    },
    Key {
        mark: u32,
        key: &'a [u8],
    },
    MapEnd(u32),
}

/// Writes the steps of one head.
struct Writer<'a> {
    source: &'a [u8],
    words: Words,
    loose: Vec<usize>,
    order: Order,
    seen: Vec<bool>,
    constants: &'a mut Vec<u8>,
    steps: Vec<Step>,
    marks: u32,
}

impl<'a> Writer<'a> {
    fn head(&mut self) -> Result<Head, Invalid> {
        match packed::view(self.source) {
            View::Atom(atom) if atom == self.words.any => Ok(Head::Any),
            View::Atom(atom) if number_of(atom).is_some() => Ok(Head::Whole(0)),
            View::Tuple(mut items) if items.count() >= 1 => {
                let arity = items.count();
                let name = items.next().expect("counted above");
                let first = self.steps_of(name)?;
                let name = match first[..] {
                    [Step::Skip(_)] => NameTest::Any,
                    [Step::Bind(slot)] => NameTest::Bind(slot),
                    _ => match packed::view(name) {
                        View::Atom(atom) => NameTest::Is(atom),
                        _ => NameTest::Never,
                    },
                };
                for item in items {
                    self.write(item)?;
                }
                let mut rest = std::mem::take(&mut self.steps);
                trim(&mut rest);
                Ok(Head::Tuple {
                    arity,
                    name,
                    first,
                    rest,
                })
            }
            _ => Ok(Head::Other(self.steps_of(self.source)?)),
        }
    }

    fn steps_of(&mut self, term: &'a [u8]) -> Result<Vec<Step>, Invalid> {
        self.write(term)?;
        Ok(std::mem::take(&mut self.steps))
    }

    fn write(&mut self, term: &'a [u8]) -> Result<(), Invalid> {
        let mut tasks = vec![Task::Term(term)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Term(term) => self.term(term, &mut tasks)?,
                Task::Tail { term, count, mark } => self.tail(term, count, mark),
                Task::Key { mark, key } => {
                    let key = self.constant(key)?;
                    self.steps.push(Step::Key { mark, key });
                }
                Task::MapEnd(mark) => self.steps.push(Step::MapEnd(mark)),
            }
        }
        Ok(())
    }

    fn term(&mut self, term: &'a [u8], tasks: &mut Vec<Task<'a>>) -> Result<(), Invalid> {
        if self.is_constant(term) {
            return self.literal(term);
        }
        match packed::view(term) {
            View::Atom(atom) => self.variable(atom, term),
            View::Tuple(items) => {
                self.steps.push(Step::Tuple(small(items.count())?));
                push_reversed(tasks, items, Task::Term);
            }
            View::List(items) => self.list(items, tasks)?,
            View::Map(items) => {
                let mark = self.mark();
                self.steps.push(Step::Map(mark));
                tasks.push(Task::MapEnd(mark));
                let first = tasks.len();
                let mut rest = items;
                while let (Some(key), Some(value)) = (rest.next(), rest.next()) {
                    tasks.push(Task::Key { mark, key });
                    tasks.push(Task::Term(value));
                }
                tasks[first..].reverse();
            }
            _ => self.literal(term)?,
        }
        Ok(())
    }

    fn list(&mut self, items: Items<'a>, tasks: &mut Vec<Task<'a>>) -> Result<(), Invalid> {
        let count = small(items.count() - 1)?;
        let tail = items.last().expect("a list has a tail");
        let takes_rest = match packed::view(tail) {
            View::Atom(atom) => atom == self.words.any || number_of(atom).is_some(),
            _ => false,
        };
        if !takes_rest {
            self.steps.push(Step::List(count));
            push_reversed(tasks, items, Task::Term);
            return Ok(());
        }
        let mark = self.mark();
        self.steps.push(Step::Open { count, mark });
        tasks.push(Task::Tail {
            term: tail,
            count,
            mark,
        });
        push_reversed(tasks, items.take(count as usize), Task::Term);
        Ok(())
    }

    fn variable(&mut self, atom: Atom, term: &[u8]) {
        let Some((slot, binds)) = self.occurrence(atom, term) else {
            match self.steps.last_mut() {
                Some(Step::Skip(count)) => *count += 1,
                _ => self.steps.push(Step::Skip(1)),
            }
            return;
        };
        let is_new = !std::mem::replace(&mut self.seen[slot as usize], true);
        self.steps.push(match (is_new, binds) {
            (true, _) => Step::Bind(slot),
            (false, true) => Step::Rebind(slot),
            (false, false) => Step::Same(slot),
        });
    }

    fn tail(&mut self, term: &[u8], count: u32, mark: u32) {
        let View::Atom(atom) = packed::view(term) else {
            return;
        };
        let Some((slot, binds)) = self.occurrence(atom, term) else {
            self.steps.push(Step::TailSkip { mark });
            return;
        };
        let is_new = !std::mem::replace(&mut self.seen[slot as usize], true);
        self.steps.push(match (is_new, binds) {
            (true, _) => Step::TailBind { slot, count, mark },
            (false, true) => Step::TailRebind { slot, count, mark },
            (false, false) => Step::TailSame { slot, count, mark },
        });
    }

    /// The slot of a variable and whether this occurrence binds it; `None` for `'_'`.
    fn occurrence(&self, atom: Atom, term: &[u8]) -> Option<(u32, bool)> {
        let &(slot, binder) = self.order.slots.get(&number_of(atom)?)?;
        Some((slot, binder == offset_of(self.source, term)))
    }

    fn literal(&mut self, term: &[u8]) -> Result<(), Invalid> {
        let term = &term[..packed::len(term)];
        let step = match *term {
            [a, b] => Step::Two([a, b]),
            [a, b, c, d, e] => Step::Five([a, b, c, d, e]),
            _ => Step::Literal(self.constant(term)?),
        };
        self.steps.push(step);
        Ok(())
    }

    fn constant(&mut self, term: &[u8]) -> Result<Span, Invalid> {
        let term = &term[..packed::len(term)];
        let span = Span {
            at: small(self.constants.len())?,
            len: small(term.len())?,
        };
        self.constants.extend_from_slice(term);
        Ok(span)
    }

    fn is_constant(&self, term: &[u8]) -> bool {
        let at = offset_of(self.source, term);
        let end = at + packed::len(term);
        let first = self.loose.partition_point(|&loose| loose < at);
        self.loose.get(first).is_none_or(|&loose| loose >= end)
    }

    fn mark(&mut self) -> u32 {
        self.marks += 1;
        self.marks - 1
    }
}

fn push_reversed<'a>(
    tasks: &mut Vec<Task<'a>>,
    items: impl Iterator<Item = &'a [u8]>,
    task: fn(&'a [u8]) -> Task<'a>,
) {
    let first = tasks.len();
    tasks.extend(items.map(task));
    tasks[first..].reverse();
}

pub(super) fn small(number: usize) -> Result<u32, Invalid> {
    u32::try_from(number).map_err(|_| Invalid::TooLarge)
}

/// Takes out bindings that nobody reads and steps after the last one that can fail.
pub(super) fn forget_unread(head: &mut Head, is_read: &[bool]) {
    let Head::Tuple {
        name, first, rest, ..
    } = head
    else {
        return;
    };
    let mut is_read = is_read.to_vec();
    for step in first.iter().chain(rest.iter()) {
        if let Step::Same(slot)
        | Step::Rebind(slot)
        | Step::TailSame { slot, .. }
        | Step::TailRebind { slot, .. } = *step
        {
            is_read[slot as usize] = true;
        }
    }
    let is_unread = |slot: u32| !is_read[slot as usize];
    if let NameTest::Bind(slot) = *name
        && is_unread(slot)
    {
        *name = NameTest::Any;
    }
    let mut kept: Vec<Step> = Vec::with_capacity(rest.len());
    for step in rest.drain(..) {
        let step = match step {
            Step::Bind(slot) if is_unread(slot) => Step::Skip(1),
            Step::TailBind { slot, mark, .. } if is_unread(slot) => Step::TailSkip { mark },
            other => other,
        };
        match (kept.last_mut(), step) {
            (Some(Step::Skip(before)), Step::Skip(more)) => *before += more,
            _ => kept.push(step),
        }
    }
    *rest = kept;
    trim(rest);
}

fn trim(steps: &mut Vec<Step>) {
    while let Some(Step::Skip(_) | Step::TailSkip { .. } | Step::MapEnd(_)) = steps.last() {
        steps.pop();
    }
}
