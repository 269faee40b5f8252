//! The output of `curl --trace` and `curl --trace-ascii`.
//!
//! A block begins with `=> Send header, 83 bytes (0x53)`, and each of its lines with an offset. With
//! `--trace`, the bytes follow in hexadecimal. With `--trace-ascii`, the text follows, broken at each
//! CRLF and after 64 characters; the offset of the next line tells which.

use countersign::oauth::Scheme;

use super::http_message::{header, parse_head, refuse_transfer_encoding};
use super::lines::{Lines, without_trace_marks, wrong};
use super::request::CapturedRequest;
use super::times::http_date;
use crate::cli::exit::Usage;

/// Returns true for the first line of a block of sent bytes.
pub(super) fn is_mark(line: &[u8]) -> bool {
    BlockKind::of(line).is_some_and(|(kind, _)| kind == BlockKind::SentHeader)
}

/// Parses the requests of the output.
///
/// # Errors
/// When a block is malformed, or a line of it is no header.
pub(super) fn parse(capture: &[u8]) -> Result<Vec<CapturedRequest>, Usage> {
    let mut requests: Vec<CapturedRequest> = Vec::new();
    let mut scheme = None;
    for block in blocks(capture)? {
        match block.kind {
            BlockKind::SentHeader => requests.extend(block.request(scheme)?),
            BlockKind::SentData => add_data(requests.last_mut(), &block),
            BlockKind::ReceivedHeader => add_response(requests.last_mut(), &block.bytes),
            BlockKind::SentTls => scheme = Some(Scheme::Https),
            BlockKind::Note if is_new_connection(&block.bytes) => scheme = Some(Scheme::Http),
            BlockKind::Note | BlockKind::Other => {}
        }
    }
    requests.iter().try_for_each(refuse_transfer_encoding)?;
    Ok(requests)
}

/// The part of the output below a line with `=>`, `<=` or `==`.
struct Block {
    kind: BlockKind,
    /// The number of its first line of bytes.
    line: usize,
    /// The number of bytes that its first line states.
    len: usize,
    bytes: Vec<u8>,
    /// True if each byte is known, and not only the printable ones.
    is_exact: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    SentHeader,
    SentData,
    SentTls,
    ReceivedHeader,
    Note,
    Other,
}

impl BlockKind {
    /// Returns the kind of block that a line begins, and the number of its bytes.
    fn of(line: &[u8]) -> Option<(Self, usize)> {
        if line.starts_with(b"== Info:") {
            return Some((Self::Note, 0));
        }
        let is_sent = line.starts_with(b"=> Send ");
        let rest = line
            .strip_prefix(b"=> Send ")
            .or_else(|| line.strip_prefix(b"<= Recv "))?;
        let mut parts = rest.splitn(2, |&byte| byte == b',');
        let name = parts.next()?;
        let digits = parts.next()?.trim_ascii();
        let digits = digits.split(|byte| !byte.is_ascii_digit()).next()?;
        let kind = match (is_sent, name) {
            (true, b"header") => Self::SentHeader,
            (true, b"data") => Self::SentData,
            (true, b"SSL data") => Self::SentTls,
            (false, b"header") => Self::ReceivedHeader,
            _ => Self::Other,
        };
        Some((kind, str::from_utf8(digits).ok()?.parse().ok()?))
    }
}

/// Splits the output into blocks.
fn blocks(capture: &[u8]) -> Result<Vec<Block>, Usage> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut content: Vec<&[u8]> = Vec::new();
    let mut lines = Lines::new(capture);
    while let Some(line) = lines.next() {
        let line = without_trace_marks(line);
        if let Some((kind, len)) = BlockKind::of(line) {
            fill(blocks.last_mut(), &mut content)?;
            let bytes = if kind == BlockKind::Note {
                line.to_vec()
            } else {
                Vec::new()
            };
            blocks.push(Block {
                kind,
                line: lines.number() + 1,
                len,
                bytes,
                is_exact: true,
            });
        } else {
            content.push(line);
        }
    }
    fill(blocks.last_mut(), &mut content)?;
    Ok(blocks)
}

/// Gives a block its bytes, if a request is read from them.
fn fill(block: Option<&mut Block>, content: &mut Vec<&[u8]>) -> Result<(), Usage> {
    let content = std::mem::take(content);
    match block {
        Some(block) if block.kind.has_content() => block.read(&content),
        _ => Ok(()),
    }
}

impl BlockKind {
    const fn has_content(self) -> bool {
        matches!(
            self,
            Self::SentHeader | Self::SentData | Self::ReceivedHeader
        )
    }
}

