//! Match specifications: what can be said of candidates, and sizes that must not hurt.
//!
//! What they answer is compared with the real `ets` in `pattern_beam`.

#[path = "pattern_beam/term.rs"]
#[allow(
    dead_code,
    reason = "the terms of the oracle's generator, of which this uses some"
)]
mod term;

use magnesia_engine::pattern::{
    DEPTH_MAX, Edge, Host, Invalid, Out, Range, Record, Scratch, Spec, has_variables,
    is_match_variable,
};
use magnesia_term::packed::{self, View};
use magnesia_term::{Atom, Row};

use term::{Float, Int, Term, atom, call, improper, list, tuple};

fn clause(head: Term, guards: Vec<Term>) -> Term {
    tuple([head, list(guards), list(vec![atom("$_")])])
}

fn compile(clauses: Vec<Term>) -> Spec {
    Spec::compile(&list(clauses).packed()).expect("it is a specification")
}

fn host() -> Host {
    let node = Atom::intern("nonode@nohost").expect("there is room");
    Host {
        self_pid: Term::Nil.packed().into(),
        node,
    }
}

fn run_term(spec: &Spec, term: &Term) -> Option<Vec<u8>> {
    let (bytes, host, mut scratch) = (term.packed(), host(), Scratch::default());
    spec.run_term(&bytes, &host, &mut scratch)
        .map(|out| match out {
            Out::Whole => bytes.clone(),
            Out::Term(result) => result.to_vec(),
        })
}

fn at(term: Term, inclusive: bool) -> Edge {
    Edge::At {
        term: term.packed().into(),
        inclusive,
    }
}

#[test]
fn a_constant_key_in_every_clause_is_a_set_of_keys() {
    let one = clause(tuple([atom("tab"), Int(1), atom("_")]), vec![]);
    let two = clause(tuple([atom("tab"), Int(2), atom("$1")]), vec![]);
    let open = clause(tuple([atom("tab"), atom("$1"), atom("_")]), vec![]);
    let keys = |spec: &Spec| spec.values_at(2).map(<[_]>::len);
    assert_eq!(
        keys(&compile(vec![one.clone(), two.clone(), one.clone()])),
        Some(2)
    );
    assert_eq!(keys(&compile(vec![one, two, open])), None);
}

#[test]
fn a_map_in_the_key_is_no_constant_because_it_matches_partially() {
    let key = Term::Map(vec![(atom("a"), Int(1))]);
    let spec = compile(vec![clause(tuple([atom("tab"), key]), vec![])]);
    assert_eq!((spec.values_at(2), spec.range_at(2)), (None, None));
}

#[test]
fn a_head_that_is_no_tuple_matches_no_record() {
    let spec = compile(vec![clause(list(vec![Int(1)]), vec![])]);
    assert_eq!(spec.values_at(2), Some(&[][..]));
}

#[test]
fn guards_that_must_hold_give_a_range() {
    let head = tuple([atom("tab"), atom("$1"), atom("$2")]);
    let lower = call(">=", vec![atom("$1"), Int(10)]);
    let upper = call("<", vec![atom("$1"), call("const", vec![Int(20)])]);
    let wider = call(
        ">",
        vec![Int(30), call("element", vec![Int(2), atom("$_")])],
    );
    let spec = compile(vec![clause(
        head,
        vec![call("andalso", vec![lower, upper]), wider],
    )]);
    let range = spec.range_at(2).expect("there are guards");
    assert_eq!(
        *range,
        Range {
            lower: at(Int(10), true),
            upper: at(Int(20), false)
        }
    );
    assert_eq!(spec.range_at(3), None);
}

#[test]
fn an_alternative_gives_no_range() {
    let head = tuple([atom("tab"), atom("$1")]);
    let either = ["<", ">"].map(|name| call(name, vec![atom("$1"), Int(10)]));
    let spec = compile(vec![clause(head, vec![call("orelse", either.into())])]);
    assert_eq!(spec.range_at(2), None);
}

#[test]
fn equality_of_numbers_is_a_range_and_of_other_terms_a_value() {
    let head = tuple([atom("tab"), atom("$1")]);
    let equal = |constant| call("==", vec![atom("$1"), constant]);
    let number = compile(vec![clause(head.clone(), vec![equal(Int(1))])]);
    assert_eq!(number.values_at(2), None);
    assert!(
        number
            .range_at(2)
            .expect("it is bounded")
            .contains(&Float(1.0).packed())
    );
    let name = compile(vec![clause(head, vec![equal(atom("a"))])]);
    assert_eq!(name.values_at(2).map(<[_]>::len), Some(1));
}

#[test]
fn clauses_share_the_range_around_all_of_them() {
    let clause_for = |low, high| {
        let guards = vec![
            call(">", vec![atom("$1"), Int(low)]),
            call("=<", vec![atom("$1"), Int(high)]),
        ];
        clause(tuple([atom("tab"), atom("$1")]), guards)
    };
    let spec = compile(vec![clause_for(5, 7), clause_for(1, 3)]);
    let range = spec.range_at(2).expect("there are guards");
    assert_eq!(
        *range,
        Range {
            lower: at(Int(1), false),
            upper: at(Int(7), true)
        }
    );
    assert!(
        compile(vec![clause_for(7, 5)])
            .range_at(2)
            .is_some_and(Range::is_empty)
    );
}

