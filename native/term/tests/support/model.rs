//! Random terms, biased to where orders and formats go wrong: numbers around powers of two and
//! floats beside them, zeros of both signs, mixed keys in maps, improper lists, bitstrings,
//! names outside ASCII, pairs of terms that differ in one place.

use magnesia_term::{Atom, ExtKind, Packer, order};
use num_bigint::BigInt;

use super::random::Random;

/// A term as a tree, to be changed and packed.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// An integer.
    Int(BigInt),
    /// A float.
    Float(f64),
    /// An atom by name.
    Atom(&'static str),
    /// External bytes.
    Ext(ExtKind, Vec<u8>),
    /// A tuple.
    Tuple(Vec<Term>),
    /// A map; of equal keys the first counts.
    Map(Vec<(Term, Term)>),
    /// A list and its tail.
    List(Vec<Term>, Box<Term>),
    /// The empty list.
    Nil,
    /// A bitstring and the bits used in its last byte.
    Bits(Vec<u8>, u8),
}

/// Names of the atoms.
pub const NAMES: [&str; 14] = [
    "",
    "a",
    "b",
    "ab",
    "abc",
    "true",
    "ok",
    "z z",
    "ä",
    "größe",
    "λ",
    "漢字",
    "a\0b",
    "undefined",
];

/// Powers of two where forms of integers change.
const POWERS: [u32; 11] = [7, 8, 15, 31, 53, 59, 60, 63, 64, 70, 128];

/// What a generator makes.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    /// Atoms, maps and external terms, whose bytes differ between releases.
    pub with_names: bool,
}

/// A generator of terms.
#[derive(Debug)]
pub struct Generator {
    /// Where its choices come from.
    pub random: Random,
    kinds: Kinds,
}

