//! Captures in JSON: the kind of each document decides its reader.

use serde_json::{Map, Value};

use super::format::CaptureFormat;
use super::lines::wrong;
use super::request::CapturedRequest;
use super::{axios, envoy_tap, har, json_log, postman};
use crate::cli::exit::Usage;

/// Parses documents, one after another or in a list. All must be of the same kind as the first.
///
/// # Errors
/// When the text is not JSON, or a document is of no known kind.
pub(super) fn requests(text: &str) -> Result<(CaptureFormat, Vec<CapturedRequest>), Usage> {
    if values(text) > MOST_VALUES {
        return Err(Usage(format!(
            "the JSON has more than {MOST_VALUES} values: cut it to the request in question"
        )));
    }
    let documents = match documents(text) {
        Ok(documents) => documents,
        // JavaScript permits keys without quotes; JSON does not.
        Err(error) => {
            let parsed = has_few_separators(text).then(|| axios::parse(text));
            let parsed = parsed.and_then(Result::ok);
            return parsed
                .filter(|parsed| !parsed.is_empty())
                .map(|requests| (CaptureFormat::Axios, requests))
                .ok_or(error);
        }
    };
    let first = documents.first().and_then(Value::as_object);
    let format = first
        .and_then(format_of)
        .ok_or_else(|| Usage(UNKNOWN.to_owned()))?;
    let requests = match format {
        CaptureFormat::EnvoyTap => envoy_tap::parse(&documents)?,
        CaptureFormat::Har => each(&documents, har::parse)?,
        CaptureFormat::Postman => each(&documents, postman::parse)?,
        CaptureFormat::Axios => each(&documents, |one| Ok(vec![axios::request(one)?]))?,
        CaptureFormat::JsonLog
        | CaptureFormat::HttpMessage
        | CaptureFormat::CurlVerbose
        | CaptureFormat::CurlTrace
        | CaptureFormat::Http2Headers
        | CaptureFormat::AccessLog
        | CaptureFormat::CurlCommand
        | CaptureFormat::FetchCall => each(&documents, |one| Ok(vec![json_log::request(one)]))?,
    };
    Ok((format, requests))
}

/// Parses the text into its documents; the documents of a list count as such.
fn documents(text: &str) -> Result<Vec<Value>, Usage> {
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter() {
        match document {
            Ok(Value::Array(list)) => documents.extend(list),
            Ok(document) => documents.push(document),
            Err(error) => {
                let problem = format!("not JSON: {error}");
                return Err(wrong(error.line(), problem));
            }
        }
    }
    Ok(documents)
}

/// Returns an upper bound of the number of values in JSON, which decides the memory that they take.
fn values(text: &str) -> usize {
    let (mut count, mut is_text, mut is_escaped) = (1, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b',' | b'[' | b'{' if !is_text => count += 1,
            _ => {}
        }
    }
    count
}

/// Bounds the number of values in JavaScript, whose comments and other quotes `values` does not know.
fn has_few_separators(text: &str) -> bool {
    let separators = text.bytes().filter(|byte| b",[{".contains(byte));
    separators.count() <= MOST_VALUES
}

fn format_of(document: &Map<String, Value>) -> Option<CaptureFormat> {
    let has = |key: &str| document.contains_key(key);
    let format = if envoy_tap::is_trace(document) {
        CaptureFormat::EnvoyTap
    } else if har::is_archive(document) {
        CaptureFormat::Har
    } else if postman::is_collection(document) {
        CaptureFormat::Postman
    } else if json_log::is_line(document) {
        CaptureFormat::JsonLog
    } else if has("url") {
        CaptureFormat::Axios
    } else {
        return None;
    };
    Some(format)
}

fn each(
    documents: &[Value],
    parse: impl Fn(&Value) -> Result<Vec<CapturedRequest>, Usage>,
) -> Result<Vec<CapturedRequest>, Usage> {
    let mut requests = Vec::new();
    for document in documents {
        requests.extend(parse(document)?);
    }
    Ok(requests)
}

const UNKNOWN: &str = "the JSON is of no known kind: expected a HAR (`log.entries`, or an entry with \
                       `request`), an Envoy tap trace (`http_buffered_trace`), a Postman collection \
                       (`item`), an access log (`method`, `path`, `authority`, `authorization`), or \
                       an axios configuration (`url`, `method`, `headers`)";

/// More than a HAR of the largest accepted size has: its values have 30 bytes and more.
const MOST_VALUES: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_document_is_detected() {
        for (text, format) in [
            (r#"{"log": {"entries": []}}"#, CaptureFormat::Har),
            (
                r#"{"http_buffered_trace": {"request": {"headers": [
                    {"key": ":method", "value": "GET"}, {"key": ":path", "value": "/"}
                ]}}}"#,
                CaptureFormat::EnvoyTap,
            ),
            (r#"{"info": {}, "item": []}"#, CaptureFormat::Postman),
            (r#"{"method": "GET", "path": "/"}"#, CaptureFormat::JsonLog),
            (
                r#"[{"method": "GET", "path": "/"}]"#,
                CaptureFormat::JsonLog,
            ),
            (r#"{"url": "https://h/"}"#, CaptureFormat::Axios),
            ("{url: 'https://h/', method: 'get',}", CaptureFormat::Axios),
        ] {
            assert_eq!(requests(text).unwrap().0, format, "{text}");
        }
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        assert_eq!(values(r#"{"a": [1, "b,[\\\",{"], "c": {}}"#), 6);
        let many = format!("[{{\"method\": [{}0]}}]", "0,".repeat(MOST_VALUES));
        let refused = requests(&many).unwrap_err().to_string();
        assert!(
            refused.starts_with("the JSON has more than 1000000 values"),
            "{refused}"
        );
        // Commas in a text are no values.
        let text = format!(
            r#"{{"method": "GET", "path": "/{}"}}"#,
            ",".repeat(MOST_VALUES)
        );
        assert!(requests(&text).is_ok());
        // In JavaScript, this quotation mark begins no text.
        let script = format!(
            "{{method: 'GET', url: 'http://h/', why: '\"', a: [{}]}}",
            "0,".repeat(MOST_VALUES)
        );
        assert!(requests(&script).is_err());
    }

    #[test]
    fn what_is_no_json_or_of_no_known_kind_is_refused_with_its_place() {
        let refused = |text: &str| requests(text).unwrap_err().to_string();
        let cut = refused("{\n  \"log\": {");
        assert!(
            cut.starts_with("line 2: not JSON: EOF while parsing"),
            "{cut}"
        );
        for text in ["{}", "[]", "[1]", "{\"a\": 1}", "{} {\"url\": 1}"] {
            assert!(
                refused(text).starts_with("the JSON is of no known kind"),
                "{text}"
            );
        }
        // Deep nesting is bounded.
        let deep = "{\"a\":".repeat(10_000);
        assert!(
            refused(&deep).contains("recursion limit"),
            "{}",
            refused(&deep)
        );
    }
}
