//! Secrets sealed at rest: XChaCha20-Poly1305 under a master key, with the id of the record as
//! associated data.
//!
//! A sealed secret is the text `<key id>:<base64 of nonce and ciphertext>`. The associated data
//! binds it to its record: an attacker with write access to the store cannot move a secret that
//! they know into the record of another consumer. The rest of a record is not sealed, and such an
//! attacker can change it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};
use zeroize::Zeroizing;

use super::master_key::MasterKeys;
use crate::clock::Entropy;
use crate::model::Secret;

/// The sealer and opener of secrets.
#[derive(Debug)]
pub(super) struct Sealer {
    keys: MasterKeys,
    entropy: Arc<dyn Entropy>,
}

/// The associated data of a secret: its kind and its owner.
pub(super) struct RecordId(Vec<u8>);

/// The reason for which a secret cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error(
        "the secret is sealed with the master key {0:?}, which is not in the master key file; add the line of that key to the file"
    )]
    UnknownKey(Box<str>),
    #[error("the sealed secret is damaged or was moved from another record")]
    Refused,
    #[error("the sealed secret does not have the form <key id>:<base64>")]
    Malformed,
    #[error("the secret is too long to seal")]
    TooLong,
}

// === impl Sealer ===

impl Sealer {
    /// Returns a sealer that seals with the first of `keys` and draws nonces from `entropy`.
    pub(super) fn new(keys: MasterKeys, entropy: Arc<dyn Entropy>) -> Self {
        Self { keys, entropy }
    }

    /// Seals a secret of one record.
    pub(super) fn seal(&self, secret: &Secret, record: &RecordId) -> Result<String, SealError> {
        let key = self.keys.sealing();
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let payload = Payload {
            msg: secret.expose(),
            aad: &record.0,
        };
        let ciphertext = key
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SealError::TooLong)?;
        let encoded = STANDARD.encode([&nonce[..], &ciphertext].concat());
        Ok(format!("{}:{encoded}", key.id()))
    }

    /// Draws a random number, too long to be drawn twice by chance.
    pub(super) fn draw_id(&self) -> u128 {
        let mut id = [0; 16];
        self.entropy.fill(&mut id);
        u128::from_be_bytes(id)
    }

    /// Opens a secret of one record.
    pub(super) fn open(&self, sealed: &str, record: &RecordId) -> Result<Secret, SealError> {
        let (id, encoded) = sealed.split_once(':').ok_or(SealError::Malformed)?;
        let key = self
            .keys
            .of_id(id)
            .ok_or_else(|| SealError::UnknownKey(id.into()))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SealError::Malformed)?;
        let (nonce, ciphertext) = bytes
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::Malformed)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &record.0,
        };
        let opened = key
            .cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| SealError::Refused)?;
        Ok(Secret::new(&Zeroizing::new(opened)[..]))
    }
}

// === impl RecordId ===

impl RecordId {
    /// Returns the id of the record with that kind and those keys. Each part is preceded by its
    /// length, so that different ids have different bytes.
    pub(super) fn new(kind: &str, keys: &[&str]) -> Self {
        let mut bytes = Vec::new();
        for part in std::iter::once(&kind).chain(keys) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        Self(bytes)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordId")
    }
}

/// Bytes of an XChaCha20 nonce, which is long enough to be random.
const NONCE_LEN: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use crate::store::master_key::new_master_key;

    #[test]
    fn a_sealed_secret_opens_and_is_not_readable() {
        let sealer = sealer(&[&line()]);
        let record = RecordId::new("consumer", &["ck"]);
        let sealed = sealer.seal(&secret(), &record).unwrap();
        assert_eq!(sealer.open(&sealed, &record).unwrap(), secret());
        let bytes = STANDARD.decode(sealed.split_once(':').unwrap().1).unwrap();
        assert!(
            !bytes
                .windows(6)
                .any(|window| window == &secret().expose()[..6])
        );
        assert_ne!(
            sealed,
            sealer.seal(&secret(), &record).unwrap(),
            "a nonce was used twice"
        );
    }

    #[test]
    fn a_secret_sealed_with_the_old_key_opens_after_a_new_one_is_put_first() {
        let (old, new) = (line(), line());
        let record = RecordId::new("token", &["ck", "t"]);
        let sealed = sealer(&[&old]).seal(&secret(), &record).unwrap();
        let rotated = sealer(&[&new, &old]);
        assert_eq!(rotated.open(&sealed, &record).unwrap(), secret());
        let new_id = new.split_once(':').unwrap().0;
        assert!(
            rotated
                .seal(&secret(), &record)
                .unwrap()
                .starts_with(&format!("{new_id}:"))
        );
    }

    #[test]
    fn a_missing_master_key_is_named() {
        let (old, new) = (line(), line());
        let record = RecordId::new("consumer", &["ck"]);
        let sealed = sealer(&[&old]).seal(&secret(), &record).unwrap();
        let error = sealer(&[&new]).open(&sealed, &record).unwrap_err();
        let old_id = old.split_once(':').unwrap().0;
        assert_eq!(error, SealError::UnknownKey(old_id.into()));
        assert!(error.to_string().contains(old_id));
    }

    #[test]
    fn a_sealed_secret_does_not_open_in_another_record() {
        let sealer = sealer(&[&line()]);
        let sealed = sealer
            .seal(&secret(), &RecordId::new("token", &["ab", "c"]))
            .unwrap();
        for other in [
            RecordId::new("token", &["a", "bc"]),
            RecordId::new("token", &["abc"]),
            RecordId::new("tokena", &["b", "c"]),
            RecordId::new("token", &["ab", "c", ""]),
        ] {
            assert_eq!(sealer.open(&sealed, &other), Err(SealError::Refused));
        }
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let sealer = sealer(&[&line()]);
        let record = RecordId::new("consumer", &["ck"]);
        let sealed = sealer.seal(&secret(), &record).unwrap();
        let (id, encoded) = sealed.split_once(':').unwrap();
        let bytes = STANDARD.decode(encoded).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("{id}:{}", STANDARD.encode(changed));
            assert_eq!(
                sealer.open(&changed, &record),
                Err(SealError::Refused),
                "byte {at}"
            );
        }
        for malformed in [
            id,
            &format!("{id}:"),
            &format!("{id}:AAAA"),
            &format!("{id}:!"),
        ] {
            assert_eq!(sealer.open(malformed, &record), Err(SealError::Malformed));
        }
    }

    fn line() -> Zeroizing<String> {
        new_master_key(&SystemEntropy)
    }

    fn sealer(lines: &[&str]) -> Sealer {
        let keys = MasterKeys::parse(lines.join("\n").as_bytes()).unwrap();
        Sealer::new(keys, Arc::new(SystemEntropy))
    }

    fn secret() -> Secret {
        Secret::new(*b"kd94hf93k423kf44")
    }
}