impl Generator {
    /// A generator of all kinds of terms.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            kinds: Kinds { with_names: true },
        }
    }

    /// A generator of these kinds.
    pub fn of(seed: u64, kinds: Kinds) -> Self {
        Self {
            random: Random::new(seed),
            kinds,
        }
    }

    /// What it makes.
    pub fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// A term with at most `depth` levels inside.
    pub fn term(&mut self, depth: usize) -> Term {
        let choices = if depth == 0 { 10 } else { 16 };
        match self.random.below(choices) {
            0..=2 => Term::Int(self.int()),
            3..=4 => Term::Float(self.float()),
            5..=6 if self.kinds.with_names => Term::Atom(NAMES[self.random.below(NAMES.len())]),
            7 if self.kinds.with_names => self.external(),
            8 => Term::Nil,
            10 | 11 => Term::Tuple(self.terms(depth)),
            12 | 13 if self.kinds.with_names => self.map(depth),
            14 | 15 => {
                let mut elements = self.terms(depth);
                elements.push(self.term(depth - 1));
                let tail = if self.random.once_in(4) {
                    self.term(0)
                } else {
                    Term::Nil
                };
                Term::List(elements, Box::new(tail))
            }
            _ => self.bits(),
        }
    }

    /// Two terms, most often alike.
    pub fn pair(&mut self) -> (Term, Term) {
        let a = self.term(3);
        let b = match self.random.below(5) {
            0 => self.term(3),
            1 => a.clone(),
            _ => self.twin(&a),
        };
        (a, b)
    }

    /// The term with a change in one place, perhaps none.
    pub fn twin(&mut self, term: &Term) -> Term {
        match term {
            Term::Tuple(items) if !items.is_empty() => Term::Tuple(self.twin_of_one(items)),
            Term::List(items, tail) => match self.random.below(4) {
                0 => Term::List(items.clone(), Box::new(self.twin(tail))),
                1 => self.cut(items),
                _ => Term::List(self.twin_of_one(items), tail.clone()),
            },
            Term::Map(pairs) if !pairs.is_empty() => self.twin_of_pairs(pairs),
            Term::Int(int) => self.twin_of_int(int),
            Term::Float(float) => self.twin_of_float(*float),
            Term::Bits(bytes, last_bits) => self.twin_of_bits(bytes, *last_bits),
            _ => self.term(1),
        }
    }

    fn terms(&mut self, depth: usize) -> Vec<Term> {
        let count = self.random.below(4);
        (0..count).map(|_| self.term(depth - 1)).collect()
    }

    fn map(&mut self, depth: usize) -> Term {
        let count = if self.random.once_in(40) {
            40
        } else {
            self.random.below(5)
        };
        let level = if count > 8 { 0 } else { depth - 1 };
        Term::Map(
            (0..count)
                .map(|_| (self.term(level), self.term(level)))
                .collect(),
        )
    }

    fn int(&mut self) -> BigInt {
        let near = self.random.below(7) as i64 - 3;
        if self.random.once_in(3) {
            return near.into();
        }
        let power: BigInt = BigInt::from(1) << *self.random.pick(&POWERS);
        let int = power + near;
        if self.random.once_in(2) { -int } else { int }
    }

    fn float(&mut self) -> f64 {
        let near = [0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 1e-9, 5e-324, 0.1];
        let by = *self.random.pick(&near);
        let float = match self.random.below(5) {
            0 | 1 => by,
            2 => 2.0_f64.powi(*self.random.pick(&POWERS) as i32) + by * 512.0,
            3 => f64::from_bits(self.random.next()),
            _ => *self.random.pick(&[f64::MAX, 1e300, 1e-300, 123_456.789]),
        };
        let float = if float.is_finite() { float } else { 1.25 };
        if self.random.once_in(2) {
            -float
        } else {
            float
        }
    }

    fn bits(&mut self) -> Term {
        let count = if self.random.once_in(30) {
            300
        } else {
            self.random.below(6)
        };
        let bytes = self.random.bytes(count);
        let last_bits = if self.random.once_in(2) {
            8
        } else {
            1 + self.random.below(8) as u8
        };
        Term::Bits(bytes, last_bits)
    }

    fn external(&mut self) -> Term {
        let node = *self.random.pick(&["nonode@nohost", "a@b", "b@b", "ä@b"]);
        let creation = if node == "nonode@nohost" {
            0
        } else {
            self.random.below(3) as u32
        };
        let mut word = || self.random.below(3) as u32;
        let (one, two, three) = (word(), word(), word());
        match self.random.below(5) {
            0 => Term::Ext(
                ExtKind::Pid,
                join(&[&[88], &name(node), &words(&[one, two, creation])]),
            ),
            1 => Term::Ext(
                ExtKind::Port,
                join(&[&[89], &name(node), &words(&[one, creation])]),
            ),
            2 => {
                let parts = [
                    &[90, 0, 3][..],
                    &name(node),
                    &words(&[creation, one, two, three]),
                ];
                Term::Ext(ExtKind::Reference, join(&parts))
            }
            3 => {
                let names = ["lists", "maps", "ä"];
                let (module, function) = (names[one as usize], names[two as usize]);
                let parts = [
                    &[113][..],
                    &name(module),
                    &name(function),
                    &[97, three as u8],
                ];
                Term::Ext(ExtKind::Fun, join(&parts))
            }
            _ => Term::Ext(ExtKind::Fun, local_fun(one, two)),
        }
    }

    fn twin_of_one(&mut self, items: &[Term]) -> Vec<Term> {
        let mut items = items.to_vec();
        let at = self.random.below(items.len());
        items[at] = self.twin(&items[at].clone());
        items
    }

    /// A list that ends earlier, or goes on as another.
    fn cut(&mut self, items: &[Term]) -> Term {
        let keep = 1 + self.random.below(items.len());
        let tail = if self.random.once_in(2) {
            Term::Nil
        } else {
            self.term(0)
        };
        Term::List(items[..keep].to_vec(), Box::new(tail))
    }

    fn twin_of_pairs(&mut self, pairs: &[(Term, Term)]) -> Term {
        let mut pairs = pairs.to_vec();
        let at = self.random.below(pairs.len());
        if self.random.once_in(2) {
            pairs[at].0 = self.twin(&pairs[at].0.clone());
        } else {
            pairs[at].1 = self.twin(&pairs[at].1.clone());
        }
        Term::Map(pairs)
    }

    fn twin_of_int(&mut self, int: &BigInt) -> Term {
        // Through text, so that no arithmetic under test is used.
        let float: f64 = int.to_string().parse().expect("digits are a float");
        match self.random.below(4) {
            0 => Term::Int(int + 1),
            1 => Term::Float(float.next_up()),
            _ => Term::Float(float),
        }
    }

    fn twin_of_float(&mut self, float: f64) -> Term {
        if float.fract() == 0.0 && self.random.once_in(2) {
            let int: BigInt = format!("{float:.0}")
                .parse()
                .expect("a whole float is digits");
            return Term::Int(int + self.random.below(2));
        }
        let near = *self
            .random
            .pick(&[float.next_up(), -float, float, float.next_down()]);
        Term::Float(if near.is_finite() { near } else { float })
    }

    fn twin_of_bits(&mut self, bytes: &[u8], last_bits: u8) -> Term {
        let mut bytes = bytes.to_vec();
        match self.random.below(3) {
            0 => bytes.push(self.random.next() as u8 & 1),
            1 => drop(bytes.pop()),
            _ => return Term::Bits(bytes, 1 + self.random.below(8) as u8),
        }
        Term::Bits(bytes, last_bits)
    }
}

