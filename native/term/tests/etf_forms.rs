//! Each form of the external term format by its bytes, and each bound at its edge.

use magnesia_term::etf::{
    self, BIG_BYTES_MAX, DEPTH_MAX, EtfError, INFLATED_BYTES_MAX, Limits, NEW_ATOMS_MAX,
};
use magnesia_term::{Packer, show};

fn decode_with(bytes: &[u8], limits: &Limits) -> Result<String, EtfError> {
    let mut packer = Packer::new();
    packer.nil();
    let taken = etf::decode(bytes, limits, &mut packer);
    assert!(packer.as_bytes()[0] == 12, "what was there stays");
    match taken {
        Ok(taken) => {
            assert_eq!(taken, bytes.len());
            Ok(show::show(&packer.as_bytes()[1..], 200))
        }
        Err(error) => {
            assert_eq!(packer.len(), 1, "an error leaves nothing");
            Err(error)
        }
    }
}

fn decode(bytes: &[u8]) -> Result<String, EtfError> {
    decode_with(&[&[131], bytes].concat(), &Limits::default())
}

#[test]
fn every_form_is_read() {
    let old_float = [&[99][..], b"-1.50000000000000000000e+00", &[0; 4]].concat();
    let cases: [(&[u8], &str); 30] = [
        (&[97, 255], "255"),
        (&[98, 255, 255, 255, 255], "-1"),
        (&[110, 1, 1, 5], "-5"),
        (&[110, 0, 0], "0"),
        (
            &[110, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            "18446744073709551616",
        ),
        (&[111, 0, 0, 0, 2, 0, 1, 1], "257"),
        (&[70, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], "1.5"),
        (&old_float, "-1.5"),
        (&[100, 0, 1, 0xe4], "ä"),
        (&[115, 1, b'a'], "a"),
        (&[118, 0, 2, 0xc3, 0xa4], "ä"),
        (&[119, 2, 0xc3, 0xa4], "ä"),
        (&[104, 2, 97, 1, 106], "{1,[]}"),
        (&[105, 0, 0, 0, 1, 97, 1], "{1}"),
        (&[104, 0], "{}"),
        (&[106], "[]"),
        (&[107, 0, 2, 1, 200], "[1,200]"),
        (&[107, 0, 0], "[]"),
        (&[108, 0, 0, 0, 1, 97, 1, 106], "[1]"),
        (&[108, 0, 0, 0, 1, 97, 1, 97, 2], "[1|2]"),
        (&[108, 0, 0, 0, 0, 97, 5], "5"),
        (&[108, 0, 0, 0, 1, 97, 1, 107, 0, 2, 2, 3], "[1,2,3]"),
        (
            &[108, 0, 0, 0, 1, 97, 1, 108, 0, 0, 0, 1, 97, 2, 97, 3],
            "[1,2|3]",
        ),
        (
            &[
                108, 0, 0, 0, 1, 97, 1, 108, 0, 0, 0, 0, 108, 0, 0, 0, 1, 97, 2, 106,
            ],
            "[1,2]",
        ),
        (&[109, 0, 0, 0, 1, b'x'], "<<\"x\">>"),
        (&[77, 0, 0, 0, 2, 3, 1, 0xff], "<<1,7:3>>"),
        (&[77, 0, 0, 0, 0, 0], "<<>>"),
        (
            &[116, 0, 0, 0, 2, 97, 2, 97, 0, 97, 1, 106],
            "#{1 => [],2 => 0}",
        ),
        (&[113, 119, 1, b'm', 119, 1, b'f', 97, 2], "fun m:f/2"),
        (
            &[103, 100, 0, 1, b'n', 0, 0, 0, 7, 0, 0, 0, 1, 0],
            "#Pid<n.7.1>",
        ),
    ];
    for (bytes, text) in cases {
        assert_eq!(decode(bytes).as_deref(), Ok(text), "{bytes:?}");
    }
}

#[test]
fn identifiers_of_every_age_are_read() {
    let name = [119, 1, b'n'];
    let cases = [
        (vec![88], 12, "#Pid<n.0.0>"),
        (vec![102], 5, "#Port<n.0>"),
        (vec![89], 8, "#Port<n.0>"),
        (vec![120], 12, "#Port<n.0>"),
        (vec![101], 5, "#Ref<n.0>"),
        (vec![114, 0, 2], 9, "#Ref<n.0.0>"),
        (vec![90, 0, 3], 16, "#Ref<n.0.0.0>"),
    ];
    for (head, rest, text) in cases {
        let bytes = [head, name.to_vec(), vec![0; rest]].concat();
        assert_eq!(decode(&bytes).as_deref(), Ok(text));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), Err(EtfError::Short));
    }
}

