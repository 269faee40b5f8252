//! Properties of every request: a signed one verifies, a changed one does not, and none panics.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::oauth::encode::{EscapeSyntax, decode, encoded, normalize};
use crate::oauth::{SignatureMethod, Signer, SigningKey};

/// Names and values, decoded.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A request that a client will sign, and its credentials.
#[derive(Clone, Debug)]
struct Sketch {
    address: Address,
    query: Pairs,
    body: Content,
    place: ParameterPlace,
    signature_method: SignatureMethod,
    caller: Caller,
    spelling: Spelling,
}

#[derive(Clone, Debug)]
enum Content {
    Form(Pairs),
    /// Another type, covered by `oauth_body_hash`.
    Other(Vec<u8>),
}

impl Sketch {
    fn sign(&self) -> WireRequest {
        let Spelling {
            escape_all,
            realm,
            extension,
        } = &self.spelling;
        let written = |pairs| write_form(pairs, *escape_all);
        let target = format!("{}?{}", self.address.path, written(&self.query));
        let (content_type, body) = match &self.body {
            Content::Form(pairs) => (FORM, written(pairs).into_bytes()),
            Content::Other(body) => ("application/json", body.clone()),
        };
        let extension = extension.iter();
        let extensions: Vec<_> = extension
            .map(|value| (&b"oauth_x"[..], value.as_slice()))
            .collect();
        let draft = RequestDraft {
            method: self.address.method.as_bytes(),
            scheme: self.address.scheme,
            authority: self.address.authority.as_bytes(),
            target: target.as_bytes(),
            content_type: Some(content_type.as_bytes()),
            body: &body,
            place: self.place,
            stamp: RequestStamp {
                timestamp: self.caller.timestamp,
                nonce: &self.caller.nonce,
            },
            realm: realm.as_deref(),
            body_hash: matches!(self.body, Content::Other(_)),
            extensions: &extensions,
        };
        WireRequest::signed(&draft, self.signer().sign(&draft).unwrap())
    }

    fn signer(&self) -> Signer<'_> {
        let token = self.caller.token.as_ref();
        let secrets = SigningKey::Secrets {
            consumer: &self.caller.consumer_secret,
            token: token.map_or(b"", |(_, secret)| secret),
        };
        Signer {
            consumer_key: &self.caller.consumer_key,
            token: token.map(|(token, _)| token.as_slice()),
            method: self.signature_method,
            key: if self.signature_method.is_rsa() {
                SigningKey::Rsa(&rsa_key().private)
            } else {
                secrets
            },
        }
    }

    /// Verifies a request; `None` if it lost its signature.
    fn verify(&self, wire: &WireRequest) -> Option<Result<(), Rejection>> {
        let keys = VerificationKeys {
            consumer_secrets: &[&self.caller.consumer_secret],
            token_secret: self
                .caller
                .token
                .as_ref()
                .map(|(_, secret)| secret.as_slice()),
            rsa_public_keys: &[&rsa_key().public],
        };
        wire.with_request(|request| match request.parse(&ParseLimits::default()) {
            Ok(None) => None,
            Ok(Some(signed)) => Some(signed.verify(&keys, BodyHashRule::Require).map(|_| ())),
            Err(rejection) => Some(Err(rejection)),
        })
    }
}

