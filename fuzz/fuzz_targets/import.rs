//! Files for `countersign import`: each row is a request to create something, or a list of problems;
//! no error lacks its line. A file that begins with `{` is JSON Lines, any other CSV.
#![no_main]

use countersign_fuzz::cli::import::{read_csv, read_json_lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if file.starts_with(b"{") {
        read_json_lines(file);
    } else {
        read_csv(file);
    }
});
