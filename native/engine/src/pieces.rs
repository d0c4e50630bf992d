//! A list that grows by pieces: no push copies what is there, however long the list is.
//!
//! A transaction's writes are added by calls that may hold their thread for a moment only; a
//! plain vector of a hundred thousand of them takes milliseconds to double.
//!
//! Never here: removal.

use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

/// Entries of one piece.
const PIECE: usize = 1024;

/// A list of `T`, the first `N` of them without memory of their own.
#[derive(Debug, Clone)]
pub(crate) struct Pieces<T, const N: usize> {
    first: SmallVec<[T; N]>,
    /// Each is full but the last, and begins only when `first` is.
    more: Vec<Vec<T>>,
}

impl<T, const N: usize> Default for Pieces<T, N> {
    fn default() -> Self {
        Self {
            first: SmallVec::new(),
            more: Vec::new(),
        }
    }
}

impl<T, const N: usize> Pieces<T, N> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.more.last() {
            None => self.first.len(),
            Some(last) => self.more.len() * PIECE + last.len(),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        if self.first.len() < PIECE {
            self.first.push(item);
        } else {
            self.push_more(item);
        }
    }

    #[cold]
    fn push_more(&mut self, item: T) {
        match self.more.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(item),
            None => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.more.push(piece);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.first.iter().chain(self.more.iter().flatten())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.more.iter_mut().flatten())
    }
}

impl<T, const N: usize> Index<usize> for Pieces<T, N> {
    type Output = T;

    #[inline]
    fn index(&self, at: usize) -> &T {
        match at.checked_sub(PIECE) {
            None => &self.first[at],
            Some(rest) => &self.more[rest / PIECE][rest % PIECE],
        }
    }
}

impl<T, const N: usize> IndexMut<usize> for Pieces<T, N> {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut T {
        match at.checked_sub(PIECE) {
            None => &mut self.first[at],
            Some(rest) => &mut self.more[rest / PIECE][rest % PIECE],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: usize) -> Pieces<usize, 2> {
        let mut pieces = Pieces::default();
        for n in 0..count {
            assert_eq!(pieces.len(), n);
            pieces.push(n);
        }
        pieces
    }

    #[test]
    fn a_list_is_what_was_pushed() {
        for count in [
            0,
            1,
            2,
            3,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            2 * PIECE,
            3 * PIECE + 7,
        ] {
            let mut pieces = of(count);
            assert!(pieces.iter().copied().eq(0..count));
            assert!((0..count).all(|at| pieces[at] == at));
            for item in pieces.iter_mut() {
                *item += 1;
            }
            for at in 0..count {
                pieces[at] += 1;
            }
            assert!(pieces.iter().copied().eq(2..count + 2));
            assert!(pieces.iter().rev().copied().eq((2..count + 2).rev()));
        }
    }

    #[test]
    fn no_push_moves_what_is_there() {
        let mut pieces = of(PIECE);
        let before: Vec<*const usize> = pieces.iter().map(std::ptr::from_ref).collect();
        for n in 0..100 * PIECE {
            pieces.push(n);
        }
        let after = pieces.iter().map(std::ptr::from_ref).take(before.len());
        assert!(after.eq(before));
    }
}
