//! The node in the external bytes of a pid, port or reference.

use magnesia_term::Atom;

/// The node that made the pid, port or reference with these external bytes.
pub(super) fn node_of(external: &[u8]) -> Option<Atom> {
    let (&tag, rest) = external.split_first()?;
    match tag {
        // NEW_PID, PID, NEW_PORT, V4_PORT, PORT and the first form of a reference
        88 | 103 | 89 | 120 | 102 | 101 => atom_at(rest),
        // NEWER_REFERENCE, NEW_REFERENCE: a count of words comes first
        90 | 114 => atom_at(rest.get(2..)?),
        _ => None,
    }
}

fn atom_at(bytes: &[u8]) -> Option<Atom> {
    let (&tag, rest) = bytes.split_first()?;
    let (length, rest) = match tag {
        119 | 115 => (usize::from(*rest.first()?), rest.get(1..)?),
        118 | 100 => (
            usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])),
            rest.get(2..)?,
        ),
        _ => return None,
    };
    let name = rest.get(..length)?;
    let is_latin1 = matches!(tag, 115 | 100);
    if is_latin1 {
        return Atom::intern(
            &name
                .iter()
                .map(|&byte| char::from(byte))
                .collect::<String>(),
        );
    }
    Atom::intern(std::str::from_utf8(name).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_node_of_a_pid_and_of_a_reference() {
        let node = Atom::intern("a@b");
        assert_eq!(node_of(&[88, 119, 3, b'a', b'@', b'b', 0, 0, 0, 1]), node);
        assert_eq!(node_of(&[90, 0, 1, 119, 3, b'a', b'@', b'b', 0]), node);
        assert_eq!(node_of(&[90, 0, 1, 119, 9, b'a']), None);
    }
}
