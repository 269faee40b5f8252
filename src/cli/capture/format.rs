//! The formats of captures.

use std::fmt;

/// The format of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaptureFormat {
    /// A request as on the wire: request line, headers, empty line, body.
    HttpMessage,
    /// The output of `curl -v`.
    CurlVerbose,
    /// The output of `curl --trace` or `curl --trace-ascii`.
    CurlTrace,
    /// HTTP/2 headers, one a line, with `:method` and `:path`.
    Http2Headers,
    /// An HTTP Archive, or an entry of one.
    Har,
    /// A trace of Envoy's tap filter, as JSON.
    EnvoyTap,
    /// Lines of a text access log.
    AccessLog,
    /// Lines of a JSON access log.
    JsonLog,
    /// `curl` commands.
    CurlCommand,
    /// Calls of `fetch`.
    FetchCall,
    /// A configuration or calls of axios.
    Axios,
    /// A Postman collection, or an item of one.
    Postman,
}

impl CaptureFormat {
    /// Returns the name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HttpMessage => "http",
            Self::CurlVerbose => "curl-verbose",
            Self::CurlTrace => "curl-trace",
            Self::Http2Headers => "http2-headers",
            Self::Har => "har",
            Self::EnvoyTap => "envoy-tap",
            Self::AccessLog => "access-log",
            Self::JsonLog => "json-access-log",
            Self::CurlCommand => "curl-command",
            Self::FetchCall => "fetch",
            Self::Axios => "axios",
            Self::Postman => "postman",
        }
    }

    const fn phrase(self) -> &'static str {
        match self {
            Self::HttpMessage => "HTTP request",
            Self::CurlVerbose => "output of curl -v",
            Self::CurlTrace => "output of curl --trace",
            Self::Http2Headers => "list of HTTP/2 headers",
            Self::Har => "HAR",
            Self::EnvoyTap => "Envoy tap trace",
            Self::AccessLog => "access log",
            Self::JsonLog => "JSON access log",
            Self::CurlCommand => "curl command",
            Self::FetchCall => "fetch call",
            Self::Axios => "axios configuration",
            Self::Postman => "Postman collection",
        }
    }

    /// Returns the way to add a missing body.
    pub(super) const fn body_remedy(self) -> &'static str {
        match self {
            Self::CurlVerbose => {
                "put the curl command with its --data above the output, or capture with \
                 --trace-ascii -"
            }
            Self::Http2Headers => "add an empty line and the body below the headers",
            Self::Har => "export the HAR with the bodies of requests",
            Self::EnvoyTap => "raise `max_buffered_rx_bytes` of the tap",
            Self::CurlCommand => "write the content of the file into the command",
            Self::AccessLog
            | Self::JsonLog
            | Self::HttpMessage
            | Self::CurlTrace
            | Self::FetchCall
            | Self::Axios
            | Self::Postman => "capture the request with its body, for example with curl -v",
        }
    }
}

impl fmt::Display for CaptureFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phrase())
    }
}
