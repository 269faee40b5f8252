//! The detection of a capture's format.

use super::format::CaptureFormat;
use super::lines::{Lines, without_trace_marks};
use super::request::{CapturedRequest, shown};
use super::{
    access_log, axios, curl_command, curl_trace, curl_verbose, fetch_call, http_message,
    http2_headers, json_documents,
};
use crate::cli::exit::Usage;

/// Returns the format of a capture, and its requests.
///
/// # Errors
/// When the format is unknown, or the capture is malformed.
pub(super) fn requests(capture: &[u8]) -> Result<(CaptureFormat, Vec<CapturedRequest>), Usage> {
    let begin = capture.trim_ascii_start();
    if is_json(begin) {
        return json_documents::requests(text(capture)?);
    }
    let format = format_of(capture, begin).ok_or_else(|| unknown(capture))?;
    let requests = match format {
        CaptureFormat::HttpMessage => vec![http_message::parse(capture)?],
        CaptureFormat::CurlTrace => curl_trace::parse(capture)?,
        CaptureFormat::CurlVerbose => curl_verbose::parse(capture)?,
        CaptureFormat::Http2Headers => http2_headers::parse(capture)?,
        CaptureFormat::AccessLog => access_log::parse(capture),
        CaptureFormat::CurlCommand => curl_command::parse(text(capture)?)?,
        CaptureFormat::FetchCall => fetch_call::parse(text(capture)?)?,
        CaptureFormat::Axios => axios::parse(text(capture)?)?,
        CaptureFormat::Har
        | CaptureFormat::EnvoyTap
        | CaptureFormat::JsonLog
        | CaptureFormat::Postman => return json_documents::requests(text(capture)?),
    };
    Ok((format, requests))
}

/// Returns whether a line marks a format.
type LineTest = fn(&[u8]) -> bool;

/// Returns the format of a capture that is no JSON. Marks at the beginning count before marks
/// anywhere, because a body may contain anything.
fn format_of(capture: &[u8], begin: &[u8]) -> Option<CaptureFormat> {
    let first = Lines::new(begin).next().unwrap_or_default();
    let marks: [(CaptureFormat, LineTest); 4] = [
        (CaptureFormat::CurlTrace, curl_trace::is_mark),
        (CaptureFormat::CurlVerbose, curl_verbose::is_mark),
        (CaptureFormat::Http2Headers, http2_headers::is_mark),
        (CaptureFormat::AccessLog, access_log::is_mark),
    ];
    let has = |is_mark: LineTest| {
        let mut lines = Lines::new(capture);
        lines.any(|line| is_mark(without_trace_marks(line)))
    };
    let marked = || {
        let found = marks.iter().find(|(_, is_mark)| has(*is_mark));
        found.map(|(format, _)| *format)
    };
    if is_request(first) {
        return Some(CaptureFormat::HttpMessage);
    }
    let is_command = curl_command::is_begin(first);
    let script = String::from_utf8_lossy(begin);
    match marked() {
        // The arguments of a command may look like lines of a log.
        Some(CaptureFormat::AccessLog | CaptureFormat::Http2Headers) | None if is_command => {
            Some(CaptureFormat::CurlCommand)
        }
        Some(format) => Some(format),
        None if fetch_call::is_script(&script) => Some(CaptureFormat::FetchCall),
        None if axios::is_script(&script) => Some(CaptureFormat::Axios),
        None => None,
    }
}

/// Returns true if a line is a request line, or is meant as one.
fn is_request(line: &[u8]) -> bool {
    let mut words = line.split(|byte| byte.is_ascii_whitespace());
    let method = words.next().unwrap_or_default();
    let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
    let target = words.find(|word| !word.is_empty()).unwrap_or_default();
    let is_target = target.starts_with(b"/") || target.contains(&b':') || target == b"*";
    http_message::request_line(line).is_some() || (is_method && is_target)
}