impl Block {
    fn read(&mut self, content: &[&[u8]]) -> Result<(), Usage> {
        // Other output may follow the bytes, such as the response.
        let numbered: Vec<(usize, &[u8])> = content
            .iter()
            .map_while(|line| offset_and_text(line))
            .collect();
        let hex = numbered
            .iter()
            .map(|&(offset, text)| hex_bytes(offset, text, self.len));
        let hex: Option<Vec<Vec<u8>>> = hex.collect();
        match hex {
            Some(lines) => self.bytes = lines.concat(),
            None => {
                self.is_exact = false;
                self.bytes = self.ascii(&numbered)?;
            }
        }
        if self.bytes.len() == self.len {
            Ok(())
        } else {
            let (seen, stated) = (self.bytes.len(), self.len);
            let problem = format!("this block has {seen} bytes of the {stated} that it states");
            Err(wrong(self.line.saturating_sub(1), problem))
        }
    }

    /// Joins lines of text, with a CRLF if the offsets have room for it.
    fn ascii(&self, numbered: &[(usize, &[u8])]) -> Result<Vec<u8>, Usage> {
        let mut bytes = Vec::new();
        for (at, &(offset, text)) in numbered.iter().enumerate() {
            let next = numbered.get(at + 1).map_or(self.len, |&(next, _)| next);
            bytes.extend_from_slice(text);
            match next.checked_sub(offset + text.len()) {
                Some(0) => {}
                Some(2) => bytes.extend_from_slice(b"\r\n"),
                _ => {
                    let problem = "this line is shorter or longer than the next offset allows";
                    return Err(wrong(self.line + at, problem));
                }
            }
        }
        Ok(bytes)
    }

    /// Returns the request of these headers; the request for a tunnel is only for the proxy.
    fn request(&self, scheme: Option<Scheme>) -> Result<Option<CapturedRequest>, Usage> {
        if self.bytes.starts_with(b"CONNECT ") {
            return Ok(None);
        }
        let block = self.line.saturating_sub(1);
        let mut request = parse_head(&mut Lines::new(&self.bytes))
            .map_err(|error| wrong(block, format!("in this block, {error}")))?;
        request.scheme = request.scheme.or(scheme);
        request.body = Some(Vec::new());
        Ok(Some(request))
    }
}

/// Splits `0010: …`.
fn offset_and_text(line: &[u8]) -> Option<(usize, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let offset = str::from_utf8(&line[..colon]).ok()?;
    if offset.len() < 4 {
        return None;
    }
    let offset = usize::from_str_radix(offset, 16).ok()?;
    let text = &line[colon + 1..];
    Some((offset, text.strip_prefix(b" ").unwrap_or(text)))
}

/// Reads the bytes of a line of `--trace`: up to 16 pairs of hexadecimal digits, then the text.
fn hex_bytes(offset: usize, text: &[u8], len: usize) -> Option<Vec<u8>> {
    let count = len.checked_sub(offset)?.min(16);
    let mut bytes = Vec::with_capacity(count);
    for at in 0..count {
        let pair = text.get(at * 3..at * 3 + 2)?;
        let separator = text.get(at * 3 + 2).copied().unwrap_or(b' ');
        if separator != b' ' || !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?);
    }
    Some(bytes)
}

fn add_data(request: Option<&mut CapturedRequest>, block: &Block) {
    let Some(request) = request else { return };
    let body = request.body.get_or_insert_default();
    body.extend_from_slice(&block.bytes);
    if !block.is_exact && block.bytes.contains(&b'.') && request.unknown.is_empty() {
        request.unknown.push(DOTS.to_owned());
    }
}

/// Reads status and date of a response.
fn add_response(request: Option<&mut CapturedRequest>, line: &[u8]) {
    let Some(request) = request else { return };
    if line.starts_with(b"HTTP/") {
        let status = line.split(|&byte| byte == b' ').nth(1);
        let status = status.and_then(|status| str::from_utf8(status.trim_ascii()).ok());
        request.status = status.and_then(|status| status.parse().ok());
    }
    if let Some(date) = header(line).filter(|h| h.name.eq_ignore_ascii_case(b"date")) {
        request.time = request.time.or_else(|| http_date(&date.value));
    }
}

fn is_new_connection(note: &[u8]) -> bool {
    note.windows(7).any(|part| part == b"Trying ")
}

