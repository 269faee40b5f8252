//! Explanations of a wrong `oauth_body_hash` (OAuth Request Body Hash extension).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

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
        for (name, digest) in digests(own) {
            left = left.checked_sub(cost(bytes.len()))?;
            if let Some(how) = encoding(&digest(&bytes), &sent) {
                let hash = format!("{name} hash");
                return Some(format!("the {} of {what}{how}", hash.trim_start()));
            }
        }
    }
    None
}

type Digest = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Returns every hash function and its name, which is empty for that of the signature method.
fn digests(own: HashFunction) -> Vec<(&'static str, Digest)> {
    let digest = |hash: HashFunction| -> Digest { Box::new(move |bytes| hash.digest(bytes)) };
    let others = HashFunction::ALL.into_iter().filter(|&hash| hash != own);
    let mut digests = vec![("", digest(own))];
    digests.extend(others.map(|hash| (hash.name(), digest(hash))));
    let sha384 = |bytes: &[u8]| digest::digest(&digest::SHA384, bytes).as_ref().to_vec();
    digests.push(("SHA-384", Box::new(sha384)));
    digests
}

/// Returns the number of base strings that take as long as hashing so many bytes.
fn cost(len: usize) -> u32 {
    u32::try_from(len / USUAL_LEN)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// Returns the bytes that a client may have hashed instead of the body.
fn bodies(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let lf = replaced_part(body, b"\r\n", b"\n");
    let crlf = replaced_part(&lf, b"\n", b"\r\n");
    let unmarked = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let units = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
    let mut bodies = vec![
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
        ("the body with a CRLF at its end", [body, b"\r\n"].concat()),
        ("the body with CRLF line breaks", crlf),
        ("the body with LF line breaks", lf),
        (
            "the body with a byte order mark",
            [BYTE_ORDER_MARK, body].concat(),
        ),
        ("the body without its byte order mark", unmarked.to_vec()),
        ("the body in quotes", format!("{text:?}").into_bytes()),
        ("the body percent-encoded", encoded(body).into_bytes()),
        ("the body in base64", STANDARD.encode(body).into_bytes()),
        ("the body in UTF-16", units(u16::to_le_bytes)),
        ("the body in UTF-16", units(u16::to_be_bytes)),
    ];
    bodies.extend(latin1(&text).map(|bytes| ("the body in ISO 8859-1", bytes)));
    bodies.extend(as_json(body));
    bodies
}

/// Encodes a text in ISO 8859-1; `None` if it does not fit or has only ASCII.
fn latin1(text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return None;
    }
    let bytes = text.chars().map(|one| u8::try_from(u32::from(one)).ok());
    bytes.collect()
}

/// Returns other texts of a JSON body: without spaces, with them, and as some libraries print it.
fn as_json(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let compact = value.to_string();
    let pretty = format!("{value:#}");
    let four = pretty.replace("  ", "    ");
    let spaced = spaced(body);
    let tight = without_json_spaces(body);
    vec![
        ("the body's JSON without spaces", tight),
        (
            "the body's JSON with a space after each `,` and `:`",
            spaced,
        ),
        (
            "the body's JSON without spaces, in another order",
            compact.into_bytes(),
        ),
        ("the body's JSON, indented", pretty.into_bytes()),
        ("the body's JSON, indented", four.into_bytes()),
    ]
}

/// Removes the white space between the tokens of JSON, and keeps their order.
fn without_json_spaces(body: &[u8]) -> Vec<u8> {
    outside_strings(body, |byte, out| {
        if !byte.is_ascii_whitespace() {
            out.push(byte);
        }
    })
}

/// Writes JSON as Python does: with one space after each `,` and `:`.
fn spaced(body: &[u8]) -> Vec<u8> {
    outside_strings(body, |byte, out| {
        if !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        if matches!(byte, b',' | b':') {
            out.push(b' ');
        }
    })
}

/// Copies the strings of JSON, and passes every other byte to `write`.
fn outside_strings(body: &[u8], write: impl Fn(u8, &mut Vec<u8>)) -> Vec<u8> {
    let (mut out, mut is_string, mut is_escaped) = (Vec::with_capacity(body.len()), false, false);
    for &byte in body {
        if is_string {
            out.push(byte);
        } else {
            write(byte, &mut out);
        }
        is_string ^= byte == b'"' && !is_escaped;
        is_escaped = is_string && byte == b'\\' && !is_escaped;
    }
    out
}

/// Describes the encoding of a digest, if it gives the text that the client sent.
fn encoding(digest: &[u8], sent: &[u8]) -> Option<&'static str> {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if sent.eq_ignore_ascii_case(hex.as_bytes()) {
        return Some(", in hexadecimal digits");
    }
    let padded = STANDARD.encode(digest);
    let encodings = [
        (padded.replace('+', " "), ", with `+` for a space"),
        (
            STANDARD_NO_PAD.encode(digest),
            ", in base64 without padding",
        ),
        (URL_SAFE.encode(digest), ", in URL-safe base64"),
        (URL_SAFE_NO_PAD.encode(digest), ", in URL-safe base64"),
        (STANDARD.encode(&hex), ", in base64 of hexadecimal digits"),
        (STANDARD.encode(&padded), ", in base64 twice"),
        (format!("{padded}\n"), ", with a line break at its end"),
        (format!("{padded}\r\n"), ", with a line break at its end"),
    ];
    if padded.as_bytes() == sent {
        return Some("");
    }
    encodings
        .into_iter()
        .find(|(text, _)| text.as_bytes() == sent)
        .map(|(_, how)| how)
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The bytes that take as long to hash as a base string takes to make.
const USUAL_LEN: usize = 512;
