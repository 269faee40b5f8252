//! Traces of Envoy's tap filter (`envoy.data.tap.v3.HttpBufferedTrace` and
//! `HttpStreamedTraceSegment`) as JSON.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::json::{list, text};
use super::json_request::add_headers;
use super::request::CapturedRequest;
use crate::cli::exit::Usage;

/// Returns true for a trace, or for a segment of one.
pub(super) fn is_trace(document: &Map<String, Value>) -> bool {
    document.contains_key(BUFFERED) || document.contains_key(SEGMENT)
}

/// Parses traces; segments of the same trace are one request.
///
/// # Errors
/// When a trace has no request, or lacks its method or path.
pub(super) fn parse(documents: &[Value]) -> Result<Vec<CapturedRequest>, Usage> {
    let mut requests: Vec<CapturedRequest> = Vec::new();
    let mut streamed: HashMap<String, usize> = HashMap::new();
    for document in documents {
        if let Some(trace) = document.get(BUFFERED) {
            requests.push(buffered(trace));
        } else if let Some(segment) = document.get(SEGMENT) {
            let id = segment.get("trace_id").map(ToString::to_string);
            let id = id.unwrap_or_default();
            let at = *streamed.entry(id).or_insert(requests.len());
            if at == requests.len() {
                requests.push(CapturedRequest {
                    body: Some(Vec::new()),
                    ..CapturedRequest::default()
                });
            }
            add_segment(&mut requests[at], segment);
        }
    }
    // A truncated body is unknown, whatever segments follow.
    for request in requests.iter_mut().filter(|one| !one.unknown.is_empty()) {
        request.body = None;
    }
    let numbered = requests.iter().enumerate();
    numbered
        .filter_map(|(at, request)| missing(request).map(|name| (at, name)))
        .try_for_each(|(at, name)| {
            let number = at + 1;
            Err(Usage(format!(
                "trace {number}: the request has no `{name}` header"
            )))
        })?;
    Ok(requests)
}

fn buffered(trace: &Value) -> CapturedRequest {
    let mut request = CapturedRequest::default();
    if let Some(message) = trace.get("request") {
        add_headers(&mut request, list(message, "headers"), "key");
        request.body = Some(Vec::new());
        if let Some(body) = message.get("body") {
            add_body(&mut request, body);
        }
    }
    request.status = trace.get("response").and_then(status);
    request
}

fn add_segment(request: &mut CapturedRequest, segment: &Value) {
    if let Some(headers) = segment.get("request_headers") {
        add_headers(request, list(headers, "headers"), "key");
    }
    if let Some(chunk) = segment.get("request_body_chunk") {
        add_body(request, chunk);
    }
    let response = segment.get("response_headers").and_then(status);
    request.status = request.status.or(response);
}

/// Appends a body, or a part of it.
fn add_body(request: &mut CapturedRequest, body: &Value) {
    let bytes = text(body, "as_bytes").and_then(|bytes| STANDARD.decode(bytes).ok());
    let characters = text(body, "as_string").map(|text| text.as_bytes().to_vec());
    let part = bytes.or(characters).unwrap_or_default();
    request
        .body
        .get_or_insert_default()
        .extend_from_slice(&part);
    if body.get("truncated") == Some(&Value::Bool(true)) {
        request.unknown.push(TRUNCATED.to_owned());
    }
}

fn status(response: &Value) -> Option<u16> {
    let headers = list(response, "headers");
    let is_status = |header: &&Value| text(header, "key") == Some(":status");
    text(headers.iter().find(is_status)?, "value")?.parse().ok()
}

fn missing(request: &CapturedRequest) -> Option<&'static str> {
    if request.method.is_empty() {
        Some(":method")
    } else if request.target.is_empty() {
        Some(":path")
    } else {
        None
    }
}

const BUFFERED: &str = "http_buffered_trace";

const SEGMENT: &str = "http_streamed_trace_segment";

const TRUNCATED: &str = "the end of the body: the tap truncated it; raise `max_buffered_rx_bytes`";

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_buffered_trace_is_read() {
        for body in [
            json!({"as_bytes": "YT0x"}),
            json!({"as_string": "a=1", "truncated": false}),
        ] {
            let trace = json!({"http_buffered_trace": {
                "request": {"headers": headers(), "body": body, "trailers": []},
                "response": {"headers": [{"key": ":status", "value": "401"}]},
            }});
            assert_photos(&parse(&[trace]).unwrap());
        }
    }

    #[test]
    fn the_segments_of_a_trace_are_one_request() {
        let segment = |part: Value| {
            let mut part = part;
            part["trace_id"] = json!("7");
            json!({"http_streamed_trace_segment": part})
        };
        let segments = [
            segment(json!({"request_headers": {"headers": headers()}})),
            segment(json!({"request_body_chunk": {"as_bytes": "YT0="}})),
            segment(json!({"request_body_chunk": {"as_bytes": "MQ=="}})),
            segment(json!({"response_headers": {"headers": [{"key": ":status", "value": "401"}]}})),
        ];
        assert_photos(&parse(&segments).unwrap());
        let two = [
            &segments[..1],
            &[json!({"http_buffered_trace": {"request": {"headers": headers()}}})],
        ]
        .concat();
        assert_eq!(parse(&two).unwrap().len(), 2);
    }

    #[test]
    fn a_truncated_body_is_unknown() {
        let body = json!({"as_bytes": "YT0x", "truncated": true});
        let trace =
            json!({"http_buffered_trace": {"request": {"headers": headers(), "body": body}}});
        let request = parse(&[trace]).unwrap().remove(0);
        assert_eq!(
            (request.body, &request.unknown[..]),
            (None, &[TRUNCATED.to_owned()][..])
        );
    }

    #[test]
    fn a_trace_without_a_request_is_refused_with_its_number() {
        let good = json!({"http_buffered_trace": {"request": {"headers": headers()}}});
        for (bad, name) in [
            (json!({"http_buffered_trace": {}}), ":method"),
            (
                json!({"http_buffered_trace": {"request": {"headers": [{"key": ":method", "value": "GET"}]}}}),
                ":path",
            ),
        ] {
            let refused = parse(&[good.clone(), bad]).unwrap_err().to_string();
            assert_eq!(
                refused,
                format!("trace 2: the request has no `{name}` header")
            );
        }
    }

    fn headers() -> Value {
        json!([
            {"key": ":authority", "value": "api.example.com"},
            {"key": ":path", "value": "/photos?a=b"},
            {"key": ":method", "value": "POST"},
            {"key": ":scheme", "value": "http"},
            {"key": "authorization", "raw_value": "T0F1dGggYT0iYiI="},
            {"key": "x-forwarded-proto", "value": "https"},
        ])
    }

    fn assert_photos(requests: &[CapturedRequest]) {
        let [request] = requests else {
            panic!("{requests:?}")
        };
        assert_eq!(
            (&request.method[..], &request.target[..], request.scheme),
            (&b"POST"[..], &b"/photos?a=b"[..], Some(Scheme::Http))
        );
        assert_eq!(request.values("host"), [b"api.example.com"]);
        assert_eq!(request.values("authorization"), [b"OAuth a=\"b\""]);
        assert_eq!(request.values("x-forwarded-proto"), [b"https"]);
        assert_eq!(request.body.as_deref(), Some(&b"a=1"[..]));
        assert_eq!(request.status, Some(401));
    }
}
