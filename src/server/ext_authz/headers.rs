//! The headers of a request that a check looks at, found in one pass over all of them.
//!
//! Envoy sends them in one of two forms: `headers` has lower-case names, repeated ones joined by `,` and what is not UTF-8
//! replaced by `!`; `header_map` (`encode_raw_headers`) has every header by itself, as bytes. Duplicates stay visible: a
//! header is all of its values, and what two of them mean is for who asks.

use std::ops::Deref;

use super::identity;

/// The headers that matter, in whichever form Envoy sent them.
#[derive(Default)]
pub(super) struct Headers<'a> {
    /// `Accept`.
    pub(super) accept: Values<'a>,
    /// `Authorization`.
    pub(super) authorization: Values<'a>,
    /// `Content-Length`.
    pub(super) content_length: Values<'a>,
    /// `Content-Type`.
    pub(super) content_type: Values<'a>,
    /// `x-envoy-auth-partial-body`, which Envoy adds when it buffered the body, whatever its length; a client's own is
    /// removed.
    pub(super) partial_body: Values<'a>,
    /// What Envoy and proxies before it say that the client asked for; for explaining only.
    pub(super) forwarded: Forwarded<'a>,
    /// `Upgrade`.
    pub(super) upgrade: Values<'a>,
    /// The names that an upstream may read as one of the identity headers although they are spelled otherwise.
    pub(super) disguised: Vec<&'a str>,
    /// `:path`, where it came as bytes.
    path: Values<'a>,
    is_joined: bool,
    is_raw: bool,
}

/// Headers in which a proxy says what the client's request was before it changed it.
#[derive(Default)]
pub(super) struct Forwarded<'a> {
    /// `X-Forwarded-Host`.
    pub(super) host: Values<'a>,
    /// `X-Forwarded-Proto`.
    pub(super) proto: Values<'a>,
    /// `X-Forwarded-Port`.
    pub(super) port: Values<'a>,
    /// `X-Forwarded-Prefix`.
    pub(super) prefix: Values<'a>,
    /// `x-envoy-original-path`.
    pub(super) original_path: Values<'a>,
}

impl<'a> Headers<'a> {
    /// Adds an entry of `headers`, of whose names each is there once: the last one counts.
    pub(super) fn add_joined(&mut self, name: &'a str, value: &'a str) {
        self.is_joined = true;
        if let Some(values) = self.known(name, <[u8]>::eq) {
            *values = Values::One(value.as_bytes());
        }
        self.look_behind(name);
    }

    /// Adds an entry of `header_map`.
    pub(super) fn add_raw(&mut self, name: &'a str, value: &'a [u8]) {
        self.is_raw = true;
        if let Some(values) = self.known(name, <[u8]>::eq_ignore_ascii_case) {
            values.push(value);
        }
        self.look_behind(name);
    }

    /// They came in both forms, so that there may be two answers to what they are.
    pub(super) const fn are_ambiguous(&self) -> bool {
        self.is_joined && self.is_raw
    }

    /// `:path` as bytes: the `path` attribute has everything that is not UTF-8 replaced.
    pub(super) fn exact_path(&self) -> Option<&'a [u8]> {
        match *self.path {
            [path] if self.is_raw => Some(path),
            _ => None,
        }
    }

    fn known(&mut self, name: &str, is: impl Fn(&[u8], &[u8]) -> bool) -> Option<&mut Values<'a>> {
        // By length first: most headers are none of these.
        let (known, values): (&[u8], _) = match name.len() {
            5 => (b":path", &mut self.path),
            6 => (b"accept", &mut self.accept),
            7 => (b"upgrade", &mut self.upgrade),
            12 => (b"content-type", &mut self.content_type),
            13 => (b"authorization", &mut self.authorization),
            14 => (b"content-length", &mut self.content_length),
            16 if is(name.as_bytes(), b"x-forwarded-host") => {
                (b"x-forwarded-host", &mut self.forwarded.host)
            }
            16 => (b"x-forwarded-port", &mut self.forwarded.port),
            17 => (b"x-forwarded-proto", &mut self.forwarded.proto),
            18 => (b"x-forwarded-prefix", &mut self.forwarded.prefix),
            21 => (b"x-envoy-original-path", &mut self.forwarded.original_path),
            25 => (b"x-envoy-auth-partial-body", &mut self.partial_body),
            _ => return None,
        };
        is(name.as_bytes(), known).then_some(values)
    }

    fn look_behind(&mut self, name: &'a str) {
        if identity::is_disguised(name) {
            self.disguised.push(name);
        }
    }
}

