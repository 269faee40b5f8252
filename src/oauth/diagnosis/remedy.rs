//! What to change, in words.

use super::super::uri::{root_or, split_target};
use super::super::variant::{Port, Variant};
use super::super::{Scheme, SignatureMethod};
use super::{MismatchCause, MismatchEvidence, OriginSetting};

/// What the words depend on, beside the causes.
pub(super) struct Remedy<'r> {
    /// What is known of the request.
    pub(super) evidence: &'r MismatchEvidence<'r>,
    /// How the client made the base string.
    pub(super) client: &'r Variant<'r>,
    /// The signature method that it names.
    pub(super) label: SignatureMethod,
    /// What it sent as `oauth_body_hash`.
    pub(super) hashed: &'r str,
}

impl Remedy<'_> {
    /// What to do about these causes; `special` is said instead of what the first of them says.
    pub(super) fn of(&self, causes: &[MismatchCause], special: Option<&'static str>) -> String {
        let Self {
            evidence,
            client,
            label,
            hashed,
        } = self;
        let setting = evidence.setting;
        let joined = words(causes, special);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let scheme = match client.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let default_port = [b":", client.scheme.default_port()].concat();
        let authority = match client.port {
            Port::AsSent => &client.authority,
            Port::Rfc | Port::EitherDefault => client
                .authority
                .strip_suffix(&*default_port)
                .unwrap_or(&client.authority),
        };
        let origin = format!("{scheme}://{}", text(authority));
        let path = if client.path.is_empty() {
            "no path".to_owned()
        } else {
            text(&client.path)
        };
        let method = text(&client.method.to_ascii_uppercase());
        // In front of the path that arrived, so with what is configured to stand there already.
        let arrived = root_or(split_target(evidence.request.target).0);
        let prefix = text(client.path.strip_suffix(arrived).unwrap_or_default());
        let values = [
            ("{setting}", setting.name()),
            ("{prefix}", &prefix),
            ("{or_trust}", setting.or_trust()),
            ("{scheme}", scheme),
            ("{origin}", &origin),
            ("{path}", &path),
            ("{method}", &method),
            ("{label}", label.name()),
            ("{hashed}", hashed),
        ];
        values
            .into_iter()
            .fold(joined, |text, (name, value)| text.replace(name, value))
    }
}

/// The texts, before what stands in braces.
fn words(causes: &[MismatchCause], special: Option<&'static str>) -> String {
    let is_origin = |cause: &MismatchCause| {
        matches!(
            cause,
            MismatchCause::Scheme | MismatchCause::Port | MismatchCause::Host
        )
    };
    if causes.len() > 1 && causes.iter().all(is_origin) {
        // One setting is for all of them.
        return special.unwrap_or(ORIGIN).to_owned();
    }
    let texts = causes.iter().enumerate().map(|(at, cause)| {
        special
            .filter(|_| at == 0)
            .unwrap_or_else(|| cause.remedy())
    });
    texts.collect::<Vec<_>>().join("; and ")
}

const ORIGIN: &str = "the client signs `{origin}`, and a proxy in front changed that: set `{setting} = \"{origin}\"`";

impl OriginSetting {
    const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::PublicUrl => "http.public_url",
        }
    }

    /// What else there is to do where X-Forwarded-Proto is right: a check has its scheme from Envoy.
    const fn or_trust(self) -> &'static str {
        match self {
            Self::Origin => ", or let Envoy trust that header",
            Self::PublicUrl => "",
        }
    }
}
