//! What else `oauth_body_hash` may be the hash of (OAuth Request Body Hash extension).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::super::hash::Hash;
use super::super::{Request, RequestBody, SignedRequest};

/// What the client sent as `oauth_body_hash`, in words; `None` when it is none of what is known.
pub(super) fn hashed(
    request: &Request<'_>,
    signed: &SignedRequest<'_>,
    budget: u32,
) -> Option<String> {
    let RequestBody::Whole(body) = request.body else {
        return None;
    };
    let sent = signed.values("oauth_body_hash").next()?;
    let own = signed.signature_method().hash();
    let others = Hash::ALL.into_iter().filter(|&hash| hash != own);
    let hashes: Vec<_> = std::iter::once(own).chain(others).collect();
    // A long body costs as much to hash as several base strings.
    let cost = |bytes: &[u8]| {
        u32::try_from(bytes.len() / USUAL)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    };
    let mut left = budget;
    for (what, bytes) in bodies(body) {
        for &hash in &hashes {
            left = left.checked_sub(cost(&bytes))?;
            if let Some(how) = written(&hash.digest(&bytes), &sent) {
                let by = if hash == own {
                    String::new()
                } else {
                    format!(" by {}", hash.name())
                };
                return Some(format!("the hash of {what}{by}{how}"));
            }
        }
    }
    None
}

/// What may have been hashed instead.
fn bodies(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = || String::from_utf8_lossy(body);
    let lf = replace(body, b"\r\n", b"\n");
    vec![
        ("the body", body.to_vec()),
        ("an empty body", Vec::new()),
        (
            "the body without the white space around it",
            body.trim_ascii().to_vec(),
        ),
        (
            "the body with a line break at its end",
            [body, b"\n"].concat(),
        ),
        (
            "the body with CRLF for line breaks",
            replace(&lf, b"\n", b"\r\n"),
        ),
        ("the body with LF for line breaks", lf),
        (
            "the body with a byte order mark",
            [b"\xEF\xBB\xBF", body].concat(),
        ),
        (
            "the body without its byte order mark",
            body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).to_vec(),
        ),
        ("the body in quotes", format!("{:?}", text()).into_bytes()),
        (
            "the body percent-encoded",
            super::super::encode::encoded(body).into_bytes(),
        ),
    ]
}

fn replace(text: &[u8], part: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, part) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(instead);
        rest = &rest[at + part.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// How a digest is written, if that is what was sent.
fn written(digest: &[u8], sent: &[u8]) -> Option<&'static str> {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let ways = [
        (STANDARD.encode(digest), ""),
        (
            STANDARD_NO_PAD.encode(digest),
            ", without the padding of base64",
        ),
        (
            URL_SAFE.encode(digest),
            ", in the alphabet of base64 for URLs",
        ),
        (
            URL_SAFE_NO_PAD.encode(digest),
            ", in the alphabet of base64 for URLs",
        ),
        (STANDARD.encode(&hex), ", in base64 of hexadecimal digits"),
    ];
    let base64 = ways
        .into_iter()
        .find(|(text, _)| text.as_bytes() == sent)
        .map(|(_, how)| how);
    base64.or_else(|| {
        sent.eq_ignore_ascii_case(hex.as_bytes())
            .then_some(", in hexadecimal digits")
    })
}

/// How many bytes are about as much work as a base string.
const USUAL: usize = 512;
