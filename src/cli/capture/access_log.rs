//! Lines of text access logs: the combined format with the `Authorization` header added, of nginx
//! and Apache, and Envoy's default format.
//!
//! The request line and the header are found wherever they are in the line. nginx writes a quote in
//! a value as `\x22`, Apache as `\"`, Envoy as it is. The host is read from Envoy's default format;
//! other formats need it from the caller. All have the time in brackets.

use super::http_message::request_line;
use super::lines::Lines;
use super::request::CapturedRequest;
use super::times::{common_log, rfc3339};

/// Returns true for a line with a request line in quotes.
pub(super) fn is_mark(line: &[u8]) -> bool {
    quoted_request(line).is_some()
}

/// Parses the lines that have a request line; the others are no requests.
pub(super) fn parse(capture: &[u8]) -> Vec<CapturedRequest> {
    Lines::new(capture).filter_map(request).collect()
}

fn request(line: &[u8]) -> Option<CapturedRequest> {
    let QuotedRequest {
        method,
        target,
        rest,
    } = quoted_request(line)?;
    let mut request = CapturedRequest {
        method: method.to_vec(),
        target: target.to_vec(),
        status: status(rest),
        time: time(line),
        ..CapturedRequest::default()
    };
    if let Some(host) = envoy_authority(rest) {
        request.push("Host", host);
    }
    match authorization(rest) {
        Some(value) => request.push("Authorization", value),
        None if !request.has_oauth() => request.unknown.push(NO_AUTHORIZATION.to_owned()),
        None => {}
    }
    complete_body(&mut request);
    Some(request)
}

/// Adds that a log has no body, unless the method has none.
pub(super) fn complete_body(request: &mut CapturedRequest) {
    if matches!(
        &request.method[..],
        b"GET" | b"HEAD" | b"DELETE" | b"OPTIONS"
    ) {
        request.body = Some(Vec::new());
    } else {
        request.unknown.push(NO_BODY.to_owned());
    }
}

/// A request line in quotes.
struct QuotedRequest<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// The text behind it.
    rest: &'a [u8],
}

/// Returns the first request line in quotes.
fn quoted_request(line: &[u8]) -> Option<QuotedRequest<'_>> {
    let mut quotes = (0..line.len()).filter(|&at| line[at] == b'"');
    quotes.find_map(|at| {
        let inner = &line[at + 1..];
        let end = inner.iter().position(|&byte| byte == b'"')?;
        let (method, target) = request_line(&inner[..end])?;
        let is_method = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
        method.iter().all(is_method).then_some(QuotedRequest {
            method,
            target,
            rest: &inner[end + 1..],
        })
    })
}

fn status(rest: &[u8]) -> Option<u16> {
    let word = rest
        .split(u8::is_ascii_whitespace)
        .find(|word| !word.is_empty())?;
    let status = str::from_utf8(word).ok()?.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}

/// Returns the first time in brackets: `[2026-11-30T12:00:00.000Z]` of Envoy, or
/// `[30/Nov/2026:12:00:00 +0000]` of nginx and Apache.
fn time(line: &[u8]) -> Option<u64> {
    line.split(|&byte| byte == b'[').skip(1).find_map(|inner| {
        let end = inner.iter().position(|&byte| byte == b']')?;
        let text = str::from_utf8(&inner[..end]).ok()?;
        rfc3339(text).or_else(|| common_log(text))
    })
}

/// Returns the authority of Envoy's default format: the quoted text behind the request id.
fn envoy_authority(rest: &[u8]) -> Option<&[u8]> {
    let quoted: Vec<&[u8]> = rest
        .split(|&byte| byte == b'"')
        .skip(1)
        .step_by(2)
        .collect();
    let id = quoted.iter().position(|text| is_uuid(text))?;
    let authority = quoted.get(id + 1)?;
    let is_authority = !authority.is_empty()
        && authority
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte))
        && *authority != b"-";
    is_authority.then_some(*authority)
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Returns the `Authorization` header in a line: the scheme and the parameters that follow it.
fn authorization(rest: &[u8]) -> Option<Vec<u8>> {
    let text = unescaped(rest);
    let mut windows = text.windows(SCHEME.len()).enumerate();
    windows.find_map(|(at, window)| {
        let parameters = &text[at + SCHEME.len()..];
        let is_scheme = window.eq_ignore_ascii_case(SCHEME);
        let len = if is_scheme {
            parameters_len(parameters)
        } else {
            0
        };
        (len > 0).then(|| [window, &parameters[..len]].concat())
    })
}

