//! Random specifications and rows, biased to where engines go wrong.
//!
//! Small pools make patterns hit; heads grow out of a row; variables are few, so they repeat;
//! integers and floats of one value, both zeros, big integers around the word sizes, improper
//! lists, maps, bitstrings and names outside ASCII are all common.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::term::{Float, Int, Term, atom, call, improper, list, tuple};

/// Functions by what they answer: name and kinds of the arguments.
type Signature = (&'static str, &'static [Kind]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Bool,
    Number,
    Integer,
    List,
    Tuple,
    Map,
    Bits,
    Key,
    Ext,
    Small,
    Pair,
    Name,
}

use Kind::{Any, Bits, Bool, Ext, Integer, Key, List, Map, Name, Number, Pair, Small, Tuple};

const TESTS: &[&str] = &[
    "is_atom",
    "is_float",
    "is_integer",
    "is_list",
    "is_number",
    "is_pid",
    "is_port",
    "is_reference",
    "is_tuple",
    "is_map",
    "is_binary",
    "is_function",
];

const COMPARISONS: &[&str] = &[">", ">=", "<", "=<", "=:=", "==", "=/=", "/="];

const BOOLEANS: &[Signature] = &[
    ("not", &[Bool]),
    ("xor", &[Bool, Bool]),
    ("and", &[Bool, Bool]),
    ("or", &[Bool, Bool]),
    ("andalso", &[Bool, Bool]),
    ("orelse", &[Bool, Bool]),
    ("and", &[Bool]),
    ("or", &[Bool, Bool, Bool]),
    ("andalso", &[Bool, Bool, Bool]),
    ("orelse", &[Any]),
    ("is_map_key", &[Key, Map]),
    ("is_record", &[Tuple, Name, Small]),
];

const NUMBERS: &[Signature] = &[
    ("+", &[Number, Number]),
    ("-", &[Number, Number]),
    ("*", &[Number, Number]),
    ("/", &[Number, Number]),
    ("+", &[Number]),
    ("-", &[Number]),
    ("abs", &[Number]),
    ("round", &[Number]),
    ("trunc", &[Number]),
    ("float", &[Number]),
    ("div", &[Integer, Integer]),
    ("rem", &[Integer, Integer]),
    ("band", &[Integer, Integer]),
    ("bor", &[Integer, Integer]),
    ("bxor", &[Integer, Integer]),
    ("bnot", &[Integer]),
    ("bsl", &[Integer, Small]),
    ("bsr", &[Integer, Small]),
    ("length", &[List]),
    ("map_size", &[Map]),
    ("byte_size", &[Bits]),
    ("bit_size", &[Bits]),
    ("size", &[Bits]),
    ("size", &[Tuple]),
];

const OTHERS: &[Signature] = &[
    ("element", &[Small, Tuple]),
    ("hd", &[List]),
    ("tl", &[List]),
    ("map_get", &[Key, Map]),
    ("binary_part", &[Bits, Small, Small]),
    ("binary_part", &[Bits, Pair]),
    ("node", &[]),
    ("node", &[Ext]),
    ("self", &[]),
];

/// Calls that `ets` refuses before OTP 26.
const NEW: &[Signature] = &[
    ("ceil", &[Number]),
    ("floor", &[Number]),
    ("is_bitstring", &[Any]),
    ("is_boolean", &[Any]),
    ("is_function", &[Any, Any]),
    ("is_function", &[Ext, Small]),
    ("max", &[Any, Any]),
    ("max", &[Number, Number]),
    ("min", &[Any, Any]),
    ("min", &[Number, Number]),
    ("tuple_size", &[Tuple]),
];

/// Calls that `ets` refuses.
const REFUSED: &[Signature] = &[
    ("is_record", &[Tuple, Name]),
    ("and", &[]),
    ("const", &[]),
    ("const", &[Any, Any]),
    ("return_trace", &[]),
    ("message", &[Any]),
    ("element", &[Small]),
    ("is_atom", &[Any, Any]),
    ("no_such", &[Any]),
    ("$1", &[Any]),
];

