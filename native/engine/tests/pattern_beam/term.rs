//! Terms as the generator thinks of them, before they are packed.

use magnesia_term::{Atom, Packer};

/// A term.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Int(i64),
    Big(bool, Vec<u8>),
    Float(f64),
    Atom(&'static str),
    Bits(Vec<u8>, u8),
    Tuple(Vec<Term>),
    /// Elements and tail; the tail may be a list.
    List(Vec<Term>, Box<Term>),
    Nil,
    Map(Vec<(Term, Term)>),
    /// Something packed already.
    Packed(Vec<u8>),
}

pub(crate) use Term::{Float, Int};

pub(crate) fn atom(name: &'static str) -> Term {
    Term::Atom(name)
}

pub(crate) fn tuple<const N: usize>(terms: [Term; N]) -> Term {
    Term::Tuple(terms.into())
}

pub(crate) fn list(terms: Vec<Term>) -> Term {
    improper(terms, Term::Nil)
}

pub(crate) fn improper(terms: Vec<Term>, tail: Term) -> Term {
    if terms.is_empty() {
        tail
    } else {
        Term::List(terms, Box::new(tail))
    }
}

/// A call in a guard or body.
pub(crate) fn call(name: &'static str, arguments: Vec<Term>) -> Term {
    let mut terms = vec![Term::Atom(name)];
    terms.extend(arguments);
    Term::Tuple(terms)
}

impl Term {
    pub(crate) fn packed(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        self.pack(&mut packer);
        packer.into_bytes()
    }

    fn pack(&self, out: &mut Packer) {
        match self {
            Self::Int(int) => out.int(*int),
            Self::Big(negative, magnitude) => out.big(*negative, magnitude),
            Self::Float(float) => out.float(*float),
            Self::Atom(name) => out.atom(Atom::intern(name).expect("there is room")),
            Self::Bits(bytes, last) => out.bits(bytes, *last),
            Self::Nil => out.nil(),
            Self::Packed(bytes) => out.raw(bytes),
            Self::Tuple(terms) => {
                let mark = out.tuple_begin(terms.len());
                terms.iter().for_each(|term| term.pack(out));
                out.tuple_end(mark);
            }
            Self::List(..) => {
                let (elements, tail) = self.flattened();
                let mark = out.list_begin(elements.len());
                elements.iter().for_each(|term| term.pack(out));
                tail.pack(out);
                out.list_end(mark);
            }
            Self::Map(pairs) => {
                let mark = out.map_begin(pairs.len());
                for (key, value) in pairs {
                    key.pack(out);
                    value.pack(out);
                }
                out.map_end(mark);
            }
        }
    }

    fn flattened(&self) -> (Vec<&Self>, &Self) {
        let mut elements = Vec::new();
        let mut rest = self;
        while let Self::List(some, tail) = rest {
            elements.extend(some);
            rest = tail;
        }
        (elements, rest)
    }
}