/// Returns true for the beginning of an object or a list. A `[` also begins lines of logs.
fn is_json(begin: &[u8]) -> bool {
    match begin.split_first() {
        Some((b'{', _)) => true,
        Some((b'[', rest)) => matches!(rest.trim_ascii_start().first(), Some(b'{' | b']')),
        _ => false,
    }
}

fn text(capture: &[u8]) -> Result<&str, Usage> {
    str::from_utf8(capture).map_err(|error| {
        let byte = error.valid_up_to();
        Usage(format!("the capture is not UTF-8 at byte {byte}"))
    })
}

fn unknown(capture: &[u8]) -> Usage {
    let first = Lines::new(capture)
        .enumerate()
        .find(|(_, line)| !line.trim_ascii().is_empty());
    match first {
        None => Usage(format!("the input is empty: {ACCEPTED}")),
        Some((at, line)) => {
            let line = shown(line.trim_ascii());
            Usage(format!(
                "line {}: `{line}` begins no request: {ACCEPTED}",
                at + 1
            ))
        }
    }
}

const ACCEPTED: &str = "expected an HTTP request (`METHOD TARGET HTTP/1.1`, headers, empty line, \
                        body), output of curl -v or --trace, HTTP/2 headers, a curl command, a HAR, \
                        an Envoy tap trace, a line of an access log, a fetch call, an axios \
                        configuration, or a Postman collection";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_detected() {
        for (capture, format) in [
            ("GET / HTTP/1.1\nHost: h\n", CaptureFormat::HttpMessage),
            (
                "\n\nget /a HTTP/2\n> GET / HTTP/1.1\n",
                CaptureFormat::HttpMessage,
            ),
            ("POST /a\nHost: h\n", CaptureFormat::HttpMessage),
            (
                "== Info:   Trying\n=> Send header, 9 bytes (0x9)\n",
                CaptureFormat::CurlTrace,
            ),
            (
                "* Trying\n> GET / HTTP/1.1\n> Host: h\n",
                CaptureFormat::CurlVerbose,
            ),
            (
                "$ curl -v https://h/\n> GET / HTTP/1.1\n",
                CaptureFormat::CurlVerbose,
            ),
            (":method: GET\n:path: /\n", CaptureFormat::Http2Headers),
            (
                "* [HTTP/2] [1] [:method: GET]\n",
                CaptureFormat::Http2Headers,
            ),
            (":authority\nh\n:method\nGET\n", CaptureFormat::Http2Headers),
            (
                "1.2.3.4 - - [x] \"GET / HTTP/1.1\" 401\n",
                CaptureFormat::AccessLog,
            ),
            (
                "[2026-11-30T12:00:00Z] \"GET / HTTP/2\" 401",
                CaptureFormat::AccessLog,
            ),
            (
                "curl 'https://h/' -H ':method: GET'",
                CaptureFormat::CurlCommand,
            ),
            ("C:\\>curl.exe https://h/", CaptureFormat::CurlCommand),
            ("await fetch(\"https://h/\");", CaptureFormat::FetchCall),
            (
                "const axios = require('axios');\naxios({})",
                CaptureFormat::Axios,
            ),
        ] {
            let begin = capture.trim_ascii_start().as_bytes();
            let found = format_of(capture.as_bytes(), begin);
            assert_eq!(found, Some(format), "{capture}");
        }
    }

    #[test]
    fn an_unknown_format_is_refused_with_its_first_line() {
        let refused = |capture: &str| requests(capture.as_bytes()).unwrap_err().to_string();
        let nonsense = refused("\n\x1bnonsense\n");
        assert!(
            nonsense.starts_with("line 2: `\u{FFFD}nonsense` begins no request: expected an HTTP"),
            "{nonsense}"
        );
        assert!(refused(" \n").starts_with("the input is empty: expected an HTTP request"));
        assert!(refused("{").starts_with("line 1"));
        let latin1 = requests(b"curl 'https://h/?\xE9'").unwrap_err();
        assert_eq!(latin1.to_string(), "the capture is not UTF-8 at byte 17");
    }
}
