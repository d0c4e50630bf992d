//! A local fun without the process that made it.
//!
//! Two funs are the same when module, index, unique number and free variables are; who made them
//! does not count. So the process is replaced by one that is always the same, in the free
//! variables' own funs too. A stack stands for the funs that are open, and nothing recurses.

use super::Reader;
use super::skip::one;
use super::tag;

/// In the place of each maker: process 0.0 of a node without a name.
const NOBODY: [u8; 28] = *b"X\x77\x0dnonode@nohost\0\0\0\0\0\0\0\0\0\0\0\0";

/// A fun whose size is not known yet.
struct Open {
    size_at: usize,
    /// Free variables, and terms within them, still to come.
    left: u64,
}

/// The external bytes of a local fun with its makers replaced; none for anything else.
pub(crate) fn without_maker(external: &[u8]) -> Option<Vec<u8>> {
    if external.first() != Some(&tag::NEW_FUN) {
        return None;
    }
    let mut reader = Reader(external);
    let mut out = Vec::with_capacity(external.len() + NOBODY.len());
    let mut stack: Vec<Open> = Vec::new();
    loop {
        let before = reader.0;
        let is_fun = before.first() == Some(&tag::NEW_FUN);
        let follow = one(&mut reader).ok()?;
        let taken = before.get(..before.len() - reader.0.len())?;
        if let Some(top) = stack.last_mut() {
            top.left -= 1;
        }
        if is_fun {
            let size_at = out.len() + 1;
            out.extend_from_slice(taken);
            one(&mut reader).ok()?;
            out.extend_from_slice(&NOBODY);
            let left = follow.checked_sub(1)?;
            stack.push(Open { size_at, left });
        } else {
            out.extend_from_slice(taken);
            stack.last_mut()?.left += follow;
        }
        while let Some(top) = stack.last().filter(|top| top.left == 0) {
            let size = u32::try_from(out.len() - top.size_at).ok()?;
            out.get_mut(top.size_at..top.size_at + 4)?
                .copy_from_slice(&size.to_be_bytes());
            stack.pop();
        }
        if stack.is_empty() {
            return reader.0.is_empty().then_some(out);
        }
    }
}
