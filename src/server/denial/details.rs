//! The facts about a denial that only operators see: what was needed, and what the request had.
//!
//! # Security
//! Facts quote the nonce and the realm of a proven request. They quote `oauth_timestamp`,
//! `oauth_version`, `oauth_signature_method`, the media type and the `content-length` of any other
//! request, each only if it looks like one ([`Quotable`]), and otherwise `***`. A token is named, with
//! its user, as its record has it; secrets never are.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use super::quotable::Quotable;
use super::reported::{CheckTerms, ReportedRequest};
use super::sent_value::sent_value;
use crate::diagnostics::{DenialDetails, SentRequest};
use crate::model::{AccessToken, Consumer, Flow, Scopes};
use crate::oauth::{
    ParameterPlace, Rejection, Request, RequestBody, SignatureMethod, SignedRequest,
};
use crate::verify::{ClaimedToken, Denial, Reason};

/// Returns the facts about a denial.
pub(super) fn details(denial: &Denial, request: &ReportedRequest<'_>) -> DenialDetails {
    let mut facts = Facts {
        details: DenialDetails::default(),
        denial,
        request,
    };
    facts.about_reason();
    facts.about_token();
    facts.details
}

/// The facts so far, and their sources.
struct Facts<'a> {
    details: DenialDetails,
    denial: &'a Denial,
    request: &'a ReportedRequest<'a>,
}

