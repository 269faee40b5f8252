//! Lines of JSON access logs, under the names of Envoy's and Istio's default format, nginx's
//! variables, and their like.

use serde_json::{Map, Value};

use super::access_log::{NO_AUTHORIZATION, complete_body};
use super::json::text;
use super::request::CapturedRequest;
use super::times::rfc3339;

/// Returns true for an object with a method and a path.
pub(super) fn is_line(document: &Map<String, Value>) -> bool {
    let has = |names: &[&str]| names.iter().any(|name| document.contains_key(*name));
    has(METHOD) && has(PATH) && !document.contains_key("url")
}

/// Reads a line.
pub(super) fn request(line: &Value) -> CapturedRequest {
    let field = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| text(line, name));
        values.find(|value| !matches!(*value, "" | "-"))
    };
    let bytes = |names: &[&str]| field(names).unwrap_or_default().as_bytes().to_vec();
    let mut request = CapturedRequest {
        method: bytes(METHOD),
        target: bytes(PATH),
        time: field(TIME).and_then(rfc3339),
        status: STATUS.iter().find_map(|name| status(line.get(name)?)),
        ..CapturedRequest::default()
    };
    for (header, names) in HEADERS {
        if let Some(value) = field(names) {
            request.push(header, value);
        }
    }
    if !request.has_oauth() && request.values("authorization").is_empty() {
        request.unknown.push(NO_AUTHORIZATION.to_owned());
    }
    complete_body(&mut request);
    request
}

fn status(value: &Value) -> Option<u16> {
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    number.or_else(|| value.as_str()?.parse().ok())
}

const METHOD: &[&str] = &["method", ":method", "request_method", "http_method"];

/// The path as the client sent it comes first.
const PATH: &[&str] = &[
    "x-envoy-original-path",
    "original_path",
    "path",
    ":path",
    "request_uri",
    "uri",
];

const TIME: &[&str] = &[
    "start_time",
    "@timestamp",
    "time",
    "timestamp",
    "time_iso8601",
];

const STATUS: [&str; 3] = ["response_code", "status", "response_status"];

const HEADERS: [(&str, &[&str]); 3] = [
    ("Host", &["authority", ":authority", "host", "http_host"]),
    (
        "Authorization",
        &[
            "authorization",
            "Authorization",
            "http_authorization",
            "req_authorization",
        ],
    ),
    (
        "X-Forwarded-Proto",
        &["x-forwarded-proto", "x_forwarded_proto"],
    ),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_names_of_each_server_are_known() {
        for line in [
            json!({
                "start_time": "2023-11-14T22:13:20.000Z", "method": "GET", "path": "/photos?a=b",
                "authority": "api.example.com", "authorization": "OAuth a=\"b\"",
                "response_code": 401, "protocol": "HTTP/1.1", "x_forwarded_for": null,
            }),
            json!({
                "time_iso8601": "2023-11-14T22:13:20Z", "request_method": "GET",
                "request_uri": "/photos?a=b", "host": "api.example.com",
                "http_authorization": "OAuth a=\"b\"", "status": "401",
            }),
            json!({
                "time": "2023-11-14T22:13:20Z", ":method": "GET", ":path": "/internal",
                "x-envoy-original-path": "/photos?a=b", ":authority": "api.example.com",
                "Authorization": "OAuth a=\"b\"", "response_status": 401,
            }),
        ] {
            assert!(is_line(line.as_object().unwrap()));
            let request = request(&line);
            assert_eq!(request.method, b"GET", "{line}");
            assert_eq!(request.target, b"/photos?a=b", "{line}");
            assert_eq!(request.values("host"), [b"api.example.com"], "{line}");
            assert_eq!(
                request.values("authorization"),
                [b"OAuth a=\"b\""],
                "{line}"
            );
            assert_eq!(
                (request.time, request.status),
                (Some(1_700_000_000), Some(401))
            );
            assert_eq!(request.unknown, Vec::<String>::new());
        }
    }

    #[test]
    fn a_field_that_is_not_logged_is_unknown() {
        let line = json!({"method": "PUT", "path": "/", "authority": "-", "authorization": "-"});
        let request = request(&line);
        assert!(request.values("host").is_empty());
        assert_eq!((request.body, request.unknown.len()), (None, 2));
    }
}
