//! Properties that hold for every request: what is signed verifies, what is changed does not, and nothing panics.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::oauth::encode::{Syntax, decode, encoded, normalize};
use crate::oauth::{SignatureMethod, Signer, SigningKey};

/// Names and values, decoded.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What a client is going to sign, and with what.
#[derive(Clone, Debug)]
struct Sketch {
    method: String,
    scheme: Scheme,
    authority: String,
    path: String,
    query: Pairs,
    body: Content,
    place: ParameterPlace,
    signature_method: SignatureMethod,
    consumer_key: Vec<u8>,
    consumer_secret: Vec<u8>,
    token: Option<(Vec<u8>, Vec<u8>)>,
    timestamp: u64,
    nonce: Vec<u8>,
    realm: Option<String>,
    extension: Option<Vec<u8>>,
    escape_all: bool,
}

#[derive(Clone, Debug)]
enum Content {
    Form(Pairs),
    /// Covered by `oauth_body_hash`.
    Other(Vec<u8>),
}

impl Sketch {
    fn sign(&self) -> Wire {
        let written = |pairs| write_form(pairs, self.escape_all);
        let target = format!("{}?{}", self.path, written(&self.query));
        let (content_type, body) = match &self.body {
            Content::Form(pairs) => (FORM, written(pairs).into_bytes()),
            Content::Other(body) => ("application/json", body.clone()),
        };
        let extensions: Vec<_> = self
            .extension
            .iter()
            .map(|value| (&b"oauth_x"[..], value.as_slice()))
            .collect();
        let draft = RequestDraft {
            method: self.method.as_bytes(),
            scheme: self.scheme,
            authority: self.authority.as_bytes(),
            target: target.as_bytes(),
            content_type: Some(content_type.as_bytes()),
            body: &body,
            place: self.place,
            stamp: RequestStamp {
                timestamp: self.timestamp,
                nonce: &self.nonce,
            },
            realm: self.realm.as_deref(),
            body_hash: matches!(self.body, Content::Other(_)),
            extensions: &extensions,
        };
        let secrets = SigningKey::Secrets {
            consumer: &self.consumer_secret,
            token: self.token_secret(),
        };
        let signer = Signer {
            consumer_key: &self.consumer_key,
            token: self.token.as_ref().map(|(token, _)| token.as_slice()),
            method: self.signature_method,
            key: if self.signature_method.is_rsa() {
                SigningKey::Rsa(&rsa_key().private)
            } else {
                secrets
            },
        };
        Wire::signed(&draft, signer.sign(&draft).unwrap())
    }

    fn token_secret(&self) -> &[u8] {
        self.token.as_ref().map_or(b"", |(_, secret)| secret)
    }

    /// `None` is a request that is not signed any more.
    fn verify(&self, wire: &Wire) -> Option<Result<(), Rejection>> {
        let keys = VerificationKeys {
            consumer_secrets: &[&self.consumer_secret],
            token_secret: self.token.as_ref().map(|(_, secret)| secret.as_slice()),
            rsa_public_keys: &[&rsa_key().public],
        };
        wire.with_request(|request| match request.parse(&ParseLimits::default()) {
            Ok(None) => None,
            Ok(Some(signed)) => Some(signed.verify(&keys, BodyHashRule::Require).map(|_| ())),
            Err(rejection) => Some(Err(rejection)),
        })
    }
}

/// What is signed of a request, read in another way than the core reads it: two requests that mean the same may both
/// verify, any other two may not.
fn meaning(wire: &Wire) -> (String, String, Vec<u8>, Pairs, Vec<u8>) {
    let mut parts = wire.target.splitn(2, |&byte| byte == b'?');
    let path = parts.next().unwrap().to_vec();
    let mut pairs = read_form(parts.next().unwrap_or_default());
    let is_form = wire.content_type == [FORM.as_bytes()];
    let body = wire.body.clone().unwrap();
    if is_form {
        pairs.extend(read_form(&body));
    }
    pairs.sort();
    let method = String::from_utf8_lossy(&wire.method).to_uppercase();
    let authority = String::from_utf8_lossy(&wire.authority).to_lowercase();
    let default = if wire.scheme == Scheme::Http {
        ":80"
    } else {
        ":443"
    };
    let host = authority
        .strip_suffix(default)
        .or_else(|| authority.strip_suffix(':'))
        .unwrap_or(&authority)
        .to_owned();
    (
        method,
        host,
        path,
        pairs,
        if is_form { Vec::new() } else { body },
    )
}

