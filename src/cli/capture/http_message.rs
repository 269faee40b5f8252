//! Requests as on the wire: HTTP/1.1 (RFC 9112), and the same layout with `HTTP/2` or `HTTP/1.0`.
//!
//! The parser accepts LF as a line end, since editors and clipboards change line ends.

use super::lines::{Lines, strip_line_end, wrong};
use super::request::{CapturedRequest, Header, split_scheme};
use super::times::http_date;
use crate::cli::exit::Usage;

/// Parses a request with its body.
///
/// # Errors
/// When a line is not part of a request, or the body is incomplete.
pub(super) fn parse(text: &[u8]) -> Result<CapturedRequest, Usage> {
    let mut lines = Lines::new(text);
    let mut request = parse_head(&mut lines)?;
    request.body = Some(cut_body(&request, lines.rest())?.to_vec());
    request.time = response_time(lines.rest());
    Ok(request)
}

/// Parses a request line and headers, up to the empty line that ends them or the end of the text.
pub(super) fn parse_head(lines: &mut Lines<'_>) -> Result<CapturedRequest, Usage> {
    let first = lines
        .by_ref()
        .find(|line| !line.is_empty())
        .ok_or_else(|| wrong(1, "expected a request line"))?;
    let (method, target) = request_line(first)
        .ok_or_else(|| wrong(lines.number(), "expected `METHOD TARGET HTTP/1.1`"))?;
    let mut request = CapturedRequest {
        method: method.to_vec(),
        headers: headers(lines)?,
        ..CapturedRequest::default()
    };
    if split_scheme(target).is_some() {
        // The absolute form that proxies receive; its host replaces the Host header.
        request
            .headers
            .retain(|header| !header.name.eq_ignore_ascii_case(b"host"));
        request.set_url(target)?;
    } else {
        request.target = target.to_vec();
    }
    Ok(request)
}

/// Returns method and target of a request line.
pub(super) fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut words = line.split(|&byte| byte == b' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version), None)
            if !method.is_empty() && !target.is_empty() && version.starts_with(b"HTTP/") =>
        {
            Some((method, target))
        }
        _ => None,
    }
}

/// Returns the body: as many bytes as `Content-Length` says. Without that header, a line break at
/// the end is the editor's, and a response that follows is no body.
fn cut_body<'a>(request: &CapturedRequest, rest: &'a [u8]) -> Result<&'a [u8], Usage> {
    refuse_transfer_encoding(request)?;
    match content_length(request)? {
        None => Ok(strip_line_end(without_response(rest))),
        Some(length) => rest.get(..length).ok_or_else(|| {
            let rest = rest.len();
            Usage(format!(
                "Content-Length is {length}, but only {rest} bytes follow the headers"
            ))
        }),
    }
}

/// Refuses bodies that are encoded for their way.
pub(super) fn refuse_transfer_encoding(request: &CapturedRequest) -> Result<(), Usage> {
    if request.values("transfer-encoding").is_empty() {
        Ok(())
    } else {
        Err(Usage(NO_TRANSFER_ENCODING.to_owned()))
    }
}

/// Returns the value of `Content-Length`.
pub(super) fn content_length(request: &CapturedRequest) -> Result<Option<usize>, Usage> {
    match request.values("content-length")[..] {
        [] => Ok(None),
        [digits] => match length(digits) {
            None => Err(Usage("Content-Length is not a number of bytes".to_owned())),
            length => Ok(length),
        },
        _ => Err(Usage(
            "the request has more than one Content-Length".to_owned(),
        )),
    }
}

fn length(digits: &[u8]) -> Option<usize> {
    let digits = str::from_utf8(digits).ok()?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| are_digits)
}

/// Cuts off a response below the request, as HTTPie prints it.
fn without_response(rest: &[u8]) -> &[u8] {
    let mut lines = Lines::new(rest);
    let mut is_after_empty = true;
    let mut before = rest.len();
    while let Some(line) = lines.next() {
        if is_after_empty && is_status_line(line) {
            return rest[..rest.len() - before].trim_ascii_end();
        }
        is_after_empty = line.is_empty();
        before = lines.rest().len();
    }
    rest
}

/// Returns the `Date` of a response below the request.
fn response_time(rest: &[u8]) -> Option<u64> {
    let mut lines = Lines::new(rest);
    lines.find(|line| is_status_line(line))?;
    let headers = lines.take_while(|line| !line.is_empty());
    let mut headers = headers.filter_map(header);
    let date = headers.find(|header| header.name.eq_ignore_ascii_case(b"date"))?;
    http_date(&date.value)
}

fn is_status_line(line: &[u8]) -> bool {
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().unwrap_or_default();
    version.starts_with(b"HTTP/") && status.len() == 3 && length(status).is_some()
}

/// Parses the header lines up to the empty line that ends them.
fn headers(lines: &mut Lines<'_>) -> Result<Vec<Header>, Usage> {
    let mut headers: Vec<Header> = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        match (headers.last_mut(), header(line)) {
            (Some(last), _) if folded => {
                last.value.push(b' ');
                last.value.extend_from_slice(line.trim_ascii());
            }
            (_, Some(header)) if !folded => headers.push(header),
            _ => return Err(wrong(lines.number(), "expected a header, `Name: value`")),
        }
    }
    Ok(headers)
}

