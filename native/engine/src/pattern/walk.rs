//! Walks the steps of a head over a packed term.

use magnesia_term::packed::{self, View, tag};
use magnesia_term::{Items, order};

use super::construct;
use super::head::{Head, NameTest, Span, Step};
use super::machine::{Machine, Subject, offset};
use super::value::Value;

/// What follows a step: the cursor's place, or `None` when the head does not match.
type Next = Option<usize>;

impl Machine<'_, '_> {
    /// Whether the subject matches the head; binds its variables.
    #[inline]
    pub(super) fn matches(&mut self, head: &Head) -> bool {
        match head {
            Head::Any => true,
            Head::Whole(slot) => {
                self.scratch.slots[*slot as usize] = match self.subject {
                    Subject::Record(_) => Value::Whole,
                    Subject::Term(_) => Value::Row(0),
                };
                true
            }
            Head::Tuple {
                arity,
                name,
                first,
                rest,
            } => match self.subject {
                Subject::Record(record) => {
                    let fits = record.row.elements() + 1 == *arity;
                    fits && self.names(*name, record.name) && self.walk(0, rest).is_some()
                }
                Subject::Term(term) => {
                    let at = enter_tuple(term, 0, *arity);
                    let at = at.and_then(|at| self.walk(at, first));
                    at.and_then(|at| self.walk(at, rest)).is_some()
                }
            },
            Head::Other(steps) => match self.subject {
                Subject::Record(_) => false,
                Subject::Term(_) => self.walk(0, steps).is_some(),
            },
        }
    }

    #[inline]
    fn names(&mut self, test: NameTest, name: magnesia_term::Atom) -> bool {
        match test {
            NameTest::Any => true,
            NameTest::Is(wanted) => wanted == name,
            NameTest::Never => false,
            NameTest::Bind(slot) => {
                self.scratch.slots[slot as usize] = Value::Atom(name);
                true
            }
        }
    }

    #[inline]
    fn walk(&mut self, from: usize, steps: &[Step]) -> Next {
        let bytes = self.subject.bytes();
        let mut at = from;
        for step in steps {
            at = match *step {
                Step::Skip(count) => {
                    let mut at = at;
                    for _ in 0..count {
                        at = after(bytes, at);
                    }
                    at
                }
                Step::Bind(slot) => {
                    self.scratch.slots[slot as usize] = Value::Row(offset(at));
                    after(bytes, at)
                }
                Step::Two(wanted) if bytes[at..].starts_with(&wanted) => at + 2,
                Step::Five(wanted) if bytes[at..].starts_with(&wanted) => at + 5,
                Step::Two(_) | Step::Five(_) => return None,
                Step::Literal(span) if bytes[at..].starts_with(self.span(span)) => {
                    at + span.len as usize
                }
                Step::Literal(_) => return None,
                rarer => self.rarer(rarer, at)?,
            };
        }
        Some(at)
    }

    /// Steps that only heads with inner structure or repeated variables have.
    fn rarer(&mut self, step: Step, at: usize) -> Next {
        let bytes = self.subject.bytes();
        match step {
            Step::Same(slot) => self.same(slot, Value::Row(offset(at)))?,
            Step::Rebind(slot) => {
                self.same(slot, Value::Row(offset(at)))?;
                self.scratch.slots[slot as usize] = Value::Row(offset(at));
            }
            Step::Tuple(arity) => return enter_tuple(bytes, at, arity as usize),
            Step::List(count) => return enter_list(bytes, at, |has| has == count as usize),
            Step::Open { count, mark } => {
                self.scratch.marks[mark as usize] = offset(at);
                return enter_list(bytes, at, |has| has >= count as usize);
            }
            Step::TailBind { slot, count, mark } => {
                let (tail, end) = self.tail(at, count, mark)?;
                self.scratch.slots[slot as usize] = tail;
                return Some(end);
            }
            Step::TailSame { slot, count, mark } => {
                let (tail, end) = self.tail(at, count, mark)?;
                self.same(slot, tail)?;
                return Some(end);
            }
            Step::TailRebind { slot, count, mark } => {
                let (tail, end) = self.tail(at, count, mark)?;
                self.same(slot, tail)?;
                self.scratch.slots[slot as usize] = tail;
                return Some(end);
            }
            Step::TailSkip { mark } | Step::MapEnd(mark) => {
                let start = self.scratch.marks[mark as usize] as usize;
                return Some(start + packed::len(&bytes[start..]));
            }
            Step::Map(mark) => {
                self.scratch.marks[mark as usize] = offset(at);
                return (bytes[at] == tag::MAP).then_some(at);
            }
            Step::Key { mark, key } => return self.map_value(mark, key),
            Step::Skip(_) | Step::Bind(_) => {}
            Step::Two(_) | Step::Five(_) | Step::Literal(_) => return None,
        }
        Some(at + packed::len(&bytes[at..]))
    }

