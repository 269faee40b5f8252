//! Denials: what a caller reads, and what an operator finds them by.
//!
//! - `problem`: the one table from a reason to a status, `WWW-Authenticate` and a problem document.
//! - `explained`: the cause of a mismatch, as far as a caller may know it.
//! - `decision_id`: the identifier that a denial and its log event share.
//! - `sunset`: the `Deprecation` and `Sunset` headers of a consumer.

pub(super) mod decision_id;
pub(super) mod explained;
pub(super) mod problem;
pub(super) mod sunset;
