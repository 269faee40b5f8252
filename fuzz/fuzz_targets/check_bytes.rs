//! Bytes as a `CheckRequest` through the whole check service. A request is allowed only if the
//! second implementation proves it.
#![no_main]

use std::cell::RefCell;

use countersign_fuzz::check::{CheckBench, Setup};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static BENCHES: RefCell<[CheckBench; 2]> =
        RefCell::new([CheckBench::new(Setup::Default), CheckBench::new(Setup::BehindProxy)]);
}

fuzz_target!(|message: &[u8]| BENCHES.with_borrow_mut(|benches| {
    for bench in benches {
        bench.renew();
        bench.check(message);
    }
}));
