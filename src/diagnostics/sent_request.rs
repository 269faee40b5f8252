//! A refused request as the client sent it, and the copy that is kept while its explanation is
//! pending.
//!
//! # Security
//! A request may hold secrets: a PLAINTEXT signature is one, and a form may carry a password. The
//! copy is zeroed when it is dropped, and no other part of a request outlives its check.

use zeroize::Zeroizing;

use crate::oauth::diagnosis::{ForwardedHeader, ForwardedHeaders, OriginSetting, ReceivedOrigin};
use crate::oauth::{ParseLimits, Request, RequestBody, Scheme};

/// The parts of a refused request that its diagnosis needs.
#[derive(Clone, Copy)]
pub struct SentRequest<'a> {
    /// The request, as it was verified.
    pub request: Request<'a>,
    /// The limits for its parameters.
    pub limits: ParseLimits,
    /// The headers that proxies set.
    pub forwarded: ForwardedHeaders<'a>,
    /// The scheme and authority as received, if others are configured for verification.
    pub received: Option<ReceivedOrigin<'a>>,
    /// The setting that configures them.
    pub setting: OriginSetting,
}

/// An owned copy of a [`SentRequest`].
pub(super) struct RequestCopy {
    limits: ParseLimits,
    method: SecretBytes,
    scheme: Scheme,
    authority: SecretBytes,
    path_prefix: SecretBytes,
    target: SecretBytes,
    authorization: Vec<SecretBytes>,
    content_type: Vec<SecretBytes>,
    /// `None` stands for [`RequestBody::NotWhole`].
    body: Option<SecretBytes>,
    forwarded: Vec<(ForwardedHeader, SecretBytes)>,
    received: Option<(Scheme, SecretBytes)>,
    setting: OriginSetting,
}

type SecretBytes = Zeroizing<Box<[u8]>>;

// === impl RequestCopy ===

impl RequestCopy {
    /// Copies a request; returns `None` if it is larger than [`MAX_SIZE`].
    pub(super) fn of(sent: &SentRequest<'_>) -> Option<Self> {
        if sent.size() > MAX_SIZE {
            return None;
        }
        let SentRequest {
            request,
            limits,
            forwarded,
            received,
            setting,
        } = *sent;
        Some(Self {
            limits,
            method: copy(request.method),
            scheme: request.scheme,
            authority: copy(request.authority),
            path_prefix: copy(request.path_prefix),
            target: copy(request.target),
            authorization: request.authorization.iter().copied().map(copy).collect(),
            content_type: request.content_type.iter().copied().map(copy).collect(),
            body: whole(request.body).map(copy),
            forwarded: forwarded
                .iter()
                .map(|(header, value)| (header, copy(value)))
                .collect(),
            received: received.map(|received| (received.scheme, copy(received.authority))),
            setting,
        })
    }

    /// Calls `read` with the copied request.
    pub(super) fn read<T>(&self, read: impl FnOnce(&SentRequest<'_>) -> T) -> T {
        let (authorization, content_type) =
            (slices(&self.authorization), slices(&self.content_type));
        read(&SentRequest {
            request: self.request(&authorization, &content_type),
            limits: self.limits,
            forwarded: self.forwarded(),
            received: self.received(),
            setting: self.setting,
        })
    }

    fn request<'a>(
        &'a self,
        authorization: &'a [&'a [u8]],
        content_type: &'a [&'a [u8]],
    ) -> Request<'a> {
        Request {
            method: &self.method,
            scheme: self.scheme,
            authority: &self.authority,
            path_prefix: &self.path_prefix,
            target: &self.target,
            authorization,
            content_type,
            body: self
                .body
                .as_ref()
                .map_or(RequestBody::NotWhole, |body| RequestBody::Whole(body)),
        }
    }

    fn forwarded(&self) -> ForwardedHeaders<'_> {
        let copies = self.forwarded.iter();
        copies.fold(ForwardedHeaders::default(), |headers, (header, value)| {
            headers.with(*header, value)
        })
    }

    fn received(&self) -> Option<ReceivedOrigin<'_>> {
        let (scheme, authority) = self.received.as_ref()?;
        Some(ReceivedOrigin {
            scheme: *scheme,
            authority,
        })
    }
}

// === impl SentRequest ===

