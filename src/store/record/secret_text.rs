//! Secrets in a record: base64, since they may have any bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::unreadable;
use crate::model::Secret;
use crate::store::StoreError;

/// A secret in base64, wiped on drop.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(super) struct SecretText(String);

// === impl SecretText ===

impl SecretText {
    /// Writes a secret.
    pub(super) fn of(secret: &Secret) -> Self {
        Self(STANDARD.encode(secret.expose()))
    }

    /// Reads the secret.
    pub(super) fn secret(&self) -> Result<Secret, StoreError> {
        let bytes = STANDARD.decode(&self.0).map_err(|_| not_base64())?;
        Ok(Secret::new(&Zeroizing::new(bytes)[..]))
    }
}

fn not_base64() -> StoreError {
    unreadable("a secret of it is not base64")
}
