//! A request as it arrived, before anything is read from it.

/// The scheme that the client signed (RFC 5849 section 3.4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, default port 80.
    Http,
    /// `https`, default port 443.
    Https,
}

impl Scheme {
    /// Returns the name in a URI.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Http => Self::Https,
            Self::Https => Self::Http,
        }
    }

    pub(super) const fn default_port(self) -> &'static [u8] {
        match self {
            Self::Http => b"80",
            Self::Https => b"443",
        }
    }
}

/// The body of a request: the part that arrived.
#[derive(Clone, Copy)]
pub enum RequestBody<'a> {
    /// Every byte of the body.
    Whole(&'a [u8]),
    /// A body that is, or may be, incomplete and so cannot be verified.
    NotWhole,
    /// No byte of a body, and no sign that the request has one. A form and a hash cannot be verified
    /// with it either.
    Unseen,
}

/// A request as the client sent it, borrowed from the caller.
///
/// `Debug` is deliberately absent: headers and bodies carry secrets.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method as on the wire.
    pub method: &'a [u8],
    /// The scheme that the client signed.
    pub scheme: Scheme,
    /// The `Host` header or `:authority` as on the wire: in any case, with its port if it has one.
    pub authority: &'a [u8],
    /// The path prefix that a proxy in front removed, or empty. It is signed in front of the path.
    pub path_prefix: &'a [u8],
    /// Path and query as on the wire. They are split at the first `?`, never parsed as a URL.
    pub target: &'a [u8],
    /// The value of every `Authorization` header.
    pub authorization: &'a [&'a [u8]],
    /// The value of every `Content-Type` header.
    pub content_type: &'a [&'a [u8]],
    /// The body.
    pub body: RequestBody<'a>,
}

/// Bounds on the parameters of a request, and on their places.
#[derive(Clone, Copy, Debug)]
pub struct ParseLimits {
    /// The most parameters of header, query and body together.
    pub parameters: usize,
    /// The longest decoded value of a protocol parameter (consumer key, token, nonce …), in bytes.
    pub protocol_value: usize,
    /// The longest header, query and form body, each in bytes.
    pub form_bytes: usize,
    /// Accepts `oauth_verifier` in the form body if all other protocol parameters are in the header;
    /// RFC 5849 section 3.5 demands one place for all. It is signed in either place.
    pub verifier_in_form: bool,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            parameters: 1000,
            protocol_value: 4096,
            form_bytes: 64 * 1024,
            verifier_in_form: false,
        }
    }
}
