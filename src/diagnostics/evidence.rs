//! A copy of a refused request, for as long as it takes to explain it.
//!
//! What a client sent may hold secrets: a PLAINTEXT signature is one, and a form may carry a password. The copy is wiped when
//! it is dropped, and it is the only place where any of it outlives the check.

use zeroize::Zeroizing;

use crate::oauth::diagnosis::{Forwarded, Received, Setting};
use crate::oauth::{Body, Limits, Request, Scheme};

/// What a client sent, as far as it can tell why it was refused.
#[derive(Clone, Copy)]
pub struct SentRequest<'a> {
    /// The request, read as it was verified.
    pub request: Request<'a>,
    /// The bounds within which it was read.
    pub limits: Limits,
    /// What proxies say of it.
    pub forwarded: Forwarded<'a>,
    /// How it came, where what clients sign is configured.
    pub received: Option<Received<'a>>,
    /// Where that is configured.
    pub setting: Setting,
}

/// A copy of [`SentRequest`].
pub(super) struct RequestCopy {
    limits: Limits,
    method: Wiped,
    scheme: Scheme,
    authority: Wiped,
    path_prefix: Wiped,
    target: Wiped,
    authorization: Vec<Wiped>,
    content_type: Vec<Wiped>,
    /// `None` is not whole.
    body: Option<Wiped>,
    /// In the order of [`Forwarded`].
    forwarded: [Option<Wiped>; 5],
    received: Option<(Scheme, Wiped)>,
    setting: Setting,
}

type Wiped = Zeroizing<Box<[u8]>>;

// === impl RequestCopy ===

impl RequestCopy {
    /// A copy; `None` of what is too large to be kept.
    pub(super) fn of(sent: &SentRequest<'_>) -> Option<Self> {
        if sent.size() > LARGEST {
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
            body: match request.body {
                Body::Whole(body) => Some(copy(body)),
                Body::NotWhole => None,
            },
            forwarded: values(forwarded).map(|value| value.map(copy)),
            received: received.map(|received| (received.scheme, copy(received.authority))),
            setting,
        })
    }

    /// Hands on what was copied.
    pub(super) fn read<T>(&self, read: impl FnOnce(&SentRequest<'_>) -> T) -> T {
        let authorization: Vec<&[u8]> = self.authorization.iter().map(|value| &***value).collect();
        let content_type: Vec<&[u8]> = self.content_type.iter().map(|value| &***value).collect();
        let [host, proto, port, prefix, original_path] = self
            .forwarded
            .each_ref()
            .map(|value| value.as_ref().map(|value| &***value));
        let request = Request {
            method: &self.method,
            scheme: self.scheme,
            authority: &self.authority,
            path_prefix: &self.path_prefix,
            target: &self.target,
            authorization: &authorization,
            content_type: &content_type,
            body: self
                .body
                .as_ref()
                .map_or(Body::NotWhole, |body| Body::Whole(body)),
        };
        read(&SentRequest {
            request,
            limits: self.limits,
            forwarded: Forwarded {
                host,
                proto,
                port,
                prefix,
                original_path,
            },
            received: self.received.as_ref().map(|(scheme, authority)| Received {
                scheme: *scheme,
                authority,
            }),
            setting: self.setting,
        })
    }
}

impl SentRequest<'_> {
    /// How many parameters it has, at most.
    pub(super) fn parameters(&self) -> usize {
        let Request {
            target,
            authorization,
            body,
            ..
        } = &self.request;
        let count = |text: &[u8], separator| text.iter().filter(|&&byte| byte == separator).count();
        let body = if let Body::Whole(body) = body {
            count(body, b'&')
        } else {
            0
        };
        count(target, b'&')
            + body
            + authorization
                .iter()
                .map(|value| count(value, b','))
                .sum::<usize>()
    }

    /// How many bytes of it the client sent.
    pub(super) fn size(&self) -> usize {
        let Request {
            method,
            authority,
            path_prefix,
            target,
            authorization,
            content_type,
            body,
            scheme: _,
        } = &self.request;
        let body = if let Body::Whole(body) = body {
            body.len()
        } else {
            0
        };
        let headers = authorization.iter().chain(*content_type).copied();
        let headers = headers.chain(values(self.forwarded).into_iter().flatten());
        let line = [
            method.len(),
            authority.len(),
            path_prefix.len(),
            target.len(),
        ];
        line.into_iter().sum::<usize>() + body + headers.map(<[u8]>::len).sum::<usize>()
    }
}

const fn values(forwarded: Forwarded<'_>) -> [Option<&[u8]>; 5] {
    let Forwarded {
        host,
        proto,
        port,
        prefix,
        original_path,
    } = forwarded;
    [host, proto, port, prefix, original_path]
}

fn copy(bytes: &[u8]) -> Wiped {
    Zeroizing::new(bytes.into())
}

/// The largest request that is explained, in bytes.
const LARGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent<'a>(authorization: &'a [&'a [u8]], body: Body<'a>) -> SentRequest<'a> {
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
            limits: Limits::default(),
            forwarded: Forwarded {
                host: Some(b"host"),
                prefix: Some(b"/prefix"),
                ..Forwarded::default()
            },
            received: Some(Received {
                scheme: Scheme::Http,
                authority: b"inside",
            }),
            setting: Setting::PublicUrl,
        }
    }

    #[test]
    fn a_copy_is_read_as_what_was_copied() {
        let authorization: &[&[u8]] = &[b"OAuth a", b"b"];
        let copied = RequestCopy::of(&sent(authorization, Body::Whole(b"body"))).unwrap();
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
            assert!(matches!(body, Body::Whole(b"body")));
            let Forwarded {
                host,
                proto,
                port,
                prefix,
                original_path,
            } = read.forwarded;
            assert_eq!((host, proto, port), (Some(&b"host"[..]), None, None));
            assert_eq!((prefix, original_path), (Some(&b"/prefix"[..]), None));
            let received = read
                .received
                .map(|received| (received.scheme, received.authority));
            assert_eq!(received, Some((Scheme::Http, &b"inside"[..])));
            assert_eq!(read.setting, Setting::PublicUrl);
        });
        RequestCopy::of(&sent(authorization, Body::NotWhole))
            .unwrap()
            .read(|read| {
                assert!(matches!(read.request.body, Body::NotWhole));
            });
    }

    #[test]
    fn what_is_too_large_is_not_copied() {
        let body = vec![b'x'; LARGEST];
        assert!(RequestCopy::of(&sent(&[], Body::Whole(&body))).is_none());
        assert!(RequestCopy::of(&sent(&[&body], Body::NotWhole)).is_none());
        assert!(RequestCopy::of(&sent(&[], Body::Whole(&body[200..]))).is_some());
    }
}