fn read_form(form: &[u8]) -> Pairs {
    let text = |bytes: &[u8]| {
        let spaced: Vec<_> = bytes
            .iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect();
        percent_encoding::percent_decode(&spaced).collect::<Vec<_>>()
    };
    let segments = form
        .split(|&byte| byte == b'&')
        .filter(|segment| !segment.is_empty());
    segments
        .map(|segment| {
            let mut halves = segment.splitn(2, |&byte| byte == b'=');
            (
                text(halves.next().unwrap()),
                text(halves.next().unwrap_or_default()),
            )
        })
        .collect()
}

/// A form as one of two kinds of client writes it: everything escaped in lower case, or as little as can be.
fn write_form(pairs: &Pairs, escape_all: bool) -> String {
    let text = |bytes: &[u8]| -> String {
        let escape = |&byte: &u8| match byte {
            b' ' if !escape_all => "+".to_owned(),
            byte if !escape_all && byte.is_ascii_graphic() && !b"&=+%#".contains(&byte) => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02x}"),
        };
        bytes.iter().map(escape).collect()
    };
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", text(name), text(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let name = vec(any::<u8>(), 0..6).prop_map(|mut name| {
        name.insert(0, b'n');
        name
    });
    vec((name, vec(any::<u8>(), 0..8)), 0..5)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..12)
}

fn sketch_with(methods: Vec<SignatureMethod>) -> impl Strategy<Value = Sketch> {
    let body = prop_oneof![
        pairs().prop_map(Content::Form),
        vec(any::<u8>(), 0..20).prop_map(Content::Other)
    ];
    let where_to = (
        "[A-Z]{1,7}",
        select(vec![Scheme::Http, Scheme::Https]),
        select(vec![
            "api.example.com",
            "API.example.com:80",
            "h:443",
            "[::1]:8080",
            "a_b",
        ]),
        "/[!-\"$->@-~]{0,12}",
    );
    let who = (
        bytes(),
        bytes(),
        option::of((bytes(), bytes())),
        1..=u64::MAX,
        bytes(),
    );
    let how = (
        any::<bool>(),
        option::of("[ -~]{0,8}"),
        option::of(vec(any::<u8>(), 0..8)),
    );
    (
        where_to,
        pairs(),
        body,
        select(vec![
            ParameterPlace::Header,
            ParameterPlace::Query,
            ParameterPlace::Body,
        ]),
        select(methods),
        who,
        how,
    )
        .prop_map(
            |(
                (method, scheme, authority, path),
                query,
                body,
                place,
                signature_method,
                who,
                how,
            )| {
                let (consumer_key, consumer_secret, token, timestamp, nonce) = who;
                let (escape_all, realm, extension) = how;
                let place = if matches!(body, Content::Other(_)) && place == ParameterPlace::Body {
                    ParameterPlace::Query
                } else {
                    place
                };
                // The signer writes no milliseconds, and 13 digits are refused as such.
                let timestamp = if timestamp.to_string().len() == 13 {
                    timestamp / 10
                } else {
                    timestamp
                };
                let authority = authority.to_owned();
                Sketch {
                    method,
                    scheme,
                    authority,
                    path,
                    query,
                    body,
                    place,
                    signature_method,
                    consumer_key,
                    consumer_secret,
                    token,
                    timestamp,
                    nonce,
                    realm,
                    extension,
                    escape_all,
                }
            },
        )
}

fn sketch() -> impl Strategy<Value = Sketch> {
    sketch_with(
        SignatureMethod::ALL
            .into_iter()
            .filter(|method| !method.is_rsa())
            .collect(),
    )
}

/// Not PLAINTEXT, which signs nothing.
fn hmac_sketch() -> impl Strategy<Value = Sketch> {
    sketch_with(vec![
        SignatureMethod::HmacSha1,
        SignatureMethod::HmacSha256,
        SignatureMethod::HmacSha512,
    ])
}