impl<'a> Facts<'a> {
    fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        self.details.add(name, value);
    }

    /// Adds a text of the caller, which may be missing.
    fn add_text(&mut self, name: &'static str, text: Option<&[u8]>) {
        self.details
            .add_bytes(name, text.unwrap_or(NONE.as_bytes()));
    }

    /// Adds a value that nobody may have signed: masked, unless it is quotable.
    fn add_unproven(&mut self, name: &'static str, value: Option<&[u8]>, quotable: Quotable) {
        self.add_text(name, value.map(|value| quotable.shown(value)));
    }

    fn about_reason(&mut self) {
        match self.denial.reason {
            Reason::Rejected(rejection) => self.about_rejection(rejection),
            Reason::Parameter { name, .. } => self.add("parameter", name),
            Reason::TimestampRefused {
                sent, latest, now, ..
            } => {
                self.about_clocks(sent, now);
                self.add("window", Seconds(latest.saturating_sub(now)));
            }
            Reason::TimestampFenced {
                sent,
                earliest,
                now,
                ..
            } => {
                self.about_clocks(sent, now);
                self.add("accepted_from", Instant(earliest));
            }
            Reason::NonceUsed => self.about_nonce(),
            Reason::TooManyAttempts { retry_after } => {
                self.add("retry_after", Seconds(retry_after))
            }
            Reason::ScopeMissing => self.about_scopes(),
            Reason::RealmMismatch => self.about_realm(),
            Reason::MethodNotAllowed => self.about_methods(),
            Reason::TokenRequired | Reason::FlowNotAllowed => self.about_flows(),
            Reason::Body(_) => self.about_body(),
            Reason::UnknownScheme | Reason::PlaintextWithoutHttps => self.about_scheme(),
            Reason::UnknownConsumer
            | Reason::UnknownToken
            | Reason::Unsigned
            | Reason::ConsumerDisabled
            | Reason::TokenRevoked
            | Reason::TokenExpired
            | Reason::UserDisabled
            | Reason::TokenUsed
            | Reason::TokenRejected
            | Reason::TokenUndecided
            | Reason::UserRefused
            | Reason::VerifierInvalid
            | Reason::PasswordRefused
            | Reason::NonceWithoutTimestamp
            | Reason::UserRequired
            | Reason::HttpMethod
            | Reason::NotHttp
            | Reason::AmbiguousHeaders
            | Reason::AmbiguousPath => {}
        }
    }

    fn about_rejection(&mut self, rejection: Rejection) {
        self.add("detail", rejection);
        if let Rejection::ParametersTooLarge { place, limit } = rejection {
            self.about_size(place, limit);
        }
        if rejection == Rejection::TooManyParameters
            && let Some(sent) = &self.request.sent
        {
            self.add("limit", sent.limits.parameters);
        }
        if matches!(
            rejection,
            Rejection::BodyUntyped | Rejection::BodyTypeUnclear
        ) {
            self.about_content_type();
        }
        if let Some((name, quotable)) = quoted_parameter(rejection) {
            self.quote(name, quotable);
        }
    }

    /// Adds the value of a parameter as the client sent it.
    fn quote(&mut self, name: &'static str, quotable: Quotable) {
        let sent = self.request.sent.as_ref();
        let value = sent.and_then(|sent| sent_value(&sent.request, name));
        if value.is_some() {
            self.add_unproven(name, value, quotable);
        }
        if name == "oauth_signature_method" {
            let known = SignatureMethod::ALL.map(SignatureMethod::name);
            self.add("known_methods", known.join(" "));
        }
    }

    fn about_clocks(&mut self, sent: u64, now: u64) {
        let direction = if sent < now { "behind" } else { "ahead" };
        self.add("client_time", Instant(sent));
        self.add("server_time", Instant(now));
        let difference = Seconds(sent.abs_diff(now));
        self.add("difference", format_args!("{difference} {direction}"));
    }

    fn about_nonce(&mut self) {
        let Some(signed) = self.signed() else { return };
        self.add_text("nonce", signed.nonce());
        if let Some(timestamp) = signed.timestamp() {
            self.add("client_time", Instant(timestamp));
        }
    }

    fn about_scopes(&mut self) {
        let no_scopes = Scopes::default();
        let terms = self.request.terms.as_ref();
        let needed = terms.and_then(|terms| terms.scopes).unwrap_or(&no_scopes);
        let Some(identity) = &self.denial.identity else {
            return;
        };
        let held: Vec<_> = identity.scopes().iter().collect();
        let missing = needed.iter().filter(|scope| !held.contains(scope));
        let missing: Vec<_> = missing.collect();
        self.add("scopes_needed", needed);
        self.add("scopes_held", OrNone(identity.scopes().as_str()));
        self.add("scopes_missing", missing.join(" "));
        self.add(
            "consumer_scopes",
            OrNone(identity.consumer().scopes.as_str()),
        );
        if let Some(token) = identity.token() {
            self.add("token_scopes", OrNone(token.scopes.as_str()));
        }
    }

    fn about_realm(&mut self) {
        if let Some(terms) = &self.request.terms {
            self.add("realm_needed", terms.realm);
        }
        let signed = self.signed();
        let realm = signed.as_ref().and_then(SignedRequest::realm);
        self.add_text("realm_sent", realm);
    }

    fn about_methods(&mut self) {
        let Some(consumer) = self.denial.known_consumer() else {
            return;
        };
        if let Some(used) = self.denial.signature_method {
            self.add("method_used", used.name());
            if permits(consumer, used) {
                self.add("missing_key", missing_key(used));
            }
        }
        let usable = SignatureMethod::ALL.into_iter();
        let usable = usable.filter(|method| consumer.allows(*method));
        let usable: Vec<_> = usable.map(SignatureMethod::name).collect();
        self.add("methods_allowed", OrNone(&usable.join(" ")));
    }

    fn about_flows(&mut self) {
        let Some(consumer) = self.denial.known_consumer() else {
            return;
        };
        let flows = [Flow::TwoLegged, Flow::ThreeLegged, Flow::XAuth];
        let flows = flows.into_iter().filter(|flow| consumer.may(*flow));
        let flows: Vec<&str> = flows.map(<&str>::from).collect();
        self.add("flows_allowed", OrNone(&flows.join(" ")));
    }

    fn about_body(&mut self) {
        let Some(terms) = &self.request.terms else {
            self.add("limit", "64 KiB");
            return;
        };
        let &CheckTerms {
            content_length,
            body_len,
            max_body_len,
            ..
        } = terms;
        self.add_unproven("content_length", content_length, Quotable::Length);
        self.add("received", Bytes(body_len));
        self.add("limit", Bytes(max_body_len));
    }

    fn about_size(&mut self, place: ParameterPlace, limit: usize) {
        if let Some(sent) = &self.request.sent {
            self.add("size", Bytes(size_of(&sent.request, place)));
        }
        self.add("limit", Bytes(limit));
    }

    fn about_content_type(&mut self) {
        let sent = self.request.sent.as_ref();
        let first = sent.and_then(|sent| sent.request.content_type.first());
        let media_type = first.map(|value| media_type(value));
        self.add_unproven("content_type", media_type, Quotable::MediaType);
    }

    fn about_scheme(&mut self) {
        if let Some(terms) = &self.request.terms {
            self.add("scheme", OrNone(terms.scheme));
        }
    }

    /// Adds the token, its owner and its expiry.
    fn about_token(&mut self) {
        if let Some(token) = &self.denial.foreign_token {
            self.add("token_belongs_to", TokenOwner(token));
        }
        let Some(identity) = &self.denial.identity else {
            return;
        };
        match identity.token() {
            Some(token) => self.about_own_token(token),
            None if self.denial.reason == Reason::UserRequired => self.add("token", NONE),
            None => {}
        }
    }

    fn about_own_token(&mut self, token: &AccessToken) {
        self.add("token", &token.token);
        match &token.user_id {
            Some(user) => self.add("user", user),
            None => self.add("user", NONE),
        }
        if let Some(end) = token.expires_at {
            self.add("token_expires", Instant(end.as_secs()));
        }
    }

    /// Returns the request as it was parsed.
    fn signed(&self) -> Option<SignedRequest<'a>> {
        let SentRequest {
            request, limits, ..
        } = self.request.sent.as_ref()?;
        request.parse(limits).ok().flatten()
    }
}

