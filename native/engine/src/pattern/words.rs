//! Atoms that mean something in a match specification.
//!
//! They are looked up once a compilation and carried by the compiled specification, so that a
//! run never asks the atom table for a name.

use magnesia_term::Atom;

use super::Invalid;

/// The atoms a run can produce or must recognise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// `true`
    pub(super) yes: Atom,
    /// `false`
    pub(super) no: Atom,
    /// `'EXIT'`, what a failed call in a body becomes
    pub(super) exit: Atom,
    /// `'_'`
    pub(super) any: Atom,
    /// `'$_'`
    pub(super) whole: Atom,
    /// `'$$'`
    pub(super) bindings: Atom,
}

impl Words {
    /// Looks the atoms up; fails only when the atom table is full.
    pub(super) fn find() -> Result<Self, Invalid> {
        let find = |name| Atom::intern(name).ok_or(Invalid::Atoms);
        Ok(Self {
            yes: find("true")?,
            no: find("false")?,
            exit: find("EXIT")?,
            any: find("_")?,
            whole: find("$_")?,
            bindings: find("$$")?,
        })
    }

    /// The atom of a truth value.
    #[inline]
    pub(super) fn boolean(&self, value: bool) -> Atom {
        if value { self.yes } else { self.no }
    }

    /// The truth value of an atom, if it is one.
    #[inline]
    pub(super) fn truth(&self, atom: Atom) -> Option<bool> {
        if atom == self.yes {
            Some(true)
        } else if atom == self.no {
            Some(false)
        } else {
            None
        }
    }
}
