//! The output of `curl -v`: `> ` before what curl sent, `< ` before what it received, `* ` before
//! its notes.
//!
//! curl does not print the body. It is taken from the curl command, if that is above the output. A
//! note about TLS or a connection to port 443 shows that the scheme is https, any other connection
//! that it is http.

use countersign::oauth::Scheme;

use super::curl_command;
use super::http_message::{content_length, header, parse_head, request_line};
use super::lines::{Lines, without_trace_marks};
use super::request::CapturedRequest;
use super::times::http_date;
use crate::cli::exit::Usage;

/// Returns true for the line of a request.
pub(super) fn is_mark(line: &[u8]) -> bool {
    sent(line).and_then(request_line).is_some()
}

/// Parses the requests of the output.
///
/// # Errors
/// When a line is not part of a request, or the command above is malformed.
pub(super) fn parse(capture: &[u8]) -> Result<Vec<CapturedRequest>, Usage> {
    let mut output = VerboseOutput::default();
    let mut lines = Lines::new(capture);
    while let Some(line) = lines.next() {
        output.add(without_trace_marks(line), lines.number())?;
    }
    output.end_request()?;
    let command = command_above(capture)?;
    output
        .requests
        .into_iter()
        .map(|request| completed(request, command.as_ref()))
        .collect()
}

/// The part of the output that was read.
#[derive(Default)]
struct VerboseOutput {
    requests: Vec<CapturedRequest>,
    /// The lines of the request that is being read, and the number of the first.
    head: Option<(Vec<u8>, usize)>,
    scheme: Option<Scheme>,
}

impl VerboseOutput {
    fn add(&mut self, line: &[u8], number: usize) -> Result<(), Usage> {
        if let Some(sent) = sent(line) {
            self.add_sent(sent, number)?;
        } else if let Some(received) = line.strip_prefix(b"< ") {
            self.add_received(received);
        } else if let Some(note) = line.strip_prefix(b"* ") {
            self.add_note(note);
        }
        Ok(())
    }

    fn add_sent(&mut self, sent: &[u8], number: usize) -> Result<(), Usage> {
        if request_line(sent).is_some() {
            self.end_request()?;
            self.head = Some((Vec::new(), number));
        }
        if sent.is_empty() {
            return self.end_request();
        }
        if let Some((head, _)) = &mut self.head {
            head.extend_from_slice(sent);
            head.push(b'\n');
        }
        Ok(())
    }

    /// Ends the request that is being read. The request for a tunnel is only for the proxy.
    fn end_request(&mut self) -> Result<(), Usage> {
        let Some((head, number)) = self.head.take() else {
            return Ok(());
        };
        if head.starts_with(b"CONNECT ") {
            return Ok(());
        }
        let mut request = parse_head(&mut Lines::starting_at(&head, number))?;
        request.scheme = request.scheme.or(self.scheme);
        self.requests.push(request);
        Ok(())
    }

    fn add_received(&mut self, line: &[u8]) {
        let Some(request) = self.requests.last_mut() else {
            return;
        };
        if line.starts_with(b"HTTP/") {
            let mut words = line.split(|&byte| byte == b' ');
            let status = words.nth(1).and_then(|status| str::from_utf8(status).ok());
            request.status = status.and_then(|status| status.parse().ok());
        } else if let Some(date) = header(line).filter(|h| h.name.eq_ignore_ascii_case(b"date")) {
            request.time = request.time.or_else(|| http_date(&date.value));
        }
    }

    fn add_note(&mut self, note: &[u8]) {
        let note = note.trim_ascii_start();
        let has = |words: &str| {
            note.windows(words.len())
                .any(|part| part == words.as_bytes())
        };
        if has("[:scheme: http]") {
            self.scheme = Some(Scheme::Http);
        } else if has("[:scheme: https]") || TLS.into_iter().any(has) {
            self.scheme = Some(Scheme::Https);
        } else if note.starts_with(b"Trying ") {
            self.scheme = None;
        } else if note.starts_with(b"Connected to ") || note.starts_with(b"Established connection")
        {
            let is_https = port(note) == Some(b"443");
            let scheme = if is_https {
                Scheme::Https
            } else {
                Scheme::Http
            };
            self.scheme = self.scheme.or(Some(scheme));
        }
    }
}

/// Returns the port of the peer in a note about a connection.
fn port(note: &[u8]) -> Option<&[u8]> {
    let marker = b" port ";
    let at = note.windows(marker.len()).position(|part| part == marker)?;
    let port = &note[at + marker.len()..];
    port.split(|byte| !byte.is_ascii_digit()).next()
}

