//! The one room with unsafe code: what rustler has no cheap call for.
//!
//! Immediate terms (small integers, atoms, the empty list, local pids) are words whose low bits
//! say what they are. Reading and making them here costs no call into the VM; [`check`] proves
//! at load that the running VM lays them out so, and the library refuses to load otherwise.
//! Everything else goes through the NIF interface.
//!
//! Never here: decisions. Each function wraps one rule of the interface.

use std::cell::Cell;
use std::mem::MaybeUninit;

use magnesia_term::Atom;
use rustler::sys::{
    ErlNifEnv, ErlNifPid, ErlNifTerm, enif_binary_to_term, enif_get_int64, enif_get_list_cell,
    enif_get_tuple, enif_get_uint64, enif_inspect_binary, enif_make_int64, enif_make_list_cell,
    enif_make_map_from_arrays, enif_make_new_binary, enif_make_tuple_from_array, enif_make_uint64,
    enif_self, enif_send,
};
use rustler::{Env, LocalPid, Term};

const SMALL_TAG: usize = 0xf;
const ATOM_TAG: usize = 0xb;
const ATOM_BITS: usize = 6;
const NIL: usize = 0x3b;
/// Small integers have this many bits, sign included.
const SMALL_BITS: u32 = 60;

/// A term as the VM passes it around: immediate, or a pointer into an environment.
pub(crate) type Word = usize;

/// The word of a term.
#[inline]
pub(crate) fn word(term: Term<'_>) -> Word {
    word_of(term.as_c_arg())
}

#[inline]
fn word_of(term: ErlNifTerm) -> Word {
    // SAFETY: `ErlNifTerm` is a transparent wrapper of one `usize`.
    unsafe { std::mem::transmute::<ErlNifTerm, Word>(term) }
}

#[inline]
fn term_of(word: Word) -> ErlNifTerm {
    // SAFETY: `ErlNifTerm` is a transparent wrapper of one `usize`.
    unsafe { std::mem::transmute::<Word, ErlNifTerm>(word) }
}

#[inline]
fn raw_pid(word: Word) -> ErlNifPid {
    // SAFETY: `ErlNifPid` is a C struct with one term and nothing else.
    unsafe { std::mem::transmute::<Word, ErlNifPid>(word) }
}

/// Whether the VM lays out immediate terms as this file takes them.
pub(crate) fn check(env: Env<'_>) -> bool {
    let ok = word(rustler::types::atom::ok().to_term(env));
    let nil = word(Term::list_new_empty(env));
    // SAFETY: `env` is a live environment; making an integer has no other condition.
    let (five, minus) = unsafe {
        (
            enif_make_int64(env.as_c_arg(), 5),
            enif_make_int64(env.as_c_arg(), -(1 << 59)),
        )
    };
    size_of::<Word>() == 8
        && ok & ((1 << ATOM_BITS) - 1) == ATOM_TAG
        && u32::try_from(ok >> ATOM_BITS).is_ok()
        && nil == NIL
        && small_of(word_of(five)) == Some(5)
        && small_of(word_of(minus)) == Some(-(1 << 59))
}

/// The integer of a small integer's word.
#[inline]
pub(crate) fn small_of(word: Word) -> Option<i64> {
    (word & SMALL_TAG == SMALL_TAG).then_some((word as i64) >> 4)
}

/// The atom of an atom's word.
#[inline]
pub(crate) fn atom_of(word: Word) -> Option<Atom> {
    let is_atom = word & ((1 << ATOM_BITS) - 1) == ATOM_TAG;
    is_atom.then(|| Atom::from_handle((word >> ATOM_BITS) as u32))
}

/// Whether a word is the empty list.
#[inline]
pub(crate) fn is_nil(word: Word) -> bool {
    word == NIL
}

/// The word of an atom that this VM has.
#[inline]
pub(crate) fn atom_word(atom: Atom) -> Word {
    (atom.handle() as usize) << ATOM_BITS | ATOM_TAG
}

/// The word of the empty list.
#[inline]
pub(crate) fn nil_word() -> Word {
    NIL
}

