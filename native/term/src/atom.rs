//! Atoms: a handle of 32 bits in packed terms, a name when people, disks or peers need one.
//!
//! Inside a BEAM the handle is the VM's own atom index, so that packing an atom costs no
//! look-up; elsewhere handles are given out by the table here. A host installs itself once with
//! [`install_host`]; without one, names are interned here up to [`ATOMS_MAX`]. Names that were
//! looked up are kept for good, which is what a BEAM does with them too.
//!
//! Never here: a bound that depends on who sent the name; decoders count the atoms they learn.

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::FixedState;
use parking_lot::RwLock;

/// Most atoms that the built-in table interns; a BEAM's own default.
pub const ATOMS_MAX: usize = 1 << 20;

/// Most characters in the name of an atom, as in a BEAM.
pub const ATOM_CHARS_MAX: usize = 255;

/// An atom by its handle. Equal handles are equal atoms within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Atom(u32);

impl Atom {
    /// The atom with this handle; only for handles that came from [`Atom::handle`] or the host.
    #[must_use]
    #[inline]
    pub fn from_handle(handle: u32) -> Self {
        Self(handle)
    }

    /// The handle that packed terms hold.
    #[must_use]
    #[inline]
    pub fn handle(self) -> u32 {
        self.0
    }

    /// The atom of this name, made when it is new.
    ///
    /// Returns `None` when the name is longer than 255 characters or the table is full.
    #[must_use]
    pub fn intern(name: &str) -> Option<Self> {
        if let Some(&atom) = names().read().by_name.get(name) {
            return Some(atom);
        }
        if name.chars().count() > ATOM_CHARS_MAX {
            return None;
        }
        let mut names = names().write();
        // Another thread may have made it since the look above.
        if let Some(&atom) = names.by_name.get(name) {
            return Some(atom);
        }
        let atom = match HOST.get() {
            Some(host) => (host.intern)(name)?,
            None if names.by_name.len() >= ATOMS_MAX => return None,
            None => Self(u32::try_from(names.by_name.len()).ok()?),
        };
        names.keep(atom, name);
        Some(atom)
    }

    /// The atom of this name, if it was looked up before; makes none.
    #[must_use]
    pub fn known(name: &str) -> Option<Self> {
        names().read().by_name.get(name).copied()
    }

    /// The name of this atom.
    #[must_use]
    pub fn name(self) -> &'static str {
        if let Some(&name) = names().read().by_handle.get(&self.0) {
            return name;
        }
        let name = HOST.get().map(|host| (host.name)(self)).unwrap_or_default();
        names().write().keep(self, &name)
    }
}

/// How a host names and makes atoms.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// The name of an atom.
    pub name: fn(Atom) -> String,
    /// The atom of a name, or `None` when the host has no room.
    pub intern: fn(&str) -> Option<Atom>,
}

/// Makes `host` the source of all atoms. Must come before the first atom of the process; a
/// second call changes nothing.
pub fn install_host(host: Host) {
    // A second load of the same library finds the same host in place.
    HOST.get_or_init(|| host);
}

static HOST: OnceLock<Host> = OnceLock::new();

#[derive(Default)]
struct Names {
    by_name: HashMap<&'static str, Atom>,
    /// Handles are our own or the host's, so nobody picks them to collide.
    by_handle: HashMap<u32, &'static str, FixedState>,
}

impl Names {
    fn keep(&mut self, atom: Atom, name: &str) -> &'static str {
        if let Some(&known) = self.by_handle.get(&atom.0) {
            return known;
        }
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        self.by_name.insert(name, atom);
        self.by_handle.insert(atom.0, name);
        name
    }
}

fn names() -> &'static RwLock<Names> {
    static NAMES: OnceLock<RwLock<Names>> = OnceLock::new();
    NAMES.get_or_init(RwLock::default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_atom() {
        let atom = Atom::intern("größe").expect("there is room");
        assert_eq!(Atom::intern("größe"), Some(atom));
        assert_ne!(Atom::intern("other"), Some(atom));
        assert_eq!(atom.name(), "größe");
    }

    #[test]
    fn threads_that_meet_make_one_atom_of_a_name() {
        for round in 0..200 {
            let name = format!("met in round {round}");
            let made: Vec<_> = std::thread::scope(|scope| {
                let make = || Atom::intern(&name);
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().ok().flatten())
                    .collect()
            });
            assert!(made[0].is_some(), "there is room");
            assert!(made.iter().all(|atom| *atom == made[0]), "{name}: {made:?}");
        }
    }

    #[test]
    fn names_over_255_characters_are_refused() {
        assert!(Atom::intern(&"ä".repeat(255)).is_some());
        assert_eq!(Atom::intern(&"ä".repeat(256)), None);
    }
}