    fn same(&mut self, slot: u32, value: Value) -> Option<()> {
        let bound = self.settle(self.scratch.slots[slot as usize]);
        order::equal_exact(self.place(bound), self.place(value)).then_some(())
    }

    /// What is left of the list at `mark` once `count` elements were taken, and where it ends.
    fn tail(&mut self, at: usize, count: u32, mark: u32) -> Option<(Value, usize)> {
        let bytes = self.subject.bytes();
        let start = self.scratch.marks[mark as usize] as usize;
        let View::List(items) = packed::view(&bytes[start..]) else {
            return None;
        };
        let end = start + packed::len(&bytes[start..]);
        let left = items.count().checked_sub(count as usize)?;
        if left == 1 {
            return Some((Value::Row(offset(at)), end));
        }
        let left = Items::new(&bytes[at..end], left);
        Some((
            self.make(|_, work| construct::rest_of_list(work, left)),
            end,
        ))
    }

    fn map_value(&self, mark: u32, key: Span) -> Next {
        let bytes = self.subject.bytes();
        let start = self.scratch.marks[mark as usize] as usize;
        let View::Map(items) = packed::view(&bytes[start..]) else {
            return None;
        };
        let end = start + packed::len(&bytes[start..]);
        value_in(items, self.span(key)).map(|value| end - value.len())
    }

    #[inline]
    fn span(&self, span: Span) -> &[u8] {
        &self.constants[span.at as usize..][..span.len as usize]
    }
}

/// Bytes of terms whose tag alone tells, and 0 for the others.
const FIXED: [u8; 32] = {
    let mut sizes = [0; 32];
    sizes[tag::NIL as usize] = 1;
    sizes[tag::INT8 as usize] = 2;
    sizes[tag::INT16 as usize] = 3;
    sizes[tag::INT32 as usize] = 5;
    sizes[tag::ATOM as usize] = 5;
    sizes[tag::INT64 as usize] = 9;
    sizes[tag::FLOAT as usize] = 9;
    sizes
};

/// Where the term at `at` ends; as `packed::len`, but short enough to stand in the loop.
#[inline(always)]
pub(super) fn after(bytes: &[u8], at: usize) -> usize {
    match FIXED[usize::from(bytes[at] & 31)] {
        0 if bytes[at] == tag::BIN => at + 2 + usize::from(bytes[at + 1]),
        0 => at + packed::len(&bytes[at..]),
        size => at + usize::from(size),
    }
}

/// The bytes of a map's contents from the value of a key on.
fn value_in<'a>(items: Items<'a>, key: &[u8]) -> Option<&'a [u8]> {
    let mut rest = items;
    while let Some(found) = rest.next() {
        if order::equal_exact(found, key) {
            return Some(rest.rest());
        }
        rest.next();
    }
    None
}

#[inline]
fn enter_tuple(bytes: &[u8], at: usize, arity: usize) -> Next {
    match bytes[at] {
        tag::TUPLE => (usize::from(bytes[at + 1]) == arity).then_some(at + 6),
        tag::TUPLE32 => match packed::view(&bytes[at..]) {
            View::Tuple(items) => (items.count() == arity).then_some(at + 9),
            _ => None,
        },
        _ => None,
    }
}

fn enter_list(bytes: &[u8], at: usize, fits: impl FnOnce(usize) -> bool) -> Next {
    match packed::view(&bytes[at..]) {
        View::List(items) => fits(items.count() - 1).then_some(at + 9),
        _ => None,
    }
}
