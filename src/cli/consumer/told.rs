//! What the answers to a consumer's requests tell it: arguments of `create` and `update`.

use countersign::model::DenyDetail;
use prost_types::Timestamp;

/// How much of why it was refused, and when it ought to leave.
#[derive(Debug, clap::Args)]
pub(super) struct Told {
    /// How much denials tell it, whatever check.deny_detail says
    #[arg(long, value_name = "DETAIL", value_parser = DenyDetail::ALL.map(DenyDetail::name))]
    pub(super) deny_detail: Option<String>,
    /// From when on it ought not to call any more, for example 2030-01-31T00:00:00Z: its answers get the header Deprecation
    #[arg(long, value_name = "TIME")]
    pub(super) deprecated_at: Option<Timestamp>,
    /// When it is expected to be refused, which this does not do: its answers get the header Sunset. A date alone is its first
    /// second
    #[arg(long, value_name = "TIME")]
    pub(super) sunset_at: Option<Timestamp>,
}
