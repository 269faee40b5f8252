//! The parameters of a form body are those that the second implementation reads, and a body that
//! only resembles a form is refused. The first line is the `Content-Type`, the rest is the body.
#![no_main]

use countersign::oauth::BodyHashRule;
use countersign_fuzz::line_request::with_parsed;
use countersign_fuzz::rfc5849::{PlainRequest, base_string, is_form, read_form};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let (content_type, body) = match text.iter().position(|&byte| byte == b'\n') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (&b"application/x-www-form-urlencoded"[..], text),
    };
    let request = PlainRequest {
        method: b"POST".to_vec(),
        is_https: true,
        host: b"h".to_vec(),
        target: b"/".to_vec(),
        content_type: vec![content_type.to_vec()],
        body: body.to_vec(),
        ..PlainRequest::default()
    };
    judge_unsigned_header(&request);
    judge_signed_header(&PlainRequest {
        authorization: vec![SIGNED.to_vec()],
        ..request
    });
});

/// Judges a request whose protocol parameters are in the form, if it has any.
fn judge_unsigned_header(request: &PlainRequest) {
    let fields = is_form(&request.content_type)
        .then(|| read_form(&request.body))
        .flatten();
    with_parsed(request, |parsed| match parsed {
        Ok(Some(signed)) => {
            assert!(fields.is_some(), "not a form, or a malformed one");
            assert_eq!(own(signed.base_string()), base_string(request));
        }
        Ok(None) => assert!(
            fields
                .iter()
                .flatten()
                .all(|(name, _)| !name.starts_with(b"oauth_")),
            "protocol parameters are not seen"
        ),
        Err(_) => {}
    });
}

/// Judges a request that is signed in its header.
fn judge_signed_header(request: &PlainRequest) {
    let is_form = is_form(&request.content_type);
    with_parsed(request, |parsed| {
        let Ok(Some(signed)) = parsed else { return };
        assert_eq!(own(signed.base_string()), base_string(request));
        let is_refused = signed.refuse_unclear_body(BodyHashRule::Accept).is_err();
        let may_be_form = resembles_form(&request.content_type[0]) && !request.body.is_empty();
        assert!(
            is_form || is_refused || !may_be_form,
            "a backend may read this body as a form"
        );
    });
}

/// Returns true if a lenient backend may read a body of this type as a form.
fn resembles_form(content_type: &[u8]) -> bool {
    let text = content_type.to_ascii_lowercase();
    text.trim_ascii().is_empty() || text.windows(10).any(|part| part == b"urlencoded")
}

fn own(base_string: Vec<u8>) -> Option<String> {
    String::from_utf8(base_string).ok()
}

const SIGNED: &[u8] = b"OAuth oauth_consumer_key=\"k\", oauth_nonce=\"n\", oauth_timestamp=\"1\", \
    oauth_signature_method=\"HMAC-SHA1\", oauth_signature=\"c2ln\"";
