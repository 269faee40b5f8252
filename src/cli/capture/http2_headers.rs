//! HTTP/2 headers as programs print them, one a line, with the pseudo-headers of RFC 9113 section
//! 8.3.1 (`:method`, `:path`, `:authority`, `:scheme`).
//!
//! Chrome copies them so, as `name: value` or as names and values in alternate lines; nghttp indents
//! them below `send HEADERS frame`; curl prints them as `[HTTP/2] [1] [:method: GET]`.

use countersign::oauth::Scheme;

use super::http_message::content_length;
use super::lines::{Lines, strip_line_end, wrong};
use super::request::CapturedRequest;
use crate::cli::exit::Usage;

/// Returns true for a line with a pseudo-header of requests.
pub(super) fn is_mark(line: &[u8]) -> bool {
    let is_name = |line: &[u8]| {
        PSEUDO
            .iter()
            .any(|name| matches!(line.strip_prefix(name.as_bytes()), Some([] | [b':', ..])))
    };
    bare(line).is_some_and(is_name)
}

/// Parses the requests of a list.
///
/// # Errors
/// When a line is no header, or a request lacks a pseudo-header.
pub(super) fn parse(capture: &[u8]) -> Result<Vec<CapturedRequest>, Usage> {
    let mut list = HeaderList::default();
    let mut lines = Lines::new(capture);
    while let Some(line) = lines.next() {
        match bare(line) {
            Some([]) if list.is_complete() => {
                if list.add_body(lines.rest()) {
                    break;
                }
            }
            Some(line) if !line.is_empty() => list.add_line(line, &mut lines)?,
            Some(_) | None => {}
        }
    }
    list.requests.into_iter().map(checked).collect()
}

/// The requests that were read so far.
#[derive(Default)]
struct HeaderList {
    requests: Vec<HeaderBlock>,
    /// True if values are below their names; the first pseudo-header decides.
    is_alternate: Option<bool>,
    /// True after a line about a frame that is not a request's.
    is_skipped: bool,
}

/// The headers of a request.
#[derive(Default)]
struct HeaderBlock {
    request: CapturedRequest,
    line: usize,
    has_headers: bool,
}

impl HeaderList {
    fn add_line(&mut self, line: &[u8], lines: &mut Lines<'_>) -> Result<(), Usage> {
        if is_frame(line) {
            self.is_skipped = !contains(line, b"send HEADERS");
            return Ok(());
        }
        if self.is_skipped {
            return Ok(());
        }
        let number = lines.number();
        let (name, value) =
            split(line).ok_or_else(|| wrong(number, "expected a header, `name: value`"))?;
        let is_alternate = *self.is_alternate.get_or_insert(value.is_empty());
        let value = if is_alternate {
            lines.next().unwrap_or_default().trim_ascii()
        } else {
            value
        };
        if name.starts_with(b":") {
            self.add_pseudo(name, value, number);
        } else if let Some(block) = self.requests.last_mut() {
            block.has_headers = true;
            block.request.push(name, value);
        }
        Ok(())
    }

    fn add_pseudo(&mut self, name: &[u8], value: &[u8], number: usize) {
        let is_next = |block: &HeaderBlock| block.has_headers || block.has(name);
        if self.requests.last().is_none_or(is_next) {
            self.requests.push(HeaderBlock {
                line: number,
                ..HeaderBlock::default()
            });
        }
        let Some(block) = self.requests.last_mut() else {
            return;
        };
        let request = &mut block.request;
        match name {
            b":method" => request.method = value.to_vec(),
            b":path" => request.target = value.to_vec(),
            b":authority" => request.push("host", value),
            b":scheme" if value == b"https" => request.scheme = Some(Scheme::Https),
            b":scheme" if value == b"http" => request.scheme = Some(Scheme::Http),
            _ => {}
        }
    }

    fn is_complete(&self) -> bool {
        let last = self.requests.last();
        last.is_some_and(|block| block.has(b":method") && block.has(b":path"))
    }

    /// Takes the text below an empty line as the body, unless it is another request.
    fn add_body(&mut self, rest: &[u8]) -> bool {
        let next = Lines::new(rest).next().unwrap_or_default();
        let is_body = !next.trim_ascii().is_empty() && !next.starts_with(b"[") && !is_mark(next);
        let block = self.requests.last_mut().filter(|_| is_body);
        if let Some(block) = block {
            block.request.body = Some(strip_line_end(rest).to_vec());
        }
        is_body
    }
}

impl HeaderBlock {
    fn has(&self, name: &[u8]) -> bool {
        let request = &self.request;
        match name {
            b":method" => !request.method.is_empty(),
            b":path" => !request.target.is_empty(),
            b":authority" => !request.values("host").is_empty(),
            b":scheme" => request.scheme.is_some(),
            _ => false,
        }
    }
}

/// Completes a request whose headers are all read.
fn checked(block: HeaderBlock) -> Result<CapturedRequest, Usage> {
    for name in [":method", ":path"] {
        if !block.has(name.as_bytes()) {
            let problem = format!("the headers that begin here have no `{name}`");
            return Err(wrong(block.line, problem));
        }
    }
    let mut request = block.request;
    if request.body.is_none() {
        match content_length(&request)? {
            None | Some(0) => request.body = Some(Vec::new()),
            Some(_) => request.unknown.push(NO_BODY.to_owned()),
        }
    }
    Ok(request)
}

/// Returns a line without the space around it, and a header without the notes of curl around it.
/// Other notes are `None`, and so are those of nghttp about a frame.
fn bare(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    match line {
        [b';' | b'(' | b'{' | b'}' | b'<' | b'>', ..] => None,
        [b'*', b' ', note @ ..] => bracketed(note),
        _ => Some(line),
    }
}

