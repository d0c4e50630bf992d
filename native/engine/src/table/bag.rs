//! The rows of one key of a bag, in the order in which they came.

use magnesia_term::Row;

use super::segment::Slot;
use super::touch::Touch;

/// One row, as most keys have, or several.
#[derive(Debug, Clone)]
pub(crate) enum BagRows {
    /// The only row.
    One(Row),
    /// Two rows or more, oldest first.
    Many(Vec<Row>),
}

impl BagRows {
    pub(crate) fn rows(&self) -> &[Row] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::Many(rows) => rows,
        }
    }

    /// Adds a row at the end, unless the same row is there already.
    pub(crate) fn push(&mut self, row: Row) -> bool {
        if self.rows().iter().any(|there| there.is_identical(&row)) {
            return false;
        }
        match self {
            Self::One(first) => *self = Self::Many(vec![first.clone(), row]),
            Self::Many(rows) => rows.push(row),
        }
        true
    }

    /// Takes out the row equal to `row`; says whether there was one.
    pub(crate) fn remove(&mut self, row: &Row) -> Option<Row> {
        match self {
            // The last row goes with its slot.
            Self::One(_) => None,
            Self::Many(rows) => {
                let at = rows.iter().position(|there| there.is_identical(row))?;
                let removed = rows.remove(at);
                if let [last] = rows.as_slice() {
                    *self = Self::One(last.clone());
                }
                Some(removed)
            }
        }
    }
}

impl Slot for BagRows {
    fn key(&self) -> &[u8] {
        self.rows().first().map_or(&[], Row::key)
    }
}

impl Touch for BagRows {
    fn place(&self) -> *const u8 {
        match self {
            Self::One(row) => row.place(),
            Self::Many(rows) => rows.as_ptr().cast(),
        }
    }
}
