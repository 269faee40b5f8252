//! Pages of lists (AIP-158).
//!
//! A page token holds a hash of the list and the last name of the previous page. It is no secret
//! and proves nothing; the hash only prevents its use with another list, where it would skip
//! records unnoticed.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::fields::Fields;

/// A requested page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    size: usize,
    /// The last name of the previous page.
    pub(super) after: Option<T>,
    list: ListTag,
}

/// The first bytes of the hash of a list.
type ListTag = [u8; 8];

/// The fields of a request about pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageRequest<'a> {
    /// The field `page_size`.
    pub(super) size: i32,
    /// The field `page_token`.
    pub(super) token: &'a str,
}

impl<T> Page<T> {
    /// Reads the requested page of the list with that name; `parse` reads the names in the list.
    pub(super) fn parse<E>(
        fields: &mut Fields,
        request: PageRequest<'_>,
        list: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<Self> {
        let tag = tag(list);
        let size = fields.take("page_size", size(request.size));
        let after = fields.optional("page_token", request.token, |token| {
            name_in(&token, tag)
                .and_then(|name| parse(name).ok())
                .ok_or("is not a page token of this list: pass the token of the previous response")
        });
        Some(Self {
            size: size?,
            after: after?,
            list: tag,
        })
    }

    /// Returns the number of records to look up: one more than the page has, to detect a next page.
    pub(super) const fn limit(&self) -> usize {
        self.size + 1
    }

    /// Removes the surplus record, and returns the page with the token of the next page, which is
    /// empty after the last one.
    pub(super) fn cut<R>(
        &self,
        mut found: Vec<R>,
        name: impl FnOnce(&R) -> &str,
    ) -> (Vec<R>, String) {
        let more = found.len() > self.size;
        found.truncate(self.size);
        let next = found
            .last()
            .filter(|_| more)
            .map(|last| self.token(name(last)));
        (found, next.unwrap_or_default())
    }

    fn token(&self, last: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([&self.list[..], last.as_bytes()].concat())
    }
}

fn size(size: i32) -> Result<usize, &'static str> {
    match usize::try_from(size) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => Err("must not be negative"),
    }
}

fn name_in(token: &str, list: ListTag) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(bytes.strip_prefix(&list)?.to_vec()).ok()
}

fn tag(list: &str) -> ListTag {
    let digest: [u8; 32] = Sha256::digest(list).into();
    let mut tag = ListTag::default();
    tag.copy_from_slice(&digest[..ListTag::default().len()]);
    tag
}

const DEFAULT_SIZE: usize = 50;

/// The number of the largest consumers that fit in a response of 4 MiB, the default limit of gRPC
/// clients.
const MAX_SIZE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConsumerKey;

    #[test]
    fn a_page_begins_where_the_last_one_ended() {
        let first = parse(2, "").unwrap();
        let (found, next) = first.cut(vec!["a", "b", "c"], |last| last);
        assert_eq!((first.limit(), found), (3, vec!["a", "b"]));
        let second = parse(2, &next).unwrap();
        assert_eq!(second.after, Some(ConsumerKey::new("b").unwrap()));
        assert_eq!(
            second.cut(vec!["c", "d"], |last| last),
            (vec!["c", "d"], String::new())
        );
    }

    #[test]
    fn a_page_has_a_size_even_if_none_is_asked_for() {
        assert_eq!(parse(0, "").unwrap().size, DEFAULT_SIZE);
        assert_eq!(parse(i32::MAX, "").unwrap().size, MAX_SIZE);
        assert_eq!(parse(-1, "").unwrap_err(), "page_size must not be negative");
    }

    #[test]
    fn a_page_token_is_good_for_its_own_list_only() {
        let other = Page::parse(
            &mut Fields::default(),
            PageRequest { size: 1, token: "" },
            "users",
            ConsumerKey::new,
        )
        .unwrap();
        let (_, of_other) = other.cut(vec!["a", "b"], |last| last);
        for wrong in ["?", "a", "gA", "AA", of_other.as_str(), &"A".repeat(1024)] {
            let refused = parse(0, wrong).unwrap_err();
            assert_eq!(
                refused,
                "page_token is not a page token of this list: pass the token of the previous response",
                "{wrong:?}"
            );
        }
    }

    fn parse(size: i32, token: &str) -> Result<Page<ConsumerKey>, String> {
        let mut fields = Fields::default();
        let page = Page::parse(
            &mut fields,
            PageRequest { size, token },
            "consumers",
            ConsumerKey::new,
        );
        fields
            .all(page)
            .map_err(|refused| refused.message().to_owned())
    }
}
