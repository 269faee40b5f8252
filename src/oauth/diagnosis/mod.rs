//! Why a signature does not match: the request is signed once more in every way in which clients and proxies are known to
//! deviate, and what matches is the cause.
//!
//! A match is no guess: it takes the client's secret to make one. So a wrong secret and a request in which somebody changed
//! something have no cause here; what somebody added on the way looks like what the client left out. What is tried, in this
//! order, and the first that matches is named:
//!
//! 1. the signature, written otherwise;
//! 2. one [`MismatchCause`] that changes the base string, in the order of [`MismatchCause::ALL`];
//! 3. one that changes the key or the method;
//! 4. one byte of the path, written otherwise;
//! 5. two causes of 2, of different parts of the base string;
//! 6. one of 2 and one of 3.
//!
//! Two ways to the same bytes count as the first of them. Whoever asks bounds the work ([`diagnose`]).
//!
//! # Security
//! This is for explaining only, and never turns a refusal into anything else. Whom it may be told is left to the caller
//! ([`MismatchCause::depends_on_secret`]), and so is how often it may be asked.

mod body_hash;
mod cause;
mod changes;
mod keys;
mod location;
mod marked;
mod path;
mod remedy;
mod search;
mod written;

pub use cause::MismatchCause;

use super::variant::Variant;
use super::wire::Wire;
use super::{
    BodyHashRule, CompatSet, KeySchedule, ParseLimits, Rejection, RejectionKind, Request, Scheme,
    SignedRequest, VerificationKeys,
};
use marked::Marked;
use remedy::Remedy;
use search::Search;

/// A budget that finds all that is ever found of a request with HMAC; one with RSA costs more and may end before.
pub const BUDGET: u32 = 3000;

/// What is known of a request whose signature does not match.
#[derive(Clone, Copy)]
pub struct MismatchEvidence<'e> {
    /// The request as it was verified.
    pub request: &'e Request<'e>,
    /// The bounds under which it was parsed.
    pub limits: &'e ParseLimits,
    /// The consumer's compat profiles.
    pub compat: CompatSet,
    /// What it was held against.
    pub keys: VerificationKeys<'e>,
    /// Secrets of the consumer that are not valid any more.
    pub expired_secrets: &'e [&'e [u8]],
    /// What proxies say of the request that the client sent.
    pub forwarded: ForwardedHeaders<'e>,
    /// How the request came, where what was configured stands in [`Self::request`] instead.
    pub received: Option<ReceivedOrigin<'e>>,
    /// What says what clients sign.
    pub setting: OriginSetting,
    /// Whether values that are not named `oauth_*` are shown, and not masked: for whoever has the request anyway.
    pub reveal: bool,
}

/// What proxies say of the request that the client sent; none of it is trusted, since it only explains.
#[derive(Clone, Copy, Default)]
pub struct ForwardedHeaders<'e> {
    /// `X-Forwarded-Host`.
    pub host: Option<&'e [u8]>,
    /// `X-Forwarded-Proto`.
    pub proto: Option<&'e [u8]>,
    /// `X-Forwarded-Port`.
    pub port: Option<&'e [u8]>,
    /// `X-Forwarded-Prefix`.
    pub prefix: Option<&'e [u8]>,
    /// `X-Envoy-Original-Path`.
    pub original_path: Option<&'e [u8]>,
}

/// What an operator sets where clients sign another scheme, host, port or path than what arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OriginSetting {
    /// `origin` of the route.
    #[default]
    Origin,
    /// `http.public_url`, of the token endpoints.
    PublicUrl,
}

/// Scheme and authority with which a request came.
#[derive(Clone, Copy)]
pub struct ReceivedOrigin<'e> {
    /// The scheme.
    pub scheme: Scheme,
    /// The `Host` header or `:authority`.
    pub authority: &'e [u8],
}