#[test]
fn a_tuple_that_begins_with_constants_is_a_range() {
    let key = tuple([atom("a"), Int(1), atom("$1")]);
    let spec = compile(vec![clause(tuple([atom("tab"), key]), vec![])]);
    let range = spec.range_at(2).expect("the key begins with constants");
    assert!(!range.is_empty());
    let inside = |term: Term| range.contains(&term.packed());
    assert!(inside(tuple([atom("a"), Int(1), Term::Nil])));
    assert!(inside(tuple([atom("a"), Float(1.0), Int(0)])));
    assert!(!inside(tuple([atom("a"), Int(2), Int(0)])));
    assert!(!inside(tuple([atom("a"), Int(1)])));
    assert!(!inside(tuple([atom("a"), Int(1), Int(0), Int(0)])));
    assert!(!inside(Int(1)));
    assert!(!inside(Term::Nil));
}

#[test]
fn ranges_of_prefixes_and_terms_share_a_hull() {
    let key = |count: i64| {
        let mut terms: Vec<Term> = (0..count).map(Int).collect();
        terms.resize(3, atom("_"));
        clause(tuple([atom("tab"), Term::Tuple(terms)]), vec![])
    };
    let constant = clause(
        tuple([atom("tab"), tuple([Int(9), Int(0), Int(0)])]),
        vec![],
    );
    let spec = compile(vec![key(2), key(1), constant]);
    let range = spec.range_at(2).expect("all are bounded");
    assert!(matches!(range.lower, Edge::Prefix { count: 1, .. }));
    assert_eq!(range.upper, at(tuple([Int(9), Int(0), Int(0)]), true));
}

#[test]
fn variables_are_known_as_mnesia_knows_them() {
    let has = |term: Term| has_variables(&term.packed());
    assert!(has(atom("_")) && has(atom("$1")) && has(atom("$")) && has(atom("$01")));
    assert!(!has(atom("$_")) && !has(atom("$$")) && !has(atom("$a")) && !has(Int(1)));
    assert!(has(improper(vec![atom("a")], atom("_"))));
    assert!(has(tuple([atom("a"), list(vec![tuple([atom("$7")])])])));
    assert!(!has(Term::Map(vec![(atom("a"), atom("_"))])));
    let is = |name| is_match_variable(Atom::intern(name).expect("there is room"));
    assert!(is("$0") && is("$100000000"));
    assert!(!is("$01") && !is("$") && !is("_") && !is("$2147483648"));
}

#[test]
fn deep_terms_take_no_stack() {
    let deep = |inner: &Term| {
        let mut packed = inner.packed();
        for _ in 0..2_000 {
            packed = tuple([Term::Packed(packed)]).packed();
        }
        tuple([atom("tab"), Term::Packed(packed)])
    };
    let spec = compile(vec![tuple([
        deep(&atom("$1")),
        Term::Nil,
        list(vec![atom("$1")]),
    ])]);
    assert_eq!(run_term(&spec, &deep(&Int(7))), Some(Int(7).packed()));
    let long = list(vec![atom("_"); 300_000]);
    let spec = compile(vec![clause(long, vec![])]);
    assert_eq!(run_term(&spec, &list(vec![Int(1); 299_999])), None);
}

#[test]
fn expressions_nest_up_to_the_bound_and_not_further() {
    let nested = |depth: usize| {
        let mut packed = atom("true").packed();
        for _ in 0..depth {
            packed = call("not", vec![Term::Packed(packed)]).packed();
        }
        let body = list(vec![Term::Packed(packed)]);
        Spec::compile(&list(vec![tuple([atom("_"), Term::Nil, body])]).packed())
    };
    let spec = nested(DEPTH_MAX).expect("it is at the bound");
    assert_eq!(run_term(&spec, &Int(1)), Some(atom("true").packed()));
    assert_eq!(nested(DEPTH_MAX + 1).err(), Some(Invalid::TooDeep));
}

#[test]
fn a_variable_is_given_out_as_a_part_of_the_row() {
    let spec = compile(vec![tuple([
        tuple([atom("tab"), atom("_"), atom("$1")]),
        Term::Nil,
        list(vec![atom("$1")]),
    ])]);
    let body = [Int(1).packed(), Term::Bits(vec![7; 300], 8).packed()].concat();
    let row = Row::new(0, 2, &body);
    let record = Record {
        name: Atom::intern("tab").expect("there is room"),
        row: &row,
    };
    let (host, mut scratch) = (host(), Scratch::default());
    let Some(Out::Term(term)) = spec.run(record, &host, &mut scratch) else {
        panic!("the row matches");
    };
    assert!(row.body().as_ptr_range().contains(&term.as_ptr()));
    assert!(matches!(packed::view(term), View::Bits(bits) if bits.bytes.len() == 300));
}

#[test]
fn a_specification_is_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&compile(vec![clause(atom("_"), vec![])]));
}

#[test]
fn a_pattern_answers_whole_records() {
    let spec = Spec::compile_pattern(&tuple([atom("tab"), Int(1), atom("_")]).packed());
    let spec = spec.expect("any term is a pattern");
    assert!(spec.always_whole());
    assert!(run_term(&spec, &tuple([atom("tab"), Int(1), Int(2)])).is_some());
    assert!(run_term(&spec, &tuple([atom("tab"), Float(1.0), Int(2)])).is_none());
}
