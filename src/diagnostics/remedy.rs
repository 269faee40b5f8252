//! The remedy for each reason, for operators.
//!
//! A signature mismatch gets a more precise remedy from its explanation. Commands name the consumer
//! as KEY, the user as USER and the token as TOKEN; a denial shows them.

use crate::oauth::Rejection;
use crate::verify::{BodyGap, ParameterProblem, Reason};

/// Returns the remedy for a reason.
pub(super) const fn for_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Rejected(rejection) => for_rejection(rejection),
        Reason::Body(gap) => for_body(gap),
        Reason::Parameter { problem, .. } => for_parameter(problem),
        Reason::Unsigned => UNSIGNED,
        Reason::UnknownConsumer => UNKNOWN_CONSUMER,
        Reason::UnknownToken => UNKNOWN_TOKEN,
        Reason::MethodNotAllowed => METHOD_NOT_ALLOWED,
        Reason::PlaintextWithoutHttps => PLAINTEXT_WITHOUT_HTTPS,
        Reason::ConsumerDisabled => CONSUMER_DISABLED,
        Reason::TokenRevoked => TOKEN_REVOKED,
        Reason::TokenExpired => TOKEN_EXPIRED,
        Reason::UserDisabled => USER_DISABLED,
        Reason::TokenUsed | Reason::TokenRejected => TOKEN_USED,
        Reason::TokenUndecided => TOKEN_UNDECIDED,
        Reason::UserRefused => USER_REFUSED,
        Reason::VerifierInvalid => VERIFIER_INVALID,
        Reason::PasswordRefused => PASSWORD_REFUSED,
        Reason::TooManyAttempts { .. } => TOO_MANY_ATTEMPTS,
        Reason::FlowNotAllowed => FLOW_NOT_ALLOWED,
        Reason::TokenRequired => TOKEN_REQUIRED,
        Reason::TimestampRefused { .. } => TIMESTAMP_REFUSED,
        Reason::TimestampFenced { .. } => TIMESTAMP_FENCED,
        Reason::NonceWithoutTimestamp => NONCE_WITHOUT_TIMESTAMP,
        Reason::NonceUsed => NONCE_USED,
        Reason::UserRequired => USER_REQUIRED,
        Reason::ScopeMissing => SCOPE_MISSING,
        Reason::RealmMismatch => REALM_MISMATCH,
        Reason::HttpMethod => HTTP_METHOD,
        Reason::NotHttp => NOT_HTTP,
        Reason::AmbiguousHeaders => AMBIGUOUS_HEADERS,
        Reason::UnknownScheme => UNKNOWN_SCHEME,
        Reason::AmbiguousPath => AMBIGUOUS_PATH,
    }
}

/// Returns the remedy for a failure of ours with this label.
pub(super) fn for_failure(label: &str) -> &'static str {
    match label {
        "store" => {
            "see store_up and store_errors_total in /metrics, and the error in the log event of this \
             decision"
        }
        "deadline" => {
            "see check_duration_seconds in /metrics; raise check.timeout and Envoy's timeout if the \
             store is far away"
        }
        "context_extension" => {
            "correct the countersign.* keys in context_extensions of Envoy's route; the log event of \
             this decision names the key"
        }
        "panic" => "report the panic in the log, which is a bug in Countersign",
        _ => "",
    }
}

const fn for_rejection(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::HeaderMalformed => HEADER_MALFORMED,
        Rejection::SeveralAuthorizations => SEVERAL_AUTHORIZATIONS,
        Rejection::SeveralContentTypes => SEVERAL_CONTENT_TYPES,
        Rejection::TooManyParameters => TOO_MANY_PARAMETERS,
        Rejection::ParametersTooLarge { .. } => PARAMETERS_TOO_LARGE,
        Rejection::BadEscape(_) => BAD_ESCAPE,
        Rejection::SeveralPlaces => SEVERAL_PLACES,
        Rejection::Duplicate { .. } | Rejection::DuplicateExtension(_) => DUPLICATE,
        Rejection::Absent(_) => ABSENT,
        Rejection::Empty(_) => EMPTY,
        Rejection::TooLong(_) => TOO_LONG,
        Rejection::VersionUnsupported => VERSION_UNSUPPORTED,
        Rejection::SignatureMethodUnsupported => SIGNATURE_METHOD_UNSUPPORTED,
        Rejection::TimestampMalformed => TIMESTAMP_MALFORMED,
        Rejection::TimestampInMilliseconds => TIMESTAMP_IN_MILLISECONDS,
        Rejection::TargetMalformed => TARGET_MALFORMED,
        Rejection::AuthorityMalformed => AUTHORITY_MALFORMED,
        Rejection::BodyNotWhole => for_body(BodyGap::Partial),
        Rejection::BodyUntyped => BODY_UNTYPED,
        Rejection::BodyTypeUnclear => BODY_TYPE_UNCLEAR,
        Rejection::SignatureMismatch => SIGNATURE_MISMATCH,
        Rejection::SignatureNotCanonical => SIGNATURE_NOT_CANONICAL,
        Rejection::BodyHashAbsent => BODY_HASH_ABSENT,
        Rejection::BodyHashMismatch => BODY_HASH_MISMATCH,
    }
}

