//! The key that two shared secrets make (RFC 5849 sections 3.4.2 and 3.4.4).

use zeroize::Zeroizing;

use super::encode::encode;

/// The secrets of a consumer and of a token; the token's is empty if the request has no token.
#[derive(Clone, Copy)]
pub(super) struct SharedSecrets<'s> {
    pub(super) consumer: &'s [u8],
    pub(super) token: &'s [u8],
}

impl SharedSecrets<'_> {
    /// Encodes both secrets and joins them with `&`, which is always there: the HMAC key, and the
    /// PLAINTEXT signature.
    ///
    /// [RFC 5849 section 3.4.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.2)
    pub(super) fn signing_key(self) -> Zeroizing<Vec<u8>> {
        // Room for every byte escaped: growing would leave an unwiped copy behind.
        let room = 3 * (self.consumer.len() + self.token.len()) + 1;
        let mut key = Zeroizing::new(Vec::with_capacity(room));
        encode(self.consumer, &mut |piece| key.extend_from_slice(piece));
        key.push(b'&');
        encode(self.token, &mut |piece| key.extend_from_slice(piece));
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_outgrows_its_room() {
        let secrets = SharedSecrets {
            consumer: b"%%%%",
            token: b"&&",
        };
        let key = secrets.signing_key();
        assert_eq!(**key, *b"%25%25%25%25&%26%26");
        assert_eq!(key.capacity(), key.len());
    }
}
