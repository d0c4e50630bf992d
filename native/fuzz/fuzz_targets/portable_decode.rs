//! Fuzz target over the portable form of terms; what must hold is in the tests of its crate.

#![no_main]

#[path = "../../term/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::portable_decode(input));
