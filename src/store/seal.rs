//! Records sealed at rest: XChaCha20-Poly1305 under a master key, with the name of the record as
//! associated data.
//!
//! A sealed record is binary:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of the format |
//! | 1 | length of the key id |
//! | 1–32 | id of the master key, readable, so that rotated keys can be told apart |
//! | 24 | random nonce |
//! | rest | ciphertext and tag of the whole record |
//!
//! The associated data are all bytes before the nonce, the kind of the record and its name. So an
//! attacker with write access to the store can neither change a field of a record, nor copy a
//! record to another name or kind, nor forge a record.
//!
//! # Security
//! An older version of a record opens under the same name too: an attacker with write access can
//! restore a version that they copied earlier, or delete the record.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};
use zeroize::Zeroizing;

use super::master_key::{MasterKeys, is_key_id};
use crate::clock::Entropy;

/// The sealer and opener of records.
#[derive(Debug)]
pub(super) struct Sealer {
    keys: ArcSwap<MasterKeys>,
    entropy: Arc<dyn Entropy>,
}

/// The kind and the name of a record, to which a sealed record is bound.
#[derive(Clone, Copy)]
pub(super) struct RecordName<'n> {
    pub(super) kind: &'static str,
    pub(super) name: &'n [u8],
}

/// The reason for which a record cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error(
        "it has version {0}, and this release reads version {VERSION}; run the release that wrote it"
    )]
    UnknownVersion(u8),
    #[error("it is not a sealed record; something other than Countersign wrote it")]
    NotSealed,
    #[error(
        "it is sealed with the master key {0:?}, which is not in the master key file; add the line of that key to the file"
    )]
    UnknownKey(Box<str>),
    #[error(
        "it does not authenticate under the master key {0:?}; it was changed or moved, or the key file has another key of that id"
    )]
    Refused(Box<str>),
    #[error("it is too long to seal")]
    TooLong,
}

/// The parts of a sealed record.
struct SealedParts<'s> {
    /// Version and key id.
    header: &'s [u8],
    key_id: &'s str,
    nonce: [u8; NONCE_LEN],
    ciphertext: &'s [u8],
}

// === impl Sealer ===

impl Sealer {
    /// Returns a sealer that seals with the first of `keys` and draws nonces from `entropy`.
    pub(super) fn new(keys: MasterKeys, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys),
            entropy,
        }
    }

    /// Replaces the keys for every later call; returns the former ones.
    pub(super) fn replace_keys(&self, keys: MasterKeys) -> Arc<MasterKeys> {
        self.keys.swap(Arc::new(keys))
    }

    /// Returns the keys in use.
    pub(super) fn keys(&self) -> Arc<MasterKeys> {
        self.keys.load_full()
    }

    /// Seals the bytes of a record. The same bytes are never sealed alike.
    pub(super) fn seal(&self, bytes: &[u8], name: RecordName<'_>) -> Result<Vec<u8>, SealError> {
        let keys = self.keys.load();
        let key = keys.sealing();
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let id = key.id().as_bytes();
        let id_len = u8::try_from(id.len()).map_err(|_| SealError::TooLong)?;
        let mut sealed = Vec::with_capacity(2 + id.len() + NONCE_LEN + bytes.len() + TAG_LEN);
        sealed.extend([VERSION, id_len]);
        sealed.extend(id);
        let payload = Payload {
            msg: bytes,
            aad: &name.bound_to(&sealed),
        };
        let ciphertext = key
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::TooLong)?;
        sealed.extend(nonce);
        sealed.extend(ciphertext);
        Ok(sealed)
    }

    /// Opens a sealed record of that name.
    pub(super) fn open(
        &self,
        sealed: &[u8],
        name: RecordName<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open_with(&self.keys.load(), sealed, name)
    }

    /// Returns `true` if the first key sealed a record.
    pub(super) fn is_sealed_with_the_first_key(&self, sealed: &[u8]) -> bool {
        SealedParts::of(sealed).is_ok_and(|parts| parts.key_id == self.keys.load().sealing().id())
    }

    /// Returns the ids of the keys; the first one seals.
    pub(super) fn key_ids(&self) -> Vec<Box<str>> {
        self.keys.load().ids().map(Box::from).collect()
    }

    /// Draws a random number, too long to be drawn twice by chance.
    pub(super) fn draw_id(&self) -> u128 {
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        u128::from_be_bytes(id)
    }
}