/// Names of everything that coverage must see at least once.
pub(crate) fn all_forms(has_new: bool) -> Vec<String> {
    let tables = [BOOLEANS, NUMBERS, OTHERS, if has_new { NEW } else { &[] }];
    let signed = tables
        .into_iter()
        .flatten()
        .map(|(name, kinds)| form(name, kinds.len()));
    let tests = TESTS.iter().map(|name| form(name, 1));
    let comparisons = COMPARISONS.iter().map(|name| form(name, 2));
    let shapes = [
        "$_", "$$", "$N", "const", "{{}}", "list", "improper", "map", "'_'", "literal",
    ];
    signed
        .chain(tests)
        .chain(comparisons)
        .chain(shapes.map(str::to_owned))
        .collect()
}

fn form(name: &str, arity: usize) -> String {
    format!("{name}/{arity}")
}

/// How often each form was made.
pub(crate) type Coverage = BTreeMap<String, u64>;

/// One specification with rows for it.
pub(crate) struct Case {
    pub(crate) spec: Term,
    pub(crate) rows: Vec<Term>,
    pub(crate) forms: Vec<String>,
}

/// The source of cases.
pub(crate) struct Generator<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) special: &'a [Vec<u8>],
    /// Whether `ets` takes what is new in OTP 26.
    has_new: bool,
    bound: Vec<usize>,
    forms: Vec<String>,
}

const VARIABLES: &[&str] = &["$1", "$2", "$0", "$10", "$3"];

impl<'a> Generator<'a> {
    pub(crate) fn new(rng: &'a mut Rng, special: &'a [Vec<u8>], has_new: bool) -> Self {
        Self {
            rng,
            special,
            has_new,
            bound: Vec::new(),
            forms: Vec::new(),
        }
    }

    pub(crate) fn case(&mut self, rows_max: usize) -> Case {
        self.forms.clear();
        let arity = self.rng.usize(1..=5);
        let count = self.rng.usize(1..=rows_max);
        let rows: Vec<Term> = (0..count).map(|_| self.row(arity)).collect();
        let clauses = if self.chance(75) {
            1
        } else {
            self.rng.usize(2..=3)
        };
        let clauses: Vec<Term> = (0..clauses).map(|_| self.clause(&rows)).collect();
        let spec = match self.rng.u8(..) {
            0 => improper(clauses, atom("a")),
            1 => clauses.into_iter().next().unwrap_or(Term::Nil),
            2 => Term::Nil,
            _ => list(clauses),
        };
        Case {
            spec,
            rows,
            forms: std::mem::take(&mut self.forms),
        }
    }

    fn row(&mut self, arity: usize) -> Term {
        if self.chance(3) {
            return self.value(2);
        }
        let arity = if self.chance(5) {
            self.rng.usize(0..=5)
        } else {
            arity
        };
        let mut terms: Vec<Term> = (0..arity).map(|_| self.value(2)).collect();
        if let Some(first) = terms.first_mut()
            && self.rng.u8(..) < 200
        {
            *first = atom("tab");
        }
        if arity > 2 && self.chance(25) {
            let from = self.rng.usize(1..arity);
            let to = self.rng.usize(1..arity);
            terms[to] = alike(&terms[from], self.rng);
        }
        Term::Tuple(terms)
    }

    fn clause(&mut self, rows: &[Term]) -> Term {
        self.bound.clear();
        let template = rows[self.rng.usize(..rows.len())].clone();
        let head = match self.rng.u8(..) {
            0..6 => atom("_"),
            6..12 => self.variable(),
            _ => self.pattern(&template, 3, true),
        };
        let guards: Vec<Term> = match self.rng.u8(..100) {
            0..35 => Vec::new(),
            35..80 => vec![self.guard()],
            _ => vec![self.guard(), self.guard()],
        };
        let bodies = if self.chance(90) {
            1
        } else {
            self.rng.usize(0..=2)
        };
        let body: Vec<Term> = (0..bodies).map(|_| self.expression(Any, 3)).collect();
        let guards = if self.rng.u8(..) == 0 {
            improper(guards, atom("x"))
        } else {
            list(guards)
        };
        let body = if self.rng.u8(..) == 0 {
            improper(body, atom("x"))
        } else {
            list(body)
        };
        if self.rng.u8(..) == 0 {
            return tuple([head, guards]);
        }
        tuple([head, guards, body])
    }

