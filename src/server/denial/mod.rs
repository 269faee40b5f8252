//! Denials: the answer to the caller, and the records for the operator.
//!
//! - `report`: counts, keeps and logs the outcome of a call, and writes the answer to a denied one;
//!   `call`: a call and its outcome; `reported`: its request; `event`: the log events.
//! - `problem`, `advice`: the one table from a reason to a status, a challenge and a body.
//! - `details`, `sent_value`, `quotable`: the facts about a denial that only operators see, and the
//!   unproven values that they quote.
//! - `explained`: the cause of a signature mismatch, if the caller may know it.
//! - `decision_id`: the id that a denial and its log event share.
//! - `sunset`: the `Deprecation` and `Sunset` headers of a consumer.

mod advice;
mod call;
pub(super) mod decision_id;
mod details;
mod event;
mod explained;
pub(super) mod problem;
mod quotable;
pub(super) mod report;
mod reported;
mod sent_value;
pub(super) mod sunset;
