//! The parameters of an `Authorization` header are those that the second implementation reads. A NUL
//! separates two headers of one request.
#![no_main]

use countersign::oauth::{SignatureMethod, SignedRequest};
use countersign_fuzz::line_request::with_parsed;
use countersign_fuzz::rfc5849::{
    Authorization, FormField, PlainRequest, base_string, escape, read_authorization,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let headers: Vec<Vec<u8>> = text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    let read: Vec<_> = headers
        .iter()
        .map(|header| read_authorization(header))
        .collect();
    let request = get(headers);
    with_parsed(&request, |parsed| match parsed {
        Ok(None) => assert!(
            read.iter().all(|header| *header == Authorization::Other),
            "OAuth credentials are not seen: {read:?}"
        ),
        Ok(Some(signed)) => {
            let [Authorization::OAuth { parameters, realm }] = &read[..] else {
                panic!("not one header with OAuth credentials: {read:?}")
            };
            assert_same(&signed, parameters);
            assert_eq!(signed.realm(), realm.as_deref());
            assert_eq!(Some(utf8(signed.base_string())), base_string(&request));
            assert_rewritten_means_the_same(&signed, parameters);
        }
        Err(_) => {}
    });
});

fn get(authorization: Vec<Vec<u8>>) -> PlainRequest {
    PlainRequest {
        method: b"GET".to_vec(),
        host: b"h".to_vec(),
        target: b"/".to_vec(),
        authorization,
        ..PlainRequest::default()
    }
}

fn assert_same(signed: &SignedRequest<'_>, parameters: &[FormField]) {
    let single = |name: &str| {
        let mut values = parameters
            .iter()
            .filter(|(other, _)| other == name.as_bytes());
        let value = values.next().map(|(_, value)| value.as_slice());
        assert!(values.next().is_none(), "{name} occurs twice");
        value
    };
    assert_eq!(Some(signed.consumer_key()), single("oauth_consumer_key"));
    assert_eq!(
        signed.token(),
        single("oauth_token").filter(|token| !token.is_empty())
    );
    assert_eq!(signed.nonce(), single("oauth_nonce"));
    let method = single("oauth_signature_method");
    assert_eq!(Some(signed.signature_method().name().as_bytes()), method);
    let digits = |text: &[u8]| String::from_utf8_lossy(text).parse::<u64>().ok();
    assert_eq!(
        signed.timestamp(),
        single("oauth_timestamp").and_then(digits)
    );
    let required = signed.signature_method() != SignatureMethod::Plaintext;
    assert!(!required || (signed.timestamp().is_some() && signed.nonce().is_some()));
    assert!(single("oauth_signature").is_some_and(|signature| !signature.is_empty()));
}

/// Writes the parameters as a client does, and expects the same base string.
fn assert_rewritten_means_the_same(signed: &SignedRequest<'_>, parameters: &[FormField]) {
    let pairs: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| format!("{}=\"{}\"", escape(name), escape(value)))
        .collect();
    let rewritten = get(vec![format!("OAuth {}", pairs.join(", ")).into_bytes()]);
    with_parsed(&rewritten, |parsed| {
        let again = parsed.expect("well-formed").expect("signed");
        assert_eq!(again.base_string(), signed.base_string());
    });
}

fn utf8(text: Vec<u8>) -> String {
    String::from_utf8(text).expect("a base string is ASCII")
}