    fn pattern(&mut self, template: &Term, depth: usize, is_top: bool) -> Term {
        let choice = self.rng.u8(..100);
        match (choice, template) {
            (0..30, _) if !is_top => self.variable(),
            (30..45, _) if !is_top => atom("_"),
            (45..50, _) if !is_top => self.value(2),
            (50..55, number) if !is_top => alike(number, self.rng),
            (_, Term::Tuple(terms)) if depth > 0 => Term::Tuple(
                terms
                    .iter()
                    .map(|term| self.pattern(term, depth - 1, false))
                    .collect(),
            ),
            (_, Term::List(terms, tail)) if depth > 0 => {
                let keep = self.rng.usize(1..=terms.len());
                let mut elements: Vec<Term> = Vec::new();
                for term in &terms[..keep] {
                    elements.push(self.pattern(term, depth - 1, false));
                }
                let tail = match self.rng.u8(..4) {
                    0 => self.variable(),
                    1 => atom("_"),
                    _ => self.pattern(tail, depth - 1, false),
                };
                improper(elements, tail)
            }
            (_, Term::Map(pairs)) if depth > 0 => {
                let mut kept = Vec::new();
                for (key, value) in pairs {
                    if self.chance(60) {
                        kept.push((key.clone(), self.pattern(value, depth - 1, false)));
                    }
                }
                if self.rng.u8(..60) == 0 {
                    kept.push((self.variable(), Int(1)));
                }
                Term::Map(kept)
            }
            _ => template.clone(),
        }
    }

    fn variable(&mut self) -> Term {
        let index = self
            .rng
            .usize(..VARIABLES.len())
            .min(self.rng.usize(..VARIABLES.len()));
        if !self.bound.contains(&index) {
            self.bound.push(index);
        }
        atom(VARIABLES[index])
    }

    fn guard(&mut self) -> Term {
        if self.chance(30) && !self.bound.is_empty() {
            let variable = self.bound_variable();
            let name = COMPARISONS[self.rng.usize(..COMPARISONS.len())];
            self.saw(form(name, 2));
            let constant = self.constant();
            return match self.rng.u8(..5) {
                0 => call(name, vec![constant, variable]),
                1 => {
                    let position = Int(self.rng.i64(1..5));
                    call(
                        name,
                        vec![call("element", vec![position, atom("$_")]), constant],
                    )
                }
                _ => call(name, vec![variable, constant]),
            };
        }
        self.expression(Bool, 3)
    }

    /// An expression that usually answers something of the kind.
    fn expression(&mut self, kind: Kind, depth: usize) -> Term {
        match self.rng.u8(..200) {
            0 => return self.refused(depth),
            1..8 => return self.leaf(),
            _ => {}
        }
        if depth == 0 || (kind != Bool && self.chance(35)) {
            return self.leaf_of(kind);
        }
        match kind {
            Bool => self.boolean(depth),
            Number | Integer => self.calling(NUMBERS, depth),
            Small => Int(self.rng.i64(-2..5)),
            Any if self.chance(45) => self.constructor(depth),
            Any if self.has_new && self.chance(20) => self.calling(NEW, depth),
            Any => match self.rng.u8(..3) {
                0 => self.boolean(depth),
                1 => self.calling(NUMBERS, depth),
                _ => self.calling(OTHERS, depth),
            },
            List | Tuple | Map if self.chance(40) => self.constructor(depth),
            _ => self.leaf_of(kind),
        }
    }

    fn boolean(&mut self, depth: usize) -> Term {
        match self.rng.u8(..10) {
            0..3 => {
                let name = TESTS[self.rng.usize(..TESTS.len())];
                self.saw(form(name, 1));
                call(name, vec![self.expression(Any, depth - 1)])
            }
            3..7 => {
                let name = COMPARISONS[self.rng.usize(..COMPARISONS.len())];
                self.saw(form(name, 2));
                let kind = if self.rng.bool() { Any } else { Number };
                let arguments = vec![
                    self.expression(kind, depth - 1),
                    self.expression(kind, depth - 1),
                ];
                call(name, arguments)
            }
            _ => self.calling(BOOLEANS, depth),
        }
    }

    fn calling(&mut self, table: &[Signature], depth: usize) -> Term {
        let (name, kinds) = table[self.rng.usize(..table.len())];
        self.saw(form(name, kinds.len()));
        let arguments = kinds
            .iter()
            .map(|&kind| self.expression(kind, depth - 1))
            .collect();
        call(name, arguments)
    }

