//! The service behind Envoy. It records every request as received, and responds 200, with a header
//! if the request asks for one. After a handshake for another protocol, it sends back every byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::http::{first, split_header};

/// An HTTP/1.1 server; stops when dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Requests,
    serving: JoinHandle<()>,
}

/// A request as received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

type Requests = Arc<Mutex<Vec<Received>>>;

// === impl Upstream ===

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Requests::default();
        let serving = tokio::spawn(accept(listener, Arc::clone(&requests)));
        Self {
            address,
            requests,
            serving,
        }
    }

    /// Returns the requests since the last call.
    pub(crate) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

// === impl Received ===

impl Received {
    /// Returns the first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// Returns every header that some WSGI or CGI server reads as one of `names`, as name and
    /// value.
    pub(crate) fn read_as(&self, names: &[&str]) -> Vec<(String, String)> {
        let variable = |name: &str| {
            name.to_ascii_lowercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        };
        let read = self
            .headers
            .iter()
            .filter(|(name, _)| names.contains(&variable(name).as_str()));
        read.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect()
    }
}

/// The request header that contains a header, with its value, for the response.
pub(crate) const ANSWER_WITH: &str = "x-answer-with";

async fn accept(listener: TcpListener, requests: Requests) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&requests)));
    }
}

/// Responds to one request after the other until the connection is closed.
async fn serve(stream: TcpStream, requests: Requests) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        let header = request
            .header(ANSWER_WITH)
            .map(|header| format!("{header}\r\n"))
            .unwrap_or_default();
        let upgraded = request.header("upgrade").map(str::to_owned);
        let body = if request.method == "HEAD" { "" } else { "ok" };
        requests.lock().unwrap().push(request);
        if let Some(protocol) = upgraded {
            return echo(stream, &protocol).await;
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{header}\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Switches to another protocol, and sends back every byte.
async fn echo(mut stream: BufReader<TcpStream>, protocol: &str) {
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
    );
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        let (mut from, mut to) = tokio::io::split(stream);
        // The client ends it.
        let _ = tokio::io::copy(&mut from, &mut to).await;
    }
}

/// Reads a request; `None` at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let request_line = line(stream).await?;
    let [method, target, _] = request_line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{request_line:?}")
    };
    let mut headers = Vec::new();
    loop {
        match line(stream).await? {
            header if header.is_empty() => break,
            header => headers.push(split_header(&header)),
        }
    }
    let body = body(stream, &headers).await?;
    Some(Received {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body,
    })
}

async fn body(stream: &mut BufReader<TcpStream>, headers: &[(String, String)]) -> Option<Vec<u8>> {
    let Some("chunked") = first(headers, "transfer-encoding") else {
        return bytes(
            stream,
            first(headers, "content-length").map_or(0, |length| length.parse().unwrap()),
        )
        .await;
    };
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(stream).await?, 16).unwrap();
        body.extend(bytes(stream, length).await?);
        line(stream).await?;
        if length == 0 {
            return Some(body);
        }
    }
}

async fn bytes(stream: &mut BufReader<TcpStream>, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    stream
        .read_line(&mut line)
        .await
        .ok()
        .filter(|&read| read > 0)?;
    Some(line.trim_end_matches("\r\n").to_owned())
}