const fn for_body(gap: BodyGap) -> &'static str {
    match gap {
        BodyGap::Partial => {
            "raise max_request_bytes of with_request_body in Envoy and check.max_body_bytes, and set \
             allow_partial_message: false"
        }
        BodyGap::NotForwarded => {
            "set with_request_body on Envoy's ext_authz filter; a request without a body needs \
             Content-Length: 0, and an upgrade request cannot carry a signed form"
        }
        BodyGap::TooLarge => "make the client send at most 64 KiB to the token endpoints",
        BodyGap::LengthMismatch => {
            "find the hop between the client and Countersign that cuts or changes the body"
        }
        BodyGap::LengthUnknown => {
            "make the client send Content-Length, or set check.envoy_sends_whole_bodies = true if Envoy \
             has allow_partial_message: false"
        }
        BodyGap::Altered => "set pack_as_bytes: true in with_request_body of Envoy",
    }
}

const fn for_parameter(problem: ParameterProblem) -> &'static str {
    match problem {
        ParameterProblem::Absent => "make the client send the parameter, and sign it",
        ParameterProblem::Duplicate => "make the client send the parameter once",
        ParameterProblem::Unexpected => {
            "make the client omit the parameter: /oauth/request_token is signed without a token"
        }
        ParameterProblem::Invalid => {
            "correct the parameter in the client; for oauth_callback and scope, `countersign consumer \
             get KEY` shows the registered values, and `consumer update` changes them"
        }
    }
}

// === the remedies ===

const UNSIGNED: &str = "\
    make the client sign its requests, or set require = \"optional\" for the route if unsigned \
    requests may pass";

const UNKNOWN_CONSUMER: &str = "\
    correct oauth_consumer_key in the client, or create the consumer: `countersign consumer \
    create --name NAME --consumer-key KEY`; `countersign consumer list` shows all keys";

const UNKNOWN_TOKEN: &str = "\
    make the client use the token together with the consumer key that it was issued to, or get a \
    new token; `countersign token list --consumer-key KEY` shows those of a consumer";

const METHOD_NOT_ALLOWED: &str = "\
    make the client sign with a method of the consumer, or permit this one: `countersign consumer \
    update KEY --signature-method METHOD` with every permitted method; an RSA method also needs \
    --rsa-public-key FILE, an HMAC method a consumer secret";

const PLAINTEXT_WITHOUT_HTTPS: &str = "\
    make the client sign with HMAC-SHA256; to accept PLAINTEXT, set origin = \"https://HOST\" for \
    the route (token endpoints: http.public_url) if clients reach it over https";

const CONSUMER_DISABLED: &str = "\
    run `countersign consumer enable KEY` if the consumer may send requests again";

const TOKEN_REVOKED: &str = "\
    revocation is permanent: make the client get a new token, or run `countersign token create \
    --consumer-key KEY --user-id USER`";

const TOKEN_EXPIRED: &str = "\
    make the client get a new token; --expires-in of `countersign token create` and \
    issue.access_token_ttl set the lifetime";

const USER_DISABLED: &str = "\
    run `countersign user enable USER` if the user's tokens may be used again";

const TOKEN_USED: &str = "\
    make the client start again with /oauth/request_token: temporary credentials can be exchanged \
    once";

const TOKEN_UNDECIDED: &str = "\
    make the client send the user to /oauth/authorize?oauth_token=TOKEN, and exchange the token \
    after the user has decided";

const USER_REFUSED: &str = "\
    make the client start again with /oauth/request_token, and ask the user to allow it";

const VERIFIER_INVALID: &str = "\
    make the client send the oauth_verifier that its callback or the page of /oauth/authorize \
    showed, unchanged; after five wrong ones, it has to start again";

const PASSWORD_REFUSED: &str = "\
    ask the user to type name and password again; `countersign user list` shows the users, and \
    `countersign user set-password` sets a new password";

const TOO_MANY_ATTEMPTS: &str = "\
    wait for the time in the details; many different names from one address are an attack";

const FLOW_NOT_ALLOWED: &str = "\
    permit the flow: `countersign consumer update KEY --flow FLOW` with every permitted flow";

const TOKEN_REQUIRED: &str = "\
    make the client sign with a token, or permit the flow two-legged: `countersign consumer \
    update KEY --flow two-legged` with every other permitted flow";

const TIMESTAMP_REFUSED: &str = "\
    set the clock of the client (NTP), and make it sign when it sends; if requests wait in \
    a queue of the client, raise verify.timestamp_window";

