//! Fuzz target over match specifications; what must hold is in the tests of its crate.

#![no_main]

#[path = "../../engine/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::match_spec(input));
