//! A request, from bytes to proof.

use super::{Keys, Rejection, SignatureMethod};

/// The scheme that the client signed (RFC 5849 section 3.4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`, default port 80.
    Http,
    /// `https`, default port 443.
    Https,
}

/// The body of a request, as far as it is here.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// Every byte of the body.
    Whole(&'a [u8]),
    /// There is, or may be, a body that is not wholly here: it can not be verified.
    NotWhole,
}

/// A request as the client sent it, borrowed from wherever it arrived.
///
/// `Debug` is deliberately absent: headers and bodies carry secrets.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method as on the wire.
    pub method: &'a [u8],
    /// The scheme that the client signed.
    pub scheme: Scheme,
    /// The `Host` header or `:authority`, as on the wire: any case, with its port if it has one.
    pub authority: &'a [u8],
    /// What a proxy in front took off the path, to be put back in front of it; mostly empty.
    pub path_prefix: &'a [u8],
    /// Path and query as on the wire; split at the first `?`, never parsed as a URL.
    pub target: &'a [u8],
    /// The value of every `Authorization` header.
    pub authorization: &'a [&'a [u8]],
    /// The value of every `Content-Type` header.
    pub content_type: &'a [&'a [u8]],
    /// The body.
    pub body: Body<'a>,
}

/// Bounds on what is worth parsing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most parameters of header, query and body together.
    pub parameters: usize,
    /// The most bytes of any one protocol parameter's value (consumer key, token, nonce …), decoded.
    pub protocol_value: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parameters: 1000, protocol_value: 4096 }
    }
}

/// What is demanded of `oauth_body_hash` (OAuth Request Body Hash extension).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyHashRule {
    /// It is an ordinary parameter: signed, never compared with the body.
    Off,
    /// When it is sent, it must match the body.
    #[default]
    Accept,
    /// It must be sent with every body that the signature does not cover, and match.
    Require,
}

impl<'a> Request<'a> {
    /// Finds the protocol parameters.
    ///
    /// `Ok(None)` is a request without any `oauth_` parameter: unsigned, which is not the same as refused.
    ///
    /// # Errors
    /// The [`Rejection`] that names what is malformed.
    pub fn parse(&self, _limits: &Limits) -> Result<Option<SignedRequest<'a>>, Rejection> {
        todo!()
    }
}

/// A request that carries a well-formed signature; whether it is a true one is not known yet.
pub struct SignedRequest<'a> {
    request: Request<'a>,
}

impl<'a> SignedRequest<'a> {
    /// `oauth_consumer_key`, decoded; never empty.
    pub fn consumer_key(&self) -> &[u8] {
        todo!()
    }
    /// `oauth_token`, decoded; `None` when it is absent or empty.
    pub fn token(&self) -> Option<&[u8]> {
        todo!()
    }
    /// `oauth_signature_method`.
    pub fn signature_method(&self) -> SignatureMethod {
        todo!()
    }
    /// `oauth_timestamp` in seconds; `None` only with PLAINTEXT.
    pub fn timestamp(&self) -> Option<u64> {
        todo!()
    }
    /// `oauth_nonce`, decoded; `None` only with PLAINTEXT.
    pub fn nonce(&self) -> Option<&[u8]> {
        todo!()
    }
    /// The `realm` of the Authorization header, unquoted; `None` when there is none.
    pub fn realm(&self) -> Option<&[u8]> {
        todo!()
    }
    /// Whether the protocol parameters came in the Authorization header.
    pub fn in_header(&self) -> bool {
        todo!()
    }
    /// The signature base string (RFC 5849 section 3.4.1), for people to look at.
    pub fn base_string(&self) -> Vec<u8> {
        todo!()
    }
    /// The signature base string with the value of every parameter not named `oauth_*` replaced by `***`.
    pub fn masked_base_string(&self) -> Vec<u8> {
        todo!()
    }
    /// Recomputes the signature with each of `keys` and compares in constant time, then holds the body against
    /// `oauth_body_hash` as `rule` says.
    ///
    /// # Errors
    /// [`Rejection::SignatureMismatch`] and the body hash rejections.
    pub fn verify(self, _keys: &Keys<'_>, _rule: BodyHashRule) -> Result<Verified<'a>, Rejection> {
        todo!()
    }
}

/// Proof that the holder of the keys signed this request.
pub struct Verified<'a> {
    signed: SignedRequest<'a>,
}

impl<'a> Verified<'a> {
    /// The request that was proven.
    pub fn request(&self) -> &SignedRequest<'a> {
        let _ = &self.signed.request;
        &self.signed
    }
}
