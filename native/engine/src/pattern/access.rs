//! What a specification says about single elements of the records it can match.
//!
//! Facts come from the heads (constants, tuples that begin with constants) and from guards
//! that must hold (comparisons with a constant, at the top or inside `and`/`andalso`). All are
//! necessary conditions, so a table may look only where they hold and run the rest away. A
//! fact about the whole specification is what all its clauses share.
//!
//! Maps are no constants in a head: there they match partially.

use magnesia_term::packed::{self, View};
use magnesia_term::{Atom, Items};

use super::expression::{conjuncts, constant_of, proper_items};
use super::function::{Comparison, Function};
use super::range::{Edge, Range};
use super::release;
use super::variable::{Maps, Walk, number_of};
use super::words::Words;

/// What is known of one position.
#[derive(Debug, Clone)]
struct Column {
    position: usize,
    values: Option<Vec<Box<[u8]>>>,
    range: Range,
}

/// What is known of all positions.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
    keys: Option<Vec<Box<[u8]>>>,
    is_hopeless: bool,
}

impl Columns {
    /// Collects the facts of all clauses, given as head and guards that compiled.
    pub(super) fn of(clauses: &[(&[u8], &[u8])], words: &Words) -> Self {
        let mut all: Option<Vec<Column>> = None;
        for &(head, guards) in clauses {
            let Some(facts) = Facts::of(head, guards, words) else {
                continue;
            };
            all = Some(match all {
                None => facts.columns,
                Some(before) => shared(before, &facts.columns),
            });
        }
        let is_hopeless = all.is_none();
        let mut columns = all.unwrap_or_default();
        columns.retain(|column| column.values.is_some() || !column.range.is_open());
        Self {
            columns,
            keys: bound_keys(clauses, words),
            is_hopeless,
        }
    }

    /// The keys to look up, when every clause binds its key. A map in a head matches partially;
    /// as in `ets` before OTP 26.2.5, one in a key without variables is looked up as it is.
    pub(super) fn keys(&self) -> Option<&[Box<[u8]>]> {
        self.keys.as_deref().or_else(|| self.values_at(2))
    }

    pub(super) fn values_at(&self, position: usize) -> Option<&[Box<[u8]>]> {
        if self.is_hopeless {
            return Some(&[]);
        }
        self.at(position)?.values.as_deref()
    }

    pub(super) fn range_at(&self, position: usize) -> Option<&Range> {
        self.at(position)
            .map(|column| &column.range)
            .filter(|range| !range.is_open())
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|column| column.position)
    }

    fn at(&self, position: usize) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.position == position)
    }
}

/// The keys of all heads, or `None` when one has a variable for key or in it, or a map that
/// matches.
fn bound_keys(clauses: &[(&[u8], &[u8])], words: &Words) -> Option<Vec<Box<[u8]>>> {
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    for &(head, _) in clauses {
        let View::Tuple(mut items) = packed::view(head) else {
            return None;
        };
        // A head without a key matches no record.
        let Some(key) = items.nth(1) else { continue };
        let is_free = Walk::new(key, Maps::Enter).any(|(_, part)| match packed::view(part) {
            View::Atom(atom) => atom == words.any || number_of(atom).is_some(),
            View::Map(_) => release::maps_match_in_keys(),
            _ => false,
        });
        if is_free {
            return None;
        }
        if !keys.iter().any(|known| **known == *key) {
            keys.push(key.into());
        }
    }
    Some(keys)
}

/// What holds when one of two clauses matches.
fn shared(before: Vec<Column>, other: &[Column]) -> Vec<Column> {
    before
        .into_iter()
        .filter_map(|mut column| {
            let same = other.iter().find(|same| same.position == column.position)?;
            column.range.span(same.range.clone());
            column.values = match (column.values, &same.values) {
                (Some(mut values), Some(more)) => {
                    let new: Vec<_> = more
                        .iter()
                        .filter(|value| !values.contains(value))
                        .cloned()
                        .collect();
                    values.extend(new);
                    Some(values)
                }
                _ => None,
            };
            Some(column)
        })
        .collect()
}

/// The facts of one clause.
struct Facts<'a> {
    words: &'a Words,
    /// Variables that are whole elements, with their position.
    variables: Vec<(Atom, usize)>,
    columns: Vec<Column>,
}

impl<'a> Facts<'a> {
    /// `None` when no record can match the head.
    fn of(head: &[u8], guards: &[u8], words: &'a Words) -> Option<Self> {
        let mut facts = Self {
            words,
            variables: Vec::new(),
            columns: Vec::new(),
        };
        match packed::view(head) {
            View::Atom(atom) if atom == words.any || number_of(atom).is_some() => {}
            View::Tuple(items) => {
                for (index, term) in items.enumerate().skip(1) {
                    facts.element(index + 1, term);
                }
            }
            _ => return None,
        }
        let mut left: Vec<&[u8]> = proper_items(guards).ok()?.collect();
        while let Some(guard) = left.pop() {
            facts.guard(guard, &mut left);
        }
        Some(facts)
    }

