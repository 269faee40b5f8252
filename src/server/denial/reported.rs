//! A request, as the reports about it describe it.

use crate::config::Mode;
use crate::diagnostics::SentRequest;
use crate::model::Scopes;

/// A request, as the reports about it describe it.
#[derive(Default)]
pub(crate) struct ReportedRequest<'a> {
    /// The HTTP method; empty if it could not be read, like the two below.
    pub(crate) method: &'a [u8],
    /// The host that the client named.
    pub(crate) host: &'a [u8],
    /// The path and the query.
    pub(crate) target: &'a [u8],
    /// The address of the client, or of a proxy in front of Envoy; empty if it is unknown.
    pub(crate) client_address: String,
    /// `x-request-id`; empty if the request has none.
    pub(crate) request_id: &'a [u8],
    /// Envoy's id of the request, or an empty text.
    pub(crate) envoy_id: &'a str,
    /// The rule of the configuration that decided; empty if no rule applies.
    pub(crate) rule: String,
    /// The terms of the rule, for a check.
    pub(crate) terms: Option<CheckTerms<'a>>,
    /// The mode of its route.
    pub(crate) mode: Mode,
    /// The request as the verifier read it, if it could be read.
    pub(crate) sent: Option<SentRequest<'a>>,
}

/// The terms of the rule for a checked request, and the parts of the request that they are about.
pub(crate) struct CheckTerms<'a> {
    /// The scopes that are all required, if any.
    pub(crate) scopes: Option<&'a Scopes>,
    /// The realm of the challenge.
    pub(crate) realm: &'a str,
    /// The scheme as Envoy reports it.
    pub(crate) scheme: &'a str,
    /// `Content-Length`, if there is one.
    pub(crate) content_length: Option<&'a [u8]>,
    /// The size of the body that Envoy sent.
    pub(crate) body_len: usize,
    /// `check.max_body_bytes`.
    pub(crate) max_body_len: usize,
}

// === impl ReportedRequest ===

impl ReportedRequest<'_> {
    /// Returns the base string with the values of other parameters masked.
    pub(super) fn masked_base_string(&self) -> Option<String> {
        let sent = self.sent.as_ref()?;
        let signed = sent.request.parse(&sent.limits).ok().flatten()?;
        Some(signed.masked_base_string().escape_ascii().to_string())
    }
}
