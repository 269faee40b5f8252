//! Calls of `fetch`, as browsers copy them ("copy as fetch").

use serde_json::Value;

use super::javascript::{ScriptCall, calls, has_call};
use super::json::text;
use super::lines::wrong;
use super::request::CapturedRequest;
use crate::cli::exit::Usage;

/// Returns true for a script with a call of `fetch`.
pub(super) fn is_script(script: &str) -> bool {
    has_call(script, "fetch")
}

/// Parses the calls of a script.
///
/// # Errors
/// When an argument is no plain value, or a call has no complete URL.
pub(super) fn parse(script: &str) -> Result<Vec<CapturedRequest>, Usage> {
    calls(script, "fetch")?.iter().map(request).collect()
}

fn request(call: &ScriptCall) -> Result<CapturedRequest, Usage> {
    let url = call.arguments.first().and_then(Value::as_str);
    let url = url.ok_or_else(|| wrong(call.line, "the first argument of fetch is no URL"))?;
    let options = call.arguments.get(1).unwrap_or(&Value::Null);
    let method = text(options, "method").unwrap_or("GET");
    let mut request = CapturedRequest {
        method: normalized(method).into_bytes(),
        ..CapturedRequest::default()
    };
    for (name, value) in options
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if let Some(value) = value.as_str() {
            request.push(name, value);
        }
    }
    let located = |error: Usage| wrong(call.line, error.to_string());
    request.set_url(url.as_bytes()).map_err(located)?;
    let body = text(options, "body").unwrap_or_default();
    request.body = Some(body.as_bytes().to_vec());
    if !body.is_empty() {
        request.push_default("Content-Type", "text/plain;charset=UTF-8");
    }
    Ok(request)
}

/// Returns the method as browsers send it: the common ones in upper case.
fn normalized(method: &str) -> String {
    let upper = method.to_ascii_uppercase();
    let is_common = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"].contains(&upper.as_str());
    if is_common { upper } else { method.to_owned() }
}

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;

    use super::*;

    #[test]
    fn the_calls_that_browsers_copy_are_read() {
        let chrome = "fetch(\"https://api.example.com/photos?a=b\", {\n  \"headers\": {\n    \"accept\": \"*/*\",\n    \
                      \"authorization\": \"OAuth realm=\\\"x\\\"\",\n    \"content-type\": \
                      \"application/x-www-form-urlencoded\"\n  },\n  \"referrer\": \"https://x/\",\n  \"body\": \
                      \"a=1&b=2\",\n  \"method\": \"POST\",\n  \"mode\": \"cors\"\n});";
        let firefox = chrome
            .replace("fetch(", "await fetch(")
            .replace('\n', "\r\n");
        let written = "const r = await fetch('https://api.example.com/photos?a=b', {method: 'post', headers: \
                       {Authorization: 'OAuth realm=\"x\"', 'Content-Type': 'application/x-www-form-urlencoded'}, \
                       body: 'a=1&b=2'})";
        for script in [chrome, &firefox, written] {
            let requests = parse(script).unwrap();
            let [request] = &requests[..] else {
                panic!("{script}")
            };
            assert_eq!(
                (&request.method[..], &request.target[..], request.scheme),
                (&b"POST"[..], &b"/photos?a=b"[..], Some(Scheme::Https))
            );
            assert_eq!(request.values("authorization"), [b"OAuth realm=\"x\""]);
            assert_eq!(request.body.as_deref(), Some(&b"a=1&b=2"[..]));
            assert!(request.is_form());
        }
    }

    #[test]
    fn the_defaults_are_those_of_browsers() {
        let requests = parse(
            "fetch('http://h/', {body: null}); fetch('http://h/', {method: 'patch', body: 'x'})",
        )
        .unwrap();
        assert_eq!(
            (&requests[0].method[..], requests[0].body.as_deref()),
            (&b"GET"[..], Some(&b""[..]))
        );
        assert_eq!(requests[1].method, b"patch");
        assert_eq!(
            requests[1].values("content-type"),
            [b"text/plain;charset=UTF-8"]
        );
    }

    #[test]
    fn a_call_without_a_complete_url_is_refused_with_its_line() {
        let refused = |script: &str| parse(script).unwrap_err().to_string();
        assert_eq!(
            refused("\nfetch({})"),
            "line 2: the first argument of fetch is no URL"
        );
        assert!(refused("fetch('/photos')").starts_with("line 1: the URL /photos is not complete"));
    }
}
