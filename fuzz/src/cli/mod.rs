//! Readers of the command line, compiled here because the program has no library.

#![allow(dead_code, reason = "a target uses a part of each file")]

pub mod import;
#[path = "../../../src/cli/raw_request.rs"]
mod raw_request;

use countersign::oauth::diagnosis::{
    BUDGET, ForwardedHeaders, MismatchEvidence, OriginSetting, diagnose,
};
use countersign::oauth::{
    BodyHashRule, CompatSet, ParseLimits, Request, RequestBody, Scheme, VerificationKeys,
};

use self::raw_request::RawRequest;
use crate::rfc5849::{Hash, PlainRequest, SharedKey, base_string, sign};

/// The part of `src/cli/exit.rs` that the readers need, without clap.
mod exit {
    /// Wrong usage.
    #[derive(Debug)]
    pub(crate) struct Usage(pub(crate) String);

    impl std::fmt::Display for Usage {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }
}

/// Explains a captured request as `countersign explain` does, and compares the verdict with that of
/// the second implementation.
pub fn explain(capture: &[u8]) {
    match RawRequest::parse(capture) {
        Ok(raw) => explain_parsed(&raw, capture),
        Err(refusal) => judge_refusal(&refusal.to_string(), capture),
    }
}

fn judge_refusal(text: &str, capture: &[u8]) {
    assert!(!text.is_empty());
    let line = text
        .strip_prefix("line ")
        .and_then(|rest| rest.split(':').next());
    if let Some(line) = line.and_then(|line| line.parse::<usize>().ok()) {
        let lines = capture.split(|&byte| byte == b'\n').count();
        assert!((1..=lines).contains(&line), "no such line: {text}");
    }
}

fn explain_parsed(raw: &RawRequest<'_>, capture: &[u8]) {
    assert!(holds(capture, raw.target) && holds(capture, raw.method) && holds(capture, raw.body));
    let (authorization, content_type) = (raw.values("authorization"), raw.values("content-type"));
    let host = raw.values("host").join(&b',');
    let request = Request {
        method: raw.method,
        scheme: Scheme::Https,
        authority: &host,
        path_prefix: b"",
        target: raw.target,
        authorization: &authorization,
        content_type: &content_type,
        body: RequestBody::Whole(raw.body),
    };
    let keys = VerificationKeys {
        consumer_secrets: &[CONSUMER_SECRET],
        token_secret: Some(TOKEN_SECRET),
        rsa_public_keys: &[],
    };
    let Ok(Some(signed)) = request.parse(&ParseLimits::default()) else {
        return;
    };
    let plain = PlainRequest {
        method: raw.method.to_vec(),
        is_https: true,
        host: host.clone(),
        target: raw.target.to_vec(),
        authorization: authorization.iter().map(|value| value.to_vec()).collect(),
        content_type: content_type.iter().map(|value| value.to_vec()).collect(),
        body: raw.body.to_vec(),
    };
    let own = String::from_utf8(signed.base_string()).expect("a base string is ASCII");
    assert_eq!(Some(&own), base_string(&plain).as_ref());
    let is_proven = signed.verify(&keys, BodyHashRule::Off).is_ok();
    assert!(
        !is_proven || is_signed(&plain, &own),
        "the second implementation disagrees"
    );
    let evidence = MismatchEvidence {
        request: &request,
        limits: &ParseLimits::default(),
        compat: CompatSet::NONE,
        keys,
        expired_secrets: &[b"old"],
        forwarded: ForwardedHeaders::of(|name| raw.values(name).into_iter().next()),
        received: None,
        setting: OriginSetting::Origin,
        reveal: true,
    };
    if let Some(diagnosis) = diagnose(&evidence, BUDGET) {
        assert_eq!(diagnosis.base_string, own);
        assert!(!diagnosis.causes.is_empty() && !diagnosis.remedy.is_empty());
        let first = diagnosis.first_difference.unwrap_or(0);
        assert!(first <= own.len().max(diagnosis.client_base_string.len()));
    }
}

/// Returns true if the second implementation makes the same signature.
fn is_signed(plain: &PlainRequest, base_string: &str) -> bool {
    let has_token = plain
        .single("oauth_token")
        .is_some_and(|token| !token.is_empty());
    let key = SharedKey {
        consumer: CONSUMER_SECRET,
        token: if has_token { TOKEN_SECRET } else { b"" },
    };
    let method = plain.single("oauth_signature_method").unwrap_or_default();
    let expected = match Hash::of_method(&method) {
        Some(hash) => sign(hash, key, base_string),
        None => key.text(),
    };
    plain.single("oauth_signature") == Some(expected.into_bytes())
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

/// The secrets of the photo request of RFC 5849 section 1.2, which is a seed.
const CONSUMER_SECRET: &[u8] = b"kd94hf93k423kf44";

const TOKEN_SECRET: &[u8] = b"pfkkdhi9sl3r4s00";
