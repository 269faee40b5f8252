//! Random identifiers and secrets.

use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::model::Secret;

/// Returns 128 random bits in hexadecimal, for a key, a token or an id.
pub(crate) fn identifier(entropy: &dyn Entropy) -> String {
    String::from(hex::<16>(entropy).as_str())
}

/// Returns 256 random bits in hexadecimal, for a shared secret.
pub(crate) fn secret(entropy: &dyn Entropy) -> Secret {
    Secret::new(hex::<32>(entropy).as_bytes())
}

/// Returns eight random digits, for a verifier that a user types. Guesses must be counted.
pub(crate) fn digits(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    Secret::new(format!("{:08}", u64::from_be_bytes(bytes) % 100_000_000).into_bytes())
}

/// Returns `N` random bytes in hexadecimal: such a value never begins with `-`, which a command
/// line takes for an option, and survives a look-up that ignores case.
fn hex<const N: usize>(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; N]);
    entropy.fill(&mut *bytes);
    let mut text = Zeroizing::new(String::with_capacity(2 * N));
    for byte in bytes.iter() {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CountingEntropy, SystemEntropy};

    #[test]
    fn an_identifier_has_128_bits_and_a_secret_256() {
        let entropy = CountingEntropy::default();
        assert_eq!(identifier(&entropy), "00000000000000000000000000000001");
        assert_eq!(secret(&entropy).expose().len(), 64);
    }

    #[test]
    fn only_unreserved_characters_are_made() {
        let made = secret(&SystemEntropy);
        assert!(made.expose().iter().all(u8::is_ascii_alphanumeric));
        assert!(made != secret(&SystemEntropy));
    }
}