const TIMESTAMP_FENCED: &str = "\
    make the client sign again: the store may have lost nonces from before the time in the \
    details; if this goes on, see `Replay windows` in docs/operations.md";

const NONCE_WITHOUT_TIMESTAMP: &str = "make the client send oauth_timestamp with every oauth_nonce";

const NONCE_USED: &str = "\
    make the client draw a new oauth_nonce for every request, and sign again for every retry; if \
    Envoy retries checks, set nonce.trust_envoy_request_id = true";

const USER_REQUIRED: &str = "\
    make the client sign with a token that acts for a user, or set require = \"consumer\" for the \
    route";

const SCOPE_MISSING: &str = "\
    give the missing scopes to the consumer (`countersign consumer update KEY --scope SCOPE` with \
    every scope) and make the client get a token with them, or change the scopes of the rule";

const REALM_MISMATCH: &str = "\
    make the client sign with the needed realm, or set check.realm_match = false";

const HTTP_METHOD: &str = "\
    make the client send a POST, or set http.allow_get = true for clients that can only send GET";

const NOT_HTTP: &str = "\
    use Envoy's HTTP filter envoy.filters.http.ext_authz, not the network filter";

const AMBIGUOUS_HEADERS: &str = "\
    send each part once in the CheckRequest: headers or header_map, body or raw_body";

const UNKNOWN_SCHEME: &str = "\
    set origin = \"https://HOST\" for the route, or scheme_header_transformation in Envoy";

const AMBIGUOUS_PATH: &str = "\
    make the client send the path without //, dot segments, backslashes and their escapes; rules \
    with a path_prefix make Countersign refuse such paths";

const HEADER_MALFORMED: &str = "\
    make the client send `Authorization: OAuth name=\"value\", ...`, each name and value \
    percent-encoded";

const SEVERAL_AUTHORIZATIONS: &str = "\
    find the client or proxy that adds a second Authorization, and send one";

const SEVERAL_CONTENT_TYPES: &str = "\
    find the client or proxy that adds a second Content-Type, and send one";

const TOO_MANY_PARAMETERS: &str =
    "make the client send fewer parameters, or raise verify.max_parameters";

const PARAMETERS_TOO_LARGE: &str = "\
    make the client send less, or raise max_form_bytes of the route (at most 256 KiB); a larger \
    body needs another Content-Type and oauth_body_hash";

const BAD_ESCAPE: &str = "make the client percent-encode: a plain % becomes %25";

const SEVERAL_PLACES: &str = "\
    make the client send all oauth_* parameters in the Authorization header; a proxy or redirect \
    may have added those in the query";

const DUPLICATE: &str = "\
    make the client send the parameter once; a second layer of it may sign the request again";

const ABSENT: &str = "\
    make the client send and sign the missing parameters; if it does, find the proxy that removes \
    them";

const EMPTY: &str = "make the client send a value: it may lack a part of its configuration";

const TOO_LONG: &str = "make the client send at most 4096 bytes in each oauth_* parameter";

const VERSION_UNSUPPORTED: &str = "\
    make the client omit oauth_version or send 1.0; for 1.0a, 1.0A and 1, run `countersign \
    consumer update KEY --compat version-lenient` with every other profile of the consumer";

const SIGNATURE_METHOD_UNSUPPORTED: &str = "\
    make the client sign with HMAC-SHA1, HMAC-SHA256, HMAC-SHA512, RSA-SHA1, RSA-SHA256, \
    RSA-SHA512 or PLAINTEXT";

const TIMESTAMP_MALFORMED: &str =
    "make the client send oauth_timestamp as whole seconds since 1970";

const TIMESTAMP_IN_MILLISECONDS: &str = "make the client divide oauth_timestamp by 1000";

const TARGET_MALFORMED: &str = "make the client send a path that begins with / and has no #";

const AUTHORITY_MALFORMED: &str =
    "make the client send one Host header with one host, and at most one port";

const BODY_UNTYPED: &str = "\
    make the client send a Content-Type or oauth_body_hash, or set untyped_body = \"allow\" for \
    the route if its backend never reads a form; a POST without a body needs Content-Length: 0";

const BODY_TYPE_UNCLEAR: &str = "\
    make the client send a valid Content-Type or oauth_body_hash, or set untyped_body = \"allow\" \
    for the route if its backend never reads a form";

const SIGNATURE_MISMATCH: &str = "\
    look up the cause with `countersign denials DECISION_ID`, or run `countersign explain` with \
    the request; the former needs diagnostics.explain = true";

const SIGNATURE_NOT_CANONICAL: &str = "\
    make the client send the base64 of the signature with its padding, percent-encoded once";

const BODY_HASH_ABSENT: &str = "\
    make the client sign oauth_body_hash, or set body_hash = \"accept\" for the route";

const BODY_HASH_MISMATCH: &str = "\
    make the client hash exactly the bytes that it sends, with the hash of its signature method; \
    a proxy may have changed the body";