/// Returns the id of the key that sealed a record; `None` if it is not a sealed record of this
/// release.
pub(super) fn key_id_of(sealed: &[u8]) -> Option<&str> {
    SealedParts::of(sealed).ok().map(|parts| parts.key_id)
}

/// Opens a sealed record of that name with one of `keys`.
pub(super) fn open_with(
    keys: &MasterKeys,
    sealed: &[u8],
    name: RecordName<'_>,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let parts = SealedParts::of(sealed)?;
    let key = keys
        .of_id(parts.key_id)
        .ok_or_else(|| SealError::UnknownKey(parts.key_id.into()))?;
    let payload = Payload {
        msg: parts.ciphertext,
        aad: &name.bound_to(parts.header),
    };
    let opened = key.cipher().decrypt(&XNonce::from(parts.nonce), payload);
    opened
        .map(Zeroizing::new)
        .map_err(|_| SealError::Refused(parts.key_id.into()))
}

// === impl RecordName ===

impl RecordName<'_> {
    /// Returns the associated data of a record with that name and that header. Each part is
    /// preceded by its length, so that different names have different bytes.
    fn bound_to(&self, header: &[u8]) -> Vec<u8> {
        let mut bytes = header.to_vec();
        for part in [self.kind.as_bytes(), self.name] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        bytes
    }
}

impl fmt::Debug for RecordName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

// === impl SealedParts ===

impl<'s> SealedParts<'s> {
    fn of(sealed: &'s [u8]) -> Result<Self, SealError> {
        match sealed.first() {
            Some(&VERSION) => {}
            Some(&other) if other < MAX_VERSION => return Err(SealError::UnknownVersion(other)),
            _ => return Err(SealError::NotSealed),
        }
        Self::split(sealed).ok_or(SealError::NotSealed)
    }

    fn split(sealed: &'s [u8]) -> Option<Self> {
        let id_len = usize::from(*sealed.get(1)?);
        let (header, rest) = sealed.split_at_checked(2 + id_len)?;
        let key_id = std::str::from_utf8(header.get(2..)?).ok()?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        is_key_id(key_id).then_some(Self {
            header,
            key_id,
            nonce: *nonce,
            ciphertext,
        })
    }
}

/// The version of the sealed records that this release reads and writes, and of what is in them.
/// Development versions used 1 to 3. docs/operations.md has the policy, and `tests/vectors` golden
/// records of each version that this release reads.
pub(super) const VERSION: u8 = 4;

/// The limit of versions: a larger first byte is no version, but a readable character.
const MAX_VERSION: u8 = 32;

/// Bytes of an XChaCha20 nonce, which is long enough to be random.
const NONCE_LEN: usize = 24;

