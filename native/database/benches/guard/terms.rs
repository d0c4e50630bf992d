//! Kernels of terms: keys, hashes, order, rows, and the forms for outside.

use std::hint::black_box;

use magnesia_term::etf::{self, Limits};
use magnesia_term::portable::{self, Dictionary, Names};
use magnesia_term::{Flavour, Key, Packer, Row, hash, order, packed, show};

use crate::values::{document, documents, elements, keys, long_keys, numbers};
use crate::{Kernel, repeat};

pub const KERNELS: &[Kernel] = &[
    ("key_int", key_int),
    ("key_tuple", key_tuple),
    ("hash_int", hash_int),
    ("hash_tuple", hash_tuple),
    ("order", compare),
    ("row_build", row_build),
    ("row_read", row_read),
    ("etf_encode", etf_encode),
    ("etf_decode", etf_decode),
    ("portable_write", portable_write),
    ("portable_read", portable_read),
    ("show", shown),
];

fn key_int() -> usize {
    repeat(&keys(), |key| {
        black_box(Key::of(key, Flavour::Exact));
    })
}

fn key_tuple() -> usize {
    repeat(&long_keys(), |key| {
        black_box(Key::of(key, Flavour::Exact));
    })
}

fn hash_int() -> usize {
    repeat(&keys(), |key| {
        black_box(hash::hash(key));
    })
}

fn hash_tuple() -> usize {
    repeat(&long_keys(), |key| {
        black_box(hash::hash(key));
    })
}

fn compare() -> usize {
    let terms = documents();
    let pairs: Vec<_> = terms.windows(2).collect();
    repeat(&pairs, |pair| {
        black_box(order::compare(&pair[0], &pair[1]));
    })
}

fn row_build() -> usize {
    let bodies: Vec<_> = numbers().map(|number| elements(number, "a text")).collect();
    repeat(&bodies, |body| {
        let key = &body[..packed::len(body)];
        black_box(Row::new(hash::hash(key) as u32, 3, body));
    })
}

fn row_read() -> usize {
    let rows: Vec<_> = numbers()
        .map(|number| Row::new(0, 3, &elements(number, "a text")))
        .collect();
    repeat(&rows, |row| {
        black_box(row.at(4));
    })
}

fn etf_encode() -> usize {
    let mut out = Vec::new();
    repeat(&documents(), |term| {
        out.clear();
        etf::encode(term, &mut out);
        black_box(&out);
    })
}

fn etf_decode() -> usize {
    let external: Vec<_> = numbers()
        .map(|number| {
            let mut out = Vec::new();
            etf::encode(&document(number), &mut out);
            out
        })
        .collect();
    let (limits, mut packer) = (Limits::default(), Packer::new());
    repeat(&external, |bytes| {
        packer.clear();
        etf::decode(bytes, &limits, &mut packer).expect("it was encoded");
        black_box(packer.as_bytes());
    })
}

fn portable_write() -> usize {
    let (mut dictionary, mut out) = (Dictionary::new(), Vec::new());
    repeat(&documents(), |term| {
        out.clear();
        portable::write(term, &mut dictionary, &mut out);
        black_box(&out);
    })
}

fn portable_read() -> usize {
    let (mut dictionary, mut forms, mut head) = (Dictionary::new(), Vec::new(), Vec::new());
    for term in documents() {
        let mut out = Vec::new();
        portable::write(&term, &mut dictionary, &mut out);
        forms.push(out);
    }
    dictionary.encode(&mut head);
    let (names, _) = Names::parse(&head).expect("it was encoded");
    let mut packer = Packer::new();
    repeat(&forms, |bytes| {
        packer.clear();
        portable::read(bytes, &names, &mut packer).expect("it was written");
        black_box(packer.as_bytes());
    })
}

fn shown() -> usize {
    repeat(&documents(), |term| {
        black_box(show::show(term, 60));
    })
}
