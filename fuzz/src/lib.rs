//! What the fuzz targets share. Each target is a file in `fuzz_targets/`; `docs/testing.md` lists
//! them and says how to run them.
//!
//! - [`rfc5849`]: a second implementation of signatures, with which the first one is compared.
//! - [`line_request`]: requests in lines of text, which people can read and write as seeds.
//! - [`sketch`]: requests that are signed with the second implementation and then changed.
//! - [`check`]: the check service in this process, and the judgement of its answers.
//! - [`credentials`]: the consumers and tokens of every service here.
//! - [`envoy`]: the messages of Envoy's API, read and written by prost.
//! - [`endpoints`]: the routes of the http listener in this process.
//! - [`cli`]: readers of the command line, which are part of the program and not of the library.

#![forbid(unsafe_code)]

pub mod check;
pub mod cli;
pub mod credentials;
pub mod endpoints;
pub mod envoy;
pub mod line_request;
pub mod rfc5849;
pub mod sketch;