/// Bytes of a Poly1305 tag.
const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use crate::store::master_key::new_master_key;

    const CONSUMER: RecordName<'static> = name("consumer", b"ck");

    #[test]
    fn a_sealed_record_opens_and_is_not_readable() {
        let sealer = sealer(&[&line()]);
        let sealed = sealer.seal(RECORD, CONSUMER).unwrap();
        assert_eq!(&**sealer.open(&sealed, CONSUMER).unwrap(), RECORD);
        assert!(!sealed.windows(6).any(|window| window == &RECORD[..6]));
        assert_ne!(
            sealed,
            sealer.seal(RECORD, CONSUMER).unwrap(),
            "a nonce was used twice"
        );
    }

    #[test]
    fn a_readable_character_is_no_version() {
        let sealer = sealer(&[&line()]);
        let refusal = |first: u8| sealer.open(&[first; 60], CONSUMER).unwrap_err();
        assert_eq!(refusal(31), SealError::UnknownVersion(31));
        assert_eq!(refusal(b' '), SealError::NotSealed);
    }

    #[test]
    fn a_record_sealed_with_the_old_key_opens_after_a_new_one_is_put_first() {
        let (old, new) = (line(), line());
        let sealed = sealer(&[&old]).seal(RECORD, CONSUMER).unwrap();
        let rotated = sealer(&[&new, &old]);
        assert_eq!(&**rotated.open(&sealed, CONSUMER).unwrap(), RECORD);
        assert!(!rotated.is_sealed_with_the_first_key(&sealed));
        let resealed = rotated.seal(RECORD, CONSUMER).unwrap();
        assert!(rotated.is_sealed_with_the_first_key(&resealed));
        let error = sealer(&[&old]).open(&resealed, CONSUMER).unwrap_err();
        assert_eq!(error, SealError::UnknownKey(id_of(&new).into()));
    }

    #[test]
    fn a_missing_master_key_is_named() {
        let (old, new) = (line(), line());
        let sealed = sealer(&[&old]).seal(RECORD, CONSUMER).unwrap();
        let error = sealer(&[&new]).open(&sealed, CONSUMER).unwrap_err();
        assert_eq!(error, SealError::UnknownKey(id_of(&old).into()));
        assert!(error.to_string().contains(id_of(&old)));
    }

    #[test]
    fn another_key_of_the_same_id_is_refused() {
        let (one, other) = (line(), line());
        let sealed = sealer(&[&one]).seal(RECORD, CONSUMER).unwrap();
        let same_id = format!("{}:{}", id_of(&one), other.split_once(':').unwrap().1);
        assert_eq!(
            sealer(&[&same_id]).open(&sealed, CONSUMER),
            Err(SealError::Refused(id_of(&one).into()))
        );
    }

    #[test]
    fn a_sealed_record_does_not_open_under_another_name_or_kind() {
        let line = line();
        let sealer = sealer(&[&line]);
        let sealed = sealer.seal(RECORD, name("token", b"abc")).unwrap();
        for other in [
            name("token", b"ab"),
            name("token", b""),
            name("tokena", b"bc"),
            name("consumer", b"abc"),
        ] {
            let refused = SealError::Refused(id_of(&line).into());
            assert_eq!(sealer.open(&sealed, other), Err(refused), "{other:?}");
        }
    }

    #[test]
    fn no_changed_bit_and_no_shorter_record_opens() {
        let sealer = sealer(&[&line()]);
        let sealed = sealer.seal(RECORD, CONSUMER).unwrap();
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(&changed, CONSUMER).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(sealer.open(&sealed[..len], CONSUMER).is_err(), "{len}");
        }
    }

    #[test]
    fn another_version_is_named_and_readable_text_is_no_version() {
        let sealer = sealer(&[&line()]);
        assert_eq!(
            sealer.open(&[VERSION + 1, 9], CONSUMER),
            Err(SealError::UnknownVersion(VERSION + 1))
        );
        for not_sealed in [&b""[..], b"{\"version\":3}", b"\x04", b"\x04\x02\xFF\xFF"] {
            let opened = sealer.open(not_sealed, CONSUMER);
            assert_eq!(opened, Err(SealError::NotSealed), "{not_sealed:?}");
        }
    }

    const fn name(kind: &'static str, name: &'static [u8]) -> RecordName<'static> {
        RecordName { kind, name }
    }

    fn line() -> Zeroizing<String> {
        new_master_key(&SystemEntropy)
    }

    fn id_of(line: &str) -> &str {
        line.split_once(':').unwrap().0
    }

    fn sealer(lines: &[&str]) -> Sealer {
        let keys = MasterKeys::parse(lines.join("\n").as_bytes()).unwrap();
        Sealer::new(keys, Arc::new(SystemEntropy))
    }

    const RECORD: &[u8] = b"{\"secret\":\"a2Q5NGhmOTNrNDIza2Y0NA==\"}";
}
