//! The base string of a request equals that of the second implementation, byte by byte.
#![no_main]

use countersign_fuzz::{line_request, rfc5849};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let request = line_request::read(text);
    line_request::with_parsed(&request, |parsed| {
        let Ok(Some(signed)) = parsed else { return };
        let expected = rfc5849::base_string(&request);
        let own = String::from_utf8(signed.base_string()).expect("a base string is ASCII");
        assert_eq!(Some(own), expected);
    });
});
