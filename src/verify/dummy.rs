//! Stand-ins for missing secrets and keys, so that an unknown consumer costs as much as a known
//! one.

use std::sync::LazyLock;

use crate::oauth::{KeySchedule, RsaPublicKey, SignatureMethod};

/// A secret of the length that Countersign generates.
pub(super) const SECRET: &[u8] = b"a dummy that is never stored and signs nothing";

/// Returns the HMAC key cache of the dummy secrets, the counterpart of the cache of a real secret.
pub(super) fn schedule(method: SignatureMethod, with_token: bool) -> &'static KeySchedule {
    static SCHEDULES: LazyLock<[[KeySchedule; SignatureMethod::ALL.len()]; 2]> =
        LazyLock::new(Default::default);
    &SCHEDULES[usize::from(with_token)][method as usize]
}

/// Returns a public key whose private key was discarded when the pair was generated.
pub(super) fn rsa_public_key() -> &'static RsaPublicKey {
    #[expect(clippy::expect_used, reason = "a constant, parsed by a test")]
    static KEY: LazyLock<RsaPublicKey> = LazyLock::new(|| {
        RsaPublicKey::from_pem(RSA_PUBLIC_KEY).expect("the dummy key is a public key")
    });
    &KEY
}

const RSA_PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoX7AbrDOHg3Uw5lZbl0Z
UnrICUg+PykGpafwlG84Sed6UNpkOh2H7AFY50xUJiGt0TWrOIgow8vM6u8KquW9
wpJF0imi4gNw8LIcPspX3nG+YQfmbn6b+QEh7r0Dz1+75fpqM49yAzPnAiLfK4y3
MISXVFc7dE511Z04LDSKtbBYm8M08N//ewhtDZC7HVtgky68Se9k9z7YD90AdJa0
JnTdL8B8IppofUAL6BA910Q0/HoILTGYmtnsdA8iEqgCClVDle7qK4lxTEJ5IQi5
sUjgfD0mt5i3ECrIM9NG0RFxSEsAl8S+8XUekN6+D4HdIMxMS2zPDNHqyXOb+JX2
YwIDAQAB
-----END PUBLIC KEY-----
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_dummy_key_is_as_long_as_the_shortest_real_one() {
        assert_eq!(super::rsa_public_key().bits(), crate::model::MIN_RSA_BITS);
    }
}