/// Returns the header in `[HTTP/2] [1] [name: value]` or `h2h3 [name: value]`.
fn bracketed(note: &[u8]) -> Option<&[u8]> {
    let note = note.strip_suffix(b"]")?;
    let starts = (0..note.len()).filter(|&at| note[at] == b'[').take(4);
    starts
        .map(|at| &note[at + 1..])
        .find(|inner| contains(inner, b":") && split(inner).is_some())
}

/// Returns true for a line of nghttp about a frame, such as `[  0.001] send HEADERS frame <…>`.
fn is_frame(line: &[u8]) -> bool {
    matches!(line, [b'[', b' ' | b'0'..=b'9', ..])
}

/// Splits `name: value`; a name alone has an empty value.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().skip(1).position(|&byte| byte == b':');
    let (name, value) = match colon {
        None => (line, &b""[..]),
        Some(at) => (&line[..=at], &line[at + 2..]),
    };
    let is_name = name.iter().all(|&byte| byte.is_ascii_graphic());
    is_name.then(|| (name, value.trim_ascii()))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

const PSEUDO: [&str; 4] = [":method", ":path", ":authority", ":scheme"];

const NO_BODY: &str = "the body: the headers state its length, and it is not below them";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_all_programs_are_the_same_request() {
        let lists = [CHROME, CHROME_ALTERNATE, CURL, NGHTTP];
        for list in lists {
            for list in [list.to_owned(), list.replace('\n', "\r\n")] {
                let requests = parse(list.as_bytes()).unwrap();
                let [request] = &requests[..] else {
                    panic!("{list}: {requests:?}")
                };
                assert_eq!(
                    (&request.method[..], &request.target[..], request.scheme),
                    (&b"GET"[..], &b"/photos?a=b:c"[..], Some(Scheme::Https)),
                    "{list}"
                );
                assert_eq!(request.values("host"), [b"api.example.com"], "{list}");
                let authorization = request.values("authorization");
                assert_eq!(authorization, [b"OAuth oauth_nonce=\"n:[1]\""], "{list}");
                assert_eq!(request.body.as_deref(), Some(&b""[..]), "{list}");
            }
        }
    }

    #[test]
    fn an_empty_value_is_a_value() {
        let list = ":method: GET\n:path: /\nx-empty:\nx-next: 1\n";
        let requests = parse(list.as_bytes()).unwrap();
        assert_eq!(requests[0].values("x-empty"), [b""]);
        assert_eq!(requests[0].values("x-next"), [b"1"]);
    }

    #[test]
    fn requests_are_told_apart() {
        let list = ":authority: a\n:method: GET\n:path: /1\nx: y\n\n:method: PUT\n:path: /2\n\
                    :method: DELETE\n:path: /3\n";
        let requests = parse(list.as_bytes()).unwrap();
        let targets: Vec<_> = requests.iter().map(|request| &request.target[..]).collect();
        assert_eq!(targets, [b"/1", b"/2", b"/3"]);
    }

    #[test]
    fn a_body_is_below_an_empty_line_or_unknown() {
        let list = ":method: POST\n:path: /\ncontent-length: 3\n";
        assert_eq!(parse(list.as_bytes()).unwrap()[0].body, None);
        let with_body = format!("{list}\na=1\n");
        let requests = parse(with_body.as_bytes()).unwrap();
        assert_eq!(requests[0].body.as_deref(), Some(&b"a=1"[..]));
    }

    #[test]
    fn an_incomplete_list_is_refused_with_its_line() {
        let error = |list: &str| parse(list.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            error("\n:method: GET\nhost: h\n"),
            "line 2: the headers that begin here have no `:path`"
        );
        assert_eq!(
            error(":method: GET\n:path: /\nno header: x\n"),
            "line 3: expected a header, `name: value`"
        );
    }

    const CHROME: &str = "\
:authority: api.example.com
:method: GET
:path: /photos?a=b:c
:scheme: https
authorization: OAuth oauth_nonce=\"n:[1]\"
";

    const CHROME_ALTERNATE: &str = "\
:authority
api.example.com
:method
GET
:path
/photos?a=b:c
:scheme
https
authorization
OAuth oauth_nonce=\"n:[1]\"
";

    const CURL: &str = "\
* [HTTP/2] [1] OPENED stream for https://api.example.com/photos?a=b:c
* [HTTP/2] [1] [:method: GET]
* [HTTP/2] [1] [:scheme: https]
* [HTTP/2] [1] [:authority: api.example.com]
* [HTTP/2] [1] [:path: /photos?a=b:c]
* [HTTP/2] [1] [authorization: OAuth oauth_nonce=\"n:[1]\"]
* h2h3 [accept: */*]
< HTTP/2 401
";

    const NGHTTP: &str = "\
[  0.011] Connected
[  0.012] send SETTINGS frame <length=12, flags=0x00, stream_id=0>
          (niv=2)
          [SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100]
[  0.013] send HEADERS frame <length=43, flags=0x25, stream_id=13>
          ; END_STREAM | END_HEADERS | PRIORITY
          (padlen=0, dep_stream_id=11, weight=16, exclusive=0)
          ; Open new stream
          :method: GET
          :path: /photos?a=b:c
          :scheme: https
          :authority: api.example.com
          authorization: OAuth oauth_nonce=\"n:[1]\"
[  0.020] recv (stream_id=13) :status: 401
[  0.020] recv HEADERS frame <length=50, flags=0x04, stream_id=13>
          ; END_HEADERS
          (padlen=0)
          ; First response header
";
}
