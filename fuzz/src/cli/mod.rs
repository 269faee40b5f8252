//! Readers of the command line, compiled here because the program has no library.

#![allow(dead_code, reason = "a target uses a part of each file")]

#[path = "../../../src/cli/capture/mod.rs"]
mod capture;
pub mod import;

use countersign::oauth::diagnosis::{
    BUDGET, ForwardedHeaders, MismatchEvidence, OriginSetting, diagnose,
};
use countersign::oauth::{
    BodyHashRule, CompatSet, ParseLimits, Request, Scheme, VerificationKeys,
};

use self::capture::{CaptureFormat, CaptureHints, CapturedRequest};
use crate::rfc5849::{Hash, PlainRequest, SharedKey, base_string, sign};

/// The part of `src/cli/exit.rs` that the readers need, without clap.
pub(crate) mod exit {
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
    let hints = CaptureHints {
        entry: None,
        host: None,
    };
    match capture::read(capture, hints) {
        Ok(read) => {
            assert!((1..=read.choice.of).contains(&read.choice.number));
            if read.format == CaptureFormat::HttpMessage && read.request.scheme.is_none() {
                judge_parts(&read.request, capture);
            }
            explain_parsed(&read.request);
        }
        Err(refusal) => judge_refusal(&refusal.to_string(), capture),
    }
}

/// Panics if a part of a request as on the wire is not in the capture.
fn judge_parts(raw: &CapturedRequest, capture: &[u8]) {
    // UTF-16 is decoded first.
    if capture.starts_with(&[0xFF, 0xFE]) || capture.starts_with(&[0xFE, 0xFF]) {
        return;
    }
    assert!(holds(capture, &raw.target) && holds(capture, &raw.method));
    assert!(raw.body.as_ref().is_some_and(|body| holds(capture, body)));
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

fn explain_parsed(raw: &CapturedRequest) {
    let scheme = raw.scheme.unwrap_or(Scheme::Https);
    let (authorization, content_type) = (raw.values("authorization"), raw.values("content-type"));
    let host = raw.values("host").join(&b',');
    let request = Request {
        method: &raw.method,
        scheme,
        authority: &host,
        path_prefix: b"",
        target: &raw.target,
        authorization: &authorization,
        content_type: &content_type,
        body: raw.body(),
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
        method: raw.method.clone(),
        is_https: scheme == Scheme::Https,
        host: host.clone(),
        target: raw.target.clone(),
        authorization: authorization.iter().map(|value| value.to_vec()).collect(),
        content_type: content_type.iter().map(|value| value.to_vec()).collect(),
        body: raw.body.clone().unwrap_or_default(),
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
