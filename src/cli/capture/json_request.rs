//! Lists of headers, which several JSON formats share.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::oauth::Scheme;
use serde_json::Value;

use super::json::text;
use super::request::CapturedRequest;

/// Adds a list of headers, each with a name and a value. HTTP/2 pseudo-headers set the parts that
/// they stand for.
pub(super) fn add_headers(request: &mut CapturedRequest, headers: &[Value], name_key: &str) {
    for header in headers {
        let raw = text(header, "raw_value").and_then(|raw| STANDARD.decode(raw).ok());
        let value = text(header, "value").map(|value| value.as_bytes().to_vec());
        if let (Some(name), Some(value)) = (text(header, name_key), raw.or(value)) {
            add_header(request, name, &value);
        }
    }
}

fn add_header(request: &mut CapturedRequest, name: &str, value: &[u8]) {
    match name {
        ":method" => request.method = value.to_vec(),
        ":path" => request.target = value.to_vec(),
        ":authority" => request.push("Host", value),
        ":scheme" if value == b"https" => request.scheme = Some(Scheme::Https),
        ":scheme" if value == b"http" => request.scheme = Some(Scheme::Http),
        _ if name.starts_with(':') => {}
        _ => request.push(name, value),
    }
}
