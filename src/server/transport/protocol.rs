//! The HTTP version of a listener.

/// An HTTP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, for probes, scrapers, browsers and OAuth clients.
    Http1,
    /// HTTP/2 with prior knowledge or ALPN, for gRPC.
    Http2,
}
