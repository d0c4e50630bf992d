//! Going over rows whose memory is scattered: the loads of a batch overlap, where one row after
//! the other would wait for memory each time.
//!
//! Never here: which rows, and what is done with them.

use magnesia_term::Row;

/// Rows looked at ahead: few at first, for those who want one row and no more.
const BATCHES: [usize; 3] = [1, 8, 32];

/// Something whose memory can be asked for before it is used.
pub(crate) trait Touch {
    /// Reads the head, so that its memory is on its way to the cache.
    fn touch_head(&self) -> u32;

    /// Reads the end, whose place the head tells.
    fn touch_tail(&self) -> u8;
}

impl Touch for Row {
    #[inline]
    fn touch_head(&self) -> u32 {
        self.hash()
    }

    #[inline]
    fn touch_tail(&self) -> u8 {
        self.body().last().copied().unwrap_or(0)
    }
}

/// Calls `f` on each item in turn until it says stop; says whether it never did.
#[inline]
pub(crate) fn visit<'a, T: Copy, R: Touch + 'a>(
    mut items: impl Iterator<Item = T>,
    row_of: impl Fn(T) -> &'a R,
    mut f: impl FnMut(T) -> bool,
) -> bool {
    let mut sizes = BATCHES.iter().copied();
    let mut size = 0;
    let mut batch: [Option<T>; 32] = [None; 32];
    loop {
        size = sizes.next().unwrap_or(size);
        let mut filled = 0;
        let mut touched = 0;
        for (place, item) in batch[..size].iter_mut().zip(&mut items) {
            touched ^= row_of(item).touch_head();
            *place = Some(item);
            filled += 1;
        }
        let batch = &batch[..filled];
        for &item in batch.iter().flatten() {
            touched ^= u32::from(row_of(item).touch_tail());
        }
        std::hint::black_box(touched);
        if !batch.iter().flatten().all(|&item| f(item)) {
            return false;
        }
        if filled < size {
            return true;
        }
    }
}
