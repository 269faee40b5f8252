//! Secrets that cannot be shown by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::oauth::KeySchedule;

/// A shared secret, a token secret or a private token of an administrator.
///
/// # Security
/// Wiped on drop and compared in constant time. `Debug` is redacted, and `Display` and `Serialize`
/// are missing on purpose.
pub struct Secret {
    bytes: Zeroizing<Box<[u8]>>,
    schedule: KeySchedule,
}

impl Secret {
    /// Creates a secret of these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self {
            bytes: Zeroizing::new(bytes.into()),
            schedule: KeySchedule::default(),
        }
    }

    /// Returns the bytes, for the code that computes with them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the cache of the HMAC key that ends with this secret; it lives as long as the
    /// secret.
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