    fn element(&mut self, position: usize, term: &[u8]) {
        if is_constant(term, self.words) {
            let term: Box<[u8]> = term.into();
            self.know(position, Range::exactly(&term), Some(term));
            return;
        }
        match packed::view(term) {
            View::Atom(atom) if number_of(atom).is_some() => self.variables.push((atom, position)),
            View::Tuple(items) => {
                if let Some(edge) = prefix(items, self.words) {
                    self.know(
                        position,
                        Range {
                            lower: edge.clone(),
                            upper: edge,
                        },
                        None,
                    );
                }
            }
            _ => {}
        }
    }

    fn guard<'g>(&mut self, guard: &'g [u8], left: &mut Vec<&'g [u8]>) {
        if let Some(parts) = conjuncts(guard) {
            left.extend(parts);
            return;
        }
        let View::Tuple(mut items) = packed::view(guard) else {
            return;
        };
        let Some(View::Atom(name)) = items.next().map(packed::view) else {
            return;
        };
        let (2, Some(a), Some(b)) = (items.count(), items.next(), items.next()) else {
            return;
        };
        let Some(Function::Compare(comparison)) = Function::find(name.name(), 2) else {
            return;
        };
        if let Some(constant) = constant_of(b, self.words) {
            self.comparison(a, comparison, &constant);
        } else if let Some(constant) = constant_of(a, self.words) {
            self.comparison(b, comparison.flipped(), &constant);
        }
    }

    fn comparison(&mut self, side: &[u8], comparison: Comparison, constant: &[u8]) {
        let Some((range, is_exact)) = range_of(comparison, constant) else {
            return;
        };
        for position in self.positions_of(side) {
            let value = is_exact.then(|| constant.into());
            self.know(position, range.clone(), value);
        }
    }

    /// The positions whose element an expression is: a variable or `{element, N, '$_'}`.
    fn positions_of(&self, expression: &[u8]) -> Vec<usize> {
        match packed::view(expression) {
            View::Atom(atom) => self
                .variables
                .iter()
                .filter(|(variable, _)| *variable == atom)
                .map(|&(_, position)| position)
                .collect(),
            View::Tuple(items) if items.count() == 3 => {
                self.element_call(items).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn element_call(&self, mut items: Items<'_>) -> Option<usize> {
        let mut next = || items.next().map(packed::view);
        match (next()?, next()?, next()?) {
            (View::Atom(name), View::Int(position), View::Atom(whole))
                if name.name() == "element" && whole == self.words.whole =>
            {
                usize::try_from(position)
                    .ok()
                    .filter(|&position| position >= 2)
            }
            _ => None,
        }
    }

    fn know(&mut self, position: usize, range: Range, value: Option<Box<[u8]>>) {
        let values = value.map(|value| vec![value]);
        match self
            .columns
            .iter_mut()
            .find(|column| column.position == position)
        {
            Some(column) => {
                column.range.intersect(range);
                column.values = column.values.take().or(values);
            }
            None => self.columns.push(Column {
                position,
                values,
                range,
            }),
        }
    }
}

impl Range {
    /// The range of the terms that are `==` this one.
    fn exactly(term: &[u8]) -> Self {
        let edge = Edge::At {
            term: term.into(),
            inclusive: true,
        };
        Self {
            lower: edge.clone(),
            upper: edge,
        }
    }
}

/// The range where a comparison with a constant holds, and whether only the constant itself
/// does; `None` when the comparison says nothing.
fn range_of(comparison: Comparison, constant: &[u8]) -> Option<(Range, bool)> {
    let edge = |inclusive| Edge::At {
        term: constant.into(),
        inclusive,
    };
    Some(match comparison {
        Comparison::Greater => (
            Range {
                lower: edge(false),
                upper: Edge::Open,
            },
            false,
        ),
        Comparison::GreaterEqual => (
            Range {
                lower: edge(true),
                upper: Edge::Open,
            },
            false,
        ),
        Comparison::Less => (
            Range {
                lower: Edge::Open,
                upper: edge(false),
            },
            false,
        ),
        Comparison::LessEqual => (
            Range {
                lower: Edge::Open,
                upper: edge(true),
            },
            false,
        ),
        Comparison::Exact => (Range::exactly(constant), true),
        Comparison::Equal => (Range::exactly(constant), !has_number(constant)),
        Comparison::NotEqual | Comparison::NotExact => return None,
    })
}

fn has_number(term: &[u8]) -> bool {
    Walk::new(term, Maps::Enter).any(|(_, part)| {
        matches!(
            packed::view(part),
            View::Int(_) | View::Big { .. } | View::Float(_)
        )
    })
}

/// Whether a part of a head matches nothing but itself.
fn is_constant(term: &[u8], words: &Words) -> bool {
    !Walk::new(term, Maps::Skip).any(|(_, part)| match packed::view(part) {
        View::Atom(atom) => atom == words.any || number_of(atom).is_some(),
        View::Map(_) => true,
        _ => false,
    })
}

/// The edge of the tuples that begin with the constants that `items` begins with.
fn prefix(items: Items<'_>, words: &Words) -> Option<Edge> {
    let arity = items.count();
    let mut elements = Vec::new();
    let mut count = 0;
    for item in items.take_while(|item| is_constant(item, words)) {
        elements.extend_from_slice(item);
        count += 1;
    }
    (count > 0).then(|| Edge::Prefix {
        arity,
        count,
        elements: elements.into(),
    })
}
