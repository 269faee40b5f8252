//! Requests to `/oauth/…`: no answer is a failure of ours, and credentials are issued once, and only
//! to a request that the second implementation proves.
#![no_main]

use std::cell::RefCell;

use countersign_fuzz::endpoints::{CredentialSketch, EndpointBench};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static BENCH: RefCell<EndpointBench> = RefCell::new(EndpointBench::new());
}

fuzz_target!(|sketch: CredentialSketch| BENCH.with_borrow_mut(|bench| bench.send(&sketch)));