#[test]
fn a_local_fun_keeps_its_bytes() {
    let maker = [103, 119, 1, b'n', 0, 0, 0, 7, 0, 0, 0, 1, 0];
    let body = [
        &[1][..],
        &[9; 16],
        &[0, 0, 0, 0, 0, 0, 0, 1, 119, 1, b'm', 97, 3, 98, 0, 0, 1, 0],
    ]
    .concat();
    let size = (4 + body.len() + maker.len() + 2) as u8;
    let bytes = [&[131, 112, 0, 0, 0, size][..], &body, &maker, &[97, 5]].concat();
    let mut packer = Packer::new();
    assert_eq!(
        etf::decode(&bytes, &Limits::default(), &mut packer),
        Ok(bytes.len())
    );
    assert_eq!(show::show(packer.as_bytes(), 80), "#Fun<m.3.256>");
    let mut out = Vec::new();
    etf::encode(packer.as_bytes(), &mut out);
    assert_eq!(out, bytes);
}

#[test]
fn every_refusal_has_its_name() {
    let cases: [(&[u8], EtfError); 17] = [
        (&[], EtfError::Short),
        (&[0], EtfError::Tag(0)),
        (&[97], EtfError::Short),
        (&[109, 255, 255, 255, 255], EtfError::Short),
        (&[108, 255, 255, 255, 255], EtfError::Short),
        (&[70, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0], EtfError::Value(70)),
        (&[119, 1, 0xff], EtfError::Value(119)),
        (&[77, 0, 0, 0, 1, 0, 1], EtfError::Value(77)),
        (&[77, 0, 0, 0, 1, 9, 1], EtfError::Value(77)),
        (&[77, 0, 0, 0, 0, 3], EtfError::Value(77)),
        (&[90, 0, 0, 119, 1, b'n', 0, 0, 0, 0], EtfError::Value(90)),
        (
            &[116, 0, 0, 0, 2, 97, 1, 106, 97, 1, 106],
            EtfError::DoubleKey,
        ),
        (&[88, 97, 1], EtfError::Tag(97)),
        (&[80, 0, 0, 0, 1, 1, 2, 3], EtfError::Compression),
        (
            &[80, 255, 255, 255, 255],
            EtfError::InflatesTooFar {
                bytes: u32::MAX as usize,
                max: INFLATED_BYTES_MAX,
            },
        ),
        (&[82, 0], EtfError::Tag(82)),
        (&[131, 97, 1], EtfError::Tag(131)),
    ];
    for (bytes, error) in cases {
        assert_eq!(decode(bytes), Err(error), "{bytes:?}");
    }
    assert_eq!(
        decode_with(&[130, 106], &Limits::default()),
        Err(EtfError::Version(130))
    );
}

#[test]
fn depth_is_allowed_to_its_bound() {
    let nested = |levels: usize| [vec![131], [104, 1].repeat(levels), vec![106]].concat();
    let limits = Limits {
        depth: 3,
        ..Limits::default()
    };
    assert_eq!(decode_with(&nested(3), &limits).as_deref(), Ok("{{{[]}}}"));
    assert_eq!(decode_with(&nested(4), &limits), Err(EtfError::TooDeep(3)));
    assert!(decode_with(&nested(DEPTH_MAX), &Limits::default()).is_ok());
    let error = decode_with(&nested(DEPTH_MAX + 1), &Limits::default());
    assert_eq!(error, Err(EtfError::TooDeep(DEPTH_MAX)));
}

