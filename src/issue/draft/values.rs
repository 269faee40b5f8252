//! Rules that several drafts share: secrets, texts, scopes, words, keys and times.

use std::str::FromStr;

use strum::VariantNames;

use crate::clock::UnixTime;
use crate::issue::Violations;
use crate::model::{MIN_RSA_BITS, Scopes, Secret, ValueError, is_deceptive};
use crate::oauth::RsaPublicKey;

/// Checks a shared secret that the caller provides.
pub(in crate::issue) fn secret(given: &Secret) -> Result<Secret, String> {
    match given.expose() {
        [] => Err(ValueError::Empty.to_string()),
        bytes if bytes.len() > MAX_SECRET_LEN => Err(too_long(bytes.len(), MAX_SECRET_LEN)),
        bytes if bytes.iter().any(u8::is_ascii_control) => {
            Err("has a control character, perhaps a line break at its end".to_owned())
        }
        _ => Ok(given.clone()),
    }
}

/// Checks a text that people read.
pub(in crate::issue) fn text(text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(too_long(text.len(), limit));
    }
    match text.char_indices().find(|(_, c)| is_deceptive(*c)) {
        Some((at, c)) if c.is_control() => Err(format!("has a control character at byte {at}")),
        Some((at, c)) => Err(format!(
            "has U+{:04X} at byte {at}, which is invisible or changes the direction of the text: \
             remove it",
            u32::from(c)
        )),
        None => Ok(()),
    }
}

/// Reads a word of a closed set; `noun` names the set in the error.
pub(super) fn word<T: FromStr + VariantNames>(noun: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| unknown_word(noun, &T::VARIANTS.join(", ")))
}

/// Returns the problem of a word that is not in the set `known`.
pub(super) fn unknown_word(noun: &str, known: &str) -> String {
    format!("is not a {noun}; known are {known}")
}

/// Checks the list in the field `scopes`.
pub(in crate::issue) fn scopes(list: &[String], wrong: &mut Violations) -> Scopes {
    let valid = wrong
        .check_each("scopes", list, MAX_SCOPES, scope)
        .join(" ");
    wrong
        .check("scopes", Scopes::parse(&valid))
        .unwrap_or_default()
}

fn scope(scope: &str) -> Result<String, String> {
    match scope {
        "" => Err(ValueError::Empty.to_string()),
        _ if scope.contains(char::is_whitespace) => {
            Err("has a space: pass each scope as its own value".to_owned())
        }
        _ => Scopes::parse(scope)
            .map(|_| scope.to_owned())
            .map_err(|problem| problem.to_string()),
    }
}

/// Reads and checks an RSA public key in PEM.
pub(in crate::issue) fn rsa_public_key(pem: &str) -> Result<RsaPublicKey, String> {
    if pem.len() > MAX_PEM_LEN {
        return Err(too_long(pem.len(), MAX_PEM_LEN));
    }
    let key = RsaPublicKey::from_pem(pem).map_err(|problem| format!("is {problem}"))?;
    // `from_pem` refuses a key that is too long to verify with.
    let bits = key.bits();
    if bits < MIN_RSA_BITS {
        return Err(format!("has {bits} bits, the minimum is {MIN_RSA_BITS}"));
    }
    Ok(key)
}

/// Returns the problem of a value that exceeds its limit, both in bytes.
pub(in crate::issue) fn too_long(len: usize, limit: usize) -> String {
    ValueError::TooLong { len, limit }.to_string()
}

/// Real providers issue secrets of 16 to 100 bytes; a longer one is not safer.
const MAX_SECRET_LEN: usize = 1024;

// The largest page has 100 records. With these limits it fits in one message of 4 MiB, the default
// limit of gRPC clients.
const MAX_SCOPES: usize = 64;

/// Enough for a certificate with an 8192-bit key and a long list of names.
const MAX_PEM_LEN: usize = 16 * 1024;

/// The last second that RFC 3339 and `google.protobuf.Timestamp` can express:
/// 9999-12-31T23:59:59Z.
pub(super) const LAST_TIME: UnixTime = UnixTime::from_secs(253_402_300_799);

pub(super) const TOO_LATE: &str = "must end before the year 10000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_maximum_length_is_accepted_and_a_longer_one_is_not() {
        let given = |length| secret(&Secret::new(vec![b'k'; length])).map(drop);
        assert_eq!(given(1024), Ok(()));
        let longer = Err("is 1025 bytes long, the limit is 1024".to_owned());
        assert_eq!(given(1025), longer);
        assert_eq!(text("abcd", 4), Ok(()));
        let longer = Err("is 5 bytes long, the limit is 4".to_owned());
        assert_eq!(text("abcde", 4), longer);
        let pem = |length| {
            let padded = format!("{RSA}{}", "\n".repeat(length - RSA.len()));
            rsa_public_key(&padded).map(drop)
        };
        assert_eq!(pem(16 * 1024), Ok(()));
        let longer = Err("is 16385 bytes long, the limit is 16384".to_owned());
        assert_eq!(pem(16 * 1024 + 1), longer);
        let longer = Err("is 16386 bytes long, the limit is 16384".to_owned());
        assert_eq!(pem(16 * 1024 + 2), longer);
    }

    #[test]
    fn an_rsa_key_that_is_too_short_is_refused() {
        assert_eq!(
            rsa_public_key(SHORT).map(drop),
            Err("has 1024 bits, the minimum is 2048".to_owned())
        );
    }

    const RSA: &str = include_str!("../tests/rsa_public.pem");

    const SHORT: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDk1/bxyS8Q8jiheHeYYp/4rEKJ
opeQRRKKpZI4s5i+UPwVpupGAlwXWfzXwSMaKPAoKJNdu7tqKRniqst5uoHXw98g
j0x7zamu0Ck1LtQ4c7pFMVah5IYGhBi2E9ycNS329W27nJPWNCbESTu7snVlG8V8
mfvGGg3xNjTMO7IdrwIDAQAB
-----END PUBLIC KEY-----
";
}
