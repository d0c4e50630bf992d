//! Fuzz target over the catalog of tables; what must hold is in the tests of its crate.

#![no_main]

#[path = "../../database/tests/hostile/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::catalog_decode(input));
