//! The answers on the wire: the only file that writes a `CheckResponse`.
//!
//! Envoy allows whatever has `status.code` 0, and 0 is what an empty message has. So every [`Answer`] is made by one of
//! the constructors here, and none of them is a default: [`allow`] is the only one that leaves the code at 0, and it takes
//! a [`Permit`], which only a decision gives.

use hyper::body::Bytes;
use tonic::Code;

use super::grpc;
use super::headers::Headers;
use super::identity::{self, Caller};
use super::wire::Writer;
use crate::model::{ConsumerKey, UserId};
use crate::server::denial::decision_id::DecisionId;
use crate::server::denial::problem::{self, DenialStyle, Problem, Written};
use crate::server::denial::sunset;
use crate::verify::{Allowed, Decision, Denial, Identity};

/// A `CheckResponse` as it is sent: behind the length that gRPC puts before a message.
pub(super) struct Answer(Bytes);

impl Answer {
    /// What is sent.
    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// Proof that a request may pass.
pub(super) struct Permit<'d>(Grant<'d>);

enum Grant<'d> {
    Proven(&'d Allowed),
    Anonymous,
    Shadow,
}

impl<'d> Permit<'d> {
    /// The permit that a decision gives.
    ///
    /// # Errors
    /// The denial, when it gives none.
    pub(super) fn of(decision: &'d Decision) -> Result<Self, &'d Denial> {
        match decision {
            Decision::Allow(allowed) => Ok(Self(Grant::Proven(allowed))),
            Decision::Anonymous => Ok(Self(Grant::Anonymous)),
            Decision::Deny(denial) => Err(denial),
        }
    }

    /// The one exception to fail-closed: a route whose `mode` is `shadow` lets everything pass.
    pub(super) const fn shadow() -> Self {
        Self(Grant::Shadow)
    }

    fn caller(&self) -> Caller<'d> {
        match self.0 {
            Grant::Proven(allowed) => Caller::Proven(&allowed.identity),
            Grant::Anonymous => Caller::Anonymous,
            Grant::Shadow => Caller::Unknown,
        }
    }

    const fn has_credentials_in_header(&self) -> bool {
        matches!(self.0, Grant::Proven(allowed) if allowed.credentials_in_header)
    }
}

/// Lets the request pass, with the six identity headers overwritten or removed.
pub(super) fn allow(
    permit: &Permit<'_>,
    request: &Headers<'_>,
    hide_credentials: bool,
    about: &Metadata<'_>,
) -> Answer {
    let hides_credentials = hide_credentials && permit.has_credentials_in_header();
    let values = permit.caller().values();
    let named = || identity::NAMES.into_iter().zip(values);
    response(Verdict::Allow, about, |ok| {
        for (name, value) in named() {
            if let Some(value) = value {
                header(ok, HEADERS, name, value);
            }
        }
        for (name, value) in about.farewell() {
            header(ok, OK_RESPONSE_HEADERS_TO_ADD, name, &value);
        }
        let absent = named().filter_map(|(name, value)| value.is_none().then_some(name));
        let credentials = hides_credentials.then_some("authorization");
        for name in request
            .disguised
            .iter()
            .copied()
            .chain(absent)
            .chain(credentials)
        {
            ok.text(OK_HEADERS_TO_REMOVE, name);
        }
    })
}

/// Refuses the request.
pub(super) fn deny(problem: &Problem, style: &DenialStyle<'_>, about: &Metadata<'_>) -> Answer {
    let Written {
        challenge,
        content_type,
        body,
    } = problem.write(style);
    let code = if problem.status == 403 {
        Code::PermissionDenied
    } else {
        Code::Unauthenticated
    };
    let farewell: Vec<_> = about.farewell().collect();
    let farewell = farewell.iter().map(|(name, value)| (*name, value.as_str()));
    response(Verdict::Deny(code), about, |denied| {
        let headers = [
            ("www-authenticate", challenge.as_str()),
            ("content-type", content_type),
            ("cache-control", "no-store"),
        ];
        refusal(
            denied,
            problem.status,
            headers.into_iter().chain(farewell),
            &body,
        );
    })
}

/// Says that we failed, so that Envoy's failure mode decides; needs Envoy 1.37.
pub(super) fn error(message: &str, about: &Metadata<'_>) -> Answer {
    let body = serde_json::json!({ "type": "about:blank", "title": problem::title(503), "status": 503, "detail": message });
    response(Verdict::Error, about, |failed| {
        let headers = [
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            ("retry-after", "1"),
        ];
        refusal(failed, 503, headers, &body.to_string());
    })
}