fn rsa_sketch() -> impl Strategy<Value = Sketch> {
    sketch_with(
        SignatureMethod::ALL
            .into_iter()
            .filter(|method| method.is_rsa())
            .collect(),
    )
}

/// Changes one byte; `None` when there is no byte, or it stays.
fn change(bytes: &mut [u8], at: Index, to: u8) -> Option<u8> {
    if bytes.is_empty() {
        return None;
    }
    let byte = at.get_mut(bytes);
    let before = std::mem::replace(byte, to);
    (before != to).then_some(before)
}

proptest! {
    #[test]
    fn what_is_signed_verifies(sketch in sketch()) {
        prop_assert_eq!(sketch.verify(&sketch.sign()), Some(Ok(())));
    }

    #[test]
    fn any_changed_byte_of_the_request_is_refused(
        sketch in hmac_sketch(),
        part in 0..4_usize,
        at in any::<Index>(),
        to in any::<u8>(),
    ) {
        let wire = sketch.sign();
        let mut changed = wire.clone();
        let bytes = match part {
            0 => &mut changed.method,
            1 => &mut changed.authority,
            2 => &mut changed.target,
            _ => changed.body.as_mut().unwrap(),
        };
        prop_assume!(change(bytes, at, to).is_some());
        prop_assume!(meaning(&changed) != meaning(&wire));
        prop_assert_ne!(sketch.verify(&changed), Some(Ok(())));
    }

    #[test]
    fn another_scheme_is_refused(sketch in hmac_sketch()) {
        let mut wire = sketch.sign();
        wire.scheme = if wire.scheme == Scheme::Http { Scheme::Https } else { Scheme::Http };
        prop_assert_eq!(sketch.verify(&wire), Some(Err(Rejection::SignatureMismatch)));
    }

    #[test]
    fn any_changed_byte_of_a_protocol_parameter_in_the_header_is_refused(
        sketch in hmac_sketch(),
        at in any::<Index>(),
        to in any::<u8>(),
    ) {
        let mut changed = Sketch { place: ParameterPlace::Header, realm: None, ..sketch.clone() }.sign();
        // Behind the scheme; white space and separators may be written in several ways.
        let pairs = &mut changed.authorization[0]["OAuth ".len()..];
        let at = at.index(pairs.len());
        let before = std::mem::replace(&mut pairs[at], to);
        let in_escape = pairs[at.saturating_sub(2)..at].contains(&b'%');
        prop_assume!(before != to && !b", ".contains(&before) && !(in_escape && before.eq_ignore_ascii_case(&to)));
        prop_assert_ne!(sketch.verify(&changed), Some(Ok(())));
    }

    #[test]
    fn a_removed_or_added_parameter_is_refused(sketch in hmac_sketch(), at in any::<Index>(), more in bytes()) {
        let wire = sketch.sign();
        let mut added = wire.clone();
        added.target.extend_from_slice(format!("&n{}", encoded(&more)).as_bytes());
        prop_assert_ne!(sketch.verify(&added), Some(Ok(())));
        let query = added.target.iter().position(|&byte| byte == b'?').unwrap() + 1;
        let mut segments: Vec<_> = wire.target[query..].split(|&byte| byte == b'&').collect();
        let gone = segments.remove(at.index(segments.len()));
        prop_assume!(!gone.is_empty());
        let removed = Wire { target: [&wire.target[..query], &segments.join(&b'&')].concat(), ..wire.clone() };
        prop_assert_ne!(sketch.verify(&removed), Some(Ok(())));
    }

    #[test]
    fn another_secret_is_refused(sketch in sketch(), at in any::<Index>(), to in any::<u8>(), of_token in any::<bool>()) {
        let wire = sketch.sign();
        let mut other = sketch;
        let secret = match &mut other.token {
            Some((_, secret)) if of_token => secret,
            _ => &mut other.consumer_secret,
        };
        prop_assume!(change(secret, at, to).is_some());
        prop_assert_eq!(other.verify(&wire), Some(Err(Rejection::SignatureMismatch)));
    }

    #[test]
    fn the_base_string_is_what_a_plain_reading_of_the_rfc_gives(sketch in sketch()) {
        let wire = sketch.sign();
        let (method, host, path, mut pairs, _) = meaning(&wire);
        if let Some(header) = wire.authorization.first() {
            let header = String::from_utf8(header.clone()).unwrap();
            let written = header.strip_prefix("OAuth ").unwrap();
            // The realm may hold anything, but stands first.
            let written = &written[written.find("oauth_consumer_key").unwrap()..];
            pairs.extend(read_form(written.replace("\", ", "&").replace(['"'], "").as_bytes()));
        }
        pairs.retain(|(name, _)| name != b"oauth_signature");
        let mut written: Vec<_> = pairs.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
        written.sort();
        let joined: Vec<_> = written.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let scheme = if wire.scheme == Scheme::Http { "http" } else { "https" };
        let uri = [scheme.as_bytes(), b"://", host.as_bytes(), &path].concat();
        let expected = format!("{method}&{}&{}", encoded(&uri), encoded(joined.join("&").as_bytes()));
        prop_assert_eq!(wire.base_string(), expected);
    }

    #[test]
    fn no_input_panics(
        parts in vec(vec(any::<u8>(), 0..40), 4),
        authorization in vec(prop_oneof!["(OAuth|Bearer|,| )[ -~]{0,60}".prop_map(String::into_bytes), bytes()], 0..3),
        content_type in vec(prop_oneof![Just(FORM.as_bytes().to_vec()), bytes()], 0..3),
        body in option::of(vec(any::<u8>(), 0..40)),
        complete in any::<bool>(),
    ) {
        let [method, authority, path_prefix, target]: [_; 4] = parts.try_into().unwrap();
        let mut wire = Wire { method, scheme: Scheme::Http, authority, path_prefix, target, authorization, content_type, body };
        if complete {
            // Past the first refusals, so that the later steps see arbitrary bytes too.
            wire.target.splice(..0, *b"/?");
            wire.authority.splice(.., *b"h");
            wire.authorization = vec![header_of(PARAMETERS).into_bytes()];
        }
        let keys = VerificationKeys { consumer_secrets: &[b"a", b""], token_secret: None, rsa_public_keys: &[&rsa_key().public] };
        wire.with_request(|request| {
            if let Ok(Some(signed)) = request.parse(&ParseLimits { parameters: 10, protocol_value: 20 }) {
                let _ = (signed.base_string(), signed.masked_base_string());
                let _ = signed.verify(&keys, BodyHashRule::Require).is_ok();
            }
        });
    }

    #[test]
    fn no_text_that_is_said_to_be_a_key_panics(text in "\\PC{0,40}", der in vec(any::<u8>(), 0..60), label in 0..3_usize) {
        let label = ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY"][label];
        prop_assert!(RsaPublicKey::from_pem(&text).is_err());
        prop_assert!(RsaPublicKey::from_pem(&pem(label, &der)).is_err());
        prop_assert!(RsaPrivateKey::from_pem(&text).is_err());
    }

    #[test]
    fn what_is_encoded_decodes_to_itself_and_is_normal(bytes in vec(any::<u8>(), 0..20)) {
        let encoded = encoded(&bytes);
        for syntax in [Syntax::Form, Syntax::Percent] {
            let normal = normalize(encoded.as_bytes(), syntax).unwrap();
            prop_assert_eq!(&*normal, encoded.as_bytes());
            prop_assert_eq!(&*decode(&normal), &bytes[..]);
        }
    }

    #[test]
    fn what_is_normal_stays_as_it_is(raw in vec(any::<u8>(), 0..20)) {
        if let Ok(normal) = normalize(&raw, Syntax::Form) {
            prop_assert!(normal.iter().all(u8::is_ascii_graphic));
            prop_assert_eq!(&normalize(&normal, Syntax::Form).unwrap(), &normal);
            prop_assert_eq!(encoded(&decode(&normal)).into_bytes(), normal.into_owned());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_is_signed_with_rsa_verifies_and_another_request_does_not(sketch in rsa_sketch()) {
        let wire = sketch.sign();
        prop_assert_eq!(sketch.verify(&wire), Some(Ok(())));
        let other = Wire { path_prefix: b"/x".into(), ..wire };
        prop_assert_eq!(sketch.verify(&other), Some(Err(Rejection::SignatureMismatch)));
    }
}
