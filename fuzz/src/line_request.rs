//! Requests in lines of text: method, scheme, host, target, `Authorization` and `Content-Type`, one
//! a line, then the body. An empty line is a header that is missing.

use countersign::oauth::{ParseLimits, Rejection, Request, RequestBody, Scheme, SignedRequest};

use crate::rfc5849::PlainRequest;

/// Reads a request. Missing lines are empty.
pub fn read(text: &[u8]) -> PlainRequest {
    let mut lines = text.splitn(7, |&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default().to_vec();
    let header = |line: Vec<u8>| if line.is_empty() { vec![] } else { vec![line] };
    PlainRequest {
        method: line(),
        is_https: line() == b"https",
        host: line(),
        target: line(),
        authorization: header(line()),
        content_type: header(line()),
        body: line(),
    }
}

/// Calls `judge` with the request as the code under test parses it.
pub fn with_parsed<R>(
    request: &PlainRequest,
    judge: impl FnOnce(Result<Option<SignedRequest<'_>>, Rejection>) -> R,
) -> R {
    let slices = |values: &'_ [Vec<u8>]| -> Vec<Vec<u8>> { values.to_vec() };
    let (authorization, content_type) = (
        slices(&request.authorization),
        slices(&request.content_type),
    );
    let authorization: Vec<&[u8]> = authorization.iter().map(Vec::as_slice).collect();
    let content_type: Vec<&[u8]> = content_type.iter().map(Vec::as_slice).collect();
    let parsed = Request {
        method: &request.method,
        scheme: if request.is_https {
            Scheme::Https
        } else {
            Scheme::Http
        },
        authority: &request.host,
        path_prefix: b"",
        target: &request.target,
        authorization: &authorization,
        content_type: &content_type,
        body: RequestBody::Whole(&request.body),
    };
    judge(parsed.parse(&ParseLimits::default()))
}