/// Returns the parameter that the facts about a rejection quote, and the look of its value.
const fn quoted_parameter(rejection: Rejection) -> Option<(&'static str, Quotable)> {
    if let Rejection::TimestampMalformed | Rejection::TimestampInMilliseconds = rejection {
        return Some(("oauth_timestamp", Quotable::Number));
    }
    if let Rejection::VersionUnsupported = rejection {
        return Some(("oauth_version", Quotable::Version));
    }
    if let Rejection::SignatureMethodUnsupported = rejection {
        return Some(("oauth_signature_method", Quotable::SignatureMethod));
    }
    None
}

/// Returns the media type of a `content-type`, without its parameters.
fn media_type(content_type: &[u8]) -> &[u8] {
    let end = content_type.iter().position(|&byte| byte == b';');
    content_type[..end.unwrap_or(content_type.len())].trim_ascii()
}

/// Returns the size of the parameters in a place.
fn size_of(request: &Request<'_>, place: ParameterPlace) -> usize {
    match place {
        ParameterPlace::Header => request.authorization.iter().map(|value| value.len()).sum(),
        ParameterPlace::Query => {
            let query = request.target.splitn(2, |&byte| byte == b'?').nth(1);
            query.map_or(0, <[u8]>::len)
        }
        ParameterPlace::Body => match request.body {
            RequestBody::Whole(body) => body.len(),
            RequestBody::NotWhole | RequestBody::Unseen => 0,
        },
    }
}

/// Returns true if the list of the consumer permits a method that it cannot use without a key.
fn permits(consumer: &Consumer, method: SignatureMethod) -> bool {
    consumer.signature_methods.contains(&method)
        || (consumer.signature_methods.is_empty()
            && !matches!(
                method,
                SignatureMethod::RsaSha1 | SignatureMethod::Plaintext
            ))
}

const fn missing_key(method: SignatureMethod) -> &'static str {
    if method.is_rsa() {
        "RSA public key"
    } else {
        "consumer secret"
    }
}

/// A Unix time in seconds, and as people read it.
struct Instant(u64);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(secs) = *self;
        write!(f, "{secs}")?;
        // The formatter fails after the year 9999.
        match UNIX_EPOCH.checked_add(Duration::from_secs(secs)) {
            Some(time) if secs < YEAR_10000 => {
                write!(f, " ({})", humantime::format_rfc3339_seconds(time))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A number of seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

/// A number of bytes.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// A text, or a word for an empty one.
struct OrNone<'a>(&'a str);

impl fmt::Display for OrNone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { NONE } else { self.0 })
    }
}

/// The consumer and the user of a token.
struct TokenOwner<'a>(&'a ClaimedToken);

impl fmt::Display for TokenOwner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.0;
        write!(f, "consumer {}", token.consumer_key())?;
        match token.user_id() {
            Some(user) => write!(f, ", user {user}"),
            None => Ok(()),
        }
    }
}

const NONE: &str = "none";

/// 10000-01-01T00:00:00Z.
const YEAR_10000: u64 = 253_402_300_800;
