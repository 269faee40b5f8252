//! The keys of sealed records, read back: which record a key holds.

use percent_encoding::percent_decode_str;

use super::keys;
use crate::store::record::RecordKind;

/// The record that a key holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RecordKey {
    pub(super) kind: RecordKind,
    /// The name to which the record is bound.
    pub(super) name: Vec<u8>,
}

impl RecordKey {
    /// Reads a key; `None` if it holds no sealed record.
    pub(super) fn parse(key: &str) -> Option<Self> {
        if key == keys::CANARY {
            return Some(Self::new(RecordKind::Canary, Vec::new()));
        }
        let (tag, rest) = key.strip_prefix("countersign:{")?.split_once("}:")?;
        match rest {
            "consumer" => Some(Self::new(RecordKind::Consumer, decoded(tag))),
            "user" => Some(Self::new(RecordKind::User, decoded(tag))),
            "session" => Some(Self::new(RecordKind::Session, of_hex(tag)?)),
            _ => match rest.split_once(':')? {
                ("token", name) => Some(Self::new(RecordKind::Token, decoded(name))),
                ("request", name) => Some(Self::new(RecordKind::RequestToken, decoded(name))),
                _ => None,
            },
        }
    }

    const fn new(kind: RecordKind, name: Vec<u8>) -> Self {
        Self { kind, name }
    }
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(byte).collect())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConsumerKey, SessionId, Token, UserId};

    #[test]
    fn the_key_of_each_record_names_it() {
        let (ck, t) = (
            ConsumerKey::new("a}{b:c").unwrap(),
            Token::new("t:{x}%").unwrap(),
        );
        let (u, s) = (UserId::new("jane doe").unwrap(), SessionId::of_cookie(b"c"));
        for (key, kind, name) in [
            (
                keys::consumer(&ck),
                RecordKind::Consumer,
                ck.as_str().as_bytes(),
            ),
            (
                keys::token(&ck, &t),
                RecordKind::Token,
                t.as_str().as_bytes(),
            ),
            (
                keys::request(&ck, &t),
                RecordKind::RequestToken,
                t.as_str().as_bytes(),
            ),
            (keys::user(&u), RecordKind::User, u.as_str().as_bytes()),
            (keys::session(&s), RecordKind::Session, s.as_bytes()),
            (keys::CANARY.to_owned(), RecordKind::Canary, b""),
        ] {
            let read = RecordKey::parse(&key);
            assert_eq!(read, Some(RecordKey::new(kind, name.into())), "{key}");
        }
    }

    #[test]
    fn other_keys_hold_no_record() {
        let (ck, t) = (ConsumerKey::new("token").unwrap(), Token::new("t").unwrap());
        for key in [
            keys::tokens(&ck),
            keys::orphans(&ck, "id"),
            keys::owner(&t),
            keys::request_owner(&t),
            keys::nonces(&ck, 1, 0),
            keys::user_tokens(&UserId::new("u").unwrap()),
            keys::username("user"),
            keys::CONSUMERS.to_owned(),
            keys::EPOCH.to_owned(),
            "countersign:{zz}:session".to_owned(),
            "other:{a}:consumer".to_owned(),
        ] {
            assert_eq!(RecordKey::parse(&key), None, "{key}");
        }
    }
}