#[test]
fn new_atoms_are_counted_and_known_ones_are_not() {
    let pair = |a: &[u8], b: &[u8]| {
        let atom = |name: &[u8]| [&[119, name.len() as u8][..], name].concat();
        [&[131, 104, 2][..], &atom(a), &atom(b)].concat()
    };
    let one = Limits {
        atoms: 1,
        ..Limits::default()
    };
    assert_eq!(Limits::default().atoms, NEW_ATOMS_MAX);
    assert_eq!(
        decode_with(&pair(b"first new one", b"second new one"), &one),
        Err(EtfError::TooManyAtoms(1))
    );
    assert!(decode_with(&pair(b"first new one", b"second new one"), &one).is_ok());
    assert!(decode_with(&pair(b"first new one", b"second new one"), &one).is_ok());
}

#[test]
fn integers_are_allowed_to_their_bound() {
    let big = |bytes: usize| {
        let length = (bytes as u32).to_be_bytes();
        [&[131, 111][..], &length, &[0], &vec![7; bytes]].concat()
    };
    assert!(decode_with(&big(BIG_BYTES_MAX), &Limits::default()).is_ok());
    assert_eq!(
        decode_with(&big(BIG_BYTES_MAX + 1), &Limits::default()),
        Err(EtfError::BigTooLong {
            bytes: BIG_BYTES_MAX + 1,
            max: BIG_BYTES_MAX
        })
    );
}

fn compressed(inner: &[u8], claim: usize) -> Vec<u8> {
    let mut out = [&[131, 80][..], &(claim as u32).to_be_bytes()].concat();
    let mut zlib = flate2::read::ZlibEncoder::new(inner, flate2::Compression::best());
    std::io::Read::read_to_end(&mut zlib, &mut out).expect("memory does not fail");
    out
}

#[test]
fn compressed_terms_inflate_to_their_bound_and_to_what_they_claim() {
    let inner = [&[109, 0, 0, 16, 0][..], &[0; 4096]].concat();
    let limits = |inflated_bytes| Limits {
        inflated_bytes,
        ..Limits::default()
    };
    let honest = compressed(&inner, inner.len());
    assert!(decode_with(&honest, &limits(inner.len())).is_ok());
    let (bytes, max) = (inner.len(), inner.len() - 1);
    assert_eq!(
        decode_with(&honest, &limits(max)),
        Err(EtfError::InflatesTooFar { bytes, max })
    );
    for claim in [inner.len() - 1, inner.len() + 1] {
        let lie = compressed(&inner, claim);
        assert_eq!(
            decode_with(&lie, &Limits::default()),
            Err(EtfError::Compression)
        );
    }
    let more = compressed(&[&inner[..], &[106]].concat(), inner.len() + 1);
    assert_eq!(
        decode_with(&more, &Limits::default()),
        Err(EtfError::Compression)
    );
}

#[test]
fn the_shortest_form_is_written() {
    let written = |write: &dyn Fn(&mut Packer)| {
        let (mut packer, mut out) = (Packer::new(), Vec::new());
        write(&mut packer);
        etf::encode(packer.as_bytes(), &mut out);
        out
    };
    assert_eq!(written(&|p| p.int(255)), [131, 97, 255]);
    assert_eq!(written(&|p| p.int(-1)), [131, 98, 255, 255, 255, 255]);
    assert_eq!(written(&|p| p.int(1 << 31)), [131, 110, 4, 0, 0, 0, 0, 128]);
    assert_eq!(written(&|p| p.int(-1 << 31)), [131, 98, 128, 0, 0, 0]);
    let list = |p: &mut Packer, tail: i64| {
        let mark = p.list_begin(2);
        p.int(0);
        p.int(255);
        if tail < 0 {
            p.nil();
        } else {
            p.int(tail);
        }
        p.list_end(mark);
    };
    assert_eq!(written(&|p| list(p, -1)), [131, 107, 0, 2, 0, 255]);
    assert_eq!(
        written(&|p| list(p, 7)),
        [131, 108, 0, 0, 0, 2, 97, 0, 97, 255, 97, 7]
    );
}
