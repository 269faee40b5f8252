//! The headers of a request that a check reads, found in one pass over all headers.
//!
//! Envoy sends headers in one of two forms. In `headers`, names are lower case, repeated headers
//! are joined with `,` and bytes that are not UTF-8 are replaced with `!`. In `header_map`
//! (`encode_raw_headers`), every header is separate, in bytes. Duplicates stay visible: a header
//! has all its values, and the readers decide about several of them.

use std::ops::Deref;

use super::identity;

/// The headers that a check reads, in either form.
#[derive(Default)]
pub(super) struct CheckHeaders<'a> {
    /// `Accept`.
    pub(super) accept: HeaderValues<'a>,
    /// `Authorization`.
    pub(super) authorization: HeaderValues<'a>,
    /// `Content-Length`.
    pub(super) content_length: HeaderValues<'a>,
    /// `Content-Type`.
    pub(super) content_type: HeaderValues<'a>,
    /// `x-envoy-auth-partial-body`, which Envoy adds if it buffered the body, even an empty one.
    /// Envoy removes the client's own.
    pub(super) partial_body: HeaderValues<'a>,
    /// `Upgrade`.
    pub(super) upgrade: HeaderValues<'a>,
    /// Differently spelled names that an upstream may read as one of the identity headers.
    pub(super) disguised: Vec<&'a str>,
    /// `:path`, if it came in bytes.
    path: HeaderValues<'a>,
    is_joined: bool,
    is_raw: bool,
}

impl<'a> CheckHeaders<'a> {
    /// Adds an entry of `headers`, where each name occurs once: the last entry counts.
    pub(super) fn add_joined(&mut self, name: &'a str, value: &'a str) {
        self.is_joined = true;
        if let Some(values) = self.slot(name, <[u8]>::eq) {
            *values = HeaderValues::One(value.as_bytes());
        }
        self.note_disguise(name);
    }

    /// Adds an entry of `header_map`.
    pub(super) fn add_raw(&mut self, name: &'a str, value: &'a [u8]) {
        self.is_raw = true;
        if let Some(values) = self.slot(name, <[u8]>::eq_ignore_ascii_case) {
            values.push(value);
        }
        self.note_disguise(name);
    }

    /// Returns true if the headers came in both forms, which may contradict each other.
    pub(super) const fn are_ambiguous(&self) -> bool {
        self.is_joined && self.is_raw
    }

    /// Returns `:path` in bytes: in the `path` attribute, bytes that are not UTF-8 are replaced.
    pub(super) fn exact_path(&self) -> Option<&'a [u8]> {
        match *self.path {
            [path] if self.is_raw => Some(path),
            _ => None,
        }
    }

    fn slot(
        &mut self,
        name: &str,
        is: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Option<&mut HeaderValues<'a>> {
        // By length first, because most headers are not among these.
        let (known, values): (&[u8], _) = match name.len() {
            5 => (b":path", &mut self.path),
            6 => (b"accept", &mut self.accept),
            7 => (b"upgrade", &mut self.upgrade),
            12 => (b"content-type", &mut self.content_type),
            13 => (b"authorization", &mut self.authorization),
            14 => (b"content-length", &mut self.content_length),
            25 => (b"x-envoy-auth-partial-body", &mut self.partial_body),
            _ => return None,
        };
        is(name.as_bytes(), known).then_some(values)
    }

    fn note_disguise(&mut self, name: &'a str) {
        if identity::is_disguised(name) {
            self.disguised.push(name);
        }
    }
}

/// The values of one header in their order, nearly always one.
#[derive(Clone, Default)]
pub(super) enum HeaderValues<'a> {
    /// The header is missing.
    #[default]
    None,
    /// The header occurs once.
    One(&'a [u8]),
    /// The header occurs more than once.
    Several(Vec<&'a [u8]>),
}

impl<'a> HeaderValues<'a> {
    /// Adds a value.
    pub(super) fn push(&mut self, value: &'a [u8]) {
        match self {
            Self::None => *self = Self::One(value),
            Self::One(first) => *self = Self::Several(vec![first, value]),
            Self::Several(values) => values.push(value),
        }
    }
}

impl<'a> Deref for HeaderValues<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::None => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for HeaderValues<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut all = Self::None;
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

#[cfg(test)]
impl<'a> CheckHeaders<'a> {
    /// Reads `headers`.
    pub(super) fn joined(headers: &[(&'a str, &'a str)]) -> Self {
        let mut read = Self::default();
        headers
            .iter()
            .for_each(|(name, value)| read.add_joined(name, value));
        read
    }

    /// Reads `header_map`.
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
        let read = CheckHeaders::raw(&[
            ("Accept", b"a"),
            ("accept", b"b"),
            ("x-accept", b"c"),
            ("ACCEPT", b"d"),
        ]);
        assert_eq!(*read.accept, [b"a", b"b", b"d"]);
        assert!(read.authorization.is_empty());
    }

    #[test]
    fn the_last_joined_header_of_a_name_counts() {
        let read =
            CheckHeaders::joined(&[("accept", "a"), ("authorization", "x"), ("accept", "b")]);
        assert_eq!(*read.accept, [b"b"]);
        assert_eq!(*read.authorization, [b"x"]);
    }

    #[test]
    fn every_header_of_a_check_is_found() {
        let names = [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "x-envoy-auth-partial-body",
            "upgrade",
            ":path",
        ];
        let of = |read: &CheckHeaders<'_>| -> [usize; 7] {
            [
                &read.accept,
                &read.authorization,
                &read.content_length,
                &read.content_type,
                &read.partial_body,
                &read.upgrade,
                &read.path,
            ]
            .map(|values| values.len())
        };
        for (at, name) in names.into_iter().enumerate() {
            let mut expected = [0; 7];
            expected[at] = 1;
            assert_eq!(
                of(&CheckHeaders::joined(&[(name, "1")])),
                expected,
                "{name}"
            );
            assert_eq!(
                of(&CheckHeaders::raw(&[(&name.to_ascii_uppercase(), b"1")])),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn only_one_path_in_bytes_is_exact() {
        assert_eq!(
            CheckHeaders::raw(&[(":path", b"/a\xff")]).exact_path(),
            Some(&b"/a\xff"[..])
        );
        assert_eq!(
            CheckHeaders::raw(&[(":path", b"/a"), (":path", b"/b")]).exact_path(),
            None
        );
        assert_eq!(CheckHeaders::joined(&[(":path", "/a")]).exact_path(), None);
    }
}
