//! Captured HTTP/1.1 requests (RFC 9112), the input of `countersign explain`.
//!
//! The parser accepts LF as a line end, since editors and clipboards change line ends. It preserves
//! the signed parts, the target and the values of headers, byte by byte.

use super::exit::Usage;

/// A parsed request, borrowed from the capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawRequest<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    headers: Vec<Header<'a>>,
    pub(crate) body: &'a [u8],
}

#[derive(Debug, PartialEq, Eq)]
struct Header<'a> {
    name: &'a [u8],
    /// The value; folded lines are joined with a space.
    value: Vec<u8>,
}

impl<'a> RawRequest<'a> {
    /// Parses a capture.
    ///
    /// # Errors
    /// When a line is not part of a request, or the body is incomplete.
    pub(crate) fn parse(capture: &'a [u8]) -> Result<Self, Usage> {
        let mut lines = Lines {
            rest: capture,
            number: 0,
        };
        let first = lines
            .by_ref()
            .find(|line| !line.is_empty())
            .ok_or_else(|| wrong(1, "expected a request line"))?;
        let (method, target) = request_line(first)
            .ok_or_else(|| wrong(lines.number, "expected `METHOD TARGET HTTP/1.1`"))?;
        let headers = headers(&mut lines)?;
        let mut request = Self {
            method,
            target,
            headers,
            body: &[],
        };
        request.body = request.cut_body(lines.rest)?;
        Ok(request)
    }

    /// Returns the values of the headers of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name.as_bytes()));
        of_name.map(|header| header.value.as_slice()).collect()
    }

    /// Returns the body: as many bytes as `Content-Length` says. Without that header, a line break
    /// at the end is the editor's.
    fn cut_body(&self, rest: &'a [u8]) -> Result<&'a [u8], Usage> {
        if !self.values("transfer-encoding").is_empty() {
            return Err(Usage(NO_TRANSFER_ENCODING.to_owned()));
        }
        match self.values("content-length")[..] {
            [] => Ok(strip_line_end(rest)),
            [digits] => {
                let length = length(digits)
                    .ok_or_else(|| Usage("Content-Length is not a number of bytes".to_owned()))?;
                rest.get(..length).ok_or_else(|| {
                    let rest = rest.len();
                    Usage(format!(
                        "Content-Length is {length}, but only {rest} bytes follow the headers"
                    ))
                })
            }
            _ => Err(Usage(
                "the request has more than one Content-Length".to_owned(),
            )),
        }
    }
}

fn length(digits: &[u8]) -> Option<usize> {
    let digits = str::from_utf8(digits).ok()?;
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| are_digits)
}

fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
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

/// Parses the header lines up to the empty line that ends them.
fn headers<'a>(lines: &mut Lines<'a>) -> Result<Vec<Header<'a>>, Usage> {
    let mut headers: Vec<Header<'_>> = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        match (
            headers.last_mut(),
            line.iter().position(|&byte| byte == b':'),
        ) {
            (Some(last), _) if folded => {
                last.value.push(b' ');
                last.value.extend_from_slice(line.trim_ascii());
            }
            (_, Some(colon)) if !folded && is_name(&line[..colon]) => {
                headers.push(Header {
                    name: &line[..colon],
                    value: line[colon + 1..].trim_ascii().to_vec(),
                });
            }
            _ => return Err(wrong(lines.number, "expected a header, `Name: value`")),
        }
    }
    Ok(headers)
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_graphic())
}

fn strip_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn wrong(line: usize, expected: &str) -> Usage {
    Usage(format!("line {line}: {expected}"))
}

/// An iterator over lines without their ends.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(strip_line_end(line))
    }
}

const NO_TRANSFER_ENCODING: &str = "Transfer-Encoding is not supported: decode the body, and \
                                    replace the header with Content-Length";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart_whatever_its_line_ends() {
        let capture = "POST /a?b=c%20 HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: 2\r\n\r\nd=e\r\nf";
        for capture in [
            capture.to_owned(),
            capture.replacen("\r\n", "\n", 5),
            format!("\r\n{capture}"),
        ] {
            let request = RawRequest::parse(capture.as_bytes()).unwrap();
            assert_eq!(
                (request.method, request.target),
                (&b"POST"[..], &b"/a?b=c%20"[..])
            );
            assert_eq!(
                (request.values("host"), request.values("X-a")),
                (vec![&b"h"[..]], vec![&b"1"[..], b"2"])
            );
            assert_eq!(request.body, b"d=e\r\nf");
        }
    }

    #[test]
    fn a_folded_header_is_one_header() {
        let request =
            RawRequest::parse(b"GET / HTTP/1.1\nAuthorization: OAuth a=\"b\",\n\t c=\"d\"\n\n")
                .unwrap();
        assert_eq!(request.values("authorization"), [b"OAuth a=\"b\", c=\"d\""]);
    }

    #[test]
    fn a_body_is_as_long_as_content_length_says() {
        let body =
            |text: &'static str| RawRequest::parse(text.as_bytes()).map(|request| request.body);
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
        let body = |text: &'static str| RawRequest::parse(text.as_bytes()).unwrap().body;
        assert_eq!(body("PUT / HTTP/1.1\n\na=b\n"), b"a=b");
        assert_eq!(body("GET / HTTP/1.1\nHost: h\n\n\n"), b"");
        assert_eq!(body("GET / HTTP/1.1\nHost: h"), b"");
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_line() {
        let error = |text: &str| RawRequest::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error(""), "line 1: expected a request line");
        for line in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET / FTP/1",
            "curl https://h/",
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
