//! Changes of the finished base string: what clients add to it, or make of it, before they sign.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::encode::encoded;
use super::super::hash::HashFunction;
use super::super::signature::digest_algorithm;
use super::super::variant::{Finish, replaced_part};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};

/// Returns every change of the finished base string.
pub(super) fn changes<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    CHANGES.into_iter().map(|(finish, remedy)| {
        BaseStringChange::new(
            MismatchCause::BaseStringChanged,
            BaseStringPart::Finish,
            move |variant| variant.finish = Some(finish),
        )
        .with_remedy(Some(remedy))
        .guess()
    })
}

const CHANGES: [(Finish, &str); 37] = [
    (|text| [text, b"\n"].concat(), AROUND),
    (|text| [text, b"\r\n"].concat(), AROUND),
    (|text| [text, b" "].concat(), AROUND),
    (|text| [text, b"&"].concat(), AROUND),
    (|text| [b" ", text].concat(), AROUND),
    (|text| [b"&", text].concat(), AROUND),
    (|text| [text, b"\0"].concat(), AROUND),
    (|text| [b"\"", text, b"\""].concat(), AROUND),
    (|text| [b"\xEF\xBB\xBF", text].concat(), AROUND),
    (|text| [text, b"%26"].concat(), LAST_AMPERSAND),
    (|text| before_parameters(text, b"%26"), LAST_AMPERSAND),
    (|text| before_parameters(text, b"%3F"), QUESTION_MARK),
    (|text| text.to_ascii_lowercase(), CASE),
    (|text| text.to_ascii_uppercase(), CASE),
    (|text| encoded(text).into_bytes(), ENCODED),
    (|text| STANDARD.encode(text).into_bytes(), ENCODED),
    (|text| utf16(text, u16::to_le_bytes), UTF16),
    (|text| utf16(text, u16::to_be_bytes), UTF16),
    (|text| hashed(text, HashFunction::Sha1), HASHED),
    (|text| hashed(text, HashFunction::Sha256), HASHED),
    (
        |text| in_hexadecimal(&hashed(text, HashFunction::Sha1)),
        HASHED,
    ),
    (
        |text| in_hexadecimal(&hashed(text, HashFunction::Sha256)),
        HASHED,
    ),
    (|text| joined(text, b"\n"), SEPARATORS),
    (|text| joined(text, b""), SEPARATORS),
    (|text| joined(text, b" "), SEPARATORS),
    (|text| joined(text, b"&&"), SEPARATORS),
    (|text| parameters_joined(text, b""), PARAMETERS),
    (|text| parameters_joined(text, b"%2C"), PARAMETERS),
    (|text| parameters_joined(text, b"%2C%20"), PARAMETERS),
    (|text| parameters_joined(text, b"%0A"), PARAMETERS),
    (
        |text| of_parts(text, |[_, uri, rest]| vec![uri, rest]),
        PARTS,
    ),
    (|text| of_parts(text, |[_, _, rest]| vec![rest]), PARTS),
    (
        |text| of_parts(text, |[method, uri, _]| vec![method, uri]),
        PARTS,
    ),
    (
        |text| of_parts(text, |[method, uri, _]| vec![method, uri, b""]),
        PARTS,
    ),
    (
        |text| of_parts(text, |[method, uri, rest]| vec![uri, method, rest]),
        PARTS,
    ),
    (
        |text| of_parts(text, |[method, uri, rest]| vec![method, rest, uri]),
        PARTS,
    ),
    (as_one_url, ONE_URL),
];

/// Splits the text at its first two `&`: the encoded parts have none.
fn parts(text: &[u8]) -> [&[u8]; 3] {
    let mut parts = text.splitn(3, |&byte| byte == b'&');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn of_parts(text: &[u8], choose: for<'t> fn([&'t [u8]; 3]) -> Vec<&'t [u8]>) -> Vec<u8> {
    choose(parts(text)).join(&b'&')
}

fn joined(text: &[u8], separator: &[u8]) -> Vec<u8> {
    parts(text).join(separator)
}

