//! Remedies, with the values of one request.

use std::borrow::Cow;

use super::super::SignatureMethod;
use super::super::uri::{root_or, split_target};
use super::super::variant::{BaseStringVariant, PortRule};
use super::{MismatchCause, MismatchEvidence, OriginSetting};

/// The values that remedies name.
pub(super) struct RemedyContext<'r> {
    /// The evidence about the request.
    pub(super) evidence: &'r MismatchEvidence<'r>,
    /// The variant that the client signed.
    pub(super) client: &'r BaseStringVariant<'r>,
    /// The signature method that the request names.
    pub(super) label: SignatureMethod,
    /// A description of the `oauth_body_hash` that the client sent.
    pub(super) hashed: &'r str,
}

impl RemedyContext<'_> {
    /// Returns the remedy for these causes; `special` has those that replace the general ones.
    pub(super) fn remedy(
        &self,
        causes: &[MismatchCause],
        special: &[Option<Cow<'static, str>>],
    ) -> String {
        let setting = self.evidence.setting;
        let values = [
            ("{setting}", setting.name().to_owned()),
            ("{prefix}", self.prefix()),
            ("{or_trust}", setting.or_trust().to_owned()),
            ("{scheme}", self.client.scheme.name().to_owned()),
            ("{origin}", self.origin()),
            ("{path}", self.path()),
            (
                "{method}",
                escaped(&self.client.method.to_ascii_uppercase()),
            ),
            ("{label}", self.label.name().to_owned()),
            ("{hashed}", self.hashed.to_owned()),
        ];
        values
            .into_iter()
            .fold(template(causes, special), |text, (name, value)| {
                text.replace(name, &value)
            })
    }

    /// Returns the scheme and authority that the client signed.
    fn origin(&self) -> String {
        let BaseStringVariant {
            scheme,
            authority,
            port,
            ..
        } = self.client;
        let default_port = [b":", scheme.default_port()].concat();
        let signed = match port {
            PortRule::AsSent => authority,
            PortRule::Rfc | PortRule::EitherDefault => {
                authority.strip_suffix(&*default_port).unwrap_or(authority)
            }
        };
        format!("{}://{}", scheme.name(), escaped(signed))
    }

    fn path(&self) -> String {
        if self.client.path.is_empty() {
            "no path".to_owned()
        } else {
            escaped(&self.client.path)
        }
    }

    /// Returns the whole prefix in front of the path that arrived, with the configured one.
    fn prefix(&self) -> String {
        let arrived = root_or(split_target(self.evidence.request.target).0);
        escaped(self.client.path.strip_suffix(arrived).unwrap_or_default())
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Returns the text with its placeholders.
fn template(causes: &[MismatchCause], special: &[Option<Cow<'static, str>>]) -> String {
    if causes.len() > 1 && causes.iter().all(is_origin) {
        // One setting covers all of them.
        let first = special.first().and_then(Option::as_deref);
        return first.unwrap_or(ORIGIN).to_owned();
    }
    let texts: Vec<_> = causes
        .iter()
        .zip(special)
        .map(|(cause, special)| special.as_deref().unwrap_or(cause.remedy()))
        .collect();
    texts.join("; and ")
}

const fn is_origin(cause: &MismatchCause) -> bool {
    matches!(
        cause,
        MismatchCause::Scheme | MismatchCause::Port | MismatchCause::Host
    )
}

const ORIGIN: &str = "the client signs `{origin}`, but a proxy in front changed it: set `{setting} = \
     \"{origin}\"`";

impl OriginSetting {
    const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::PublicUrl => "http.public_url",
        }
    }

    /// Returns the alternative if X-Forwarded-Proto is right: only a check has its scheme from
    /// Envoy.
    const fn or_trust(self) -> &'static str {
        match self {
            Self::Origin => ", or let Envoy trust that header (`xff_num_trusted_hops`)",
            Self::PublicUrl => "",
        }
    }
}