impl SentRequest<'_> {
    /// Returns an upper bound of the number of parameters.
    pub(super) fn parameters(&self) -> usize {
        let request = &self.request;
        let headers = request.authorization.iter();
        let in_headers: usize = headers.map(|value| count(value, b',')).sum();
        count(request.target, b'&') + count(body_bytes(request), b'&') + in_headers
    }

    /// Returns the size of the request, in bytes.
    pub(super) fn size(&self) -> usize {
        let Request {
            method,
            authority,
            path_prefix,
            target,
            authorization,
            content_type,
            body: _,
            scheme: _,
        } = &self.request;
        let line = [
            method.len(),
            authority.len(),
            path_prefix.len(),
            target.len(),
        ];
        let headers = authorization.iter().chain(*content_type).copied();
        let headers = headers.chain(self.forwarded.iter().map(|(_, value)| value));
        let line: usize = line.into_iter().sum();
        line + body_bytes(&self.request).len() + headers.map(<[u8]>::len).sum::<usize>()
    }
}

const fn whole(body: RequestBody<'_>) -> Option<&[u8]> {
    match body {
        RequestBody::Whole(body) => Some(body),
        RequestBody::NotWhole | RequestBody::Unseen => None,
    }
}

fn body_bytes<'a>(request: &Request<'a>) -> &'a [u8] {
    whole(request.body).unwrap_or_default()
}

fn count(text: &[u8], separator: u8) -> usize {
    text.iter().filter(|&&byte| byte == separator).count()
}

fn slices(values: &[SecretBytes]) -> Vec<&[u8]> {
    values.iter().map(|value| &***value).collect()
}

fn copy(bytes: &[u8]) -> SecretBytes {
    Zeroizing::new(bytes.into())
}

/// The largest request that is explained, in bytes.
const MAX_SIZE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent<'a>(authorization: &'a [&'a [u8]], body: RequestBody<'a>) -> SentRequest<'a> {
        let request = Request {
            method: b"POST",
            scheme: Scheme::Https,
            authority: b"api.example.com",
            path_prefix: b"/v1",
            target: b"/a?b=c",
            authorization,
            content_type: &[b"text/plain"],
            body,
        };
        SentRequest {
            request,
            limits: ParseLimits::default(),
            forwarded: ForwardedHeaders::default()
                .with(ForwardedHeader::XForwardedHost, b"host")
                .with(ForwardedHeader::XForwardedPrefix, b"/prefix"),
            received: Some(ReceivedOrigin {
                scheme: Scheme::Http,
                authority: b"inside",
            }),
            setting: OriginSetting::PublicUrl,
        }
    }

    #[test]
    fn a_copy_reads_like_the_original() {
        let authorization: &[&[u8]] = &[b"OAuth a", b"b"];
        let copied = RequestCopy::of(&sent(authorization, RequestBody::Whole(b"body"))).unwrap();
        copied.read(|read| {
            let Request {
                method,
                scheme,
                authority,
                path_prefix,
                target,
                authorization,
                content_type,
                body,
            } = read.request;
            assert_eq!(
                (method, scheme, authority),
                (&b"POST"[..], Scheme::Https, &b"api.example.com"[..])
            );
            assert_eq!((path_prefix, target), (&b"/v1"[..], &b"/a?b=c"[..]));
            assert_eq!(
                (authorization, content_type),
                (&[&b"OAuth a"[..], b"b"][..], &[&b"text/plain"[..]][..])
            );
            assert!(matches!(body, RequestBody::Whole(b"body")));
            let forwarded: Vec<_> = read.forwarded.iter().collect();
            assert_eq!(
                forwarded,
                [
                    (ForwardedHeader::XForwardedHost, &b"host"[..]),
                    (ForwardedHeader::XForwardedPrefix, b"/prefix")
                ]
            );
            let received = read
                .received
                .map(|received| (received.scheme, received.authority));
            assert_eq!(received, Some((Scheme::Http, &b"inside"[..])));
            assert_eq!(read.setting, OriginSetting::PublicUrl);
        });
        RequestCopy::of(&sent(authorization, RequestBody::NotWhole))
            .unwrap()
            .read(|read| {
                assert!(matches!(read.request.body, RequestBody::NotWhole));
            });
    }

    #[test]
    fn a_large_request_is_not_copied() {
        let body = vec![b'x'; MAX_SIZE];
        assert!(RequestCopy::of(&sent(&[], RequestBody::Whole(&body))).is_none());
        assert!(RequestCopy::of(&sent(&[&body], RequestBody::NotWhole)).is_none());
        assert!(RequestCopy::of(&sent(&[], RequestBody::Whole(&body[200..]))).is_some());
    }
}
