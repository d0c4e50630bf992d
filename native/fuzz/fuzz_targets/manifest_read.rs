//! Fuzz target over the manifest; what must hold is in the tests of its crate.

#![no_main]

#[path = "../../store/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::manifest_read(input));
