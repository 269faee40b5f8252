//! The signature base string (section 3.4.1).

use super::escape::escape;
use super::request::PlainRequest;

/// Returns the base string; `None` if the request is malformed.
pub fn base_string(request: &PlainRequest) -> Option<String> {
    let mut pairs: Vec<(String, String)> = request
        .parameters()?
        .iter()
        .filter(|(name, _)| name != b"oauth_signature")
        .map(|(name, value)| (escape(name), escape(value)))
        .collect();
    pairs.sort();
    let joined: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let method = request.method.to_ascii_uppercase();
    let uri = base_uri(request)?;
    Some(format!(
        "{}&{}&{}",
        escape(&method),
        escape(&uri),
        escape(joined.join("&").as_bytes())
    ))
}

/// Returns the base string URI (section 3.4.1.2).
fn base_uri(request: &PlainRequest) -> Option<Vec<u8>> {
    let (scheme, default) = match request.is_https {
        true => ("https", "443"),
        false => ("http", "80"),
    };
    let (host, port) = host_and_port(&request.host)?;
    let mut uri = format!("{scheme}://").into_bytes();
    uri.extend(host.to_ascii_lowercase());
    if !port.is_empty() && port != default.as_bytes() {
        uri.push(b':');
        uri.extend(port);
    }
    match request.path() {
        b"" => uri.push(b'/'),
        path => uri.extend(path),
    }
    Some(uri)
}

/// Splits a `Host` header. The colons in brackets belong to an IPv6 address.
fn host_and_port(host: &[u8]) -> Option<(&[u8], &[u8])> {
    let name_end = match host.first()? {
        b'[' => host.iter().position(|&byte| byte == b']')? + 1,
        _ => host
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(host.len()),
    };
    let (name, rest) = host.split_at(name_end);
    let port = match rest {
        [] => rest,
        [b':', port @ ..] => port,
        _ => return None,
    };
    let is_port = port.iter().all(u8::is_ascii_digit);
    (is_port && !name.is_empty()).then_some((name, port))
}