    fn refused(&mut self, depth: usize) -> Term {
        match self.rng.u8(..8) {
            0 => tuple([Int(1), Int(2)]),
            1 => Term::Tuple(Vec::new()),
            2 => tuple([tuple([Int(1)]), Int(2)]),
            3 => atom("$7"),
            _ => {
                let table = if self.has_new || self.rng.bool() {
                    REFUSED
                } else {
                    NEW
                };
                let (name, kinds) = table[self.rng.usize(..table.len())];
                let depth = depth.saturating_sub(1);
                call(
                    name,
                    kinds
                        .iter()
                        .map(|&kind| self.expression(kind, depth))
                        .collect(),
                )
            }
        }
    }

    fn constructor(&mut self, depth: usize) -> Term {
        let count = self.rng.usize(0..3);
        let mut terms: Vec<Term> = (0..count)
            .map(|_| self.expression(Any, depth - 1))
            .collect();
        match self.rng.u8(..6) {
            0 | 1 => {
                self.saw("{{}}".into());
                tuple([Term::Tuple(terms)])
            }
            2 => {
                self.saw("list".into());
                list(terms)
            }
            3 => {
                self.saw("improper".into());
                terms.push(self.expression(Any, 0));
                let tail = self.expression(List, depth - 1);
                improper(terms, tail)
            }
            4 => {
                self.saw("map".into());
                let key = self.expression(Key, depth - 1);
                let value = self.expression(Any, depth - 1);
                let mut pairs = vec![(key, value)];
                // Which of two like keys counts is decided by the order of the map's keys, which
                // for atoms is each VM's own from OTP 26 on.
                let other = if self.has_new {
                    atom("unlike")
                } else {
                    self.expression(Key, 0)
                };
                if other != pairs[0].0 && !is_zero(&other) {
                    pairs.push((other, Int(2)));
                }
                Term::Map(pairs)
            }
            _ => {
                self.saw("const".into());
                call("const", vec![self.value(2)])
            }
        }
    }

    fn leaf(&mut self) -> Term {
        match self.rng.u8(..10) {
            0 => {
                self.saw("$$".into());
                atom("$$")
            }
            1 | 2 => {
                self.saw("$_".into());
                atom("$_")
            }
            3 => {
                self.saw("'_'".into());
                atom("_")
            }
            4..8 if !self.bound.is_empty() => self.bound_variable(),
            _ => self.constant(),
        }
    }

    fn leaf_of(&mut self, kind: Kind) -> Term {
        if self.chance(40) && !self.bound.is_empty() {
            return self.bound_variable();
        }
        match kind {
            Bool => atom(["true", "false", "true"][self.rng.usize(..3)]),
            Number => self.number(),
            Integer => self.integer(),
            Small => Int(self.rng.i64(-3..6)),
            Key => self.key(),
            Name => atom(["tab", "a", "größe"][self.rng.usize(..3)]),
            Bits => self.bits(),
            Pair => tuple([tuple([Int(self.rng.i64(0..3)), Int(self.rng.i64(-1..3))])]),
            Ext => self.ext(),
            Tuple if self.rng.bool() => atom("$_"),
            Tuple => call("const", vec![tuple([atom("a"), Int(1)])]),
            List if self.rng.bool() => atom("$$"),
            List => list(vec![Int(1), atom("a")]),
            Map => Term::Map(vec![(self.key(), Int(1))]),
            Any => self.leaf(),
        }
    }

    fn bound_variable(&mut self) -> Term {
        self.saw("$N".into());
        let index = self.bound[self.rng.usize(..self.bound.len())];
        atom(VARIABLES[index])
    }

    fn constant(&mut self) -> Term {
        self.saw("literal".into());
        match self.rng.u8(..8) {
            0 => self.bits(),
            1 => atom("größe"),
            2 => self.ext(),
            3 => call("const", vec![self.value(2)]),
            _ => self.number(),
        }
    }