/// Returns a text with plain quotes.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let escapes = [&b"\\x22"[..], b"\\\""];
        match escapes.iter().find(|escape| rest.starts_with(escape)) {
            Some(escape) => {
                plain.push(b'"');
                rest = &rest[escape.len()..];
            }
            None => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}

/// Returns the length of `name="value", name="value"` at the beginning of a text.
fn parameters_len(text: &[u8]) -> usize {
    let mut end = 0;
    let mut at = 0;
    while let Some(len) = parameter_len(&text[at..]) {
        end = at + len;
        let rest = &text[end..];
        let space = rest.len() - rest.trim_ascii_start().len();
        match rest.get(space) {
            Some(b',') => at = end + space + 1,
            _ => break,
        }
    }
    end
}

/// Returns the length of ` name="value"`.
fn parameter_len(text: &[u8]) -> Option<usize> {
    let space = text.len() - text.trim_ascii_start().len();
    let rest = &text[space..];
    let name = rest
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"_-.%".contains(byte))?;
    let value = rest[name..].strip_prefix(b"=\"")?;
    let value = value.iter().position(|&byte| byte == b'"')?;
    (name > 0).then_some(space + name + 2 + value + 1)
}

const SCHEME: &[u8] = b"OAuth ";

pub(super) const NO_AUTHORIZATION: &str = "the Authorization header: this line has none; log it with `$http_authorization` (nginx), \
     `%{Authorization}i` (Apache) or `%REQ(AUTHORIZATION)%` (Envoy)";

const NO_BODY: &str = "the body and its Content-Type: an access log has none; if the body is a \
                       form, capture the request with curl -v";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_servers_quotes_are_read() {
        for quote in ["\"", "\\\"", "\\x22"] {
            let header = HEADER.replace('"', quote);
            for line in [
                format!(
                    "1.2.3.4 - - [30/Nov/2026:12:00:00 +0000] \"GET /photos?a=b HTTP/1.1\" 401 99 \"-\" \"agent/1\" \"{header}\""
                ),
                format!(
                    "1.2.3.4 - - [30/Nov/2026:12:00:00 +0000] \"GET /photos?a=b HTTP/1.1\" 401 99 auth=\"{header}\" rt=0.1\r"
                ),
            ] {
                let requests = parse(line.as_bytes());
                let [request] = &requests[..] else {
                    panic!("{line}")
                };
                assert_eq!(request.target, b"/photos?a=b");
                let authorization = request.values("authorization");
                assert_eq!(authorization, [HEADER.as_bytes()], "{line}");
                assert_eq!(
                    (request.status, request.time),
                    (Some(401), Some(1_796_040_000))
                );
                assert_eq!(request.body.as_deref(), Some(&b""[..]));
                assert!(request.values("host").is_empty());
            }
        }
    }

    #[test]
    fn envoys_default_format_has_time_and_host() {
        let line = format!(
            "[2023-11-14T22:13:20.123Z] \"POST /photos HTTP/2\" 401 UAEX ext_authz_denied - \"-\" 0 \
             200 3 - \"10.0.0.9\" \"agent/1\" \"7ec5e5a6-8d55-9b83-a6b2-a1f9ec3c5d0f\" \
             \"api.example.com:8443\" \"-\" \"{HEADER}\""
        );
        let request = &parse(line.as_bytes())[0];
        assert_eq!(request.values("host"), [b"api.example.com:8443"]);
        assert_eq!(request.time, Some(1_700_000_000));
        assert_eq!(request.values("authorization"), [HEADER.as_bytes()]);
        assert_eq!(request.body, None);
        assert!(request.unknown[0].starts_with("the body and its Content-Type: "));
    }

    #[test]
    fn a_line_without_the_header_says_how_to_log_it() {
        let line = b"h - - [x] \"GET / HTTP/1.1\" 401 9 \"-\" \"curl\"\n";
        assert_eq!(parse(line)[0].unknown, [NO_AUTHORIZATION]);
        let query = b"h - - [x] \"GET /?oauth_consumer_key=k HTTP/1.1\" 401 9\n";
        assert_eq!(parse(query)[0].unknown, Vec::<String>::new());
    }

    #[test]
    fn lines_without_a_request_are_skipped() {
        let log = "started\n\"GET /1 HTTP/1.1\" 200\n\"-\" 400\n\"get /2 HTTP/1.0\"\n\"no request HTTP/x y\"\n";
        let targets: Vec<_> = parse(log.as_bytes())
            .into_iter()
            .map(|r| r.target)
            .collect();
        assert_eq!(targets, [b"/1", b"/2"]);
    }

    const HEADER: &str =
        "OAuth realm=\"\", oauth_nonce=\"a%2Fb\",oauth_signature=\"x%3D\" , oauth_version=\"1.0\"";
}
