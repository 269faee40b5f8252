//! Captured requests for `countersign explain`: the verdict is that of the second implementation, and
//! a cause has a place and a remedy.
#![no_main]

use countersign_fuzz::cli::explain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|capture: &[u8]| explain(capture));
