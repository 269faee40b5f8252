//! Signature methods (RFC 5849 sections 3.4.2 to 3.4.4), and the same with SHA-2 as clients use
//! them.

use strum::{Display, IntoStaticStr, VariantArray};

use super::hash::HashFunction;

/// A signature method.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "SCREAMING-KEBAB-CASE")]
pub enum SignatureMethod {
    /// `HMAC-SHA1` (RFC 5849 section 3.4.2).
    HmacSha1,
    /// `HMAC-SHA256`, section 3.4.2 with SHA-256.
    HmacSha256,
    /// `HMAC-SHA512`, section 3.4.2 with SHA-512.
    HmacSha512,
    /// `RSA-SHA1` (RFC 5849 section 3.4.3).
    RsaSha1,
    /// `RSA-SHA256`, section 3.4.3 with SHA-256.
    RsaSha256,
    /// `RSA-SHA512`, section 3.4.3 with SHA-512.
    RsaSha512,
    /// `PLAINTEXT` (RFC 5849 section 3.4.4).
    Plaintext,
}

impl SignatureMethod {
    /// Every method, in the order of lists for people.
    pub const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the name on the wire, for example `HMAC-SHA1`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the method of that name; names are case-sensitive.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|method| method.name().as_bytes() == name)
    }

    /// Returns whether the method signs with an RSA key instead of the shared secrets.
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RsaSha1 | Self::RsaSha256 | Self::RsaSha512)
    }

    /// Returns the hash that the method signs and that `oauth_body_hash` uses; SHA-1 for PLAINTEXT,
    /// which hashes nothing.
    pub(super) const fn hash(self) -> HashFunction {
        match self {
            Self::HmacSha1 | Self::RsaSha1 | Self::Plaintext => HashFunction::Sha1,
            Self::HmacSha256 | Self::RsaSha256 => HashFunction::Sha256,
            Self::HmacSha512 | Self::RsaSha512 => HashFunction::Sha512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_their_names_on_the_wire() {
        let names = SignatureMethod::ALL.map(SignatureMethod::name);
        let expected = [
            "HMAC-SHA1",
            "HMAC-SHA256",
            "HMAC-SHA512",
            "RSA-SHA1",
            "RSA-SHA256",
            "RSA-SHA512",
            "PLAINTEXT",
        ];
        assert_eq!(names, expected);
    }
}
