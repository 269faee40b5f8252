//! Headers in which proxies and clients name the request that the client sent. They are not
//! trusted: they only explain.

use strum::{IntoStaticStr, VariantArray};

/// A header that may name the method, scheme, host, port or path of the client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-Host`.
    XForwardedHost,
    /// `X-Original-Host`, of Azure.
    XOriginalHost,
    /// `x-envoy-original-host`.
    XEnvoyOriginalHost,
    /// `Disguised-Host`, of Azure.
    DisguisedHost,
    /// `X-Host`.
    XHost,
    /// `X-Real-Host`.
    XRealHost,
    /// `X-Forwarded-Server`, of Apache and Traefik.
    XForwardedServer,
    /// `X-Forwarded-Proto`.
    XForwardedProto,
    /// `X-Forwarded-Protocol`.
    XForwardedProtocol,
    /// `X-Forwarded-Scheme`, of ingress-nginx.
    XForwardedScheme,
    /// `X-Scheme`, of ingress-nginx.
    XScheme,
    /// `X-Url-Scheme`.
    XUrlScheme,
    /// `X-Forwarded-Ssl`: `on` or `off`.
    XForwardedSsl,
    /// `Front-End-Https`, of IIS: `on` or `off`.
    FrontEndHttps,
    /// `CloudFront-Forwarded-Proto`.
    CloudfrontForwardedProto,
    /// `X-Forwarded-Port`.
    XForwardedPort,
    /// `x-envoy-original-path`.
    XEnvoyOriginalPath,
    /// `X-Original-URL`, of IIS and ingress-nginx.
    XOriginalUrl,
    /// `X-Original-URI`, of ingress-nginx.
    XOriginalUri,
    /// `X-Original-Path`.
    XOriginalPath,
    /// `X-Forwarded-Uri`, of Traefik and Caddy.
    XForwardedUri,
    /// `X-Forwarded-Url`.
    XForwardedUrl,
    /// `X-Forwarded-Path`, of Kong.
    XForwardedPath,
    /// `X-Rewrite-Url`, of IIS.
    XRewriteUrl,
    /// `X-Replaced-Path`, of Traefik.
    XReplacedPath,
    /// `X-Waws-Unencoded-Url`, of Azure.
    XWawsUnencodedUrl,
    /// `X-Request-Uri`.
    XRequestUri,
    /// `X-Forwarded-Prefix`, of Traefik and Kong.
    XForwardedPrefix,
    /// `X-Script-Name`, in front of WSGI.
    XScriptName,
    /// `X-Forwarded-Context`.
    XForwardedContext,
    /// `X-HTTP-Method-Override`.
    XHttpMethodOverride,
    /// `X-HTTP-Method`.
    XHttpMethod,
    /// `X-Method-Override`.
    XMethodOverride,
    /// `X-Original-Method`, of ingress-nginx.
    XOriginalMethod,
    /// `X-Forwarded-Method`, of Traefik and Caddy.
    XForwardedMethod,
    /// `Origin`, of browsers.
    Origin,
    /// `Referer`, of browsers.
    Referer,
}

impl ForwardedHeader {
    /// Every header, in the order in which they are tried.
    pub const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The headers of one request that name the client's own.
#[derive(Clone, Copy)]
pub struct ForwardedHeaders<'e>([Option<&'e [u8]>; ForwardedHeader::ALL.len()]);

impl Default for ForwardedHeaders<'_> {
    fn default() -> Self {
        Self([None; ForwardedHeader::ALL.len()])
    }
}

impl<'e> ForwardedHeaders<'e> {
    /// Looks up every header by its name in lower case. `value` returns the first of several
    /// headers of one name: proxies add theirs after it, as in a list that commas join.
    pub fn of(mut value: impl FnMut(&'static str) -> Option<&'e [u8]>) -> Self {
        let mut headers = Self::default();
        for header in ForwardedHeader::ALL {
            headers.set(header, value(header.name()));
        }
        headers
    }

    /// Adds a header, in any case of its name, unless one of that name is there. Other headers are
    /// ignored.
    pub fn add(&mut self, name: &[u8], value: &'e [u8]) {
        let is_named =
            |header: &ForwardedHeader| header.name().as_bytes().eq_ignore_ascii_case(name);
        if let Some(header) = ForwardedHeader::ALL.into_iter().find(is_named)
            && self.get(header).is_none()
        {
            self.set(header, Some(value));
        }
    }

    /// Returns the headers with one more.
    #[must_use]
    pub fn with(mut self, header: ForwardedHeader, value: &'e [u8]) -> Self {
        self.set(header, Some(value));
        self
    }

    /// Returns the value of a header.
    pub const fn get(&self, header: ForwardedHeader) -> Option<&'e [u8]> {
        self.0[header as usize]
    }

