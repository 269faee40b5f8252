//! Explanations of a wrong `oauth_body_hash` (OAuth Request Body Hash extension).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::super::encode::encoded;
use super::super::hash::HashFunction;
use super::super::variant::replaced_part;
use super::super::{Request, RequestBody, SignedRequest};

/// Describes what the client hashed, and how; `None` if no known mistake explains its hash.
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
    let mut left = budget;
    for (what, bytes) in bodies(body) {
        for hash in own_first(own) {
            left = left.checked_sub(cost(bytes.len()))?;
            if let Some(how) = encoding(&hash.digest(&bytes), &sent) {
                return Some(format!("the hash of {what}{}{how}", by(hash, own)));
            }
        }
    }
    None
}

fn own_first(own: HashFunction) -> impl Iterator<Item = HashFunction> {
    let others = HashFunction::ALL.into_iter();
    std::iter::once(own).chain(others.filter(move |&hash| hash != own))
}

fn by(hash: HashFunction, own: HashFunction) -> String {
    if hash == own {
        String::new()
    } else {
        format!(" by {}", hash.name())
    }
}

/// Returns the number of base strings that take as long as hashing so many bytes.
fn cost(len: usize) -> u32 {
    u32::try_from(len / USUAL_LEN)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// Returns the bytes that a client may have hashed instead of the body.
fn bodies(body: &[u8]) -> [(&'static str, Vec<u8>); 10] {
    let lf = replaced_part(body, b"\r\n", b"\n");
    let crlf = replaced_part(&lf, b"\n", b"\r\n");
    let unmarked = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let quoted = format!("{:?}", String::from_utf8_lossy(body));
    [
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
        ("the body with CRLF line breaks", crlf),
        ("the body with LF line breaks", lf),
        (
            "the body with a byte order mark",
            [BYTE_ORDER_MARK, body].concat(),
        ),
        ("the body without its byte order mark", unmarked.to_vec()),
        ("the body in quotes", quoted.into_bytes()),
        ("the body percent-encoded", encoded(body).into_bytes()),
    ]
}

/// Describes the encoding of a digest, if it gives the text that the client sent.
fn encoding(digest: &[u8], sent: &[u8]) -> Option<&'static str> {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if sent.eq_ignore_ascii_case(hex.as_bytes()) {
        return Some(", in hexadecimal digits");
    }
    let encodings = [
        (STANDARD.encode(digest), ""),
        (
            STANDARD_NO_PAD.encode(digest),
            ", in base64 without padding",
        ),
        (URL_SAFE.encode(digest), ", in URL-safe base64"),
        (URL_SAFE_NO_PAD.encode(digest), ", in URL-safe base64"),
        (STANDARD.encode(&hex), ", in base64 of hexadecimal digits"),
    ];
    encodings
        .into_iter()
        .find(|(text, _)| text.as_bytes() == sent)
        .map(|(_, how)| how)
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The bytes that take as long to hash as a base string takes to make.
const USUAL_LEN: usize = 512;