fn sent(line: &[u8]) -> Option<&[u8]> {
    match line {
        b">" => Some(b""),
        _ => line.strip_prefix(b"> "),
    }
}

/// Returns the request of the curl command above the output.
fn command_above(capture: &[u8]) -> Result<Option<CapturedRequest>, Usage> {
    let mut command: Vec<u8> = Vec::new();
    for line in capture.split_inclusive(|&byte| byte == b'\n') {
        let is_continued = command.trim_ascii_end().ends_with(b"\\");
        match line.strip_prefix(b"> ") {
            // The shell's prompt for the rest of a command.
            Some(rest) if is_continued => command.extend_from_slice(rest),
            _ if is_output(line) => break,
            _ if command.is_empty() && !curl_command::is_begin(line) => {}
            _ => command.extend_from_slice(line),
        }
    }
    if command.is_empty() {
        return Ok(None);
    }
    let command = curl_command::parse(&String::from_utf8_lossy(&command))?;
    Ok(command.into_iter().next())
}

/// Returns true for a line that curl prints.
fn is_output(line: &[u8]) -> bool {
    let line = without_trace_marks(line);
    matches!(line, [b'*' | b'>' | b'<' | b'{' | b'}', b' ', ..]) || line.starts_with(b"  % Total")
}

/// Adds the parts that curl does not print.
fn completed(
    mut request: CapturedRequest,
    command: Option<&CapturedRequest>,
) -> Result<CapturedRequest, Usage> {
    if request.scheme.is_none() {
        request.scheme = command.and_then(|command| command.scheme);
    }
    let body = command.and_then(|command| command.body.clone());
    let is_chunked = !request.values("transfer-encoding").is_empty();
    let length = content_length(&request)?;
    request.body = match (body, length) {
        (Some(body), Some(length)) if body.len() != length => {
            return Err(Usage(format!(
                "the body in the curl command has {} bytes, but Content-Length is {length}",
                body.len()
            )));
        }
        (None, Some(0)) => Some(Vec::new()),
        (_, None) if !is_chunked => Some(Vec::new()),
        (body, _) => body,
    };
    if request.body.is_none() {
        request.unknown.push(NO_BODY.to_owned());
    }
    Ok(request)
}

/// Parts of notes about TLS.
const TLS: [&str; 6] = [
    "SSL connection using",
    "connection using TLS",
    "TLS handshake",
    "ALPN: ",
    "ALPN, ",
    "schannel: ",
];