/// Reads the signed parts of a request independently of the core. Only requests with the same
/// meaning may both verify.
fn meaning(wire: &WireRequest) -> (String, String, Vec<u8>, Pairs, Vec<u8>) {
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

/// Writes a form with everything escaped in lower case, or with as few escapes as possible.
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

/// The address of a request.
#[derive(Clone, Debug)]
struct Address {
    method: String,
    scheme: Scheme,
    authority: &'static str,
    path: String,
}

fn address() -> impl Strategy<Value = Address> {
    let authority = select(vec![
        "api.example.com",
        "API.example.com:80",
        "h:443",
        "[::1]:8080",
        "a_b",
    ]);
    let scheme = select(vec![Scheme::Http, Scheme::Https]);
    ("[A-Z]{1,7}", scheme, authority, "/[!-\"$->@-~]{0,12}").prop_map(
        |(method, scheme, authority, path)| Address {
            method,
            scheme,
            authority,
            path,
        },
    )
}

/// The credentials of a client.
#[derive(Clone, Debug)]
struct Caller {
    consumer_key: Vec<u8>,
    consumer_secret: Vec<u8>,
    token: Option<(Vec<u8>, Vec<u8>)>,
    timestamp: u64,
    nonce: Vec<u8>,
}

fn caller() -> impl Strategy<Value = Caller> {
    let token = option::of((bytes(), bytes()));
    (bytes(), bytes(), token, 1..=u64::MAX, bytes()).prop_map(
        |(consumer_key, consumer_secret, token, timestamp, nonce)| Caller {
            consumer_key,
            consumer_secret,
            token,
            timestamp: not_milliseconds(timestamp),
            nonce,
        },
    )
}

/// Avoids 13 digits, which are refused as milliseconds.
fn not_milliseconds(timestamp: u64) -> u64 {
    if timestamp.to_string().len() == 13 {
        timestamp / 10
    } else {
        timestamp
    }
}

/// The spelling of a request, which is the client's choice.
#[derive(Clone, Debug)]
struct Spelling {
    escape_all: bool,
    realm: Option<String>,
    extension: Option<Vec<u8>>,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    let extension = option::of(vec(any::<u8>(), 0..8));
    (any::<bool>(), option::of("[ -~]{0,8}"), extension).prop_map(
        |(escape_all, realm, extension)| Spelling {
            escape_all,
            realm,
            extension,
        },
    )
}

fn body_and_place() -> impl Strategy<Value = (Content, ParameterPlace)> {
    let body = prop_oneof![
        pairs().prop_map(Content::Form),
        vec(any::<u8>(), 0..20).prop_map(Content::Other)
    ];
    let places = vec![
        ParameterPlace::Header,
        ParameterPlace::Query,
        ParameterPlace::Body,
    ];
    (body, select(places)).prop_map(|(body, place)| match (&body, place) {
        (Content::Other(_), ParameterPlace::Body) => (body, ParameterPlace::Query),
        (_, place) => (body, place),
    })
}

fn sketch_with(methods: Vec<SignatureMethod>) -> impl Strategy<Value = Sketch> {
    let parts = (
        address(),
        pairs(),
        body_and_place(),
        select(methods),
        caller(),
        spelling(),
    );
    parts.prop_map(
        |(address, query, (body, place), signature_method, caller, spelling)| Sketch {
            address,
            query,
            body,
            place,
            signature_method,
            caller,
            spelling,
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

/// Generates requests without PLAINTEXT, which signs nothing.
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

/// Changes one byte and returns the old one; `None` if nothing changed.
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
    fn a_signed_request_verifies(sketch in sketch()) {
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
        let mut in_header = Sketch { place: ParameterPlace::Header, ..sketch.clone() };
        in_header.spelling.realm = None;
        let mut changed = in_header.sign();
        // Skip the scheme; white space and separators have several spellings.
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
        let removed = WireRequest { target: [&wire.target[..query], &segments.join(&b'&')].concat(), ..wire.clone() };
        prop_assert_ne!(sketch.verify(&removed), Some(Ok(())));
    }

    #[test]
    fn another_secret_is_refused(sketch in sketch(), at in any::<Index>(), to in any::<u8>(), of_token in any::<bool>()) {
        let wire = sketch.sign();
        let mut other = sketch;
        let secret = match &mut other.caller.token {
            Some((_, secret)) if of_token => secret,
            _ => &mut other.caller.consumer_secret,
        };
        prop_assume!(change(secret, at, to).is_some());
        prop_assert_eq!(other.verify(&wire), Some(Err(Rejection::SignatureMismatch)));
    }

    #[test]
    fn the_base_string_is_that_of_a_plain_reading_of_the_rfc(sketch in sketch()) {
        let wire = sketch.sign();
        let (method, host, path, mut pairs, _) = meaning(&wire);
        if let Some(header) = wire.authorization.first() {
            let header = String::from_utf8(header.clone()).unwrap();
            let written = header.strip_prefix("OAuth ").unwrap();
            // The realm may hold anything, but comes first.
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
        let mut wire = WireRequest { method, scheme: Scheme::Http, authority, path_prefix, target, authorization, content_type, body };
        if complete {
            // Pass the first steps, so that the later ones see arbitrary bytes.
            wire.target.splice(..0, *b"/?");
            wire.authority.splice(.., *b"h");
            wire.authorization = vec![header_of(PARAMETERS).into_bytes()];
        }
        let keys = VerificationKeys { consumer_secrets: &[b"a", b""], token_secret: None, rsa_public_keys: &[&rsa_key().public] };
        wire.with_request(|request| {
            if let Ok(Some(signed)) = request.parse(&ParseLimits { parameters: 10, protocol_value: 20, form_bytes: 200, ..ParseLimits::default() }) {
                let _ = (signed.base_string(), signed.masked_base_string());
                let _ = signed.verify(&keys, BodyHashRule::Require).is_ok();
            }
        });
    }

    #[test]
    fn no_text_panics_as_a_key(text in "\\PC{0,40}", der in vec(any::<u8>(), 0..60), label in 0..3_usize) {
        let label = ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY"][label];
        prop_assert!(RsaPublicKey::from_pem(&text).is_err());
        prop_assert!(RsaPublicKey::from_pem(&pem(label, &der)).is_err());
        prop_assert!(RsaPrivateKey::from_pem(&text).is_err());
    }

    #[test]
    fn encoded_bytes_are_normal_and_decode_to_the_same(bytes in vec(any::<u8>(), 0..20)) {
        let encoded = encoded(&bytes);
        for syntax in [EscapeSyntax::Form, EscapeSyntax::Percent] {
            let normal = normalize(encoded.as_bytes(), syntax).unwrap();
            prop_assert_eq!(&*normal, encoded.as_bytes());
            prop_assert_eq!(&*decode(&normal), &bytes[..]);
        }
    }

    #[test]
    fn a_normal_form_stays_the_same(raw in vec(any::<u8>(), 0..20)) {
        if let Ok(normal) = normalize(&raw, EscapeSyntax::Form) {
            prop_assert!(normal.iter().all(u8::is_ascii_graphic));
            prop_assert_eq!(&normalize(&normal, EscapeSyntax::Form).unwrap(), &normal);
            prop_assert_eq!(encoded(&decode(&normal)).into_bytes(), normal.into_owned());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_request_signed_with_rsa_verifies_and_another_does_not(sketch in rsa_sketch()) {
        let wire = sketch.sign();
        prop_assert_eq!(sketch.verify(&wire), Some(Ok(())));
        let other = WireRequest { path_prefix: b"/x".into(), ..wire };
        prop_assert_eq!(sketch.verify(&other), Some(Err(Rejection::SignatureMismatch)));
    }
}
