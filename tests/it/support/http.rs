//! An HTTP/1.1 client that sends exactly the bytes of the test: it adds, folds and normalizes
//! nothing.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::leaks;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path and query of the request line.
    pub(crate) target: String,
    /// In order, with names in any case, and repeated if the test does.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

// === impl Request ===

impl Request {
    /// Creates a request to [`HOST`] without a body.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), HOST.to_owned())];
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: String::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Creates a request with a form as its body.
    pub(crate) fn form(method: &str, target: &str, form: &str) -> Self {
        Self::new(method, target)
            .with("Content-Type", FORM)
            .with_body(form)
    }

    /// Adds a header, also beside one of the same name.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the header of that name.
    #[must_use]
    pub(crate) fn with_changed(mut self, name: &str, change: impl Fn(&str) -> String) -> Self {
        let header = self
            .headers
            .iter_mut()
            .find(|(is, _)| is.eq_ignore_ascii_case(name));
        let (_, value) = header.unwrap_or_else(|| panic!("no header {name} to replace"));
        *value = change(value);
        self
    }

    /// Sets the body and its Content-Length.
    #[must_use]
    pub(crate) fn with_body(mut self, body: &str) -> Self {
        self.headers.retain(|(name, _)| name != "Content-Length");
        self.headers
            .push(("Content-Length".to_owned(), body.len().to_string()));
        self.body = body.to_owned();
        self
    }

    /// Returns the first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Returns the bytes of the request.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let Self {
            method,
            target,
            body,
            ..
        } = self;
        format!("{method} {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}")
            .into_bytes()
    }

    /// Sends the request on a new connection, and reads the response.
    pub(crate) async fn send(&self, to: SocketAddr) -> Response {
        Response::parse(&exchange(to, &self.to_bytes()).await)
    }
}

// === impl Response ===

impl Response {
    /// Parses the response of a server that closed the connection.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("not an HTTP response: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {head:?}"));
        let headers: Vec<_> = lines.map(split_header).collect();
        let body = if first(&headers, "transfer-encoding").is_some() {
            joined(body)
        } else {
            body.to_owned()
        };
        let response = Self {
            status,
            headers,
            body,
        };
        leaks::response(&response);
        response
    }

    /// Returns the first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

/// Joins a chunked body.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let (chunk, rest) = rest.split_at(usize::from_str_radix(length, 16).unwrap());
        body.push_str(chunk);
        chunks = rest.trim_start_matches("\r\n");
    }
    body
}

/// Sends bytes on a connection of their own, and returns everything that comes back until it is
/// closed.
pub(crate) async fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        // A reset ends the response too.
        let _ = stream.read_to_end(&mut answer).await;
    })
    .await
    .unwrap_or_else(|_| panic!("no response within {PATIENCE:?}"));
    answer
}

/// Splits a header line; the name stays as on the wire.
pub(crate) fn split_header(line: &str) -> (String, String) {
    let (name, value) = line
        .split_once(':')
        .unwrap_or_else(|| panic!("not a header: {line:?}"));
    (name.to_owned(), value.trim().to_owned())
}

/// Returns the first value of a header.
pub(crate) fn first<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(is, _)| is.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// The `Host` of every request.
pub(crate) const HOST: &str = "api.example.com";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

const PATIENCE: Duration = Duration::from_secs(30);