const NO_BODY: &str = "the body: curl -v does not print it; put the curl command with its --data \
                       above the output, or capture with --trace-ascii -";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_over_tls_is_read_with_its_response() {
        let requests = parse(HTTP2.as_bytes()).unwrap();
        let [request] = &requests[..] else {
            panic!("{requests:?}")
        };
        assert_eq!(
            (&request.method[..], &request.target[..], request.scheme),
            (
                &b"GET"[..],
                &b"/photos?size=original"[..],
                Some(Scheme::Https)
            )
        );
        assert_eq!(request.values("host"), [b"api.example.com"]);
        assert_eq!(
            request.values("authorization"),
            [b"OAuth oauth_nonce=\"n\""]
        );
        assert_eq!(
            (request.status, request.time),
            (Some(401), Some(1_700_000_000))
        );
        assert_eq!(request.body.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn line_ends_and_trace_marks_do_not_count() {
        let expected = parse(HTTP2.as_bytes()).unwrap();
        let crlf = HTTP2.replace('\n', "\r\n");
        assert_eq!(parse(crlf.as_bytes()).unwrap(), expected);
        let marked: String = HTTP2
            .lines()
            .map(|line| format!("12:00:00.123456 [0-0] {line}\n"))
            .collect();
        assert_eq!(parse(marked.as_bytes()).unwrap(), expected);
        // An editor removes spaces at the ends of lines.
        let trimmed = HTTP2.replace("> \n", ">\n");
        assert_eq!(parse(trimmed.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_body_comes_from_the_command() {
        for command in [
            "$ curl -v http://localhost:10000/photos -d 'a=1' --data b=2\n",
            "curl -v http://localhost:10000/photos \\\n> -d 'a=1' \\\n> -d b=2\n",
            "PS C:\\> curl.exe -v http://localhost:10000/photos -d 'a=1&b=2'\n",
        ] {
            let requests = parse(format!("{command}{POST}").as_bytes()).unwrap();
            assert_eq!(requests[0].body.as_deref(), Some(&b"a=1&b=2"[..]));
            assert_eq!(requests[0].scheme, Some(Scheme::Http));
        }
        let other = format!("curl -v -d a=1 http://localhost:10000/photos\n{POST}");
        assert_eq!(
            parse(other.as_bytes()).unwrap_err().to_string(),
            "the body in the curl command has 3 bytes, but Content-Length is 7"
        );
    }

    #[test]
    fn a_body_that_is_not_shown_is_unknown() {
        let requests = parse(POST.as_bytes()).unwrap();
        assert_eq!(requests[0].body, None);
        assert!(requests[0].unknown[0].starts_with("the body: "));
        let chunked = POST.replace("Content-Length: 7", "Transfer-Encoding: chunked");
        assert_eq!(parse(chunked.as_bytes()).unwrap()[0].body, None);
        let file = format!("curl -d @form.txt http://localhost:10000/photos\n{POST}");
        assert_eq!(parse(file.as_bytes()).unwrap()[0].body, None);
    }

    #[test]
    fn each_request_of_a_redirect_is_read_and_a_tunnel_is_none() {
        let capture = "\
*   Trying 10.0.0.1:3128...
* Connected to proxy (10.0.0.1) port 3128
* CONNECT tunnel: HTTP/1.1 negotiated
> CONNECT api.example.com:443 HTTP/1.1
> Host: api.example.com:443
>
< HTTP/1.1 200 Connection established
<
* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384
> GET /old HTTP/1.1
> Host: api.example.com
>
< HTTP/1.1 301 Moved Permanently
< Location: http://api.example.com/new
<
*   Trying 10.0.0.2:80...
* Connected to api.example.com (10.0.0.2) port 80
> GET /new HTTP/1.1
> Host: api.example.com
>
< HTTP/1.1 401 Unauthorized
";
        let requests = parse(capture.as_bytes()).unwrap();
        let seen: Vec<_> = requests
            .iter()
            .map(|request| (&request.target[..], request.scheme, request.status))
            .collect();
        assert_eq!(
            seen,
            [
                (&b"/old"[..], Some(Scheme::Https), Some(301)),
                (&b"/new"[..], Some(Scheme::Http), Some(401)),
            ]
        );
    }

    #[test]
    fn a_connection_to_port_443_is_https_without_a_note_about_tls() {
        for (note, scheme) in [
            ("Connected to h (10.0.0.1) port 443", Scheme::Https),
            ("Connected to h (10.0.0.1) port 443 (#0)", Scheme::Https),
            ("Connected to h (10.0.0.1) port 4430", Scheme::Http),
            (
                "Established connection to h (10.0.0.1 port 443) from 10.0.0.2 port 80",
                Scheme::Https,
            ),
            (
                "Established connection to h (10.0.0.1 port 80) from 10.0.0.2 port 443",
                Scheme::Http,
            ),
        ] {
            let capture = format!("* {note}\n> GET / HTTP/1.1\n> Host: h\n>\n");
            assert_eq!(
                parse(capture.as_bytes()).unwrap()[0].scheme,
                Some(scheme),
                "{note}"
            );
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        let wrong = "* Trying\n> GET / HTTP/1.1\n> Host: h\n> nonsense\n>\n";
        assert_eq!(
            parse(wrong.as_bytes()).unwrap_err().to_string(),
            "line 4: expected a header, `Name: value`"
        );
    }

    /// The output of curl 8.5 with HTTP/2, shortened.
    const HTTP2: &str = "\
* Host api.example.com:443 was resolved.
*   Trying 93.184.216.34:443...
* Connected to api.example.com (93.184.216.34) port 443
* ALPN: curl offers h2,http/1.1
* TLSv1.3 (OUT), TLS handshake, Client hello (1):
* SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384 / X25519 / RSASSA-PSS
* using HTTP/2
* [HTTP/2] [1] OPENED stream for https://api.example.com/photos?size=original
* [HTTP/2] [1] [:method: GET]
* [HTTP/2] [1] [:scheme: https]
* [HTTP/2] [1] [:authority: api.example.com]
* [HTTP/2] [1] [:path: /photos?size=original]
> GET /photos?size=original HTTP/2
> Host: api.example.com
> User-Agent: curl/8.5.0
> Accept: */*
> Authorization: OAuth oauth_nonce=\"n\"
> 
< HTTP/2 401 
< content-type: application/problem+json
< date: Tue, 14 Nov 2023 22:13:20 GMT
< 
{ [123 bytes data]
* Connection #0 to host api.example.com left intact
{\"type\":\"about:blank\"}
";

    const POST: &str = "\
*   Trying 127.0.0.1:10000...
* Connected to localhost (127.0.0.1) port 10000
> POST /photos HTTP/1.1
> Host: localhost:10000
> Content-Length: 7
> Content-Type: application/x-www-form-urlencoded
> 
* upload completely sent off: 7 bytes
< HTTP/1.1 401 Unauthorized
< 
";
}