    fn saw(&mut self, form: String) {
        self.forms.push(form);
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn value(&mut self, depth: usize) -> Term {
        if depth > 0 && self.rng.u16(..400) == 0 {
            return self.wide();
        }
        match self.rng.u8(..if depth == 0 { 10 } else { 16 }) {
            0..5 => self.number(),
            5..7 => {
                let names = ["a", "b", "tab", "true", "größe", "ключ", "$1", "_"];
                atom(names[self.rng.usize(..names.len())])
            }
            7 | 8 => self.bits(),
            9 => match self.rng.u8(..3) {
                0 => self.ext(),
                _ => Term::Nil,
            },
            10..12 => {
                let count = self.rng.usize(0..3);
                Term::Tuple((0..count).map(|_| self.value(depth - 1)).collect())
            }
            12..14 => {
                let count = self.rng.usize(1..4);
                let terms = (0..count).map(|_| self.value(depth - 1)).collect();
                let tail = if self.chance(70) {
                    Term::Nil
                } else {
                    self.value(0)
                };
                improper(terms, tail)
            }
            _ => {
                let mut pairs: Vec<(Term, Term)> = Vec::new();
                for _ in 0..self.rng.usize(0..3) {
                    let key = self.key();
                    if pairs.iter().all(|(other, _)| *other != key) {
                        pairs.push((key, self.value(depth - 1)));
                    }
                }
                Term::Map(pairs)
            }
        }
    }

    /// A tuple or map too wide for the short layouts, here or in a BEAM.
    fn wide(&mut self) -> Term {
        if self.rng.bool() {
            return Term::Tuple((0..300).map(|_| Int(self.rng.i64(0..3))).collect());
        }
        Term::Map(
            (0..40)
                .map(|key| (Int(key), Int(self.rng.i64(0..3))))
                .collect(),
        )
    }

    fn key(&mut self) -> Term {
        match self.rng.u8(..6) {
            0 => Int(1),
            1 => Float(1.0),
            2 => Float(if self.rng.bool() { 0.0 } else { -0.0 }),
            3 => atom("a"),
            4 => atom("größe"),
            _ => atom("b"),
        }
    }

    fn number(&mut self) -> Term {
        if self.chance(60) {
            return self.integer();
        }
        let floats = [
            0.0,
            -0.0,
            1.0,
            2.0,
            -1.0,
            1.5,
            2.5,
            -2.5,
            0.5,
            1.0e300,
            -1.0e300,
            1.0e22,
            5.0e-324,
            9_007_199_254_740_993.0,
            1_152_921_504_606_846_976.0,
            18_446_744_073_709_551_616.0,
        ];
        Float(floats[self.rng.usize(..floats.len())])
    }

    fn integer(&mut self) -> Term {
        if self.chance(75) {
            return Int(self.rng.i64(-2..6));
        }
        let near = self.rng.i64(-2..3);
        match self.rng.u8(..7) {
            0 => Int((1 << 59) + near),
            1 => Int(-(1 << 59) + near),
            2 => Int(i64::MAX - self.rng.i64(..3).abs()),
            3 => Int(i64::MIN + self.rng.i64(0..3)),
            4 => Int((1 << 53) + near),
            5 => {
                let low = 0_u64.wrapping_add_signed(near).to_le_bytes();
                let high = if near < 0 { 0 } else { 1 };
                Term::Big(self.rng.bool(), [&low[..], &[high]].concat())
            }
            _ => {
                let mut magnitude = vec![0; self.rng.usize(8..140)];
                magnitude[0] = self.rng.u8(..3);
                magnitude[7] = self.rng.u8(..);
                if let Some(last) = magnitude.last_mut() {
                    *last = self.rng.u8(1..);
                }
                Term::Big(self.rng.bool(), magnitude)
            }
        }
    }

    fn bits(&mut self) -> Term {
        let all: [(&[u8], u8); 5] = [
            (b"", 8),
            (b"a", 8),
            (b"abc", 8),
            (&[0b1010_0000], 3),
            (b"ab\xc0", 2),
        ];
        let (bytes, last) = all[self.rng.usize(..all.len())];
        Term::Bits(bytes.to_vec(), last)
    }

    fn ext(&mut self) -> Term {
        Term::Packed(self.special[self.rng.usize(..self.special.len())].clone())
    }
}

/// A term that is `==` or nearly so: integers become floats and back, zeros change sign.
fn alike(term: &Term, rng: &mut Rng) -> Term {
    match term {
        Int(int) if int.unsigned_abs() < 1 << 53 && rng.bool() => {
            #[expect(clippy::cast_precision_loss, reason = "it is under 2^53")]
            let float = *int as f64;
            Float(float)
        }
        Float(zero) if *zero == 0.0 => Float(-zero),
        Float(float) if float.fract() == 0.0 && float.abs() < 1.0e15 => {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            let int = *float as i64;
            Int(int)
        }
        Term::Tuple(terms) => Term::Tuple(terms.iter().map(|term| alike(term, rng)).collect()),
        other => other.clone(),
    }
}

fn is_zero(term: &Term) -> bool {
    matches!(term, Float(zero) if *zero == 0.0)
}
