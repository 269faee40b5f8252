//! Collections of Postman (2.0 and 2.1), and single items of them.
//!
//! Postman signs when it sends, so an export has a signature only if the header was written by hand.

use serde_json::{Map, Value};

use super::form::{FORM, form};
use super::json::{list, text};
use super::request::{CapturedRequest, shown};
use crate::cli::exit::Usage;

/// Returns true for a collection or an item.
pub(super) fn is_collection(document: &Map<String, Value>) -> bool {
    let is_request = |request: &Value| request.get("header").is_some();
    document.contains_key("item") || document.get("request").is_some_and(is_request)
}

/// Parses every request of a collection.
///
/// # Errors
/// When a request has a variable or no complete URL, or is signed only when it is sent.
pub(super) fn parse(document: &Value) -> Result<Vec<CapturedRequest>, Usage> {
    if let Some(source) = document.get("request") {
        let name = text(document, "name").unwrap_or("request");
        let named = |error: Usage| Usage(format!("item \"{}\": {error}", shown(name.as_bytes())));
        return request(source, document)
            .map(|one| vec![one])
            .map_err(named);
    }
    let mut requests = Vec::new();
    for item in list(document, "item") {
        requests.extend(parse(item)?);
    }
    Ok(requests)
}

fn request(source: &Value, item: &Value) -> Result<CapturedRequest, Usage> {
    let url = source.get("url");
    let url = url.and_then(|url| url.as_str().or_else(|| text(url, "raw")));
    let url = url.ok_or_else(|| Usage("`request.url` is missing".to_owned()))?;
    let mut request = CapturedRequest {
        method: text(source, "method").unwrap_or("GET").as_bytes().to_vec(),
        ..CapturedRequest::default()
    };
    for header in enabled(list(source, "header")) {
        let (name, value) = (text(header, "key"), text(header, "value"));
        let (Some(name), Some(value)) = (name, value) else {
            continue;
        };
        refuse_variable(value)?;
        request.push(name, value);
    }
    refuse_variable(url)?;
    request.set_url(url.replace(' ', "%20").as_bytes())?;
    add_body(&mut request, source)?;
    let signs =
        |holder: &Value| holder.get("auth").and_then(|auth| text(auth, "type")) == Some("oauth1");
    if !request.has_oauth() && (signs(source) || signs(item)) {
        return Err(Usage(SIGNED_LATER.to_owned()));
    }
    Ok(request)
}

fn add_body(request: &mut CapturedRequest, source: &Value) -> Result<(), Usage> {
    let Some(body) = source.get("body").filter(|body| !body.is_null()) else {
        request.body = Some(Vec::new());
        return Ok(());
    };
    match text(body, "mode") {
        Some("raw") => {
            let raw = text(body, "raw").unwrap_or_default();
            refuse_variable(raw)?;
            request.body = Some(raw.as_bytes().to_vec());
            let options = body.get("options").and_then(|options| options.get("raw"));
            let media_type = match options.and_then(|raw| text(raw, "language")) {
                Some("json") => "application/json",
                _ => "text/plain",
            };
            request.push_default("Content-Type", media_type);
        }
        Some("urlencoded") => {
            let pairs = enabled(list(body, "urlencoded"));
            let pairs: Vec<_> = pairs
                .filter_map(|pair| {
                    Some((text(pair, "key")?, text(pair, "value").unwrap_or_default()))
                })
                .collect();
            pairs
                .iter()
                .try_for_each(|(_, value)| refuse_variable(value))?;
            request.body = Some(form(pairs.into_iter()));
            request.push_default("Content-Type", FORM);
        }
        _ => request.unknown.push(OTHER_BODY.to_owned()),
    }
    Ok(())
}

fn enabled(list: &[Value]) -> impl Iterator<Item = &Value> {
    let is_disabled = |one: &&Value| one.get("disabled") == Some(&Value::Bool(true));
    list.iter().filter(move |one| !is_disabled(one))
}

/// Refuses `{{name}}`.
fn refuse_variable(text: &str) -> Result<(), Usage> {
    let Some((_, rest)) = text.split_once("{{") else {
        return Ok(());
    };
    let name = rest.split("}}").next().unwrap_or_default();
    Err(Usage(format!(
        "the variable {{{{{}}}}} has a value that only Postman knows: write the value",
        shown(name.as_bytes())
    )))
}

const SIGNED_LATER: &str = "Postman signs the request when it sends it, so the collection has no \
                            signature: send it, and copy the request from Postman's console (View \
                            raw log)";

const OTHER_BODY: &str = "the body: Postman builds it when it sends the request";

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_request_of_a_collection_is_read() {
        let collection = json!({"info": {"name": "Photos"}, "item": [
            {"name": "Folder", "item": [item(json!({
                "method": "POST",
                "header": [
                    {"key": "Authorization", "value": "OAuth oauth_nonce=\"n\""},
                    {"key": "X-Off", "value": "1", "disabled": true},
                ],
                "url": {"raw": "https://api.example.com/photos?a=b c", "host": ["api"]},
                "body": {"mode": "urlencoded", "urlencoded": [
                    {"key": "x", "value": "1 2"}, {"key": "off", "value": "", "disabled": true},
                ]},
            }))]},
            item(json!({"method": "GET", "header": [], "url": "http://h/"})),
        ]});
        let requests = parse(&collection).unwrap();
        let [first, second] = &requests[..] else {
            panic!("{requests:?}")
        };
        assert_eq!(
            (&first.method[..], &first.target[..], first.scheme),
            (&b"POST"[..], &b"/photos?a=b%20c"[..], Some(Scheme::Https))
        );
        assert_eq!(first.values("authorization"), [b"OAuth oauth_nonce=\"n\""]);
        assert!(first.values("x-off").is_empty() && first.is_form());
        assert_eq!(first.body.as_deref(), Some(&b"x=1%202"[..]));
        assert_eq!(second.values("host"), [b"h"]);
    }

    #[test]
    fn a_raw_body_has_the_type_that_postman_adds() {
        let body = json!({"mode": "raw", "raw": "{}", "options": {"raw": {"language": "json"}}});
        let request = json!({"header": [], "url": "http://h/", "method": "POST", "body": body});
        let request = parse(&item(request)).unwrap().remove(0);
        assert_eq!(request.values("content-type"), [b"application/json"]);
        assert_eq!(request.body.as_deref(), Some(&b"{}"[..]));
        let file =
            json!({"header": [], "url": "http://h/", "method": "POST", "body": {"mode": "file"}});
        assert_eq!(parse(&item(file)).unwrap()[0].body, None);
    }

    #[test]
    fn what_only_postman_knows_is_refused_with_the_item() {
        for (request, expected) in [
            (
                json!({"header": [], "url": "{{base}}/photos"}),
                "item \"Get photos\": the variable {{base}} has a value that only Postman knows",
            ),
            (
                json!({"header": [], "url": "http://h/", "auth": {"type": "oauth1"}}),
                "item \"Get photos\": Postman signs the request when it sends it",
            ),
            (
                json!({"header": []}),
                "item \"Get photos\": `request.url` is missing",
            ),
        ] {
            let refused = parse(&item(request)).unwrap_err().to_string();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }

    fn item(request: Value) -> Value {
        json!({"name": "Get photos", "request": request})
    }
}
