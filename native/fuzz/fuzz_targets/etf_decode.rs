//! Fuzz target over the external term format; what must hold is in the tests of its crate.

#![no_main]

#[path = "../../term/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::etf_decode(input));
