//! The BEAM as the source of atoms.
//!
//! Names are read and atoms made through external bytes, which know UTF-8 on every release.

use magnesia_engine::pattern;
use magnesia_term::atom::{self, Host};
use magnesia_term::{Atom, order};
use rustler::OwnedEnv;

use crate::raw;

const VERSION: u8 = 131;
const ATOM_LATIN1: u8 = 100;
const SMALL_ATOM_LATIN1: u8 = 115;
const ATOM_UTF8: u8 = 118;
const SMALL_ATOM_UTF8: u8 = 119;
/// The release in which 0.0 and -0.0 became two terms.
const DISTINCT_ZEROS_RELEASE: u32 = 27;
/// The release in which guards changed.
const NEW_GUARDS_RELEASE: u32 = 27;

/// Makes the VM the source of atoms, and follows its release where releases differ: `functions`
/// and `maps` as in [`pattern::release`].
pub(crate) fn install(release: u32, functions: bool, maps: bool) {
    order::set_zeros_distinct(release >= DISTINCT_ZEROS_RELEASE);
    pattern::release::set_guards_of_27(release >= NEW_GUARDS_RELEASE);
    pattern::release::set_functions_of_26(functions);
    pattern::release::set_maps_match_in_keys(maps);
    atom::install_host(Host { name, intern });
}

fn name(atom: Atom) -> String {
    OwnedEnv::new().run(|env| {
        let bytes = raw::term(env, raw::atom_word(atom)).to_binary();
        read_name(bytes.as_slice()).unwrap_or_default()
    })
}

fn read_name(bytes: &[u8]) -> Option<String> {
    let (&[version, tag], rest) = bytes.split_first_chunk::<2>()?;
    if version != VERSION {
        return None;
    }
    let head = if matches!(tag, ATOM_LATIN1 | ATOM_UTF8) {
        2
    } else {
        1
    };
    let name = rest.get(head..)?;
    match tag {
        ATOM_LATIN1 | SMALL_ATOM_LATIN1 => Some(name.iter().map(|&b| char::from(b)).collect()),
        ATOM_UTF8 | SMALL_ATOM_UTF8 => String::from_utf8(name.to_vec()).ok(),
        _ => None,
    }
}

fn intern(name: &str) -> Option<Atom> {
    let length = u16::try_from(name.len()).ok()?;
    let mut bytes = vec![VERSION, ATOM_UTF8];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    OwnedEnv::new().run(|env| raw::atom_of(raw::trusted_word(env, &bytes)?))
}
