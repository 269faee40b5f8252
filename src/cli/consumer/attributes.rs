//! The attributes of a consumer: arguments that `create` and `update` share.

use clap::builder::PossibleValuesParser;
use countersign::model::{CompatProfile, DenyDetail, Flow};
use countersign::oauth::SignatureMethod;
use countersign::v1;
use prost_types::Timestamp;

use super::mask::UpdateMask;

/// The attributes, except the name, which only `create` requires.
#[derive(Debug, Default, clap::Args)]
pub(super) struct AttributeArgs {
    /// Description of the application for users, at most 1000 bytes [default: none]
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Platform of the application, for example ios, at most 255 bytes [default: none]
    #[arg(long, value_name = "TEXT")]
    platform: Option<String>,
    /// Page about the application, an http or https URL [default: none]
    #[arg(long, value_name = "URL")]
    app_url: Option<String>,
    /// Vouch for the name, description and page; users see a warning otherwise [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    verified: Option<bool>,
    /// Permitted signature method; repeat for several [default: HMAC-SHA1, HMAC-SHA256 and
    /// HMAC-SHA512, and with a public key RSA-SHA256 and RSA-SHA512]
    #[arg(long, value_name = "METHOD", value_parser = SignatureMethod::ALL.map(SignatureMethod::name))]
    signature_method: Vec<String>,
    /// Permitted flow; repeat for several [default: two-legged and three-legged]
    #[arg(long, value_name = "FLOW", value_parser = PossibleValuesParser::new(Flow::NAMES))]
    flow: Vec<String>,
    /// Permitted callback, an absolute URI or oob; repeat for several [default: none]
    #[arg(long, value_name = "URI")]
    callback: Vec<String>,
    /// Permitted scope; repeat for several [default: none]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Accepted deviation from RFC 5849 (docs/compat.md); repeat for several [default: none]
    #[arg(long, value_name = "PROFILE", value_parser = CompatProfile::ALL.map(CompatProfile::name))]
    compat: Vec<String>,
    /// Detail of the denials that the consumer receives [default: check.deny_detail of the server]
    #[arg(long, value_name = "DETAIL", value_parser = PossibleValuesParser::new(DenyDetail::NAMES))]
    deny_detail: Option<String>,
    /// Time from which the consumer is deprecated, sent in the header Deprecation of responses; for
    /// example 2030-01-31T00:00:00Z [default: not announced]
    #[arg(long, value_name = "TIME")]
    deprecated_at: Option<Timestamp>,
    /// Time of the announced end, sent in the header Sunset of responses; it denies no request [default: not announced]
    #[arg(long, value_name = "TIME")]
    sunset_at: Option<Timestamp>,
}

// === impl AttributeArgs ===

impl AttributeArgs {
    /// Returns a message with the given values, and adds their fields to the mask.
    pub(super) fn into_message(self, mask: &mut UpdateMask) -> v1::Consumer {
        v1::Consumer {
            description: mask.value("description", self.description),
            platform: mask.value("platform", self.platform),
            app_url: mask.value("app_url", self.app_url),
            verified: mask.value("verified", self.verified),
            signature_methods: mask.list("signature_methods", self.signature_method),
            flows: mask.list("flows", self.flow),
            callbacks: mask.list("callbacks", self.callback),
            scopes: mask.list("scopes", self.scope),
            compat_profiles: mask.list("compat_profiles", self.compat),
            deny_detail: mask.value("deny_detail", self.deny_detail),
            deprecated_at: mask.optional("deprecated_at", self.deprecated_at),
            sunset_at: mask.optional("sunset_at", self.sunset_at),
            ..v1::Consumer::default()
        }
    }
}