/// Which of the three answers it is.
#[derive(Clone, Copy)]
enum Verdict {
    Allow,
    Deny(Code),
    Error,
}

impl Verdict {
    /// `google.rpc.Status.code`.
    const fn code(self) -> Code {
        match self {
            Self::Allow => Code::Ok,
            Self::Deny(code) => code,
            Self::Error => Code::Unavailable,
        }
    }

    /// The field of `CheckResponse.http_response`.
    const fn field(self) -> u8 {
        match self {
            Self::Allow => 3,
            Self::Deny(_) => 2,
            Self::Error => 5,
        }
    }
}

/// `CheckResponse`.
fn response(verdict: Verdict, about: &Metadata<'_>, http: impl FnOnce(&mut Writer)) -> Answer {
    let mut response = Writer::after(grpc::PREFIX);
    response.nested(RESPONSE_STATUS, |status| {
        if verdict.code() != Code::Ok {
            status.number(1, verdict.code() as u32);
        }
    });
    response.nested(verdict.field(), http);
    response.nested(RESPONSE_METADATA, |fields| about.write(fields));
    Answer(response.finish(grpc::prefix).into())
}

/// `DeniedHttpResponse`.
fn refusal<'h>(
    denied: &mut Writer,
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: &str,
) {
    denied.nested(1, |http_status| http_status.number(1, status.into()));
    for (name, value) in headers {
        header(denied, HEADERS, name, value);
    }
    denied.text(3, body);
}

/// A `HeaderValueOption` in the one form that every client of the API reads as "overwrite": Envoy honours only the
/// deprecated `append`, which is false here; other clients only `append_action`.
fn header(message: &mut Writer, field: u8, name: &str, value: &str) {
    message.nested(field, |option| {
        option.nested(1, |header| {
            header.text(1, name);
            header.text(2, value);
        });
        option.nested(2, |_| {});
        option.number(3, OVERWRITE_IF_EXISTS_OR_ADD);
    });
}

/// `CheckResponse.status`.
const RESPONSE_STATUS: u8 = 1;

/// `CheckResponse.dynamic_metadata`.
const RESPONSE_METADATA: u8 = 4;

/// `headers` of `OkHttpResponse` and of `DeniedHttpResponse`.
const HEADERS: u8 = 2;

/// `OkHttpResponse.headers_to_remove`.
const OK_HEADERS_TO_REMOVE: u8 = 5;

/// `OkHttpResponse.response_headers_to_add`: what the answer of the upstream has besides, or instead of its own.
const OK_RESPONSE_HEADERS_TO_ADD: u8 = 6;

/// `HeaderValueOption.HeaderAppendAction`.
const OVERWRITE_IF_EXISTS_OR_ADD: u32 = 2;

/// Dynamic metadata of a decision: for access logs and rate limits, under `envoy.filters.http.ext_authz`.
pub(super) struct Metadata<'a> {
    /// `allow`, `anonymous`, `deny`, `would_deny` or `error`.
    pub(super) decision: &'static str,
    /// The id that the decision is found by.
    pub(super) decision_id: DecisionId,
    /// Why it is no allowance.
    pub(super) problem: Option<&'static str>,
    /// How the request was signed.
    pub(super) signature_method: Option<&'static str>,
    /// Who called.
    pub(super) caller: Who<'a>,
}

