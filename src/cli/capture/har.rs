//! HTTP Archives (HAR 1.2) of browsers and proxies, and single entries and requests of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::form::form;
use super::json::{list, text};
use super::json_request::add_headers;
use super::request::CapturedRequest;
use super::times::rfc3339;
use crate::cli::exit::Usage;

/// Returns true for an archive, an entry or a request of one.
pub(super) fn is_archive(document: &Map<String, Value>) -> bool {
    let is_request = |value: &Value| value.get("url").is_some_and(Value::is_string);
    let is_log = document
        .get("log")
        .is_some_and(|log| log.get("entries").is_some());
    let is_entry = document.get("request").is_some_and(is_request);
    let has_list = document.get("headers").is_some_and(Value::is_array);
    is_log || is_entry || (has_list && document.contains_key("url"))
}

/// Parses the requests of an archive or an entry.
///
/// # Errors
/// When a request has no method, or no complete URL.
pub(super) fn parse(document: &Value) -> Result<Vec<CapturedRequest>, Usage> {
    let Some(log) = document.get("log") else {
        return Ok(vec![entry(document)?]);
    };
    let entries = list(log, "entries").iter().enumerate();
    entries
        // Browsers list requests for data: URLs and the like too.
        .filter(|(_, one)| is_http(one))
        .map(|(at, one)| entry(one).map_err(|error| Usage(format!("log.entries[{at}]: {error}"))))
        .collect()
}

fn is_http(entry: &Value) -> bool {
    let url = entry
        .get("request")
        .and_then(|request| text(request, "url"));
    url.is_none_or(|url| {
        !url.contains(':') || url.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("http"))
    })
}

fn entry(entry: &Value) -> Result<CapturedRequest, Usage> {
    let source = entry.get("request").unwrap_or(entry);
    let mut request = CapturedRequest::default();
    add_headers(&mut request, list(source, "headers"), "name");
    let url = text(source, "url").ok_or_else(|| Usage("`request.url` is missing".to_owned()))?;
    request.set_url(url.as_bytes())?;
    let method = text(source, "method");
    let method = method.ok_or_else(|| Usage("`request.method` is missing".to_owned()))?;
    request.method = method.as_bytes().to_vec();
    request.time = text(entry, "startedDateTime").and_then(rfc3339);
    let status = entry
        .get("response")
        .and_then(|response| response.get("status")?.as_u64());
    request.status = status.and_then(|status| status.try_into().ok());
    add_body(&mut request, source);
    if !request.has_oauth() && request.values("authorization").is_empty() {
        request.unknown.push(SANITIZED.to_owned());
    }
    Ok(request)
}

fn add_body(request: &mut CapturedRequest, source: &Value) {
    let Some(data) = source.get("postData") else {
        let has_body = source.get("bodySize").and_then(Value::as_i64) > Some(0);
        if has_body {
            request.unknown.push(NO_BODY.to_owned());
        }
        request.body = (!has_body).then(Vec::new);
        return;
    };
    let params = list(data, "params");
    let pairs = params
        .iter()
        .filter_map(|pair| Some((text(pair, "name")?, text(pair, "value").unwrap_or_default())));
    let is_base64 = text(data, "encoding") == Some("base64");
    request.body = match text(data, "text") {
        Some(body) if is_base64 => STANDARD.decode(body).ok(),
        Some(body) if !body.is_empty() || params.is_empty() => Some(body.as_bytes().to_vec()),
        _ => Some(form(pairs)),
    };
    if let Some(media_type) = text(data, "mimeType").filter(|text| !text.is_empty()) {
        request.push_default("Content-Type", media_type);
    }
}

const NO_BODY: &str = "the body: the HAR states its size and leaves it out";

const SANITIZED: &str = "the Authorization header: the HAR has none; Chrome leaves it out of a \
                         sanitized HAR, so export with sensitive data";

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_entries_of_an_archive_are_read() {
        let archive = json!({"log": {"version": "1.2", "entries": [
            {"request": {"method": "GET", "url": "data:text/plain,x", "headers": []}},
            {
                "startedDateTime": "2023-11-14T22:13:20.123Z",
                "request": {
                    "method": "POST",
                    "url": "https://api.example.com/photos?a=%7Eb#c",
                    "httpVersion": "h2",
                    "headers": [
                        {"name": ":authority", "value": "api.example.com"},
                        {"name": ":method", "value": "POST"},
                        {"name": ":path", "value": "/photos?a=%7Eb"},
                        {"name": ":scheme", "value": "https"},
                        {"name": "authorization", "value": "OAuth oauth_nonce=\"n\""},
                        {"name": "content-type", "value": "application/x-www-form-urlencoded"},
                    ],
                    "queryString": [{"name": "a", "value": "~b"}],
                    "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "x=1+2"},
                    "bodySize": 5,
                },
                "response": {"status": 401},
            },
        ]}});
        let requests = parse(&archive).unwrap();
        let [request] = &requests[..] else {
            panic!("{requests:?}")
        };
        assert_eq!(
            (&request.method[..], &request.target[..], request.scheme),
            (&b"POST"[..], &b"/photos?a=%7Eb"[..], Some(Scheme::Https))
        );
        assert_eq!(request.values("host"), [b"api.example.com"]);
        assert_eq!(request.body.as_deref(), Some(&b"x=1+2"[..]));
        assert_eq!(
            (request.time, request.status),
            (Some(1_700_000_000), Some(401))
        );
        assert_eq!(request.unknown, Vec::<String>::new());
    }

    #[test]
    fn a_body_is_text_base64_or_a_list() {
        let body = |data: Value| {
            let entry = json!({"request": {"method": "POST", "url": "http://h/", "headers": [], "postData": data}});
            parse(&entry).unwrap().remove(0)
        };
        let list = json!({"mimeType": "application/x-www-form-urlencoded", "text": "",
                          "params": [{"name": "a b", "value": "c&d"}, {"name": "e"}]});
        let request = body(list);
        assert_eq!(request.body.as_deref(), Some(&b"a%20b=c%26d&e="[..]));
        assert!(request.is_form());
        let base64 = json!({"text": "aGk=", "encoding": "base64"});
        assert_eq!(body(base64).body.as_deref(), Some(&b"hi"[..]));
    }

    #[test]
    fn what_a_har_leaves_out_is_unknown() {
        let entry = json!({"method": "POST", "url": "http://h/", "headers": [], "bodySize": 3});
        let request = parse(&entry).unwrap().remove(0);
        assert_eq!(
            (request.body, request.unknown),
            (None, vec![NO_BODY.to_owned(), SANITIZED.to_owned()])
        );
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let archive = |request: Value| json!({"log": {"entries": [{"request": request}]}});
        for (request, expected) in [
            (
                json!({"method": "GET"}),
                "log.entries[0]: `request.url` is missing",
            ),
            (
                json!({"url": "http://h/"}),
                "log.entries[0]: `request.method` is missing",
            ),
            (
                json!({"method": "GET", "url": "/a"}),
                "log.entries[0]: the URL /a is not complete",
            ),
        ] {
            let refused = parse(&archive(request)).unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }
}
