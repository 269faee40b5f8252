//! Diagnostics of refused requests for operators: recent denials, causes of signature mismatches,
//! and counts by consumer.
//!
//! [`Diagnostics`] records every decision and answers queries about them. All data is held in
//! memory, covers this process since it started, and is bounded: the number and bytes of stored
//! denials, the number of counted consumers, and the rate and queue of explanations.
//!
//! ```text
//! server::ext_authz ─┬─record_…──▶ Diagnostics ──▶ ledger      counts by consumer, a page per lane
//! server::http ──────┘                    ├──────▶ recent      the last denials, evicted by age
//!                                         └──────▶ explainer   a thread that runs oauth::diagnosis
//!                          denials, watch ◀── recent ◀─┘
//! ```
//!
//! - `collector`: [`Diagnostics`]; `state`: the shared state of its clones.
//! - `refused_request`, `sent_request`: the input; `record`, `masking`: a stored denial and how its
//!   texts are masked; `details`: its facts; `remedy`: the remedy for each reason.
//! - `recent`, `buffer`, `filter`, `watch`: storage and queries of denials.
//! - `ledger`, `counts`, `tally`, `report`: counts by consumer.
//! - `hour`, `time_slots`: counts of the last hour.
//! - `explainer`, `explain_job`, `explanation`, `rate`: causes of signature mismatches.
//!
//! # Security
//! Operators may see a stored denial without further masking: the claimed consumer key is visible
//! ASCII; method, host and path are truncated and escaped; query values are masked; headers, bodies
//! and secrets are not stored. Base strings are masked by
//! [`SignedRequest::masked_base_string`](crate::oauth::SignedRequest::masked_base_string). `server`
//! controls access, and decides which causes a caller may see: a cause that depends on a secret is
//! for operators only.

mod buffer;
mod collector;
mod counts;
mod details;
mod explain_job;
mod explainer;
mod explanation;
mod filter;
mod hour;
mod ledger;
mod masking;
mod rate;
mod recent;
mod record;
mod refused_request;
mod remedy;
mod report;
mod sent_request;
mod state;
mod tally;
mod time_slots;
mod watch;

pub use collector::Diagnostics;
pub use details::DenialDetails;
pub use explain_job::PendingExplanation;
pub use explanation::Explanation;
pub use filter::DenialFilter;
pub use hour::{ConsumerHour, HourReport, MinuteReport, ResultCounts};
pub use ledger::CountedConsumer;
pub use record::DenialRecord;
pub use refused_request::{RefusalContext, RefusedRequest, ToldCaller};
pub use report::ConsumerReport;
pub use sent_request::SentRequest;
pub use tally::WordTally;
pub use watch::{DenialWatch, NewDenials};