/// A term of a word that was made in `env` or is immediate.
#[inline]
pub(crate) fn term(env: Env<'_>, word: Word) -> Term<'_> {
    // SAFETY: callers pass words that they took from terms of `env` or made in it.
    unsafe { Term::new(env, term_of(word)) }
}

/// The word of an integer.
#[inline]
pub(crate) fn int_word(env: Env<'_>, value: i64) -> Word {
    if value >> (SMALL_BITS - 1) == value >> 63 {
        return (value as usize) << 4 | SMALL_TAG;
    }
    // SAFETY: `env` is a live environment.
    word_of(unsafe { enif_make_int64(env.as_c_arg(), value) })
}

/// The word of an integer above the signed range.
pub(crate) fn uint_word(env: Env<'_>, value: u64) -> Word {
    // SAFETY: `env` is a live environment.
    word_of(unsafe { enif_make_uint64(env.as_c_arg(), value) })
}

/// The integer of any word that holds one of 64 bits, signed.
pub(crate) fn int_of(env: Env<'_>, word: Word) -> Option<i64> {
    let mut value = 0;
    // SAFETY: `word` belongs to `env`; `value` outlives the call.
    (unsafe { enif_get_int64(env.as_c_arg(), term_of(word), &mut value) } != 0).then_some(value)
}

/// The integer of any word that holds one of 64 bits, unsigned.
pub(crate) fn uint_of(env: Env<'_>, word: Word) -> Option<u64> {
    let mut value = 0;
    // SAFETY: `word` belongs to `env`; `value` outlives the call.
    (unsafe { enif_get_uint64(env.as_c_arg(), term_of(word), &mut value) } != 0).then_some(value)
}

/// The elements of a tuple, as words.
#[inline]
pub(crate) fn tuple_of<'a>(env: Env<'a>, word: Word) -> Option<&'a [Word]> {
    let mut arity = 0;
    let mut elements = MaybeUninit::<*const ErlNifTerm>::uninit();
    // SAFETY: `word` belongs to `env`; both places outlive the call.
    let is_tuple = unsafe {
        enif_get_tuple(
            env.as_c_arg(),
            term_of(word),
            &mut arity,
            elements.as_mut_ptr(),
        )
    } != 0;
    if !is_tuple {
        return None;
    }
    let arity = usize::try_from(arity).unwrap_or(0);
    if arity == 0 {
        return Some(&[]);
    }
    // SAFETY: the call succeeded, so the pointer is set and the array lives as long as `env`.
    Some(unsafe { std::slice::from_raw_parts(elements.assume_init().cast::<Word>(), arity) })
}

/// The first element of a list that has one.
#[inline]
pub(crate) fn head_of(env: Env<'_>, word: Word) -> Option<Word> {
    let (mut head, mut tail) = (term_of(0), term_of(0));
    // SAFETY: `word` belongs to `env`; both places outlive the call.
    let is_cell =
        unsafe { enif_get_list_cell(env.as_c_arg(), term_of(word), &mut head, &mut tail) } != 0;
    is_cell.then(|| word_of(head))
}

