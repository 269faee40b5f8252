//! Configurations and calls of axios: `axios({…})`, `axios.post(url, data, {…})`, an object that is
//! assigned to a variable, and `error.toJSON().config`.
//!
//! A body that is an object is serialized as axios does. Its members are then in alphabetical
//! order, which changes a body hash, but not the signature of a form.

use serde_json::{Map, Value};

use super::form::{FORM, form};
use super::javascript::{ScriptCall, calls, first_object, has_call};
use super::json::text;
use super::lines::wrong;
use super::request::CapturedRequest;
use crate::cli::exit::Usage;

/// Returns true for a script that uses axios.
pub(super) fn is_script(script: &str) -> bool {
    has_call(script, "axios")
}

/// Parses the calls of a script; without a call that has a URL, its first object.
///
/// # Errors
/// When a value is not plain, or a configuration has no complete URL.
pub(super) fn parse(script: &str) -> Result<Vec<CapturedRequest>, Usage> {
    let configs = match calls(script, "axios") {
        Ok(calls) => calls.iter().filter_map(config).collect(),
        // A call with the name of a variable: its object is above.
        Err(_) => Vec::new(),
    };
    let configs = if configs.is_empty() {
        first_object(script)?.into_iter().collect()
    } else {
        configs
    };
    let request = |(config, line): &(Value, usize)| {
        request(config).map_err(|error| wrong(*line, error.to_string()))
    };
    configs.iter().map(request).collect()
}

/// Returns the configuration that a call stands for; `None` for calls that are no requests.
fn config(call: &ScriptCall) -> Option<(Value, usize)> {
    let mut arguments = call.arguments.iter();
    let mut first = arguments.next()?;
    let mut config = Map::new();
    if let Value::String(url) = first {
        config.insert("url".to_owned(), url.clone().into());
        if matches!(call.method.as_str(), "post" | "put" | "patch") {
            config.extend(
                arguments
                    .next()
                    .map(|data| ("data".to_owned(), data.clone())),
            );
        }
        first = arguments.next().unwrap_or(&Value::Null);
    }
    config.extend(
        first
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if !matches!(call.method.as_str(), "" | "request") {
        config.insert("method".to_owned(), call.method.clone().into());
    }
    config
        .contains_key("url")
        .then(|| (config.into(), call.line))
}

/// Reads a configuration.
///
/// # Errors
/// When it has no complete URL.
pub(super) fn request(config: &Value) -> Result<CapturedRequest, Usage> {
    let method = text(config, "method").unwrap_or("get");
    let mut request = CapturedRequest {
        method: method.to_ascii_uppercase().into_bytes(),
        ..CapturedRequest::default()
    };
    for (name, value) in members(config.get("headers")) {
        if let Some(value) = scalar(value) {
            request.push(name, value);
        }
    }
    request.set_url(&url(config)?)?;
    add_body(&mut request, config.get("data").unwrap_or(&Value::Null));
    Ok(request)
}

/// Returns the URL, completed by `baseURL` and `params`.
fn url(config: &Value) -> Result<Vec<u8>, Usage> {
    let url = text(config, "url").ok_or_else(|| Usage("`url` is missing".to_owned()))?;
    let mut url = match text(config, "baseURL") {
        Some(base) if !url.contains("://") => {
            format!(
                "{}/{}",
                base.trim_end_matches('/'),
                url.trim_start_matches('/')
            )
        }
        _ => url.to_owned(),
    };
    let params = form_of(config.get("params"));
    if !params.is_empty() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&String::from_utf8_lossy(&params));
    }
    Ok(url.into_bytes())
}

fn add_body(request: &mut CapturedRequest, data: &Value) {
    let body = match data {
        Value::Null => Vec::new(),
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Object(_) if request.is_form() => form_of(Some(data)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            data.to_string().into_bytes()
        }
    };
    if !body.is_empty() {
        let default = if data.is_string() {
            FORM
        } else {
            "application/json"
        };
        request.push_default("Content-Type", default);
    }
    request.body = Some(body);
}

/// Serializes an object as axios does: a list becomes `name[]=…`, and null is left out.
fn form_of(object: Option<&Value>) -> Vec<u8> {
    let mut pairs = Vec::new();
    for (name, value) in members(object) {
        if let Value::Array(items) = value {
            let name = format!("{name}[]");
            let items = items.iter().filter_map(scalar);
            pairs.extend(items.map(|item| (name.clone(), item)));
        } else {
            pairs.extend(scalar(value).map(|value| (name.clone(), value)));
        }
    }
    form(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

fn members(object: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    object.and_then(Value::as_object).into_iter().flatten()
}

/// Returns the text of a string, a number or a boolean.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;

    use super::*;

    #[test]
    fn every_way_to_call_is_the_same_request() {
        let headers = "headers: {'Content-Type': 'application/x-www-form-urlencoded', Authorization: 'OAuth a=\"b\"'}";
        for script in [
            format!("axios({{method: 'post', url: 'https://h/x?p=1', data: 'a=1', {headers}}})"),
            format!(
                "const axios = require('axios');\nlet config = {{\n  method: 'post',\n  url: 'https://h/x?p=1',\n  \
                     {headers},\n  data: 'a=1'\n}};\n\naxios.request(config)\n.then((r) => {{}});"
            ),
            format!("await axios.post('https://h/x', 'a=1', {{params: {{p: 1}}, {headers}}})"),
            format!(
                "axios.request({{baseURL: 'https://h/', url: '/x', params: {{p: 1, q: null}}, data: {{a: 1}}, method: \
                     'POST', {headers}}})"
            ),
        ] {
            let requests = parse(&script).unwrap();
            let [request] = &requests[..] else {
                panic!("{script}: {requests:?}")
            };
            assert_eq!(
                (&request.method[..], &request.target[..], request.scheme),
                (&b"POST"[..], &b"/x?p=1"[..], Some(Scheme::Https)),
                "{script}"
            );
            assert_eq!(
                request.values("authorization"),
                [b"OAuth a=\"b\""],
                "{script}"
            );
            assert_eq!(request.body.as_deref(), Some(&b"a=1"[..]), "{script}");
            assert!(request.is_form());
        }
    }

    #[test]
    fn bodies_and_lists_are_serialized_as_axios_does() {
        let requests = parse(
            "axios.get('http://h/', {params: {a: [1, 'x y']}}); axios.put('http://h/', {b: true})",
        )
        .unwrap();
        assert_eq!(requests[0].target, b"/?a%5B%5D=1&a%5B%5D=x%20y");
        assert_eq!(requests[1].body.as_deref(), Some(&b"{\"b\":true}"[..]));
        assert_eq!(requests[1].values("content-type"), [b"application/json"]);
        let text = parse("axios({url: 'http://h/', method: 'post', data: 'a=1'})").unwrap();
        assert!(text[0].is_form());
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_its_line() {
        let refused = |script: &str| parse(script).unwrap_err().to_string();
        assert_eq!(
            refused("\naxios(c); x = {method: 'get'}"),
            "line 2: `url` is missing"
        );
        assert!(refused("axios({url: '/x'})").starts_with("line 1: the URL /x is not complete"));
        assert!(refused("axios({url: base + '/x'})").contains("is no plain value"));
    }
}