/// The values of one header, in their order; nearly always one.
#[derive(Clone, Default)]
pub(super) enum Values<'a> {
    /// It is not there.
    #[default]
    None,
    /// It is there once.
    One(&'a [u8]),
    /// It is there more than once.
    Several(Vec<&'a [u8]>),
}

impl<'a> Values<'a> {
    /// Adds one.
    pub(super) fn push(&mut self, value: &'a [u8]) {
        match self {
            Self::None => *self = Self::One(value),
            Self::One(first) => *self = Self::Several(vec![first, value]),
            Self::Several(values) => values.push(value),
        }
    }
}

impl<'a> Deref for Values<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for Values<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut all = Self::None;
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

#[cfg(test)]
impl<'a> Headers<'a> {
    /// What came as `headers`.
    pub(super) fn joined(headers: &[(&'a str, &'a str)]) -> Self {
        let mut read = Self::default();
        headers
            .iter()
            .for_each(|(name, value)| read.add_joined(name, value));
        read
    }

    /// What came as `header_map`.
    pub(super) fn raw(headers: &[(&'a str, &'a [u8])]) -> Self {
        let mut read = Self::default();
        headers
            .iter()
            .for_each(|(name, value)| read.add_raw(name, value));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_stay_apart_and_in_order() {
        let read = Headers::raw(&[
            ("Accept", b"a"),
            ("accept", b"b"),
            ("x-accept", b"c"),
            ("ACCEPT", b"d"),
        ]);
        assert_eq!(*read.accept, [b"a", b"b", b"d"]);
        assert!(read.authorization.is_empty());
    }

    #[test]
    fn of_joined_headers_the_last_of_a_name_counts() {
        let read = Headers::joined(&[("accept", "a"), ("authorization", "x"), ("accept", "b")]);
        assert_eq!(*read.accept, [b"b"]);
        assert_eq!(*read.authorization, [b"x"]);
    }

    #[test]
    fn every_header_that_matters_is_found() {
        let names = [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "x-envoy-auth-partial-body",
            "upgrade",
            ":path",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-forwarded-prefix",
            "x-envoy-original-path",
        ];
        let of = |read: &Headers<'_>| -> [usize; 12] {
            [
                &read.accept,
                &read.authorization,
                &read.content_length,
                &read.content_type,
                &read.partial_body,
                &read.upgrade,
                &read.path,
                &read.forwarded.host,
                &read.forwarded.proto,
                &read.forwarded.port,
                &read.forwarded.prefix,
                &read.forwarded.original_path,
            ]
            .map(|values| values.len())
        };
        for (at, name) in names.into_iter().enumerate() {
            let mut expected = [0; 12];
            expected[at] = 1;
            assert_eq!(of(&Headers::joined(&[(name, "1")])), expected, "{name}");
            assert_eq!(
                of(&Headers::raw(&[(&name.to_ascii_uppercase(), b"1")])),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn only_one_path_in_bytes_is_exact() {
        assert_eq!(
            Headers::raw(&[(":path", b"/a\xff")]).exact_path(),
            Some(&b"/a\xff"[..])
        );
        assert_eq!(
            Headers::raw(&[(":path", b"/a"), (":path", b"/b")]).exact_path(),
            None
        );
        assert_eq!(Headers::joined(&[(":path", "/a")]).exact_path(), None);
    }
}