/// Parses a header line.
pub(super) fn header(line: &[u8]) -> Option<Header> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = &line[..colon];
    let is_name = !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_graphic());
    is_name.then(|| Header {
        name: name.to_vec(),
        value: line[colon + 1..].trim_ascii().to_vec(),
    })
}

const NO_TRANSFER_ENCODING: &str = "Transfer-Encoding is not supported: decode the body, and \
                                    replace the header with Content-Length";

#[cfg(test)]
mod tests {
    use countersign::oauth::Scheme;

    use super::*;

    #[test]
    fn a_request_is_taken_apart_whatever_its_line_ends() {
        let capture = "POST /a?b=c%20 HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: 2\r\n\r\nd=e\r\nf";
        for capture in [
            capture.to_owned(),
            capture.replacen("\r\n", "\n", 5),
            format!("\r\n{capture}"),
        ] {
            let request = parse(capture.as_bytes()).unwrap();
            assert_eq!(
                (&request.method[..], &request.target[..]),
                (&b"POST"[..], &b"/a?b=c%20"[..])
            );
            assert_eq!(
                (request.values("host"), request.values("X-a")),
                (vec![&b"h"[..]], vec![&b"1"[..], b"2"])
            );
            assert_eq!(request.body.unwrap(), b"d=e\r\nf");
        }
    }

    #[test]
    fn a_folded_header_is_one_header() {
        let request =
            parse(b"GET / HTTP/1.1\nAuthorization: OAuth a=\"b\",\n\t c=\"d\"\n\n").unwrap();
        assert_eq!(request.values("authorization"), [b"OAuth a=\"b\", c=\"d\""]);
    }

    #[test]
    fn a_target_with_scheme_and_host_replaces_the_host_header() {
        let request = parse(b"GET http://a/b?c HTTP/1.1\nHost: proxy:3128\n\n").unwrap();
        assert_eq!(
            (request.scheme, &request.target[..], request.values("host")),
            (Some(Scheme::Http), &b"/b?c"[..], vec![&b"a"[..]])
        );
    }

    #[test]
    fn a_body_is_as_long_as_content_length_says() {
        let body = |text: &str| parse(text.as_bytes()).map(|request| request.body.unwrap());
        assert_eq!(
            body("PUT / HTTP/1.1\nContent-Length: 2\n\nab\n").unwrap(),
            b"ab"
        );
        assert_eq!(
            body("PUT / HTTP/1.1\nContent-Length: 3\n\nab\n").unwrap(),
            b"ab\n"
        );
        let cut = body("PUT / HTTP/1.1\nContent-Length: 4\n\nab\n").unwrap_err();
        assert_eq!(
            cut.to_string(),
            "Content-Length is 4, but only 3 bytes follow the headers"
        );
        assert!(body("PUT / HTTP/1.1\nContent-Length: +2\n\nab").is_err());
        assert!(body("PUT / HTTP/1.1\nContent-Length: 2\nContent-Length: 2\n\nab").is_err());
        assert!(
            body("PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n2\r\nab\r\n0\r\n\r\n").is_err()
        );
    }

    #[test]
    fn a_line_break_that_an_editor_put_at_the_end_is_no_body() {
        let body = |text: &str| parse(text.as_bytes()).unwrap().body.unwrap();
        assert_eq!(body("PUT / HTTP/1.1\n\na=b\n"), b"a=b");
        assert_eq!(body("GET / HTTP/1.1\nHost: h\n\n\n"), b"");
        assert_eq!(body("GET / HTTP/1.1\nHost: h"), b"");
    }

    #[test]
    fn a_response_below_the_request_is_no_body() {
        let body = |text: &str| parse(text.as_bytes()).unwrap().body.unwrap();
        let response = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(body(&format!("GET / HTTP/1.1\n\n{response}")), b"");
        assert_eq!(body(&format!("GET / HTTP/1.1\n\n\n{response}")), b"");
        assert_eq!(
            body(&format!("PUT / HTTP/1.1\n\na=b\n\n{response}")),
            b"a=b"
        );
        assert_eq!(
            body("PUT / HTTP/1.1\n\na\nHTTP/1.1 401"),
            b"a\nHTTP/1.1 401"
        );
    }

    #[test]
    fn the_date_of_a_response_is_the_time() {
        let time = |text: &str| parse(text.as_bytes()).unwrap().time;
        let response = "HTTP/1.1 401 Unauthorized\r\nServer: envoy\r\n\
                        Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\nno";
        for request in [
            "GET / HTTP/1.1\n\n",
            "PUT / HTTP/1.1\nContent-Length: 3\n\na=b\n",
        ] {
            assert_eq!(time(&format!("{request}{response}")), Some(1_700_000_000));
        }
        assert_eq!(
            time("PUT / HTTP/1.1\n\nDate: Tue, 14 Nov 2023 22:13:20 GMT"),
            None
        );
        assert_eq!(time("GET / HTTP/1.1\n\nHTTP/1.1 401 no\n\nDate: x"), None);
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_line() {
        let error = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "line 1: expected a request line");
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET / FTP/1",
        ] {
            assert_eq!(
                error(line),
                "line 1: expected `METHOD TARGET HTTP/1.1`",
                "{line}"
            );
        }
        assert_eq!(
            error("GET / HTTP/1.1\nHost: h\nnonsense\n"),
            "line 3: expected a header, `Name: value`"
        );
        assert_eq!(
            error("GET / HTTP/1.1\n folded: x\n"),
            "line 2: expected a header, `Name: value`"
        );
    }
}