/// The bytes of a binary.
#[inline]
pub(crate) fn binary_of<'a>(env: Env<'a>, word: Word) -> Option<&'a [u8]> {
    let mut binary = MaybeUninit::uninit();
    // SAFETY: `word` belongs to `env`; the place outlives the call.
    if unsafe { enif_inspect_binary(env.as_c_arg(), term_of(word), binary.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: the call succeeded, so the struct is filled.
    let binary = unsafe { binary.assume_init() };
    if binary.size == 0 {
        return Some(&[]);
    }
    // SAFETY: the bytes live as long as the term, which lives as long as `env`.
    Some(unsafe { std::slice::from_raw_parts(binary.data, binary.size) })
}

/// A new binary with these bytes.
#[inline]
pub(crate) fn binary_word(env: Env<'_>, bytes: &[u8]) -> Word {
    let mut word = term_of(0);
    // SAFETY: the VM returns memory of the size that was asked for, or ends the VM.
    unsafe {
        let data = enif_make_new_binary(env.as_c_arg(), bytes.len(), &mut word);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
    }
    word_of(word)
}

/// A tuple of words made in `env`.
#[inline]
pub(crate) fn tuple_word(env: Env<'_>, elements: &[Word]) -> Word {
    let arity = u32::try_from(elements.len()).unwrap_or(u32::MAX);
    // SAFETY: pointer and length are of one slice, whose words belong to `env`.
    word_of(unsafe { enif_make_tuple_from_array(env.as_c_arg(), elements.as_ptr().cast(), arity) })
}

/// A list cell of two words made in `env`.
#[inline]
pub(crate) fn cons_word(env: Env<'_>, head: Word, tail: Word) -> Word {
    // SAFETY: both words belong to `env`.
    word_of(unsafe { enif_make_list_cell(env.as_c_arg(), term_of(head), term_of(tail)) })
}

/// A map of keys and values made in `env`; `None` when two keys are equal.
pub(crate) fn map_word(env: Env<'_>, keys: &[Word], values: &[Word]) -> Option<Word> {
    let mut map = term_of(0);
    let count = keys.len().min(values.len());
    // SAFETY: both arrays have `count` words that belong to `env`; they are only read.
    let is_made = unsafe {
        enif_make_map_from_arrays(
            env.as_c_arg(),
            keys.as_ptr().cast_mut().cast(),
            values.as_ptr().cast_mut().cast(),
            count,
            &mut map,
        )
    };
    (is_made != 0).then(|| word_of(map))
}

/// The term of external bytes that this library or this VM wrote; atoms in it are made.
pub(crate) fn trusted_word(env: Env<'_>, bytes: &[u8]) -> Option<Word> {
    let mut word = term_of(0);
    // SAFETY: pointer and length are of one slice; the VM checks the bytes itself, "trusted"
    // only allows it to make atoms.
    let used =
        unsafe { enif_binary_to_term(env.as_c_arg(), bytes.as_ptr(), bytes.len(), &mut word, 0) };
    (used != 0).then(|| word_of(word))
}

/// The calling process, as a word; `env` must be that of a call.
#[inline]
pub(crate) fn self_word(env: Env<'_>) -> Word {
    let mut pid = MaybeUninit::<ErlNifPid>::uninit();
    // SAFETY: the place outlives the call; in an environment without a process it stays unset
    // and null is returned. `ErlNifPid` is a C struct with one term and nothing else.
    unsafe {
        if enif_self(env.as_c_arg(), pid.as_mut_ptr()).is_null() {
            return 0;
        }
        std::mem::transmute::<ErlNifPid, Word>(pid.assume_init())
    }
}

/// The pid of a word that [`self_word`] returned.
pub(crate) fn pid_of(word: Word) -> LocalPid {
    LocalPid::from_c_arg(raw_pid(word))
}

/// Asks for the memory at a place without waiting for it: two cache lines, as most rows have.
pub(crate) fn fetch(place: *const u8) {
    const LINE_BYTES: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in [place, place.wrapping_add(LINE_BYTES)] {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which changes nothing but caches; it ignores addresses not mapped.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
}

thread_local! {
    /// The environment of the call that runs on this thread, for messages that it causes.
    static CALLER: Cell<*mut ErlNifEnv> = const { Cell::new(std::ptr::null_mut()) };
}

/// Runs `f`, which may send messages, as part of a call with this environment.
#[inline]
pub(crate) fn as_caller<R>(env: Env<'_>, f: impl FnOnce() -> R) -> R {
    let outer = CALLER.replace(env.as_c_arg());
    let result = f();
    CALLER.set(outer);
    result
}

/// Sends `message` to the process of a word from [`self_word`]; one that is gone is not missed.
pub(crate) fn send(to: Word, message: Term<'_>) {
    let pid = raw_pid(to);
    // SAFETY: the caller's environment is that of the call on this thread, or null on a thread
    // that is not the VM's; the message is copied, since no message environment is given.
    unsafe {
        enif_send(CALLER.get(), &pid, std::ptr::null_mut(), message.as_c_arg());
    }
}

/// Declares a function of the library: its name, its arity, its scheduler and the Rust function
/// `fn(Env, [Term; ARITY]) -> Term` that does it, run by `boundary::run`.
macro_rules! nif {
    ($name:literal, $arity:literal, $flags:ident, $function:path) => {
        const _: () = {
            use rustler::codegen_runtime::{c_int, inventory};
            use rustler::sys::{ErlNifEnv, ErlNifTerm};

            unsafe extern "C" fn call(
                env: *mut ErlNifEnv,
                _count: c_int,
                words: *const ErlNifTerm,
            ) -> ErlNifTerm {
                let lifetime = ();
                // SAFETY: the VM calls with a live environment, and this is its only `Env`.
                let env = unsafe { rustler::Env::new(&lifetime, env) };
                // SAFETY: the VM passes as many words as the arity below says.
                let words = unsafe { *words.cast::<[$crate::raw::Word; $arity]>() };
                let terms = words.map(|word| $crate::raw::term(env, word));
                $crate::boundary::run(env, || $function(env, terms)).as_c_arg()
            }

            inventory::submit!(rustler::Nif {
                name: concat!($name, "\0").as_ptr().cast(),
                arity: $arity,
                flags: rustler::SchedulerFlags::$flags as rustler::codegen_runtime::c_uint,
                raw_func: call,
            });
        };
    };
}
pub(crate) use nif;
