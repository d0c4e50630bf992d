//! Ranges of terms in the order of an ordered set, where `1` and `1.0` are one place.
//!
//! An edge may be a term or all tuples that begin with given elements, because the term order
//! has no least term to write such an edge with.

use std::cmp::Ordering;

use magnesia_term::packed::{self, View};
use magnesia_term::{Items, order};

/// One end of a [`Range`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// No bound.
    Open,
    /// A packed term.
    At {
        /// The term.
        term: Box<[u8]>,
        /// Whether the term itself is in the range.
        inclusive: bool,
    },
    /// The tuples of this arity whose first elements are `==` the given ones; as a lower edge
    /// the first of them, as an upper edge the last.
    Prefix {
        /// Arity of the tuples.
        arity: usize,
        /// How many elements are given, 1..arity.
        count: usize,
        /// The elements, packed one after the other.
        elements: Box<[u8]>,
    },
}

/// A range of terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub lower: Edge,
    /// Where it ends.
    pub upper: Edge,
}

/// A point between two terms.
#[derive(Clone, Copy)]
struct Cut<'a> {
    what: What<'a>,
    is_after: bool,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Term(&'a [u8]),
    Prefix { arity: usize, elements: Items<'a> },
}

impl Range {
    /// Whether no term lies in it. An ordered map may refuse such a range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (self.lower.cut(true), self.upper.cut(false)) {
            (Some(lower), Some(upper)) => compare(lower, upper).is_ge(),
            _ => false,
        }
    }

    /// Whether the term lies in it.
    #[must_use]
    pub fn contains(&self, term: &[u8]) -> bool {
        let before = Cut {
            what: What::Term(term),
            is_after: false,
        };
        let after = Cut {
            what: What::Term(term),
            is_after: true,
        };
        self.lower
            .cut(true)
            .is_none_or(|lower| compare(lower, before).is_le())
            && self
                .upper
                .cut(false)
                .is_none_or(|upper| compare(upper, after).is_ge())
    }

    /// Whether neither side is bounded.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lower == Edge::Open && self.upper == Edge::Open
    }

    /// The terms in both.
    pub(super) fn intersect(&mut self, other: Self) {
        let Self { lower, upper } = other;
        if stands_beyond(&lower, &self.lower, true, Ordering::Greater) {
            self.lower = lower;
        }
        if stands_beyond(&upper, &self.upper, false, Ordering::Less) {
            self.upper = upper;
        }
    }

    /// The least range around both.
    pub(super) fn span(&mut self, other: Self) {
        let Self { lower, upper } = other;
        if stands_beyond(&self.lower, &lower, true, Ordering::Greater) {
            self.lower = lower;
        }
        if stands_beyond(&self.upper, &upper, false, Ordering::Less) {
            self.upper = upper;
        }
    }
}

impl Edge {
    fn cut(&self, is_lower: bool) -> Option<Cut<'_>> {
        match self {
            Self::Open => None,
            Self::At { term, inclusive } => Some(Cut {
                what: What::Term(term),
                is_after: *inclusive != is_lower,
            }),
            Self::Prefix {
                arity,
                count,
                elements,
            } => {
                let elements = Items::new(elements, *count);
                Some(Cut {
                    what: What::Prefix {
                        arity: *arity,
                        elements,
                    },
                    is_after: !is_lower,
                })
            }
        }
    }
}

/// Whether `edge` bounds more narrowly than `other`, narrower being the `narrow` direction.
fn stands_beyond(edge: &Edge, other: &Edge, is_lower: bool, narrow: Ordering) -> bool {
    match (edge.cut(is_lower), other.cut(is_lower)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(edge), Some(other)) => compare(edge, other) == narrow,
    }
}

fn compare(a: Cut<'_>, b: Cut<'_>) -> Ordering {
    match (a.what, b.what) {
        (What::Term(x), What::Term(y)) => order::compare(x, y).then(a.is_after.cmp(&b.is_after)),
        (What::Prefix { .. }, What::Term(y)) => {
            prefix_to_term(a.what, y).unwrap_or_else(|| side(a))
        }
        (What::Term(x), What::Prefix { .. }) => prefix_to_term(b.what, x)
            .unwrap_or_else(|| side(b))
            .reverse(),
        (
            What::Prefix { arity, elements },
            What::Prefix {
                arity: other_arity,
                elements: other,
            },
        ) => arity
            .cmp(&other_arity)
            .then_with(|| match elementwise(elements, other) {
                Ordering::Equal if elements.count() < other.count() => side(a),
                Ordering::Equal if elements.count() > other.count() => side(b).reverse(),
                Ordering::Equal => a.is_after.cmp(&b.is_after),
                unequal => unequal,
            }),
    }
}

/// How a cut stands to what lies inside its prefix.
fn side(cut: Cut<'_>) -> Ordering {
    if cut.is_after {
        Ordering::Greater
    } else {
        Ordering::Less
    }
}

/// How the tuples of a prefix stand to a term; `None` when the term is one of them.
fn prefix_to_term(prefix: What<'_>, term: &[u8]) -> Option<Ordering> {
    let What::Prefix { arity, elements } = prefix else {
        return None;
    };
    let unequal = match packed::view(term) {
        View::Tuple(items) => arity
            .cmp(&items.count())
            .then_with(|| elementwise(elements, items)),
        View::Int(_) | View::Big { .. } | View::Float(_) | View::Atom(_) | View::Ext(..) => {
            Ordering::Greater
        }
        View::Map(_) | View::Nil | View::List(_) | View::Bits(_) => Ordering::Less,
    };
    (unequal != Ordering::Equal).then_some(unequal)
}

fn elementwise(a: Items<'_>, b: Items<'_>) -> Ordering {
    a.zip(b)
        .map(|(a, b)| order::compare(a, b))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}