/// Returns the text with another separator, which is encoded, between the parameters.
fn parameters_joined(text: &[u8], separator: &[u8]) -> Vec<u8> {
    let [method, uri, rest] = parts(text);
    let rest = replaced_part(rest, b"%26", separator);
    [method, b"&", uri, b"&", &rest].concat()
}

fn before_parameters(text: &[u8], mark: &[u8]) -> Vec<u8> {
    let [method, uri, rest] = parts(text);
    [method, b"&", uri, b"&", mark, rest].concat()
}

/// Returns method and URL, with the parameters as its query.
fn as_one_url(text: &[u8]) -> Vec<u8> {
    let [method, uri, rest] = parts(text);
    [method, b"&", uri, b"%3F", rest].concat()
}

fn utf16(text: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.iter()
        .flat_map(|&byte| bytes(u16::from(byte)))
        .collect()
}

fn hashed(text: &[u8], hash: HashFunction) -> Vec<u8> {
    digest::digest(digest_algorithm(hash), text)
        .as_ref()
        .to_vec()
}

fn in_hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.into_bytes()
}

const AROUND: &str = "the client adds a line break, a space, quotes or another character around the base string: make it \
     sign the base string without it (RFC 5849 section 3.4.1.1)";

const LAST_AMPERSAND: &str = "the client adds an extra `&` before or after the parameters: make it put the `&` only between \
     parameters (RFC 5849 section 3.4.1.3.2)";

const QUESTION_MARK: &str = "the client signs a `?` before the parameters: make it sign the parameters without it (RFC \
     5849 section 3.4.1.3.2)";

const CASE: &str = "the client changes the whole base string to lowercase or uppercase: make it sign the base string as \
     it is, with escapes in uppercase (RFC 5849 section 3.4.1.1)";

const ENCODED: &str = "the client encodes the whole base string once more: make it encode each part alone, and join the \
     parts with `&` (RFC 5849 section 3.4.1.1)";

const UTF16: &str =
    "the client signs the base string in UTF-16: make it sign the bytes in ASCII or UTF-8";

const HASHED: &str = "the client hashes the base string before it signs: make it pass the base string itself to the \
     signature method, which hashes it (RFC 5849 section 3.4.2)";

const SEPARATORS: &str = "the client does not join the parts of the base string with `&`: make it join method, URI and \
     parameters with `&` (RFC 5849 section 3.4.1.1)";

const PARAMETERS: &str = "the client does not join the parameters with `&`: make it join them as `name=value`, with `&` between \
     them (RFC 5849 section 3.4.1.3.2)";

const PARTS: &str = "the client omits or swaps parts of the base string: make it join method, URI and \
     parameters, in this order, with `&` (RFC 5849 section 3.4.1.1)";

const ONE_URL: &str = "the client signs the parameters as the query of the URI: make it join URI and parameters as two \
     parts of the base string, with `&` (RFC 5849 section 3.4.1.1)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_gives_the_text_of_its_clients() {
        let text = b"GET&https%3A%2F%2Fa%2Fb&c%3Dd%26e%3Df";
        let all: Vec<_> = CHANGES.iter().map(|(finish, _)| finish(text)).collect();
        for expected in [
            &b"GET&https%3A%2F%2Fa%2Fb&c%3Dd%26e%3Df\n"[..],
            b"GET&https%3A%2F%2Fa%2Fb&c%3Dd%26e%3Df%26",
            b"GET&https%3A%2F%2Fa%2Fb&%26c%3Dd%26e%3Df",
            b"GET&https%3A%2F%2Fa%2Fb&c%3Dd%2Ce%3Df",
            b"GET\nhttps%3A%2F%2Fa%2Fb\nc%3Dd%26e%3Df",
            b"https%3A%2F%2Fa%2Fb&c%3Dd%26e%3Df",
            b"https%3A%2F%2Fa%2Fb&GET&c%3Dd%26e%3Df",
            b"GET&https%3A%2F%2Fa%2Fb%3Fc%3Dd%26e%3Df",
            b"get&https%3a%2f%2fa%2fb&c%3dd%26e%3df",
        ] {
            assert!(all.iter().any(|made| made == expected));
        }
        let mut distinct = all.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), all.len());
    }
}