const DOTS: &str = "bytes of the body that are not printable: --trace-ascii shows each as a dot; \
                    capture with --trace - if the body has any";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_traces_are_the_same_request() {
        for (trace, is_exact) in [(HEX, true), (ASCII, false)] {
            let requests = parse(trace.as_bytes()).unwrap();
            let [request] = &requests[..] else {
                panic!("{requests:?}")
            };
            assert_eq!(
                (&request.method[..], &request.target[..], request.scheme),
                (&b"POST"[..], &b"/photos"[..], Some(Scheme::Http))
            );
            assert_eq!(request.values("host"), [b"localhost"]);
            let end: &[u8] = if is_exact { b".\xFF" } else { b".." };
            assert_eq!(request.body, Some([b"a=1\r\n", end].concat()));
            assert_eq!(request.status, Some(401));
            assert_eq!(request.unknown.is_empty(), is_exact);
        }
    }

    #[test]
    fn a_line_of_64_characters_goes_on() {
        let value = "v".repeat(100);
        let head = format!("GET / HTTP/1.1\r\nX: {value}\r\n\r\n");
        let trace = trace_ascii(&head);
        assert_eq!(trace.lines().count(), 5, "{trace}");
        let requests = parse(trace.as_bytes()).unwrap();
        assert_eq!(requests[0].values("x"), [value.as_bytes()]);
    }

    #[test]
    fn tls_is_seen_and_marks_are_removed() {
        let trace = format!(
            "== Info:   Trying 1.2.3.4:443...\n=> Send SSL data, 5 bytes (0x5)\n\
                             0000: .....\n{}",
            trace_ascii("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        );
        assert_eq!(
            parse(trace.as_bytes()).unwrap()[0].scheme,
            Some(Scheme::Https)
        );
        let marked: String = trace
            .lines()
            .map(|line| {
                let is_head = line.starts_with("=");
                let mark = if is_head {
                    "12:00:00.000000 [0-0] "
                } else {
                    ""
                };
                format!("{mark}{line}\r\n")
            })
            .collect();
        assert_eq!(
            parse(marked.as_bytes()).unwrap(),
            parse(trace.as_bytes()).unwrap()
        );
    }

    #[test]
    fn a_cut_block_is_refused_with_its_line() {
        let kept = HEX.lines().filter(|line| !line.starts_with("0020: "));
        let cut = kept.collect::<Vec<_>>().join("\n");
        assert_eq!(
            parse(cut.as_bytes()).unwrap_err().to_string(),
            "line 2: this block has 32 bytes of the 42 that it states"
        );
        let cut = ASCII.replace("0017: Host: localhost", "0017: Host: local");
        assert_eq!(
            parse(cut.as_bytes()).unwrap_err().to_string(),
            "line 4: this line is shorter or longer than the next offset allows"
        );
    }

    /// Prints a request header as curl does.
    fn trace_ascii(head: &str) -> String {
        let mut trace = format!("=> Send header, {0} bytes ({0:#x})\n", head.len());
        let mut offset = 0;
        for line in head.split_inclusive("\r\n") {
            let text = line.trim_end_matches("\r\n");
            let mut chunks: Vec<&str> = text
                .as_bytes()
                .chunks(64)
                .map(|chunk| str::from_utf8(chunk).unwrap())
                .collect();
            if chunks.is_empty() {
                chunks.push("");
            }
            for chunk in chunks {
                trace += &format!("{offset:04x}: {chunk}\n");
                offset += chunk.len();
            }
            offset += 2;
        }
        trace
    }

    const HEX: &str = "\
== Info:   Trying 127.0.0.1:80...
=> Send header, 42 bytes (0x2a)
0000: 50 4f 53 54 20 2f 70 68 6f 74 6f 73 20 48 54 54 POST /photos HTT
0010: 50 2f 31 2e 31 0d 0a 48 6f 73 74 3a 20 6c 6f 63 P/1.1..Host: loc
0020: 61 6c 68 6f 73 74 0d 0a 0d 0a                   alhost....
=> Send data, 7 bytes (0x7)
0000: 61 3d 31 0d 0a 2e ff                            a=1....
<= Recv header, 27 bytes (0x1b)
0000: 48 54 54 50 2f 31 2e 31 20 34 30 31 20 55 6e 61 HTTP/1.1 401 Una
0010: 75 74 68 6f 72 69 7a 65 64 0d 0a                uthorized..
";

    const ASCII: &str = "\
== Info:   Trying 127.0.0.1:80...
=> Send header, 42 bytes (0x2a)
0000: POST /photos HTTP/1.1
0017: Host: localhost
0028: 
=> Send data, 7 bytes (0x7)
0000: a=1
0005: ..
<= Recv header, 27 bytes (0x1b)
0000: HTTP/1.1 401 Unauthorized
";
}
