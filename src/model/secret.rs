//! A secret that can not be shown by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::oauth::KeySchedule;

/// A shared secret, a token secret or a private token of an administrator.
///
/// # Security
/// Wiped when dropped, compared in constant time, and never shown: `Debug` is redacted, and there is neither `Display`
/// nor `Serialize`.
pub struct Secret {
    bytes: Zeroizing<Box<[u8]>>,
    schedule: KeySchedule,
}

impl Secret {
    /// Takes the bytes of a secret.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self {
            bytes: Zeroizing::new(bytes.into()),
            schedule: KeySchedule::default(),
        }
    }

    /// The bytes, for the one place that computes with them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the HMAC key that this secret is the last part of is remembered, as long as the secret is.
    pub const fn schedule(&self) -> &KeySchedule {
        &self.schedule
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            schedule: KeySchedule::default(),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new(*b"kd94hf93k423kf44");
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }
}