/// Who called, as far as metadata may name it.
#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    /// Nobody said.
    Nobody,
    /// Somebody who did not prove it, so that nobody can spend another's rate limit.
    Claimed(&'a ConsumerKey),
    /// Who proved it.
    Proven(&'a Identity),
}

impl<'a> Metadata<'a> {
    /// What is known of every decision.
    pub(super) const fn of(decision: &'static str, decision_id: DecisionId) -> Self {
        Self {
            decision,
            decision_id,
            problem: None,
            signature_method: None,
            caller: Who::Nobody,
        }
    }

    /// The headers that tell a caller who proved who it is that it ought to leave.
    fn farewell(&self) -> impl Iterator<Item = (&'static str, String)> {
        let proven = match self.caller {
            Who::Proven(identity) => Some(identity.consumer()),
            Who::Nobody | Who::Claimed(_) => None,
        };
        proven.into_iter().flat_map(sunset::headers)
    }

    /// `google.protobuf.Struct`.
    fn write(&self, fields: &mut Writer) {
        let mut add = |name, value: &str| {
            fields.nested(1, |entry| {
                entry.text(1, name);
                entry.nested(2, |kind| kind.text(3, value));
            });
        };
        let (claimed, proven) = match self.caller {
            Who::Nobody => (None, None),
            Who::Claimed(key) => (Some(key), None),
            Who::Proven(identity) => (None, Some(identity)),
        };
        let user = proven.and_then(|identity| identity.user_id());
        let scopes = proven
            .map(|identity| identity.scopes().as_str())
            .filter(|scopes| !scopes.is_empty());
        for (name, value) in [
            ("decision", Some(self.decision)),
            ("decision_id", Some(self.decision_id.hex().as_str())),
            ("problem", self.problem),
            ("signature_method", self.signature_method),
            ("claimed_consumer_key", claimed.map(ConsumerKey::as_str)),
            (
                "consumer_id",
                proven.map(|identity| identity.consumer_id().as_str()),
            ),
            (
                "consumer_key",
                proven.map(|identity| identity.consumer_key().as_str()),
            ),
            (
                "consumer_name",
                proven.map(|identity| identity.consumer_name().as_str()),
            ),
            ("user_id", user.map(UserId::as_str)),
            ("scopes", scopes),
        ] {
            if let Some(value) = value {
                add(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use envoy_types::ext_authz::v3::pb::{
        CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption,
        HttpResponse, HttpStatus, OkHttpResponse,
    };
    use envoy_types::pb::google::protobuf::{BoolValue, Struct, Value, value::Kind};
    use envoy_types::pb::google::rpc;
    use prost::Message as _;

    use super::*;
    use crate::clock::UnixTime;
    use crate::config::DenyDetail;
    use crate::model::{AccessToken, Consumer, Generation, Scopes, Secret, Token, TokenStatus};
    use crate::oauth::SignatureMethod;
    use crate::verify::Reason;

    /// An answer as a client reads it.
    fn read(answer: Answer) -> CheckResponse {
        let bytes = answer.into_bytes();
        assert_eq!(
            bytes[..5],
            [
                &[0][..],
                &u32::try_from(bytes.len() - 5).unwrap().to_be_bytes()
            ]
            .concat()
        );
        CheckResponse::decode(&bytes[5..]).unwrap()
    }

    fn code(response: &CheckResponse) -> i32 {
        response.status.as_ref().unwrap().code
    }

    fn about(decision: &'static str) -> Metadata<'static> {
        Metadata::of(decision, DecisionId([1; 16]))
    }

    fn identity(user_id: Option<&str>, scopes: &str) -> Identity {
        let scopes = Scopes::parse(scopes).unwrap();
        let consumer = consumer(scopes.clone());
        let token = AccessToken {
            token: Token::new("token").unwrap(),
            secret: Secret::new(*b"secret"),
            consumer_key: consumer.key.clone(),
            user_id: user_id.map(|user| UserId::new(user).unwrap()),
            scopes,
            consumer_generation: consumer.generation,
            user_generation: Generation::default(),
            status: TokenStatus::Active,
            expires_at: None,
            created_at: UnixTime::default(),
            revision: 1,
        };
        Identity::of(&Arc::new(consumer), Some(&Arc::new(token)))
    }

    fn consumer(scopes: Scopes) -> Consumer {
        Consumer {
            scopes,
            ..Consumer::example()
        }
    }

    fn allowed(identity: Identity) -> Decision {
        let method = SignatureMethod::HmacSha1;
        Decision::Allow(Allowed {
            identity,
            signature_method: method,
            credentials_in_header: true,
        })
    }

    #[expect(deprecated, reason = "what Envoy honours")]
    fn overwrite(name: &str, value: &str) -> HeaderValueOption {
        HeaderValueOption {
            header: Some(HeaderValue {
                key: name.to_owned(),
                value: value.to_owned(),
                raw_value: Vec::new(),
            }),
            append: Some(BoolValue { value: false }),
            append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
            keep_empty_value: false,
        }
    }

    fn metadata(fields: &[(&str, &str)]) -> Option<Struct> {
        let value = |text: &&str| Value {
            kind: Some(Kind::StringValue((*text).to_owned())),
        };
        Some(Struct {
            fields: fields
                .iter()
                .map(|(name, text)| ((*name).to_owned(), value(text)))
                .collect(),
        })
    }

    const STYLE: DenialStyle<'_> = DenialStyle {
        realm: "r",
        detail: DenyDetail::Problem,
        form: false,
        decision_id: "1",
        base_string: None,
        explained: None,
    };

    const ID: &str = "01010101010101010101010101010101";

    #[test]
    fn an_allowance_is_read_as_it_was_meant() {
        let (user, scopes) = ("jane", "read write");
        let decision = allowed(identity(Some(user), scopes));
        let Decision::Allow(granted) = &decision else {
            unreachable!()
        };
        let request = Headers::joined(&[("x_consumer_id", "1"), ("accept", "2")]);
        let about = Metadata {
            signature_method: Some("HMAC-SHA1"),
            caller: Who::Proven(&granted.identity),
            ..about("allow")
        };
        let response = read(allow(
            &Permit::of(&decision).unwrap(),
            &request,
            true,
            &about,
        ));
        let headers = vec![
            overwrite("x-consumer-id", "c-1"),
            overwrite("x-consumer-username", "Printer Example"),
            overwrite("x-credential-identifier", "key"),
            overwrite("x-authenticated-userid", user),
            overwrite("x-authenticated-scope", scopes),
        ];
        let remove = ["x_consumer_id", "x-anonymous-consumer", "authorization"]
            .map(str::to_owned)
            .to_vec();
        let ok = OkHttpResponse {
            headers,
            headers_to_remove: remove,
            ..OkHttpResponse::default()
        };
        let fields = metadata(&[
            ("decision", "allow"),
            ("decision_id", ID),
            ("signature_method", "HMAC-SHA1"),
            ("consumer_id", "c-1"),
            ("consumer_key", "key"),
            ("consumer_name", "Printer Example"),
            ("user_id", user),
            ("scopes", scopes),
        ]);
        let expected = CheckResponse {
            status: Some(rpc::Status::default()),
            dynamic_metadata: fields,
            http_response: Some(HttpResponse::OkResponse(ok)),
        };
        assert_eq!(response, expected);
    }

    #[test]
    fn who_has_no_user_and_no_scopes_has_no_such_header_and_no_such_metadata() {
        let decision = allowed(identity(None, ""));
        let Decision::Allow(granted) = &decision else {
            unreachable!()
        };
        let about = Metadata {
            caller: Who::Proven(&granted.identity),
            ..about("allow")
        };
        let response = read(allow(
            &Permit::of(&decision).unwrap(),
            &Headers::default(),
            false,
            &about,
        ));
        let fields = response.dynamic_metadata.unwrap().fields;
        assert!(
            !fields.contains_key("user_id") && !fields.contains_key("scopes"),
            "{fields:?}"
        );
        let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
            panic!("not an allowance")
        };
        assert_eq!(ok.headers.len(), 3);
        assert_eq!(
            ok.headers_to_remove,
            [
                "x-authenticated-userid",
                "x-authenticated-scope",
                "x-anonymous-consumer"
            ]
        );
    }

    #[test]
    fn a_denial_is_read_as_it_was_meant() {
        let style = DenialStyle {
            realm: "r",
            detail: DenyDetail::Problem,
            form: true,
            decision_id: ID,
            base_string: None,
            explained: None,
        };
        let problem = Problem::of(Reason::ScopeMissing);
        let key = ConsumerKey::new("key").unwrap();
        let about = Metadata {
            problem: Some("scope_missing"),
            caller: Who::Claimed(&key),
            ..about("deny")
        };
        let response = read(deny(&problem, &style, &about));
        let Written {
            challenge,
            content_type,
            body,
        } = problem.write(&style);
        let denied = DeniedHttpResponse {
            status: Some(HttpStatus { code: 403 }),
            headers: vec![
                overwrite("www-authenticate", &challenge),
                overwrite("content-type", content_type),
                overwrite("cache-control", "no-store"),
            ],
            body,
        };
        let expected = CheckResponse {
            status: Some(rpc::Status {
                code: 7,
                ..rpc::Status::default()
            }),
            dynamic_metadata: metadata(&[
                ("decision", "deny"),
                ("decision_id", ID),
                ("problem", "scope_missing"),
                ("claimed_consumer_key", "key"),
            ]),
            http_response: Some(HttpResponse::DeniedResponse(denied)),
        };
        assert_eq!(response, expected);
    }

    #[test]
    fn a_proven_caller_is_told_to_leave() {
        let mut leaving = consumer(Scopes::default());
        (leaving.deprecated_at, leaving.sunset_at) =
            (Some(UnixTime::default()), Some(UnixTime::default()));
        let identity = Identity::of(&Arc::new(leaving), None);
        let told = vec![
            overwrite("deprecation", "@0"),
            overwrite("sunset", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ];

        let about = Metadata {
            caller: Who::Proven(&identity),
            ..about("allow")
        };
        let decision = allowed(identity.clone());
        let response = read(allow(
            &Permit::of(&decision).unwrap(),
            &Headers::default(),
            false,
            &about,
        ));
        let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
            panic!("not an allowance")
        };
        assert_eq!(ok.response_headers_to_add, told);

        let denial = |caller| {
            let about = Metadata {
                caller,
                ..Metadata::of("deny", DecisionId([1; 16]))
            };
            let response = read(deny(&Problem::of(Reason::NonceUsed), &STYLE, &about));
            let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else {
                panic!("not a denial")
            };
            denied.headers
        };
        assert_eq!(denial(Who::Proven(&identity))[3..], told);
        assert_eq!(
            denial(Who::Claimed(identity.consumer_key())).len(),
            3,
            "nobody else is told"
        );
    }

    #[test]
    fn a_failure_is_read_as_it_was_meant() {
        let response = read(error("down", &about("error")));
        assert_eq!(code(&response), 14);
        let Some(HttpResponse::ErrorResponse(failed)) = response.http_response else {
            panic!("not a failure")
        };
        assert_eq!(failed.status, Some(HttpStatus { code: 503 }));
        let headers = [
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            ("retry-after", "1"),
        ];
        assert_eq!(
            failed.headers,
            headers.map(|(name, value)| overwrite(name, value))
        );
        let body: serde_json::Value = serde_json::from_str(&failed.body).unwrap();
        assert_eq!(
            (&body["status"], &body["detail"]),
            (&503.into(), &"down".into())
        );
    }

    #[test]
    fn only_an_allowance_has_status_code_0() {
        for reason in [
            Reason::Unsigned,
            Reason::ScopeMissing,
            Reason::NotHttp,
            Reason::NonceUsed,
        ] {
            let denied = read(deny(&Problem::of(reason), &STYLE, &about("deny")));
            assert_ne!(code(&denied), 0, "{reason:?}");
            assert!(matches!(
                denied.http_response,
                Some(HttpResponse::DeniedResponse(_))
            ));
        }
        let failed = read(error("down", &about("error")));
        assert_ne!(code(&failed), 0);
        assert!(matches!(
            failed.http_response,
            Some(HttpResponse::ErrorResponse(_))
        ));
        let allowed = read(allow(
            &Permit::shadow(),
            &Headers::default(),
            true,
            &about("would_deny"),
        ));
        assert_eq!(code(&allowed), 0);
    }

    #[test]
    fn every_identity_header_is_set_or_removed() {
        let headers = Headers::joined(&[("X_Consumer_Id", "spoofed")]);
        let decision = Decision::Anonymous;
        let permit = Permit::of(&decision).unwrap();
        let allowed = read(allow(&permit, &headers, true, &about("anonymous")));
        let Some(HttpResponse::OkResponse(ok)) = allowed.http_response else {
            panic!("not an allowance")
        };
        let set: Vec<_> = ok
            .headers
            .iter()
            .filter_map(|option| option.header.as_ref())
            .map(|h| h.key.as_str())
            .collect();
        assert_eq!(set, ["x-anonymous-consumer"]);
        assert!(ok.headers_to_remove.contains(&"X_Consumer_Id".to_owned()));
        for name in identity::NAMES {
            assert!(
                set.contains(&name) != ok.headers_to_remove.contains(&name.to_owned()),
                "{name}"
            );
        }
        assert!(!ok.headers_to_remove.contains(&"authorization".to_owned()));
    }

    #[test]
    fn a_denial_without_detail_tells_nothing_but_the_realm() {
        let style = DenialStyle {
            realm: "r\"1",
            detail: DenyDetail::None,
            form: false,
            decision_id: "1",
            base_string: None,
            explained: None,
        };
        let denied = read(deny(
            &Problem::of(Reason::NonceUsed),
            &style,
            &about("deny"),
        ));
        let Some(HttpResponse::DeniedResponse(denied)) = denied.http_response else {
            panic!("not a denial")
        };
        let challenge = &denied.headers[0].header.as_ref().unwrap().value;
        assert_eq!(challenge, "OAuth realm=\"r\\\"1\"");
        assert!(!denied.body.contains("nonce"), "{}", denied.body);
    }
}