impl Term {
    /// The packed form.
    pub fn packed(&self) -> Vec<u8> {
        let mut packer = Packer::new();
        self.pack(&mut packer);
        packer.into_bytes()
    }

    /// Appends the packed form. Random terms are shallow, so this recurses.
    pub fn pack(&self, packer: &mut Packer) {
        match self {
            Self::Int(int) => magnesia_term::number::pack_bigint(int, packer),
            Self::Float(float) => packer.float(*float),
            Self::Atom(name) => packer.atom(Atom::intern(name).expect("there is room")),
            Self::Ext(kind, bytes) => packer.ext(*kind, bytes),
            Self::Nil => packer.nil(),
            Self::Bits(bytes, last_bits) => packer.bits(bytes, *last_bits),
            Self::Tuple(items) => {
                let mark = packer.tuple_begin(items.len());
                items.iter().for_each(|item| item.pack(packer));
                packer.tuple_end(mark);
            }
            Self::Map(pairs) => pack_map(pairs, packer),
            Self::List(items, tail) => pack_list(items, tail, packer),
        }
    }
}

/// Of a map's pairs those that count.
pub fn distinct(pairs: &[(Term, Term)]) -> impl Iterator<Item = &(Term, Term)> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    pairs.iter().filter(move |(key, _)| {
        let key = key.packed();
        let normal = order::canonical(&key).into_owned();
        let is_new = !keys.contains(&normal);
        keys.push(normal);
        is_new
    })
}

fn pack_map(pairs: &[(Term, Term)], packer: &mut Packer) {
    let kept: Vec<&(Term, Term)> = distinct(pairs).collect();
    let mark = packer.map_begin(kept.len());
    for (key, value) in kept {
        key.pack(packer);
        value.pack(packer);
    }
    packer.map_end(mark);
}

/// A list in the tail of a list is one list.
fn pack_list(items: &[Term], mut tail: &Term, packer: &mut Packer) {
    let mut all: Vec<&Term> = items.iter().collect();
    while let Term::List(more, next) = tail {
        all.extend(more);
        tail = next;
    }
    let mark = packer.list_begin(all.len());
    all.iter().for_each(|item| item.pack(packer));
    tail.pack(packer);
    packer.list_end(mark);
}

/// A local fun without free variables, made by one process.
fn local_fun(index: u32, unique: u32) -> Vec<u8> {
    let maker = join(&[&[88], &name("a@b"), &words(&[1, 1, 1])]);
    let body = join(&[
        &[1],
        &[7; 16],
        &words(&[index, 0]),
        &name("no_such_module"),
        &[97, index as u8, 97, unique as u8],
        &maker,
    ]);
    join(&[&[112], &words(&[body.len() as u32 + 4]), &body])
}

fn name(name: &str) -> Vec<u8> {
    join(&[&[119, name.len() as u8], name.as_bytes()])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