/// Why a signature does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// One cause, or two that come together.
    pub causes: Vec<MismatchCause>,
    /// The base string that the request has; values that are not named `oauth_*` are `***`.
    pub base_string: String,
    /// The base string that the client signed, masked in the same way.
    pub client_base_string: String,
    /// Where the two part, in bytes; where they part within a masked value, where that begins. `None` when it is not in the
    /// base string that they differ.
    pub first_difference: Option<usize>,
    /// What to change.
    pub remedy: String,
}

impl Diagnosis {
    /// The cause in one word; of two, both joined by `+`.
    pub fn cause(&self) -> String {
        self.causes
            .iter()
            .map(|cause| cause.name())
            .collect::<Vec<_>>()
            .join("+")
    }

    /// Whether it tells something of a secret, so that whoever sent the request must not be told.
    pub fn depends_on_secret(&self) -> bool {
        self.causes.iter().any(|cause| cause.depends_on_secret())
    }
}

/// Finds out why the signature of a request does not match. Each base string that is made and each HMAC that is computed
/// counts as one of `budget` where the base string is of the usual length, a verification by RSA with 2048 bits as five.
///
/// `None` when no known cause explains it, when the request can not be parsed, and when it is verified after all.
pub fn diagnose(evidence: &MismatchEvidence<'_>, budget: u32) -> Option<Diagnosis> {
    let signed = evidence.request.parse(evidence.limits).ok().flatten()?;
    let wire = Wire::of(evidence.request)?;
    let schedule = KeySchedule::default();
    let verdict = evidence
        .request
        .parse(evidence.limits)
        .ok()
        .flatten()?
        .verify_under(
            evidence.compat,
            &evidence.keys,
            &schedule,
            BodyHashRule::Accept,
        );
    let rejection = verdict.err()?;
    if rejection == Rejection::VersionUnsupported {
        return Some(of_the_same(
            MismatchCause::VersionText,
            "",
            evidence,
            &signed,
        ));
    }
    if rejection == Rejection::BodyHashMismatch {
        let hashed = body_hash::hashed(evidence.request, &signed, budget)?;
        return Some(of_the_same(
            MismatchCause::BodyHash,
            &hashed,
            evidence,
            &signed,
        ));
    }
    if rejection.kind() != RejectionKind::NotProven {
        return None;
    }
    let found = Search::new(evidence, &signed, &wire, budget).run()?;
    Some(found.explain(evidence, &signed, &wire))
}

/// A diagnosis of a request whose base string is what the client signed.
fn of_the_same(
    cause: MismatchCause,
    hashed: &str,
    evidence: &MismatchEvidence<'_>,
    signed: &SignedRequest<'_>,
) -> Diagnosis {
    let base_string = if evidence.reveal {
        signed.base_string()
    } else {
        signed.masked_base_string()
    };
    let base_string = marked::text(&base_string);
    let variant = Variant::rfc(evidence.request);
    Diagnosis {
        causes: vec![cause],
        client_base_string: base_string.clone(),
        base_string,
        first_difference: None,
        remedy: Remedy {
            evidence,
            client: &variant,
            label: signed.signature_method(),
            hashed,
        }
        .of(&[cause], None),
    }
}

impl search::Found<'_> {
    /// Puts it into words.
    fn explain(
        &self,
        evidence: &MismatchEvidence<'_>,
        signed: &SignedRequest<'_>,
        wire: &Wire<'_>,
    ) -> Diagnosis {
        let marked = |variant: &Variant<'_>| {
            variant
                .base_string(wire)
                .map_or_else(Marked::default, |made| Marked::of(&made, evidence.reveal))
        };
        let (ours, theirs) = (marked(&self.base), marked(&self.variant));
        Diagnosis {
            causes: self.causes.clone(),
            first_difference: ours.first_difference(&theirs),
            base_string: ours.shown(),
            client_base_string: theirs.shown(),
            remedy: Remedy {
                evidence,
                client: &self.variant,
                label: signed.signature_method(),
                hashed: "",
            }
            .of(&self.causes, self.remedy),
        }
    }
}
