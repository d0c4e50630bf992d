//! Bounds that a decoder of the external term format is given. There is no decoder without
//! bounds; what a bound refuses is an error, never a shorter term.

/// Bounds of one decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most composites open at once.
    pub depth: usize,
    /// Most atoms that may be new in one decoding.
    pub atoms: usize,
    /// Most bytes in the magnitude of one integer.
    pub big_bytes: usize,
    /// Most bytes that a compressed term may inflate to.
    pub inflated_bytes: usize,
    /// Most bytes that may be moved to put the pairs of maps in order, besides
    /// [`MOVES_MAX`] times the bytes of the term. Each unsorted map moves all that it holds, so
    /// maps nested in maps move what is inside again and again.
    pub moved_bytes: usize,
}

/// Default of [`Limits::depth`].
pub const DEPTH_MAX: usize = 1_000_000;
/// Default of [`Limits::atoms`].
pub const NEW_ATOMS_MAX: usize = 256 << 10;
/// Default of [`Limits::big_bytes`].
pub const BIG_BYTES_MAX: usize = 64 << 10;
/// Default of [`Limits::inflated_bytes`]: 16 frames of the largest size.
pub const INFLATED_BYTES_MAX: usize = 16 * (128 << 20);

/// Default of [`Limits::moved_bytes`].
pub const MOVED_BYTES_MAX: usize = 64 << 20;
/// How often each byte of a term may be moved, on average, to put maps in order.
pub const MOVES_MAX: usize = 64;

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: DEPTH_MAX,
            atoms: NEW_ATOMS_MAX,
            big_bytes: BIG_BYTES_MAX,
            inflated_bytes: INFLATED_BYTES_MAX,
            moved_bytes: MOVED_BYTES_MAX,
        }
    }
}
