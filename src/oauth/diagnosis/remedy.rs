//! What to change, in words.

use super::super::variant::{Port, Variant};
use super::super::{Scheme, SignatureMethod};
use super::Cause;

/// What to do about these causes; `special` is said instead of what the first of them says.
pub(super) fn of(
    causes: &[Cause],
    special: Option<&'static str>,
    client: &Variant<'_>,
    label: SignatureMethod,
    hashed: &str,
) -> String {
    let texts =
        causes.iter().enumerate().map(|(at, cause)| special.filter(|_| at == 0).unwrap_or_else(|| cause.remedy()));
    let joined = texts.collect::<Vec<_>>().join("; and ");
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let scheme = match client.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let default_port = [b":", client.scheme.default_port()].concat();
    let authority = match client.port {
        Port::AsSent => &client.authority,
        Port::Rfc | Port::EitherDefault => client.authority.strip_suffix(&*default_port).unwrap_or(&client.authority),
    };
    let origin = format!("{scheme}://{}", text(authority));
    let path = if client.path.is_empty() { "no path".to_owned() } else { text(&client.path) };
    let method = text(&client.method.to_ascii_uppercase());
    let values = [
        ("{scheme}", scheme),
        ("{origin}", &origin),
        ("{path}", &path),
        ("{method}", &method),
        ("{label}", label.name()),
        ("{hashed}", hashed),
    ];
    values.into_iter().fold(joined, |text, (name, value)| text.replace(name, value))
}