    /// Returns the headers that are there.
    pub fn iter(&self) -> impl Iterator<Item = (ForwardedHeader, &'e [u8])> + use<'e> {
        let values = ForwardedHeader::ALL.into_iter().zip(self.0);
        values.filter_map(|(header, value)| Some((header, value?)))
    }

    /// Ignores a value that is too long to be the part of a request.
    fn set(&mut self, header: ForwardedHeader, value: Option<&'e [u8]>) {
        self.0[header as usize] = value.filter(|value| value.len() <= MAX_VALUE_LEN);
    }

    /// Returns the values of several headers, in their order.
    pub(super) fn values<const N: usize>(
        &self,
        headers: [ForwardedHeader; N],
    ) -> impl Iterator<Item = &'e [u8]> + use<'e, N> {
        let values = headers.map(|header| self.get(header));
        values.into_iter().flatten()
    }

    /// Returns the first values of the headers in the parameters of `Forwarded` with that name.
    pub(super) fn forwarded(&self, name: &'static str) -> impl Iterator<Item = &'e [u8]> + use<'e> {
        let value = self.get(ForwardedHeader::Forwarded).unwrap_or_default();
        unquoted_parts(value, b",;").filter_map(move |part| {
            let at = part.iter().position(|&byte| byte == b'=')?;
            let (key, value) = (part[..at].trim_ascii(), part[at + 1..].trim_ascii());
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            key.eq_ignore_ascii_case(name.as_bytes())
                .then(|| value.strip_suffix(b"\"").unwrap_or(value))
        })
    }
}

/// Splits at separators outside quoted strings.
fn unquoted_parts<'a>(
    value: &'a [u8],
    separators: &'static [u8],
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut is_quoted = false;
    value.split(move |byte| {
        is_quoted ^= *byte == b'"';
        separators.contains(byte) && !is_quoted
    })
}

/// Returns the first few of several values that proxies joined with commas; that of the client is
/// first.
pub(super) fn listed(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|value| !value.is_empty())
        .take(MAX_LISTED)
}

/// The longest value that is kept, in bytes.
const MAX_VALUE_LEN: usize = 2048;

/// The most values of a list that are tried.
const MAX_LISTED: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_by_its_name_in_any_case_and_the_first_of_a_name_counts() {
        let mut headers = ForwardedHeaders::default();
        for (name, value) in [
            ("X-Original-URL", "/a"),
            ("x-original-url", "/b"),
            ("CloudFront-Forwarded-Proto", "https"),
            ("X-HTTP-Method-Override", "PUT"),
            ("Cookie", "secret"),
        ] {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        let found: Vec<_> = headers.iter().collect();
        assert_eq!(
            found,
            [
                (ForwardedHeader::CloudfrontForwardedProto, &b"https"[..]),
                (ForwardedHeader::XOriginalUrl, b"/a"),
                (ForwardedHeader::XHttpMethodOverride, b"PUT"),
            ]
        );
    }

    #[test]
    fn a_long_value_is_ignored() {
        let long = vec![b'a'; MAX_VALUE_LEN + 1];
        let headers = ForwardedHeaders::of(|_| Some(&long));
        assert_eq!(headers.iter().count(), 0);
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_says() {
        let value = b"for=\"[::1]:1,2\"; Host=\"api.example.com:8443\";proto=https, host=inner";
        let headers = ForwardedHeaders::default().with(ForwardedHeader::Forwarded, value);
        let hosts: Vec<_> = headers.forwarded("host").collect();
        assert_eq!(hosts, [&b"api.example.com:8443"[..], b"inner"]);
        assert_eq!(headers.forwarded("proto").next(), Some(&b"https"[..]));
        assert_eq!(headers.forwarded("by").next(), None);
    }
}
